"""What a folder of pgrpc.compat must offer, so that pgrpc can replace the server that it is named after.

Owns the interface of a folder `pgrpc/compat/<name>/`:

    __init__.py            nothing but words: which server it replaces
    settings.py            load(environ, file): that server's own settings -> our configuration (`Settings`)
    section.schema.json    JSON Schema of `dialects.<name>` in config.yaml; `make docs` publishes it
    section.py             read(given): such a section -> a frozen value, or faults (`SectionReader`)
    sockets.py             routes(shared, value): what its clients speak, at which paths (`Sockets`)

The module dialect itself must not know which folders there are. Each module is imported only when it is needed: what
a folder imports costs nobody who does not use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pgrpc import config
from pgrpc.web import context


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration made of another server's settings.

    warnings: settings that have no effect, or another one than there; each a line for the log. debug: log more.
    """

    config: config.Config
    warnings: tuple[str, ...] = ()
    debug: bool = False


@dataclass(frozen=True, slots=True)
class Routes:
    """Tornado's routes. before: they precede our own, and may replace them. after: for paths that we do not have."""

    before: tuple[tuple[Any, ...], ...] = ()
    after: tuple[tuple[Any, ...], ...] = ()


class Settings(Protocol):
    """The module `settings`."""

    def load(self, environ: Mapping[str, str], file: Path | None = None) -> Loaded:
        """From the file, or else from where that server looks for it. Raises config.Invalid with every fault."""


class SectionReader(Protocol):
    """The module `section`."""

    def read(self, given: config.Given) -> Any: ...


class Sockets(Protocol):
    """The module `sockets`."""

    def routes(self, shared: context.Context, value: Any) -> Routes:
        """value: what `section.read` returned."""
