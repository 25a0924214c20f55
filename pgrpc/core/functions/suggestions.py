"""The known name that a mistyped one is close to, for "did you mean ...?".

Owns how close is close enough, and how much may be compared: a name can come from a client.
"""

import difflib
from collections.abc import Iterable, Sequence
from itertools import islice

_LONGEST = 63
"""Characters. PostgreSQL's own names have no more."""

_KNOWN = 30
"""Names compared. Each takes up to 0.3 ms."""


def near(
    name: str, known: Iterable[str], *, cutoff: float = 0.7, limit: int = _KNOWN, abbreviated: bool = False
) -> str | None:
    """The closest of the first `limit` known names; one that differs in case alone is closest of all.

    abbreviated: also one that `name` is short for, as qty for quantity, where there is only one.
    """
    if len(name) > _LONGEST:
        return None
    folded: dict[str, str] = {}
    for each in islice(known, limit):
        folded.setdefault(each.lower()[:_LONGEST], each)
    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=cutoff)
    if not found and abbreviated:
        longer = [each for each in folded if _is_short_for(name.lower(), each)]
        found = longer if len(longer) == 1 else []
    return folded[found[0]] if found else None


def work(name: str, known: Sequence[str]) -> int:
    """The microseconds that `near` takes at most, roughly: all characters of two names are compared."""
    return len(name) * sum(map(len, known[:_KNOWN])) // 6 if len(name) <= _LONGEST else 0


def _is_short_for(name: str, known: str) -> bool:
    """Whether `known` has the characters of `name` in their order, from the first on."""
    rest = iter(known)
    return len(name) > 1 and name[0] == known[:1] and all(character in rest for character in name)
