"""The link between pgrpc and PostgreSQL breaks, is slow, or goes silent."""

import asyncio
from pathlib import Path

from tests.support import breakable, ledger
from tests.support.database_link import linked
from tests.support.steady_load import load


async def test_dropped(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    with linked(here.postgres.port) as link, breakable.serve(tmp_path, link.dsn(here.dsn)) as server:
        async with load(here, server) as busy:
            link.drop()
            await server.until_ready(503)
            await asyncio.sleep(1)
            link.mend()
            await busy.finish()
            busy.told_once()
            busy.row(table, "the link is cut (RST) and refused for 1 s")
        assert server.count("the database is unavailable") == 1
        assert server.count("no LISTEN connection") == 1


async def test_dropped_again_and_again(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    """Also while the listener takes up its channels anew."""
    with linked(here.postgres.port) as link, breakable.serve(tmp_path, link.dsn(here.dsn)) as server:
        async with load(here, server, nap=0.01) as busy:
            for turn in range(12):
                link.end_all(reset=turn % 2 == 0)
                await asyncio.sleep(0.1 + turn / 60)
            await busy.finish()
            assert all(1 <= len(peer.gaps) <= 24 for peer in busy.listeners)
            busy.row(table, "the link is cut 12 times within 3 s")


async def test_slow(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    """A slow database is no dead one: nobody is told anything."""
    with linked(here.postgres.port) as link:
        with breakable.serve(tmp_path, link.dsn(here.dsn)) as server:
            async with load(here, server) as busy:
                link.latency = 0.2
                await asyncio.sleep(ledger.FAULT_SECONDS)
                link.latency = 0.0
                await busy.finish()
                busy.told_once(0)
                busy.row(table, f"the link takes 200 ms each way for {ledger.FAULT_SECONDS:g} s")
        assert not server.problems, server.problems


async def test_frozen(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    """Nothing arrives and nothing ends: only the probe and the deadlines of calls can tell."""
    database = "listen_probe: 500ms, statement_timeout: 500ms, connect_timeout: 1s"
    with linked(here.postgres.port) as link, breakable.serve(tmp_path, link.dsn(here.dsn), database=database) as server:
        async with load(here, server) as busy:
            link.freeze()
            server.wait_for("no LISTEN connection.*has not answered", patience=5)
            position = len(server.log)
            await asyncio.sleep(ledger.FAULT_SECONDS)
            link.thaw()
            await busy.server.until_ready(patience=ledger.RETURN)
            server.wait_for("LISTEN connection open", after=position)
            await busy.finish()
            busy.told_once()
            busy.row(table, f"the link is frozen, without an end, for {ledger.FAULT_SECONDS + 1:g} s")
        assert server.count("no LISTEN connection") == 1
        assert server.count("the database is unavailable") <= 1
