"""Another server's settings -> our configuration.

Owns the way from a value, under the name that it has there, to its place in our configuration, so that a fault names
what the user wrote (`ES_HTTPPORT: must be at most 65535`). Must not know any server's settings.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pgrpc.compat import dialect, registry
from pgrpc.config import faults, model, reader, yamltree

_FLAGS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


class Document:
    """A document with the keys of config.yaml, filled value by value. file: relative paths start beside it."""

    def __init__(self, file: Path | str, value: dict[str, Any]) -> None:
        self.debug = False
        self._file = Path(file)
        self._value = value
        self._names: dict[model.Place, str] = {}
        self._faults: list[str] = []
        self._warnings: list[str] = []

    def put(self, place: model.Place, value: Any, name: str) -> None:
        """Set one of our keys. name: what the user calls it, such as `ES_HTTPPORT`."""
        inner: Any = self._value
        for key in place[:-1]:
            inner = inner.setdefault(key, {})
        inner[place[-1]] = value
        self._names[place] = name

    def flag(self, value: Any, name: str) -> bool:
        """true or false in any of their spellings."""
        text = str(value).strip().lower()
        if text not in _FLAGS:
            self.fault(name, "must be true or false")
        return _FLAGS.get(text, False)

    def fault(self, name: str, words: str) -> None:
        """Report a setting that is wrong, where none of our keys can report it."""
        self._faults.append(f"{name}: {words}")

    def warn(self, name: str, words: str) -> None:
        """Report a setting that has no effect, or another one than in that server."""
        self._warnings.append(f"{name}: {words}")

    def load(self) -> dialect.Loaded:
        """Raises config.Invalid with every fault."""
        found = faults.Faults(model.Marks(str(self._file), names=MappingProxyType(self._names)))
        for line in self._faults:
            found.add_line((1, 1), line)
        built = reader.build(self._value, self._file, found, registry.dialects())
        return dialect.Loaded(built, tuple(self._warnings), self.debug)


def plain(value: Any) -> Any:
    """A text as YAML reads it: as a number or a boolean where it is written like one."""
    return yamltree.plain(value.strip()) if isinstance(value, str) else value


def connection(parameters: Mapping[str, str]) -> str:
    """A connection string of libpq: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING"""
    quoted = {key: re.sub(r"(['\\])", r"\\\1", value) for key, value in parameters.items()}
    return " ".join(f"{key}='{value}'" for key, value in quoted.items())
