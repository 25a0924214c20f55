"""Everything that is wrong with one configuration, collected so that it can be reported at once.

Owns the order of faults, how their places are shown, and which are only the consequence of another. Must not know what
makes a value wrong.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from pgrpc.config import model


class Faults:
    """A list of faults that grows while the file is read.

    substituted: place -> the references, such as `${PORT}`, that its text came from. Such a text may be secret, so no
    fault shows any of it. empty: places whose text is empty because of such a reference -> what to say of a fault here.
    """

    def __init__(self, marks: model.Marks) -> None:
        self.marks = marks
        self.substituted: dict[model.Place, tuple[str, ...]] = {}
        self.empty: dict[model.Place, str] = {}
        self._invalid: set[model.Place] = set()
        self._lines: dict[str, model.Position] = {}
        self._touched: set[model.Place] = set()

    def reject(self, place: Sequence[str | int], words: str) -> None:
        """What is wrong with the value at a place, and what to do: it cannot be used, so this is its only fault."""
        place = tuple(place)
        if any(place[:length] in self._invalid for length in range(len(place) + 1)):
            return
        self.invalidate(place)
        references = self.substituted.get(place)
        shown = f"{words} (from {', '.join(references)})" if references else words
        self.report(place, self.empty.get(place, shown))

    def report(self, place: Sequence[str | int], words: str) -> None:
        """A fault of a value that can still be used, such as one of its name: what else is wrong is reported too."""
        self._touched.add(tuple(place))
        self.add_line(self.marks.position(place), f"{self.marks.where(place)}: {words}")

    def add_line(self, position: model.Position, line: str) -> None:
        """A fault that names its own place, such as one in another file. It is sorted as one of `position`."""
        self._lines.setdefault(line, position)

    def invalidate(self, place: Sequence[str | int]) -> None:
        """The value here cannot be used, for a reason that is reported already."""
        self._touched.add(tuple(place))
        self._invalid.add(tuple(place))

    def sound(self, *place: str) -> bool:
        """Whether nothing is wrong at the place, in it, or around it."""
        size = len(place)
        return not any(found[:size] == place[: len(found)] for found in self._touched)

    def has(self, place: Sequence[str | int]) -> bool:
        """Whether the value at this very place is wrong."""
        return tuple(place) in self._invalid

    def lines(self) -> list[str]:
        """All of them, in the order of the file; those of one position in the order in which they were found."""
        return sorted(self._lines, key=lambda line: self._lines[line])

    def shown(self, path: Path, place: Sequence[str | int]) -> str:
        """`key.pem: `, as the value at `place` names a file; nothing where the name may be secret."""
        return "" if tuple(place) in self.substituted else f"{self._written(path)}: "

    def file(self, path: Path) -> str:
        """A file as it can be opened from where the command line names the configuration."""
        return os.path.join(os.path.dirname(self.marks.file), self._written(path))

    def _written(self, path: Path) -> str:
        """Relative to the configuration, where it is in the same folder or below."""
        try:
            return str(path.relative_to(os.path.abspath(os.path.dirname(self.marks.file))))
        except ValueError:
            return str(path)
