"""Reads the catalog from the database: the functions and roles that the file names.

Owns when it is read, and the retries while the database is unavailable or does not match the file. Must not know how a
catalog is built (check/resolve), nor who uses it.
"""

import asyncio
from collections.abc import Callable

import pgrpc.config as configuration
from pgrpc import observe
from pgrpc.check import resolve
from pgrpc.postgres import backoff, connect


class CatalogReader:
    """use: called with the result."""

    def __init__(
        self,
        config: configuration.Config,
        connector: connect.Connector,
        use: Callable[[resolve.Resolved], None],
        observer: observe.Observer,
    ) -> None:
        self._config = config
        self._connector = connector
        self._use = use
        self._observe = observer
        self._is_read = False

    async def start(self) -> None:
        """The first attempt. Raises config.Invalid if file and database do not match.

        If the database is unavailable, the server starts nevertheless: calls are refused until `run` has succeeded.
        """
        try:
            await self._read()
        except resolve.ConfigMismatch as error:
            raise resolve.invalid(self._config, error.faults) from error
        except connect.CannotConnect:
            pass

    async def run(self) -> None:
        """Retry until it is read and the database matches the file: the database may still be being set up."""
        wait = backoff.Backoff()
        reported: tuple[str, ...] = ()
        while not self._is_read:
            try:
                await self._read()
                return
            except resolve.ConfigMismatch as error:
                faults = resolve.invalid(self._config, error.faults).faults
                if faults != reported:
                    reported = faults
                    self._observe(observe.ConfigMismatch(faults))
            except connect.CannotConnect:
                pass  # the pool filler reports it
            await asyncio.sleep(wait.next())

    async def _read(self) -> None:
        resolved = await resolve.inspect(self._config, self._connector)
        self._use(resolved)
        self._is_read = True
        if resolved.warnings:
            self._observe(observe.Warnings(resolve.lines(self._config, (), resolved.warnings)))
