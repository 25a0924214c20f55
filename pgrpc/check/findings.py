"""What is wrong between the file and the database, gathered with its places in the file.

Owns that a GRANT which many functions need is reported once, and which role it suggests. Must not know the rules
that find anything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pgrpc.config import model
from pgrpc.core.functions import allowlist, privileges

Place = tuple[str | int, ...]
"""The keys and indexes that lead to a value of the file."""

Finding = tuple[Place, str]
"""Where, and what is wrong there."""

_NAMED = 3
"""Places named in one message beside its own."""


class Findings:
    """Grows while the parts are looked at, one after the other. marks: the positions of places in the file.

    anonymous: the role that a GRANT suggests last, because it would open a function to everybody.
    """

    def __init__(self, marks: model.Marks, anonymous: str | None = None) -> None:
        self._marks = marks
        self._anonymous = anonymous
        self.warnings: list[Finding] = []
        self._faults: list[Finding] = []
        self._usage: dict[privileges.Missing, list[Place]] = {}
        self._execute: dict[tuple[Place, privileges.Missing], list[str]] = {}

    def fault(self, place: Place, reason: allowlist.Reason) -> None:
        if isinstance(reason, str):
            self._faults.append((place, reason))
            return
        missing = replace(reason, roles=tuple(sorted(reason.roles, key=lambda role: role == self._anonymous)))
        if missing.privilege == "USAGE":
            self._usage.setdefault(missing, []).append(place)
        else:
            self._execute.setdefault((place, replace(missing, on="")), []).append(missing.on)

    def warn(self, place: Place, words: Iterable[str]) -> None:
        self.warnings += [(place, each) for each in words]

    def faults(self) -> list[Finding]:
        """All of them; a missing USAGE at the first place that needs it, and one GRANT for the overloads of a place."""
        usage = []
        for missing, needing in self._usage.items():
            places = sorted(needing, key=self._marks.position)
            usage.append((places[0], f"{missing.lack}{_also(places)}: {missing.cure}"))
        execute = [
            (place, str(replace(missing, on=", ".join(dict.fromkeys(on)))))
            for (place, missing), on in self._execute.items()
        ]
        return [*usage, *self._faults, *execute]


def _also(places: Sequence[Place]) -> str:
    entries = list(dict.fromkeys(place[:2] for place in places))  # one function may need it for several of its keys
    others = [model.shown(entry) for entry in entries[1:]]
    if not others:
        return ""
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f", needed also for {', '.join(others[:_NAMED])}{more}"
