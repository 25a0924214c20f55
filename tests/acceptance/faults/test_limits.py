"""What is over a limit is refused at once, in words, and the others get their turn."""

import asyncio
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support import breakable, ledger, pgrpc_server
from tests.support.recording_client import Peer, Refused


async def test_pool_exhausted(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    """The queue is bounded, and the clients take turns in it."""
    with breakable.serve(tmp_path, here.dsn, database="pool_size: 2", limits="queue: 20") as server:
        async with breakable.clients(server, 2) as (greedy, modest):
            asked = [greedy.request("record", number, 0.3) for number in range(20)]
            await here.until_asleep(2)
            assert (await modest.ask("record", 100, 0))["result"] == 100
            answered = sum(bool(greedy.replies[i]) for i in asked)
            assert answered <= 6, "it had to wait for all of the other's"
            for identifier in asked:
                assert "result" in await greedy.reply(identifier)
            # Two run, twenty wait, and the next ones are refused while those still do.
            # (A call is answered before its connection is clean: both must be seen to run.)
            asked = [greedy.request("record", number, 2) for number in range(200, 202)]
            await here.until_asleep(2)
            asked += [greedy.request("record", number, 0.1) for number in range(202, 232)]
            began = time.monotonic()
            refused = await greedy.reply(asked[-1])
            assert time.monotonic() - began < 0.5
            assert refused["error"]["code"] == -32001
            assert refused["error"]["data"]["retry_after"] > 0
            answers = [await greedy.reply(i) for i in asked]
            kinds = {"answered": sum("result" in a for a in answers), "-32001": sum("error" in a for a in answers)}
            assert kinds == {"answered": 22, "-32001": 10}
            assert len(await here.ran()) == 21 + 22
            assert server.count("refused a call") == 1
            table.row(
                "sleeping calls hold the pool (2), the queue (20) is full", told="at once: retry_after", calls=kinds
            )


async def let_in(server: pgrpc_server.Server) -> Peer:
    """A client that comes again until there is room: that others have left is seen a moment later."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await Peer.open(server.url)
            except Refused:
                await asyncio.sleep(0.02)


async def test_connections(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    with breakable.serve(tmp_path, here.dsn, limits="connections: 5") as server:
        async with breakable.clients(server, 4, "a") as peers:
            # Those of /listen wait for LISTEN before they are upgraded: they may not all slip in meanwhile.
            found = await asyncio.gather(*(Peer.open(server.url, relay="b") for _ in range(10)), return_exceptions=True)
            refused = [each for each in found if isinstance(each, Refused)]
            assert len(refused) == 9
            for refusal in refused:
                assert refusal.status == 503
                assert "Retry-After" in refusal.head
                assert "connections" in refusal.body
            for each in found:
                if isinstance(each, Peer):
                    await each.leave()
            await (await let_in(server)).leave()
            assert (await server.ready())[0] == 200  # pages are no sockets
            table.row("14 sockets for a limit of 5", told="9 refused: 503, Retry-After", received=[len(peers) + 1])


async def test_connections_per_address(here: breakable.World, tmp_path: Path) -> None:
    with breakable.serve(tmp_path, here.dsn, limits="connections_per_address: 2") as server:
        async with breakable.clients(server, 2):
            with pytest.raises(Refused, match=r"503.*this address"):
                await Peer.open(server.url)
        first = await let_in(server)
        await (await let_in(server)).leave()
        await first.leave()


@pytest.mark.parametrize("kind", ["silent", "headers", "body"])
async def test_slow_handshake(here: breakable.World, tmp_path: Path, table: ledger.Table, kind: str) -> None:
    """Slowloris: a byte now and then keeps nothing open."""
    with breakable.serve(tmp_path, here.dsn, limits="handshake_timeout: 1s") as server:
        parts = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        began = time.monotonic()
        body = "Content-Length: 1000\r\n\r\n" if kind == "body" else ""
        if kind != "silent":
            writer.write(f"GET /rpc HTTP/1.1\r\nHost: x\r\n{body}".encode())
        ended = False
        while not ended and time.monotonic() - began < 8:
            if kind != "silent":
                writer.write(b"x")
            try:
                async with asyncio.timeout(0.2):
                    ended = not await reader.read(1000)
            except TimeoutError:
                pass
            except ConnectionError:
                ended = True
        assert ended
        assert time.monotonic() - began < 4
        writer.transport.abort()
        if kind == "headers":
            table.row("a request that never ends (slowloris), handshake_timeout 1 s", told="the connection is ended")


async def test_calls_per_second(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    with breakable.serve(tmp_path, here.dsn, limits="calls_per_second: 10") as server:
        async with breakable.clients(server, 2) as (hasty, other):
            began = time.monotonic()
            asked = [hasty.request("record", number, 0) for number in range(30)]
            assert (await other.ask("add", 1, 2))["result"] == 3
            answers = [await hasty.reply(i) for i in asked]
            took = time.monotonic() - began
            refused = [answer["error"] for answer in answers if "error" in answer]
            assert 10 <= len(answers) - len(refused) <= 11 + took * 10
            for error in refused:
                assert error["code"] == -32005
                assert 0 < error["data"]["retry_after"] <= 0.1
            await asyncio.sleep(0.2)
            assert (await hasty.ask("add", 1, 2))["result"] == 3
            table.row(
                "30 calls at once, calls_per_second 10",
                told="-32005 with retry_after",
                calls=f"{len(answers) - len(refused)} answered, {len(refused)} -32005",
            )


async def test_many_calls_of_one_do_not_starve_the_others(here: breakable.World, tmp_path: Path) -> None:
    """Thousands of frames that arrive together are handled a few at a time."""
    with breakable.serve(tmp_path, here.dsn) as server:
        async with breakable.clients(server, 2) as (flood, other):
            flood.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = [flood.request("add", 1, 2) for _ in range(3000)]
            for _ in range(5):
                assert (await other.ask("add", 1, 2))["result"] == 3
            assert sum(bool(flood.replies[i]) for i in asked) < 2500
            for identifier in asked:
                answer = await flood.reply(identifier)
                assert "result" in answer or answer["error"]["code"] == -32006
            assert all(len(flood.replies[i]) == 1 for i in asked)
