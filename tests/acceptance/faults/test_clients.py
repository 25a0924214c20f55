"""Clients that do not read, do not answer, or all come at once: the others never notice, and each is told."""

import asyncio
import contextlib
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.support import breakable, ledger
from tests.support.recording_client import Peer

BURST = "select pg_notify(%s, g || ' ' || repeat('x', %s)) from generate_series(%s, %s) g"


@pytest.fixture
def descriptors() -> Iterator[int]:
    """As many as we may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_stalled_readers(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    """Each policy: closed, told of what was dropped, given the newest. Replies are kept whatever happens."""
    channels = ["a", "oldest.1", "latest.1"]
    sent: dict[str, list[int]] = {channel: [] for channel in channels}
    with breakable.serve(tmp_path, here.dsn, limits="send_buffer: 64KiB") as server:
        async with breakable.clients(server, 1) as healthy:
            stalled = {channel: await Peer.open(server.url, receive_buffer=4096) for channel in channels}
            relay = await Peer.open(server.url, relay="oldest.1", receive_buffer=4096)
            for channel, peer in stalled.items():
                await peer.on(channel)
                peer.stall()
            relay.stall()
            for peer in stalled.values():
                for _ in range(5):
                    peer.request("big", 200_000)
            for turn in range(40):  # more than the kernel takes for a client
                for channel in channels:
                    first = turn * 100 + 1
                    await here.run(BURST, channel, 3000, first, first + 99)
                    sent[channel] += range(first, first + 100)
                assert (await healthy[0].ask("add", 1, 2))["result"] == 3
            server.wait_for("it reads too slowly")
            for peer in (*stalled.values(), relay):
                peer.unstall()
            assert await stalled["a"].closed() == 4408
            for channel in channels[1:]:
                await stalled[channel].until(lambda c=channel: stalled[c].last.get(c) == sent[c][-1])  # type: ignore[misc]
            await relay.closed()
            for channel, peer in stalled.items():
                assert [len(peer.replies[i]) for i in peer.sent] == [1] * 6, "replies are never dropped"
                ledger.check_events([peer], {channel: sent[channel]}, conflated=["latest.1"])
            ledger.check_events([relay], sent)
            assert relay.code in (1012, 1006)
            assert stalled["oldest.1"].gaps
            assert not stalled["latest.1"].gaps
            for channel, peer in stalled.items():
                assert peer.received[channel] < len(sent[channel])
                policy = {"a": "close", "oldest.1": "drop_oldest", "latest.1": "latest"}[channel]
                told = "nothing: it has the newest event" if policy == "latest" else [peer]
                table.row(
                    f"a client does not read (slow_consumer: {policy})",
                    sent=len(sent[channel]),
                    received=[peer.received[channel]],
                    told=told,
                    calls=f"{len(peer.sent)} answered",
                )
            for peer in (*stalled.values(), relay):
                await peer.leave()


async def test_one_stalled_among_many(
    here: breakable.World, tmp_path: Path, table: ledger.Table, descriptors: int
) -> None:
    """The others' delays with it are what they are without it."""

    async def slowest(peers: list[Peer], first: int) -> float:
        delays = []
        with contextlib.closing(psycopg2.connect(here.dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for number in range(first, first + 60):
                    for peer in peers[:1]:
                        await peer.until(lambda p=peer, n=number: p.last.get("oldest.1", 0) >= n - 1)  # type: ignore[misc]
                    began = time.monotonic()
                    cursor.execute("select pg_notify('oldest.1', %s)", (f"{number} {'x' * 4000}",))
                    for peer in peers:
                        await peer.until(lambda p=peer, n=number: p.last.get("oldest.1") == n)  # type: ignore[misc]
                    delays += [peer.log[-1][3] - began for peer in peers]
        return float(sorted(delays)[int(len(delays) * 0.99)])

    with breakable.serve(tmp_path, here.dsn, limits="send_buffer: 64KiB", debug=False) as server:
        async with breakable.clients(server, 300, "oldest.1") as peers:
            await slowest(peers, 1)  # warm
            without = await slowest(peers, 61)
            stalled = await Peer.open(server.url, receive_buffer=4096)
            await stalled.on("oldest.1", "oldest.2")
            stalled.stall()
            for turn in range(10):  # what the kernel takes for it
                await here.run(BURST, "oldest.2", 4000, turn * 200 + 1, turn * 200 + 200)
            with_it = await slowest(peers, 121)
            stalled.unstall()
            await stalled.until(lambda: bool(stalled.gaps))
            await asyncio.sleep(0.5)
            await here.run("select pg_notify('oldest.1', '181')")
            for peer in (*peers, stalled):
                await peer.until(lambda p=peer: p.last.get("oldest.1") == 181)  # type: ignore[misc]
            assert {"oldest.1", "oldest.2"} & {name for _, names, _ in stalled.gaps for name in names}, "it read"
            assert with_it < 5 * without + 0.1
            sent = {"oldest.1": list(range(1, 182))}
            ledger.check_events(peers, sent)
            table.row(
                "one client of 301 does not read",
                sent=181,
                received=[peer.received["oldest.1"] for peer in peers],
                told=[*peers, stalled],
                calls=f"the others' p99 {without * 1000:.0f} ms without it, {with_it * 1000:.0f} ms with it",
            )
            await stalled.leave()


async def test_half_open(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    """Who answers no ping is dropped within two intervals, and nothing of it stays."""
    with breakable.serve(tmp_path, here.dsn, server="ping_interval: 1s") as server:
        async with breakable.clients(server, 3, "a") as living:
            await asyncio.sleep(0.5)  # until all connections to the database are open
            before = server.descriptors
            async with breakable.clients(server, 30, "a", pongs=False) as dead:
                opened = time.monotonic()
                for peer in dead:
                    assert await peer.closed() == 1006
                assert time.monotonic() - opened < 3.5  # two intervals, and patience
            assert server.descriptors <= before
            await asyncio.sleep(1)
            assert all(peer.code is None and peer.pings >= 2 for peer in living)
        assert server.count("did not answer a ping") <= 1  # 30 clients, one line
        table.row(
            "30 half-open clients: they answer no ping", received="", told="dropped within two intervals", calls=""
        )


async def test_three_thousand_at_once(
    here: breakable.World, tmp_path: Path, table: ledger.Table, descriptors: int
) -> None:
    """Also where the server is started with the usual limit of 1,024 descriptors."""
    count = min(3000, descriptors - 300)
    with breakable.serve(tmp_path, here.dsn, debug=False, descriptors=(1024, descriptors)) as server:
        peers = await asyncio.gather(*(Peer.open(server.url) for _ in range(count)))
        await asyncio.gather(*(peer.on("a") for peer in peers))
        answers = await asyncio.gather(*(peer.ask("add", 1, 2, patience=60) for peer in peers))
        # The queue is bounded: whoever came when it was full was told so.
        refused = sum("error" in answer for answer in answers)
        assert all(a["error"]["code"] == -32001 if "error" in a else a["result"] == 3 for a in answers)
        await here.run(BURST, "a", 10, 1, 20)
        for peer in peers:
            await peer.until(lambda p=peer: p.last.get("a") == 20)  # type: ignore[misc]
        ledger.check_events(peers, {"a": list(range(1, 21))})
        table.row(
            f"{count:,} clients connect at once, all call at once",
            sent=20,
            received=[peer.received["a"] for peer in peers],
            told=peers,
            calls={"answered": count - refused} | ({"-32001": refused} if refused else {}),
        )
        for peer in peers:
            peer.transport.abort()
        await server.until_few_descriptors(40)
    assert len(server.problems) <= 1, server.problems  # one line for all calls that the queue had no room for


async def test_no_descriptor_left(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    """Those who are in are served on; the log says it once; and there is room again when somebody leaves."""
    with breakable.serve(tmp_path, here.dsn, descriptors=(128, 128)) as server:
        async with breakable.clients(server, 5, "a") as inside:
            crowd = [asyncio.create_task(Peer.open(server.url)) for _ in range(150)]
            await asyncio.sleep(2)
            let_in = [task for task in crowd if task.done()]
            assert 50 < len(let_in) < 128
            assert (await inside[0].ask("add", 1, 2))["result"] == 3
            await here.run(BURST, "a", 10, 1, 20)
            for peer in inside:
                await peer.until(lambda p=peer: p.last.get("a") == 20)  # type: ignore[misc]
            assert len(server.log) < 5000, server.log[:3000]
            for task in let_in:
                (await task).transport.abort()
            for task in crowd:
                peer = await asyncio.wait_for(task, 10)
                peer.transport.abort()
            table.row(
                "150 clients for 128 descriptors", sent=20, received=[p.received["a"] for p in inside], told=inside,
                calls="answered; the others get in as soon as there is room",
            )  # fmt: skip


async def test_fifty_thousand_notifications(here: breakable.World, tmp_path: Path, table: ledger.Table) -> None:
    count = 50_000
    with breakable.serve(tmp_path, here.dsn, debug=False) as server:
        async with breakable.clients(server, 5, "a", raw=1) as peers:
            asking = asyncio.create_task(here.run(BURST, "a", 0, 1, count))
            for peer in peers:
                await peer.until(lambda p=peer: p.code is not None or p.last.get("a") == count, 30)  # type: ignore[misc]
            await asking
            ledger.check_events(peers, {"a": list(range(1, count + 1))})
            assert (await peers[0].ask("add", 1, 2))["result"] == 3
            table.row(
                "50,000 NOTIFYs in one transaction",
                sent=count,
                received=[peer.received["a"] for peer in peers],
                told=peers,
                calls="1 answered",
            )
