"""Reads the catalog: what the database says of all that the file names.

Owns when it is read, and what happens where the database is unavailable, or does not match the file. Must not know how
a catalog is built (check/resolve), nor who uses it.
"""

import asyncio
from collections.abc import Callable

import pgrpc.config as configuration
from pgrpc import observe
from pgrpc.check import resolve
from pgrpc.postgres import backoff, connect


class CatalogReader:
    """use: what takes the result into use."""

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
        """The first try. Raises config.Invalid where file and database do not match.

        Where the database is unavailable the server serves all the same: calls are refused until `run` has read it.
        """
        try:
            await self._read()
        except resolve.ConfigMismatch as error:
            raise resolve.invalid(self._config, error.faults) from error
        except connect.CannotConnect:
            pass

    async def run(self) -> None:
        """Until it is read, and the database matches the file: it may still be being set up."""
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
                pass  # the pool's supervision says so
            await asyncio.sleep(wait.next())

    async def _read(self) -> None:
        resolved = await resolve.inspect(self._config, self._connector)
        self._use(resolved)
        self._is_read = True
        if resolved.warnings:
            self._observe(observe.Warnings(resolve.lines(self._config, (), resolved.warnings)))
