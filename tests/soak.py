"""A steady load for minutes: calls and events, clients coming and going. Nothing may grow.

    python tests/soak.py [--minutes 10] [--clients 500]

Owns that load, and the judgement: the exit status is 1 where, at the end, the server's memory is more than 10 % (or
5 MB, whichever is more) above what it was after the first minute, or its descriptors, threads or connections to
PostgreSQL are more than they were. It starts a PostgreSQL and a server of its own.
"""

import argparse
import asyncio
import os
import random
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support import breakable, ledger, pgrpc_server
from tests.support.recording_client import Peer

EVENTS = 10
"""A second, to every client."""

STAY = 60.0
"""Seconds, on average, until a client is replaced by a new one."""

WARM_UP = 60.0
REPORT = 15.0


@dataclass(frozen=True)
class Figures:
    """Of the server, from outside."""

    memory: int
    descriptors: int
    threads: int
    connections: int

    def __str__(self) -> str:
        return (
            f"memory {self.memory / 1e6:6.1f} MB  descriptors {self.descriptors:5}  threads {self.threads:2}  "
            f"connections to PostgreSQL {self.connections:3}"
        )


def figures(server: pgrpc_server.Server, here: breakable.World) -> Figures:
    pid = server.process.pid
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    connections = here.execute(
        "select count(*) from pg_stat_activity where datname = %s and application_name = 'pgrpc'", here.name
    )
    return Figures(
        int(status["VmRSS"].split()[0]) * 1024, len(os.listdir(f"/proc/{pid}/fd")), int(status["Threads"]),
        int(connections[0][0]),
    )  # fmt: skip


class Clients:
    """So many at a time. Each hears events and calls about once a second; now and then one goes, and another comes."""

    def __init__(self, server: pgrpc_server.Server, count: int) -> None:
        self._server = server
        self._count = count
        self._peers: list[Peer] = []
        self._gone: list[asyncio.Task[None]] = []
        self.calls = 0
        self.refused = 0
        self.come = 0
        self.past_events = 0

    async def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        turn = 0.1
        while (now := time.monotonic()) < until:
            while len(self._peers) < self._count:
                self._peers.append(await self._new())
            for peer in random.sample(self._peers, max(1, int(self._count * turn))):
                self._call(peer)
            going = sum(random.random() < turn / STAY for _ in self._peers)
            for peer in random.sample(self._peers, going):
                self._peers.remove(peer)
                await self._leave(peer)
                self._peers.append(await self._new())
            await asyncio.sleep(max(0.0, now + turn - time.monotonic()))

    async def end(self) -> None:
        for peer in self._peers:
            await self._leave(peer)

    @property
    def events(self) -> int:
        return self.past_events + sum(peer.received["a"] for peer in self._peers)

    async def _new(self) -> Peer:
        peer = await Peer.open(self._server.url)
        peer.forgetful = True
        self.come += 1
        await peer.on("a", f"oldest.{random.randrange(20)}")
        return peer

    def _call(self, peer: Peer) -> None:
        assert peer.code is None, f"a client was closed with {peer.code}"
        for identifier in peer.sent[1:]:  # the first is the subscription's
            answers = peer.replies.pop(identifier, None)
            if answers:
                peer.sent.remove(identifier)
                self.calls += 1
                assert len(answers) == 1
                self.refused += "error" in answers[0]
        kind = random.random()
        if kind < 0.9:
            peer.request("add", 1, 2)
        elif kind < 0.95:
            peer.request("big", 20_000)
        else:
            peer.request("nap", 0.02)

    async def _leave(self, peer: Peer) -> None:
        """Politely, or by breaking off, also in the middle of a call."""
        self.past_events += peer.received["a"]
        if random.random() < 0.3:
            peer.request("nap", 1)
            await asyncio.sleep(0)
        if random.random() < 0.5:
            peer.transport.abort()
        await peer.leave()


async def soak(minutes: float, count: int) -> int:
    with (
        breakable.postgres_of_our_own() as postgres,
        breakable.database_of(postgres) as here,
        tempfile.TemporaryDirectory() as folder,
        breakable.serve(
            Path(folder), here.dsn, server="ping_interval: 5s", database="listen_probe: 5s", debug=False
        ) as server,
    ):
        publisher = ledger.Publisher(here.dsn, ["a"], rate=EVENTS)
        publisher.start()
        clients = Clients(server, count)
        began = time.monotonic()
        warm: Figures | None = None
        now = await asyncio.to_thread(figures, server, here)
        while (passed := time.monotonic() - began) < minutes * 60:
            await clients.run(min(REPORT, minutes * 60 - passed))
            now = await asyncio.to_thread(figures, server, here)
            passed = time.monotonic() - began
            sys.stdout.write(
                f"{passed:5.0f} s  {now}  clients come {clients.come}  calls {clients.calls} "
                f"({clients.refused} refused)  events {clients.events}\n"
            )
            sys.stdout.flush()
            if warm is None and passed >= WARM_UP:
                warm = now
        await publisher.finish([])
        await clients.end()
        assert not server.problems, server.problems
    return verdict(warm, now)


def verdict(warm: Figures | None, end: Figures) -> int:
    if warm is None:
        sys.stdout.write("too short to tell: it takes more than a minute\n")
        return 2
    grown = []
    if end.memory > warm.memory + max(warm.memory // 10, 5_000_000):
        grown.append(f"memory: {warm.memory:,} bytes after the first minute, {end.memory:,} at the end")
    # A call that is being cancelled has a thread, and so have clients that are leaving a descriptor, for a moment.
    for name, more in (("descriptors", 5), ("threads", 2), ("connections", 1)):
        before, after = getattr(warm, name), getattr(end, name)
        if after > before + more:
            grown.append(f"{name}: {before} after the first minute, {after} at the end")
    sys.stdout.write("grown: " + "; ".join(grown) + "\n" if grown else "nothing has grown\n")
    return 1 if grown else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="A steady load; nothing may grow.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=500)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return asyncio.run(soak(options.minutes, options.clients))


if __name__ == "__main__":
    sys.exit(main())
