"""Everything wrong with one configuration, gathered to be told at once.

Owns the order, the wording of the place, and which faults are only the consequence of another. Must not know rules.
"""

from collections.abc import Sequence

from pgrpc.config import model


class Faults:
    """A list of faults that grows while the file is read.

    substituted: places whose text came from ${...}; nothing of such a text may be told.
    """

    def __init__(self, marks: model.Marks) -> None:
        self.marks = marks
        self.substituted: set[model.Place] = set()
        self._spoilt: set[model.Place] = set()
        self._found: dict[str, model.Position] = {}
        self._touched: set[model.Place] = set()

    def add(self, place: Sequence[str | int], words: str) -> None:
        """What is wrong with the value at a place, and what to do. Only the first fault of a value is told."""
        place = tuple(place)
        if any(place[:length] in self._spoilt for length in range(len(place) + 1)):
            return
        self.spoil(place)
        self.tell(place, words + (" (once ${...} is replaced)" if place in self.substituted else ""))

    def tell(self, place: Sequence[str | int], words: str) -> None:
        """A fault that leaves the value to be checked further, such as one of its name."""
        self._touched.add(tuple(place))
        self.note(self.marks.position(place), f"{self.marks.where(place)}: {words}")

    def note(self, position: model.Position, line: str) -> None:
        """A fault that names its own place, such as one in another file, sorted as one of `position`."""
        self._found.setdefault(line, position)

    def spoil(self, place: Sequence[str | int]) -> None:
        """There is no value here, and the reason is told already."""
        self._touched.add(tuple(place))
        self._spoilt.add(tuple(place))

    def sound(self, *place: str) -> bool:
        """Whether nothing is wrong at the place, in it, or around it."""
        size = len(place)
        return not any(found[:size] == place[: len(found)] for found in self._touched)

    def has(self, place: Sequence[str | int]) -> bool:
        """Whether the value at this very place is wrong."""
        return tuple(place) in self._spoilt

    def lines(self) -> list[str]:
        """All of them, in the order of the file; those of one position in the order of finding."""
        return sorted(self._found, key=lambda line: self._found[line])
