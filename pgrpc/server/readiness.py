"""What is not ready: here, and in all workers.

Owns the words of /health/ready. They are ours alone: what PostgreSQL says of a connection may hold parts of a
connection string, so it goes to the log only. Must not know HTTP, nor how the parts work.
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
    """Something that needs the database. down: why it does not work now, or None."""

    @property
    def down(self) -> str | None: ...


class Workers(Protocol):
    """The workers of which this is one. report: takes what is not ready here. unready: what is not ready in any."""

    @property
    def report(self) -> Callable[[Mapping[str, str]], None]: ...
    @property
    def unready(self) -> Callable[[], Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Readiness:
    """workers: None where there is one process."""

    calls: Part
    listener: Part
    functions: catalog.Catalog
    admission: admission.Admission
    workers: Workers | None = None

    def here(self) -> dict[str, str]:
        """Of this process: {"database": "unavailable"}; {} where all is ready."""
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
        """Of several workers: {"worker 1": {"database": "unavailable"}}; of one as `here`."""
        if self.workers is None:
            return self.here()
        self.workers.report(self.here())
        return self.workers.unready()

    async def run(self) -> None:
        """Report, for ever."""
        while self.workers is not None:
            self.workers.report(self.here())
            await asyncio.sleep(_INTERVAL)
