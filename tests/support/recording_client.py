"""A WebSocket client that writes down all it gets, in order, and that can be made to misbehave.

Owns one connection over a plain socket: it may never read, or never answer a ping, which no library allows.
"""

import asyncio
import itertools
import json
import socket
import struct
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support import ws_raw
from tests.support.ws_client import PATIENCE


class Refused(Exception):
    """The upgrade was refused. `status` is 0 where the connection ended without an answer."""

    def __init__(self, status: int, head: str, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.head = head
        self.body = body


class Peer(asyncio.Protocol):
    """log: ("event", channel, number, monotonic time), ("gap", channels, reason), ("closed", code), as they came.

    A payload of the tests begins with its number: "17" or "17 padding".
    pongs: whether it answers pings. relay: the channel, on a raw socket.
    """

    def __init__(self, *, pongs: bool = True, relay: str | None = None) -> None:
        self.pongs = pongs
        self.relay = relay
        self.log: list[tuple[Any, ...]] = []
        self.replies: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        self.sent: list[Any] = []
        """The ids of all requests, in order."""
        self.received: dict[str, int] = defaultdict(int)
        self.last: dict[str, int] = {}
        self.code: int | None = None
        """How it was closed: 1006 without a close frame."""
        self.pings = 0
        self.forgetful = False
        """Whether events are only counted: a log of hours would not fit."""
        self.transport: asyncio.Transport
        self._ids = itertools.count(1)
        self._buffer = bytearray()
        self._fragments = bytearray()
        self._frame = ws_raw.reading()
        self._wanted = next(self._frame)
        self._upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @classmethod
    async def open(
        cls, url: str, *, pongs: bool = True, relay: str | None = None, receive_buffer: int | None = None
    ) -> Self:
        """Connect and upgrade; raises Refused."""
        parts = urlsplit(url)
        assert parts.hostname
        loop = asyncio.get_running_loop()
        plain = socket.socket()
        plain.setblocking(False)
        if receive_buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await loop.sock_connect(plain, (parts.hostname, parts.port))
        except OSError:
            plain.close()
            raise
        transport, peer = await loop.create_connection(lambda: cls(pongs=pongs, relay=relay), sock=plain)
        transport.write(ws_raw.upgrade(f"/listen/{relay}" if relay is not None else "/rpc", parts.netloc))
        async with asyncio.timeout(60):
            await peer._upgraded
        return peer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        if self.code is None:
            self.transport.resume_reading()
            self._send(ws_raw.CLOSE, struct.pack("!H", 1000))
            self.code = 1000
        self.transport.abort()
        await self._ended

    # What it says

    def request(self, method: str, *params: Any) -> int:
        """Send a request; its id."""
        identifier = next(self._ids)
        self.sent.append(identifier)
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": identifier}))
        return identifier

    def write(self, text: str) -> None:
        self._send(ws_raw.TEXT, text.encode())

    async def reply(self, identifier: Any, patience: float = PATIENCE) -> dict[str, Any]:
        await self.until(lambda: bool(self.replies[identifier]) or self.code is not None, patience)
        assert self.replies[identifier], f"closed with {self.code} before the answer"
        return self.replies[identifier][0]

    async def ask(self, method: str, *params: Any, patience: float = PATIENCE) -> dict[str, Any]:
        return await self.reply(self.request(method, *params), patience)

    async def on(self, *channels: str) -> None:
        """Subscribe, again and again while the database is away."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = (await self.ask("rpc.on", *channels))["result"]
                if set(answer.values()) == {"ok"}:
                    return
                assert all(words == "ok" or words.startswith("unavailable") for words in answer.values()), answer
                await asyncio.sleep(0.1)

    def stall(self) -> None:
        """Read no more."""
        self.transport.pause_reading()

    def unstall(self) -> None:
        self.transport.resume_reading()

    # What it gets

    async def until(self, true: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Wait until this is true; it is asked anew whenever something has come."""
        if true():
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((true, done))
        async with asyncio.timeout(patience):
            await done

    async def closed(self, patience: float = PATIENCE) -> int:
        await self.until(lambda: self.code is not None, patience)
        assert self.code is not None
        return self.code

    @property
    def gaps(self) -> list[tuple[Any, ...]]:
        return [entry for entry in self.log if entry[0] == "gap"]

    def numbers(self, channel: str) -> list[int]:
        return [entry[2] for entry in self.log if entry[0] == "event" and entry[1] == channel]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded.done():
            head, end, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not end:
                return
            status = int(head.split(b" ", 2)[1])
            if status != 101:
                self._upgraded.set_exception(Refused(status, head.decode(), rest.decode()))
                self.transport.close()
                return
            self._buffer = bytearray(rest)
            self._upgraded.set_result(None)
        self._frames()
        self._tell()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._upgraded.done():
            self._upgraded.set_exception(Refused(0, "", "the connection ended"))
        self._close(1006)
        if not self._ended.done():
            self._ended.set_result(None)
        self._tell()

    def _tell(self) -> None:
        for entry in [entry for entry in self._waiting if entry[0]()]:
            self._waiting.remove(entry)
            if not entry[1].done():
                entry[1].set_result(None)

    def _frames(self) -> None:
        at = 0
        while len(self._buffer) - at >= self._wanted:
            part, at = bytes(self._buffer[at : at + self._wanted]), at + self._wanted
            try:
                self._wanted = self._frame.send(part)
            except StopIteration as whole:
                self._start_frame()
                self._got(*whole.value)
        del self._buffer[:at]

    def _start_frame(self) -> None:
        self._frame = ws_raw.reading()
        self._wanted = next(self._frame)

    def _got(self, first: int, data: bytes) -> None:
        if first == ws_raw.PING:
            self.pings += 1
            if self.pongs:
                self._send(ws_raw.PONG, data)
        elif first == ws_raw.CLOSE:
            self._close(struct.unpack("!H", data[:2])[0] if data else 1005)
            self._send(ws_raw.CLOSE, data[:2])
            self.transport.close()
        else:
            assert first & 0x7F in (0, 1), f"a frame of an unknown kind: {first:#x}"
            self._fragments += data
            if first & 0x80:
                text, self._fragments = self._fragments.decode(), bytearray()
                self._message(text)

    def _message(self, text: str) -> None:
        assert self.code is None, f"after the close frame: {text}"
        if self.relay is not None:
            self._event(self.relay, text)
            return
        message = json.loads(text)
        if "method" not in message:
            self.replies[message["id"]].append(message)
        elif message["method"] == "rpc.gap":
            params = message["params"]
            self.log.append(("gap", tuple(params["channels"]), params["reason"]))
        else:
            self._event(message["params"]["channel"], message["params"]["payload"])

    def _event(self, channel: str, payload: str) -> None:
        number = int(payload.partition(" ")[0])
        self.received[channel] += 1
        previous, self.last[channel] = self.last.get(channel), number
        if self.forgetful:
            assert previous is None or number == previous + 1, f"{number} after {previous}"
            return
        self.log.append(("event", channel, number, asyncio.get_running_loop().time()))

    def _close(self, code: int) -> None:
        if self.code is None:
            self.code = code
            self.log.append(("closed", code))

    def _send(self, first: int, data: bytes) -> None:
        self.transport.write(ws_raw.masked(first, data))
