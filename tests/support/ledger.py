"""The books: what was sent, what each client got, what it was told; and that they agree.

Owns the publisher, which numbers every event of each channel and keeps going through any fault, the callers, and the
rule that all of this is for: nothing twice, nothing out of order, nothing lost without a word.
"""

import asyncio
import collections
import json
import os
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg2

from tests.support.recording_client import Peer

TABLE = os.environ.get("PGRPC_FAULT_TABLE")
FAULT_SECONDS = float(os.environ.get("PGRPC_FAULT_SECONDS", "3"))
"""How long what is frozen stays frozen."""

RETURN = 20 + min(FAULT_SECONDS, 40)
"""Seconds until all must be well again: the longer the database was away, the longer the pauses between two tries."""

TOLD = (1012, 4408, 1006)
"""Closes that tell a client to come back and re-read; 1006 is a connection that broke."""


class Publisher(threading.Thread):
    """Sends numbered events at a steady rate, on a connection of its own that it opens again whenever it is lost.

    sent: the numbers of each channel that were committed. unsure: those whose COMMIT was not answered.
    """

    def __init__(self, dsn: str, channels: Sequence[str], *, rate: float = 200, padding: int = 0) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self._channels = channels
        self._pause = 1 / rate
        self._padding = f" {'x' * padding}" if padding else ""
        self._over = threading.Event()
        self.sent: dict[str, list[int]] = {channel: [] for channel in channels}
        self.unsure: dict[str, set[int]] = {channel: set() for channel in channels}

    def run(self) -> None:
        connection = None
        numbers = dict.fromkeys(self._channels, 0)
        while not self._over.wait(self._pause):
            for channel in self._channels:
                numbers[channel] += 1
                number = numbers[channel]
                try:
                    if connection is None:
                        connection = psycopg2.connect(self._dsn, connect_timeout=2)
                        connection.autocommit = True
                    with connection.cursor() as cursor:
                        cursor.execute("select pg_notify(%s, %s)", (channel, f"{number}{self._padding}"))
                except psycopg2.Error:
                    self.unsure[channel].add(number)
                    if connection is not None:
                        connection.close()
                        connection = None
                    if self._over.wait(0.05):
                        return
                else:
                    self.sent[channel].append(number)
        if connection is not None:
            connection.close()

    async def finish(self, peers: Iterable[Peer], patience: float = 20) -> None:
        """Go on until something got through, then wait until each open client has the last event of each channel."""
        deadline = time.monotonic() + patience
        marks = {channel: len(numbers) for channel, numbers in self.sent.items()}
        while any(len(self.sent[channel]) < marks[channel] + 10 for channel in self._channels):
            assert time.monotonic() < deadline, "no event could be sent any more"
            await asyncio.sleep(0.02)
        self._over.set()
        await asyncio.to_thread(self.join, patience)
        for peer in peers:
            for channel in [peer.relay] if peer.relay is not None else self._channels:
                if peer.code is None:
                    await peer.until(lambda p=peer, c=channel: p.code is not None or p.last.get(c) == self.sent[c][-1])  # type: ignore[misc]

    @property
    def total(self) -> int:
        return sum(len(numbers) for numbers in self.sent.values())


def check_events(
    peers: Iterable[Peer],
    sent: dict[str, list[int]],
    unsure: dict[str, set[int]] | None = None,
    *,
    conflated: Sequence[str] = (),
) -> None:
    """Nothing twice, nothing out of order, nothing lost without a gap or a close told in its place.

    The peers have heard every channel of `sent` (a raw one: its own) since before the first event. Of a conflated
    channel only the newest event must arrive: older ones may be left out without a word.
    """
    for peer in peers:
        last = dict.fromkeys([peer.relay] if peer.relay is not None else sent, 0)
        told: set[str] = set()
        for kind, *rest in peer.log:
            if kind == "gap":
                told.update(rest[0])
            elif kind == "event":
                channel, number = rest[0], rest[1]
                maybe = (unsure or {}).get(channel, set())
                assert number in maybe or number <= sent[channel][-1], f"{channel}: {number} was never sent"
                assert number > last[channel], f"{channel}: {number} after {last[channel]}"
                # Numbers are sent in order, so a hole is what was sent between the two.
                lost = set(range(last[channel] + 1, number)) - maybe
                assert not lost or channel in told or channel in conflated, (
                    f"{channel}: {sorted(lost)[:5]}... lost, and not told"
                )
                last[channel] = number
                told.discard(channel)
        for channel, number in last.items():
            lost = {n for n in sent[channel] if n > number}
            assert not lost or channel in told or peer.code in TOLD, f"{channel}: the end is lost, and not told"


class Callers:
    """Clients that call `record` all the time: each call leaves a row, so that one that ran twice shows."""

    def __init__(self, peers: Sequence[Peer], *, nap: float = 0.0, pause: float = 0.01) -> None:
        self._peers = peers
        self._nap = nap
        self._pause = pause
        self._numbers: dict[tuple[int, Any], int] = {}
        self._next = 0
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(index, peer)) for index, peer in enumerate(self._peers)]

    async def _run(self, index: int, peer: Peer) -> None:
        while not self._over and peer.code is None:
            identifier = self.ask(index)
            # A few at a time: whatever the fault, some are in flight and some are waiting.
            await peer.until(
                lambda: peer.code is not None or sum(not peer.replies[i] for i in peer.sent[-8:]) < 4 or self._over, 60
            )
            if peer.replies[identifier] and "error" in peer.replies[identifier][0]:
                await asyncio.sleep(0.1)
            await asyncio.sleep(self._pause)

    def ask(self, index: int) -> Any:
        self._next += 1
        identifier = self._peers[index].request("record", self._next, self._nap)
        self._numbers[index, identifier] = self._next
        return identifier

    async def finish(self, patience: float = 30) -> None:
        """Ask no more, and wait for the answers of those who are still connected."""
        self._over = True
        for peer in self._peers:
            peer._tell()
        await asyncio.gather(*self._tasks)
        for peer in self._peers:
            await peer.until(lambda p=peer: p.code is not None or all(p.replies[i] for i in p.sent), patience)  # type: ignore[misc]

    def check(self, rows: Iterable[tuple[Any, ...]]) -> dict[str, int]:
        """Each answered once, each executed at most once, each that was answered executed; the answers by kind."""
        ran = collections.Counter(number for (number,) in rows)
        kinds: collections.Counter[str] = collections.Counter()
        for (index, identifier), number in self._numbers.items():
            peer = self._peers[index]
            answers = peer.replies[identifier]
            assert len(answers) <= 1, answers
            assert ran[number] <= 1, f"call {number} ran {ran[number]} times"
            if not answers:
                assert peer.code is not None, f"call {number} was never answered"
                kinds["closed"] += 1
            elif "result" in answers[0]:
                assert answers[0]["result"] == number, answers
                assert ran[number] == 1, f"call {number} was answered and did not run"
                kinds["answered"] += 1
            else:
                assert answers[0]["error"]["code"] in (-32001, -32002), answers
                if "may or may not" not in answers[0]["error"]["message"] and answers[0]["error"]["code"] == -32001:
                    assert ran[number] == 0, f"call {number} was refused and ran all the same: {answers}"
                kinds[str(answers[0]["error"]["code"])] += 1
        return dict(kinds)


class Table:
    """One line for each fault, for docs/reference/faults.md."""

    def __init__(self) -> None:
        self._rows: list[dict[str, str]] = []

    def row(
        self,
        fault: str,
        *,
        sent: str | int = "",
        received: str | Iterable[int] = "",
        told: str | Iterable[Peer] = "",
        calls: str | dict[str, int] = "",
    ) -> None:
        """told: the peers, counted by what they were told; calls: what Callers.check returned."""
        row = {
            "fault": fault,
            "sent": sent if isinstance(sent, str) else f"{sent:,} events",
            "received": received if isinstance(received, str) else _span(received),
            "told": told if isinstance(told, str) else _told(told),
            "calls": calls if isinstance(calls, str) else _calls(calls),
        }
        self._rows.append(row)

    def write(self) -> None:
        if TABLE:
            Path(TABLE).write_text(json.dumps(self._rows, indent=1) + "\n", encoding="utf-8")


def _span(counts: Iterable[int]) -> str:
    found = sorted(counts)
    return f"{found[0]:,}" if found[0] == found[-1] else f"{found[0]:,} to {found[-1]:,}"


def _told(peers: Iterable[Peer]) -> str:
    found = collections.Counter[str]()
    for peer in peers:
        gaps = len(peer.gaps)
        words = [f"{gaps} rpc.gap"] if gaps else []
        if peer.code not in (None, 1000):
            words.append(f"closed {peer.code}")
        found[", ".join(words) or "no gap: nothing was lost"] += 1
    return "; ".join(f"{count} clients: {words}" for words, count in found.most_common())


def _calls(kinds: dict[str, int]) -> str:
    order = {"answered": "answered", "-32001": "-32001", "-32002": "-32002", "closed": "unanswered, socket closed"}
    return ", ".join(f"{kinds[kind]:,} {words}" for kind, words in order.items() if kind in kinds)
