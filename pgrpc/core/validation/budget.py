"""How much work validation may do for one message.

Owns the count: the event loop waits while a value is checked, and some schemas make work that doubles with every level
of a value. Work is counted, not timed: a value is refused on every machine or on none. Must not know what the work is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

WORK = 40_000
"""What one message may cost. A unit is at most a microsecond: docs/decisions/0011-validation-is-bounded.md."""


class TooMuchWork(Exception):
    """The budget is spent."""


class Budget:
    """What is left of WORK. It starts again with each value, or with each block of `shared`."""

    __slots__ = ("_is_shared", "_left")

    def __init__(self) -> None:
        self._left = WORK
        self._is_shared = False

    def start(self) -> None:
        """Before each value."""
        if not self._is_shared:
            self._left = WORK

    @contextmanager
    def shared(self) -> Iterator[None]:
        """All values that are checked inside may cost WORK together."""
        self.start()
        self._is_shared = True
        try:
            yield
        finally:
            self._is_shared = False

    def affords(self, units: int) -> bool:
        """Whether half of WORK is left after this, which is then spent. It is for what only makes faults clearer."""
        if self._left - units < WORK // 2:
            return False
        self._left -= units
        return True

    def spend(self, units: int) -> None:
        """Raises TooMuchWork."""
        self._left -= units
        if self._left < 0:
            raise TooMuchWork
