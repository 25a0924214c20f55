"""What was read of another server's settings -> our configuration.

Owns the way from a value, under the name that it has there, to its place in our document: so a fault names what the
user wrote (`ES_HTTPPORT: must be at most 65535`). Must not know any server's settings.
"""

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pgrpc.config import faults, model, reader


@dataclass(frozen=True, slots=True)
class Loaded:
    """warnings: what was set but is not used as it was there, each in words for the log."""

    config: model.Config
    warnings: tuple[str, ...] = ()


class Document:
    """A document as config.yaml holds, filled value by value. file: what holds the settings, as the user names it."""

    def __init__(self, file: Path | str, value: dict[str, Any]) -> None:
        self._file = str(file)
        self._value = value
        self._names: dict[model.Place, str] = {}
        self._faults: list[str] = []
        self.warnings: list[str] = []

    def put(self, place: tuple[str, ...], value: Any, name: str) -> None:
        """A value of ours, and the name that it has in the user's settings, such as `ES_HTTPPORT`."""
        inner = self._value
        for key in place[:-1]:
            inner = inner.setdefault(key, {})
        inner[place[-1]] = value
        self._names[place] = name

    def fault(self, name: str, words: str) -> None:
        """What is wrong with a setting that has no place of ours."""
        self._faults.append(f"{name}: {words}")

    def warn(self, name: str, words: str) -> None:
        self.warnings.append(f"{name}: {words}")

    def load(self) -> Loaded:
        """Raises Invalid."""
        found = faults.Faults(model.Marks(self._file, names=MappingProxyType(self._names)))
        for line in self._faults:
            found.note((1, 1), line)
        return Loaded(reader.build(self._value, Path(self._file), found), tuple(self.warnings))
