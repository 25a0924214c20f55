"""The servers that pgrpc replaces, by name: the folders beside this file.

Owns finding them, and importing their modules when they are needed. Must not know what is in them; `dialect` says what
there must be.
"""

import importlib
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pgrpc import compat, config
from pgrpc.compat import dialect
from pgrpc.web import context


@dataclass(frozen=True, slots=True)
class Dialect:
    """One folder: also a section of the configuration file (config.Section)."""

    name: str

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema of `dialects.<name>`."""
        file = resources.files(f"{compat.__name__}.{self.name}") / "section.schema.json"
        document: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
        return document

    def read(self, given: config.Given) -> Any:
        """What a section says, as the folder's own frozen value."""
        section: dialect.SectionReader = self._module("section")
        return section.read(given)

    def load(self, environ: Mapping[str, str], file: Path | None = None) -> dialect.Loaded:
        """The configuration that the server's own settings mean. Raises config.Invalid with every fault."""
        settings: dialect.Settings = self._module("settings")
        return settings.load(environ, file)

    def routes(self, shared: context.Context, value: Any) -> dialect.Routes:
        sockets: dialect.Sockets = self._module("sockets")
        return sockets.routes(shared, value)

    def _module(self, name: str) -> Any:
        return importlib.import_module(f"{compat.__name__}.{self.name}.{name}")


def dialects() -> Mapping[str, Dialect]:
    """Name -> dialect, in the order of the names. Imports none of their modules."""
    names = sorted(module.name for module in pkgutil.iter_modules(compat.__path__) if module.ispkg)
    return {name: Dialect(name) for name in names}


def routes(shared: context.Context, on: Mapping[str, Any]) -> dialect.Routes:
    """The routes of the dialects that are on. on: `Config.dialects`."""
    known = dialects()
    found = [known[name].routes(shared, value) for name, value in on.items()]
    return dialect.Routes(
        tuple(route for each in found for route in each.before),
        tuple(route for each in found for route in each.after),
    )
