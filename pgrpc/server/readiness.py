"""Readiness for /health/ready: which parts are not ready, in this process and in all workers.

Owns the messages of /health/ready. They contain nothing from PostgreSQL, because its messages may contain parts of a
connection string; those only go to the log. Must not know HTTP, nor how the parts work.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pgrpc.core.functions import catalog
from pgrpc.web import admission

_INTERVAL = 0.25
"""Seconds between two reports of one of several workers."""


class Part(Protocol):
    """A part that needs the database. down: why it does not work now, or None."""

    @property
    def down(self) -> str | None: ...


class Workers(Protocol):
    """All workers of the server. report: publishes what is not ready here. unready: what is not ready in any."""

    @property
    def report(self) -> Callable[[Mapping[str, str]], None]: ...
    @property
    def unready(self) -> Callable[[], Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Readiness:
    """workers: None if there is one process."""

    calls: Part
    listener: Part
    functions: catalog.Catalog
    admission: admission.Admission
    workers: Workers | None = None

    def here(self) -> dict[str, str]:
        """What is not ready in this process: {"database": "unavailable"}; {} if everything is ready."""
        unready: dict[str, str] = {}
        if self.admission.is_stopping:
            unready["server"] = "stopping"
        if self.calls.down:
            unready["database"] = "unavailable"
        elif self.functions.methods and not self.functions.functions:
            unready["database"] = "the functions are not known yet"
        if self.listener.down:
            unready["listener"] = "unavailable"
        return unready

    def anywhere(self) -> Mapping[str, Any]:
        """What is not ready in any worker: {"worker 1": {"database": "unavailable"}}; with one process as `here`."""
        if self.workers is None:
            return self.here()
        self.workers.report(self.here())
        return self.workers.unready()

    async def run(self) -> None:
        """Report to the other workers, for ever."""
        while self.workers is not None:
            self.workers.report(self.here())
            await asyncio.sleep(_INTERVAL)
