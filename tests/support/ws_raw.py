"""The bytes of a WebSocket connection (RFC 6455), for tests that must see or send what no library shows or allows.

Owns the request for an upgrade, the answer and the frames, and two connections that show them: `Peer` blocks, and
`StreamPeer` belongs to an event loop and reads only when it is asked to. Must not know what is tested.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Generator
from contextlib import closing
from typing import Self
from urllib.parse import urlsplit

from tests.support.pgrpc_server import Server
from tests.support.ws_client import PATIENCE

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455 section 1.3."""

CONTINUATION, TEXT, CLOSE, PING, PONG = 0x80, 0x81, 0x88, 0x89, 0x8A
"""First bytes of frames: the last, or only, of a message."""


def request(target: str, host: str, *headers: str, method: str = "GET") -> bytes:
    """target: the path as it is on the wire."""
    names = {header.partition(":")[0].lower() for header in headers}
    first = () if "host" in names else (f"Host: {host}",)
    return "\r\n".join((f"{method} {target} HTTP/1.1", *first, *headers, "", "")).encode("latin-1")


def upgrade(target: str, host: str, *headers: str) -> bytes:
    """The request of a handshake. headers: besides its own."""
    own = ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")
    return request(target, host, *own, *headers)


class Answer:
    """status: the line; headers: by lower-case name."""

    def __init__(self, head: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.status = lines[0]
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.body = b""


def masked(first: int, payload: bytes) -> bytes:
    """A client's frame. Its mask changes nothing."""
    size = len(payload)
    long = struct.pack("!Q", size) if size > 0xFFFF else struct.pack("!H", size) if size > 125 else b""
    return bytes((first, 0x80 | {0: size, 2: 126, 8: 127}[len(long)])) + long + bytes(4) + payload


def reading() -> Generator[int, bytes, tuple[int, bytes]]:
    """A server's frame, in whichever way its bytes come: yields how many it needs next, is sent these, and returns the
    frame's first byte and its payload.
    """
    first, size = yield 2
    assert size < 128, "a server does not mask"
    if size > 125:
        size = int.from_bytes((yield 2 if size == 126 else 8))
    return first, (yield size)


class Peer:
    """A connection to the server; `with`. It blocks. target, headers: as for `upgrade`."""

    def __init__(self, server: Server, target: str, *headers: str) -> None:
        parts = urlsplit(server.url)
        self._socket = socket.create_connection((str(parts.hostname), parts.port), PATIENCE)
        self._socket.sendall(upgrade(target, parts.netloc, *headers))
        self._read = b""
        self.answer = Answer(self._until(b"\r\n\r\n"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def frame(self) -> tuple[int, bytes]:
        """The next one: its first byte, and its payload."""
        frame = reading()
        wanted = next(frame)
        while True:
            try:
                wanted = frame.send(self._take(wanted))
            except StopIteration as whole:
                found: tuple[int, bytes] = whole.value
                return found

    def text(self) -> str:
        """Of the next text frame; what comes before must be pings."""
        while (frame := self.frame())[0] == PING:
            pass
        assert frame[0] == TEXT
        return frame[1].decode()

    def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            self._more()
        found, _, self._read = self._read.partition(end)
        return found

    def _take(self, size: int) -> bytes:
        while len(self._read) < size:
            self._more()
        found, self._read = self._read[:size], self._read[size:]
        return found

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError(f"closed after {self._read!r}")
        self._read += data


class StreamPeer:
    """A connection to a port of this machine; `async with`. It reads only when asked, and checks what it reads.

    context: for TLS. early: what is sent right behind the request.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None, early: bytes = b"") -> None:
        self._port = port
        self._context = context
        self._early = early

    async def __aenter__(self) -> Self:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", self._port))
        self.reader, self.writer = await asyncio.open_connection(
            sock=plain, limit=1024, ssl=self._context, server_hostname="localhost" if self._context else None
        )
        self.writer.write(upgrade("/", "localhost") + self._early)
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)

    async def frame(self) -> tuple[int, bytes]:
        """First byte and payload of the next frame. Fails on anything that is not a frame of a server's."""
        frame = reading()
        wanted = next(frame)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    wanted = frame.send(await self.reader.readexactly(wanted))
                except StopIteration as whole:
                    first, payload = whole.value
                    assert first in (TEXT, CLOSE, PING, PONG), "a frame is whole, and uses no extension"
                    return first, payload

    async def text(self) -> str:
        first, payload = await self.frame()
        assert first == TEXT, (first, payload[:100])
        return payload.decode()

    async def nothing_more(self) -> None:
        async with asyncio.timeout(PATIENCE):
            assert await self.reader.read() == b""

    def send(self, first: int, payload: bytes) -> None:
        self.writer.write(masked(first, payload))

    def reset(self) -> None:
        """Vanish without a word: the server gets RST."""
        plain = self.writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def ask(server: Server, target: str, *headers: str, method: str = "GET") -> Answer:
    """A request that is no handshake, or not all of one; the whole answer."""
    parts = urlsplit(server.url)
    with closing(socket.create_connection((str(parts.hostname), parts.port), PATIENCE)) as connection:
        connection.sendall(request(target, parts.netloc, *headers, method=method))
        with connection.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n"))
            answer = Answer(head.removesuffix(b"\r\n"))
            answer.body = b"" if method == "HEAD" else stream.read(int(answer.headers.get("content-length", 0)))
            return answer
