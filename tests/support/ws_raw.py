"""A WebSocket client that shows every byte: what other servers' clients get must be exactly what they got there.

Owns the handshake and the frames as they are on the wire (RFC 6455). Must not know what is tested.
"""

import socket
from contextlib import closing
from typing import Self
from urllib.parse import urlsplit

from tests.support.pgrpc_server import Server
from tests.support.ws_client import PATIENCE

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455 section 1.3."""

TEXT, CLOSE, PING = 0x81, 0x88, 0x89
"""First bytes of frames."""


class Answer:
    """status: the line; headers: by lower-case name."""

    def __init__(self, head: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.status = lines[0]
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.body = b""


class Peer:
    """A connection; `with`. target: the path as it is on the wire. headers: besides those of a handshake."""

    def __init__(self, server: Server, target: str, *headers: str) -> None:
        parts = urlsplit(server.url)
        self._socket = socket.create_connection((str(parts.hostname), parts.port), PATIENCE)
        handshake = (
            "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13",
        )  # fmt: skip
        self._socket.sendall(_request("GET", target, parts.netloc, (*handshake, *headers)))
        self._read = b""
        self.answer = Answer(self._until(b"\r\n\r\n"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def frame(self) -> tuple[int, bytes]:
        """The next one: its first byte, and its payload."""
        first, size = self._take(2)
        if size == 126:
            size = int.from_bytes(self._take(2))
        elif size == 127:
            size = int.from_bytes(self._take(8))
        return first, self._take(size)

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


def ask(server: Server, target: str, *headers: str, method: str = "GET") -> Answer:
    """A request that is no handshake, or not all of one; the whole answer."""
    parts = urlsplit(server.url)
    with closing(socket.create_connection((str(parts.hostname), parts.port), PATIENCE)) as connection:
        connection.sendall(_request(method, target, parts.netloc, headers))
        with connection.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n"))
            answer = Answer(head.removesuffix(b"\r\n"))
            answer.body = b"" if method == "HEAD" else stream.read(int(answer.headers.get("content-length", 0)))
            return answer


def _request(method: str, target: str, host: str, headers: tuple[str, ...]) -> bytes:
    names = {header.partition(":")[0].lower() for header in headers}
    first = () if "host" in names else (f"Host: {host}",)
    return "\r\n".join((f"{method} {target} HTTP/1.1", *first, *headers, "", "")).encode("latin-1")
