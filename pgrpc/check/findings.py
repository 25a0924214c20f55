"""What is wrong between the file and the database, gathered with its places in the file.

Owns that a GRANT which many functions need is reported once. Must not know the rules that find anything.
"""

from collections.abc import Iterable, Sequence

from pgrpc.config import model
from pgrpc.core.functions import allowlist, privileges

Place = tuple[str | int, ...]
"""The keys and indexes that lead to a value of the file."""

Finding = tuple[Place, str]
"""Where, and what is wrong there."""

_NAMED = 3
"""Places named in one message beside its own."""


class Findings:
    """Grows while the parts are looked at, one after the other. marks: the positions of places in the file."""

    def __init__(self, marks: model.Marks) -> None:
        self._marks = marks
        self.warnings: list[Finding] = []
        self._faults: list[Finding] = []
        self._usage: dict[privileges.Missing, list[Place]] = {}

    def fault(self, place: Place, reason: allowlist.Reason) -> None:
        if isinstance(reason, privileges.Missing) and reason.privilege == "USAGE":
            self._usage.setdefault(reason, []).append(place)
        else:
            self._faults.append((place, str(reason)))

    def warn(self, place: Place, words: Iterable[str]) -> None:
        self.warnings += [(place, each) for each in words]

    def faults(self) -> list[Finding]:
        """All of them; a missing USAGE at the first place that needs it."""
        usage = []
        for missing, needing in self._usage.items():
            places = sorted(needing, key=self._marks.position)
            usage.append((places[0], str(missing) + _also(places)))
        return [*usage, *self._faults]


def _also(places: Sequence[Place]) -> str:
    entries = list(dict.fromkeys(place[:2] for place in places))  # one function may need it for several of its keys
    others = [model.shown(entry) for entry in entries[1:]]
    if not others:
        return ""
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f" (also for {', '.join(others[:_NAMED])}{more})"
