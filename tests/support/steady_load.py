"""Events and calls that go on while something breaks, and whether the books agree afterwards.

Owns who is connected during the faults of the database and of the link to it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support import breakable, ledger, pgrpc_server
from tests.support.recording_client import Peer


class Load:
    """Events and calls, going on while something breaks."""

    def __init__(self, here: breakable.World, server: pgrpc_server.Server) -> None:
        self.here = here
        self.server = server
        self.listeners: list[Peer] = []
        self.relays: list[Peer] = []
        self.calling: list[Peer] = []
        self.publisher = ledger.Publisher(here.dsn, ["a", "b"])
        self.callers: ledger.Callers
        self.kinds: dict[str, int] = {}

    async def finish(self) -> None:
        """All works again, and the books agree."""
        await self.server.until_ready(patience=ledger.RETURN)
        await self.publisher.finish([*self.listeners, *self.relays])
        await self.callers.finish()
        ledger.check_events([*self.listeners, *self.relays], self.publisher.sent, self.publisher.unsure)
        self.kinds = self.callers.check(await self.here.ran())
        assert self.kinds["answered"] > 10, self.kinds
        assert "closed" not in self.kinds, self.kinds
        assert (await self.calling[0].ask("add", 1, 2))["result"] == 3

    def row(self, table: ledger.Table, fault: str) -> None:
        table.row(
            fault,
            sent=self.publisher.total,
            received=[sum(peer.received.values()) for peer in self.listeners],
            told=[*self.listeners, *self.relays],
            calls=self.kinds,
        )

    def told_once(self, gaps: int = 1) -> None:
        """Each listener was told of each gap once, for all of its channels; raw ones were sent away."""
        for peer in self.listeners:
            channels = [channel for _, channels, _ in peer.gaps for channel in channels]
            assert sorted(channels) == sorted(["a", "b"] * gaps), peer.gaps
        assert all(peer.code == (1012 if gaps else None) for peer in self.relays)


@asynccontextmanager
async def load(here: breakable.World, server: pgrpc_server.Server, *, nap: float = 0.05) -> AsyncIterator[Load]:
    made = Load(here, server)
    async with (
        breakable.clients(server, 5, "a", "b", raw=2) as listeners,
        breakable.clients(server, 4) as calling,
    ):
        made.listeners, made.relays = listeners[:5], listeners[5:]
        made.calling = calling
        made.callers = ledger.Callers(calling, nap=nap)
        made.publisher.start()
        made.callers.start()
        await asyncio.sleep(0.5)
        yield made
