"""SIGTERM: what runs may end, everybody is told, and it ends."""

import asyncio
import http.client
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support import breakable, ledger
from tests.support.recording_client import Peer, Refused


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_calls_may_end(
    here: breakable.World, tmp_path: Path, table: ledger.Table, number: signal.Signals
) -> None:
    with breakable.serve(tmp_path, here.dsn) as server:
        parts = urlsplit(server.url)
        health = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=5)

        def status(path: str) -> int:
            health.request("GET", path)
            answer = health.getresponse()
            answer.read()
            return answer.status

        assert await asyncio.to_thread(status, "/health/ready") == 200  # a connection that is kept
        async with breakable.clients(server, 5, "a", raw=1) as peers:
            publisher = ledger.Publisher(here.dsn, ["a"])
            publisher.start()
            asked = [(peer, peer.request("record", index, 2.5)) for index, peer in enumerate(peers[:5])]
            await here.until_asleep(5)
            server.process.send_signal(number)
            server.wait_for("stopping")
            refused = await peers[0].ask("add", 1, 2)
            assert refused["error"]["code"] == -32001
            with pytest.raises((Refused, OSError)):
                await Peer.open(server.url)
            assert await asyncio.to_thread(status, "/health/ready") == 503
            assert await asyncio.to_thread(status, "/health/live") == 200
            health.close()
            for index, (peer, identifier) in enumerate(asked):
                assert (await peer.reply(identifier))["result"] == index
            assert [await peer.closed() for peer in peers] == [1012] * 6
            assert await asyncio.to_thread(server.process.wait, 10) == 0
            await publisher.finish([])
            ledger.check_events(peers, publisher.sent)
            assert len(await here.ran()) == 5
            if number == signal.SIGTERM:
                table.row(
                    "SIGTERM while calls run",
                    sent=publisher.total,
                    received=[peer.received["a"] for peer in peers],
                    told=peers,
                    calls="5 answered, new ones -32001; exit status 0",
                )
    assert not server.problems, server.problems


async def test_a_second_signal_ends_at_once(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    with breakable.serve(tmp_path, here.dsn) as server:
        async with breakable.clients(server, 2) as peers:
            for peer in peers:
                peer.request("nap", 8)
            await here.until_asleep(2)
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("stopping")
            await asyncio.sleep(0.3)
            assert server.process.poll() is None
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(server.process.wait, 10)
            assert time.monotonic() - began < 3
            codes = {await peer.closed() for peer in peers}
            assert codes <= {1006, 1012}
            table.row("a second SIGTERM", told=peers, calls="2 unanswered, socket closed")


async def test_stopping_is_bounded(here: breakable.World, tmp_path: Path) -> None:
    """Calls that do not end, a database that does not answer, a client that does not read: it ends all the same."""
    with breakable.serve(tmp_path, here.dsn, database="statement_timeout: 60s") as server:
        async with breakable.clients(server, 3) as (sleeper, leaver, stalled):
            sleeper.request("nap", 50)
            leaver.request("nap", 50)
            stalled.stall()
            for _ in range(10):
                stalled.request("big", 3_000_000)
            await here.until_asleep(2)
            with breakable.frozen(here.postmaster):
                await leaver.leave()  # its cancel hangs
                began = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(server.process.wait, 25) == 0
                assert 9 < time.monotonic() - began < 22


async def test_replies_that_wait_are_sent_first(here: breakable.World, tmp_path: Path) -> None:
    """The close does not cut in: what was answered arrives."""
    with breakable.serve(tmp_path, here.dsn) as server:
        peer = await Peer.open(server.url, receive_buffer=4096)
        peer.stall()
        asked = [peer.request("big", 2_000_000) for _ in range(6)]
        await asyncio.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("stopping")
        await asyncio.sleep(1)
        peer.unstall()
        assert await peer.closed() == 1012
        assert [len(peer.replies[i]) for i in asked] == [1] * 6
        assert await asyncio.to_thread(server.process.wait, 15) == 0
        await peer.leave()
