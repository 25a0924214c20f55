"""What was read of another server's settings -> our configuration.

Owns the way from a value, under the name that it has there, to its place in our document: so a fault names what the
user wrote (`ES_HTTPPORT: must be at most 65535`). Must not know any server's settings.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pgrpc.config import faults, model, reader, yamltree

_FLAGS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


@dataclass(frozen=True, slots=True)
class Loaded:
    """warnings: what was set but is not used as it was there, each in words for the log."""

    config: model.Config
    warnings: tuple[str, ...] = ()
    debug: bool = False


class Document:
    """A document as config.yaml holds, filled value by value. file: relative paths start beside it."""

    def __init__(self, file: Path | str, value: dict[str, Any]) -> None:
        self.debug = False
        self._file = Path(file)
        self._value = value
        self._names: dict[model.Place, str] = {}
        self._faults: list[str] = []
        self._warnings: list[str] = []

    def put(self, place: model.Place, value: Any, name: str) -> None:
        """A value of ours, and the name that it has in the user's settings, such as `ES_HTTPPORT`."""
        inner: Any = self._value
        for key in place[:-1]:
            inner = inner.setdefault(key, {})
        inner[place[-1]] = value
        self._names[place] = name

    def flag(self, value: Any, name: str) -> bool:
        """Of true or false in any of their spellings."""
        text = str(value).strip().lower()
        if text not in _FLAGS:
            self.fault(name, "must be true or false")
        return _FLAGS.get(text, False)

    def fault(self, name: str, words: str) -> None:
        """What is wrong with a setting, where no place of ours tells it."""
        self._faults.append(f"{name}: {words}")

    def warn(self, name: str, words: str) -> None:
        self._warnings.append(f"{name}: {words}")

    def load(self) -> Loaded:
        """Raises Invalid with everything that is wrong."""
        found = faults.Faults(model.Marks(str(self._file), names=MappingProxyType(self._names)))
        for line in self._faults:
            found.note((1, 1), line)
        return Loaded(reader.build(self._value, self._file, found), tuple(self._warnings), self.debug)


def plain(value: Any) -> Any:
    """A text as if it had been written as a number or a word, where it is one."""
    return yamltree.plain(value.strip()) if isinstance(value, str) else value


def connection(parameters: Mapping[str, str]) -> str:
    """A connection string of libpq: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING"""
    quoted = {key: re.sub(r"(['\\])", r"\\\1", value) for key, value in parameters.items()}
    return " ".join(f"{key}='{value}'" for key, value in quoted.items())
