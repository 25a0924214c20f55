"""How a client's frames are read: each is handled as soon as it is whole, in the turn of the loop in which it arrives.

Owns the way from the socket to a message (RFC 6455 section 5), and the clients' turns. Must not know what a message
says.

Tornado 6.6 asks its stream three times for a small frame, and each answer is a future that wakes a task in the loop's
next turn: a fifth of what a call cost. It also takes frames that are not masked, and drops the connection on text that
is not UTF-8. What the socket brings is cut into frames here; what is no message (pings, the close) is still Tornado's.
tests/integration/test_reading.py tells when Tornado changes what this relies on.
"""

import asyncio
import contextlib
import socket
from asyncio import Future
from collections.abc import Callable
from typing import Any

from tornado.iostream import IOStream
from tornado.util import _websocket_mask
from tornado.websocket import WebSocketProtocol13

_TURN = 16
"""Frames of one client that are handled in a row: then the others get their turn."""

_READ_AT_ONCE = 64 * 1024
"""Bytes that are asked of the socket at one time: as many as Tornado asks for."""

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PONG = 0x0, 0x1, 0x2, 0x8, 0xA
_CONTROL = 0x8  # the bit
_FINAL, _RESERVED, _MASKED = 0x80, 0x70, 0x80


class Stream(IOStream):
    """Tornado's, which hands over what arrives, once it is told to whom.

    Until then, and while it holds back, it is as it was: what arrives stays in its buffer, and then in the kernel's.
    """

    # More in the dictionary of a stream would cost 1.2 kB.
    __slots__ = ("_taker", "written")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._taker: Callable[[bytes], None] | None = None
        self.written: Callable[[], None] | None = None
        """Called when the socket was given something of what waits: whether anything still does may have changed."""
        super().__init__(*arguments, **named)

    def hand_over(self, taker: Callable[[bytes], None]) -> None:
        """Give it what is here, at once, and whatever arrives from now on."""
        self._taker = taker
        self._add_io_state(self.io_loop.READ)
        if self._read_buffer_size:
            taker(self._consume(self._read_buffer_size))

    def hold_back(self) -> None:
        self._taker = None

    @property
    def hands_over(self) -> bool:
        return self._taker is not None

    @property
    def is_at_end(self) -> bool:
        """Closed, and nothing is left of what came before."""
        return self.closed() and not self._read_buffer_size

    def _handle_write(self) -> None:
        super()._handle_write()
        if self.written is not None:
            self.written()

    def reading(self) -> bool:
        return self._taker is not None or super().reading()

    def _handle_read(self) -> None:
        if self._taker is None:
            super()._handle_read()
            return
        try:
            data = self.socket.recv(_READ_AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(exc_info=error)
            return
        if data:
            self._taker(data)
        else:
            self.close()


class _Failed(Exception):
    """The client does not keep to the protocol. code: of the close frame, RFC 6455 section 7.4.1."""

    def __init__(self, reason: str, code: int = 1002) -> None:
        super().__init__(reason)
        self.code = code


def _may_be_sent(payload: bytes) -> bool:
    """Whether a close frame may begin so: RFC 6455 section 7.4, and what is registered since."""
    code = int.from_bytes(payload[:2], "big")
    return len(payload) > 1 and (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999)


class Protocol(WebSocketProtocol13):
    """Of a handler that has `before_close`: called before a close frame is sent, whoever began with it.

    Messages come as bytes, those of text too: a JSON-RPC client is told -32700 for what is not UTF-8.
    """

    # In its dictionary they would cost 1.5 kB.
    __slots__ = ("_arrived", "_failed", "_fragments", "_missing", "_over", "_pieces", "_taken", "_turn_comes")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._arrived = b""
        self._taken = 0  # of its bytes
        self._pieces: bytearray | None = None  # what has arrived of a frame that is not whole
        self._missing = 0  # bytes, of the same
        self._fragments: bytearray | None = None  # of a message
        self._turn_comes = False  # of what has arrived and is not handled yet
        self._failed = False
        self._over: Future[None] | None = None

    async def _receive_frame_loop(self) -> None:
        self._over = asyncio.get_running_loop().create_future()
        try:
            if self.stream.closed():
                self._abort()
            if not self.client_terminated:
                self.stream.set_close_callback(self._lost)
                self._read_on()
                await self._over
        finally:
            self.handler.on_ws_connection_close(self.close_code, self.close_reason)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        if not self.server_terminated:
            self.handler.before_close()  # type: ignore[attr-defined]
        super().close(code, reason)
        if self.client_terminated:  # nothing more is read
            self._hold_back()
            if self._over is not None and not self._over.done():
                self._over.set_result(None)

    def _lost(self) -> None:
        """The client has gone. What it had sent before, and only waits for its turn, is still handled."""
        if not self._turn_comes:
            self._abort()

    def _read_on(self) -> None:
        if isinstance(self.stream, Stream):
            if self.stream.is_at_end:
                self._abort()
            elif not self.stream.hands_over:
                self.stream.hand_over(self._arrive)
            return
        try:  # with TLS
            reading = asyncio.ensure_future(self.stream.read_bytes(_READ_AT_ONCE, partial=True))
        except OSError:  # StreamClosedError is one, and so are those of TLS
            self._abort()
        else:
            reading.add_done_callback(self._has_read)

    def _has_read(self, reading: "Future[bytes]") -> None:
        if reading.cancelled() or reading.exception() is not None:
            self._abort()
        else:
            self._arrive(reading.result())

    def _hold_back(self) -> None:
        if isinstance(self.stream, Stream):
            self.stream.hold_back()

    def _arrive(self, data: bytes) -> None:
        if self._failed:
            self._read_on()
            return
        if self._pieces is None:
            self._arrived = data
        else:
            self._pieces += data
            self._missing -= len(data)
            if self._missing > 0:
                self._read_on()
                return
            self._arrived, self._pieces = bytes(self._pieces), None
        self._go_on()

    def _go_on(self, _: object = None) -> None:
        """Handle what has arrived, frame by frame."""
        self._turn_comes = False
        for _turn in range(_TURN):
            if self.client_terminated:  # by the frame before, or before this turn came
                return
            try:
                frame = self._frame()
                if frame is None:
                    self._read_on()
                    return
                waits_for = self._handle(*frame)
            except _Failed as failed:
                self._fail(failed)
                return
            if waits_for is not None:  # a message is handled before the next one is looked at
                if self.stream.closed():  # it may wait for a client that has gone
                    self._abort()
                    return
                self._hold_back()
                waits_for.add_done_callback(self._go_on)
                return
        self._hold_back()
        self._turn_comes = True
        asyncio.get_running_loop().call_soon(self._go_on)

    def _frame(self) -> tuple[int, bytes] | None:
        """The first byte of the next frame and its payload, where it is whole."""
        arrived, at = self._arrived, self._taken
        here = len(arrived) - at
        if here < 2:
            self._wait_for(2 - here)
            return None
        first, second = arrived[at], arrived[at + 1]
        if first & _RESERVED or not second & _MASKED:
            raise _Failed("a client's frames are masked, and use no extension here")
        size, head = second & 0x7F, 6
        if size > 125:
            head = 8 if size == 126 else 14
            if first & _CONTROL:
                raise _Failed("a control frame has at most 125 bytes")
            if here < head:
                self._wait_for(head - here)
                return None
            size = int.from_bytes(arrived[at + 2 : at + head - 4], "big")
            if size < (126 if head == 8 else 1 << 16):
                raise _Failed("a length is written with as few bytes as it needs")
        if not first & _CONTROL and size + len(self._fragments or ()) > self.params.max_message_size:
            raise _Failed("message too big", 1009)
        end = at + head + size
        if len(arrived) < end:
            self._wait_for(end - len(arrived))
            return None
        start = at + head
        payload = _websocket_mask(arrived[start - 4 : start], arrived[start:end])
        if end == len(arrived):
            self._arrived, self._taken = b"", 0
        else:
            self._taken = end
        return first, payload

    def _wait_for(self, missing: int) -> None:
        rest = self._arrived[self._taken :]
        if rest:
            self._pieces, self._missing = bytearray(rest), missing
        self._arrived, self._taken = b"", 0

    def _handle(self, first: int, payload: bytes) -> "Future[None] | None":
        opcode, is_final = first & 0xF, first & _FINAL
        if opcode & _CONTROL:
            if not is_final or opcode > _PONG:
                raise _Failed("a control frame is not fragmented, and of a known kind")
            if opcode == _CLOSE and payload and not _may_be_sent(payload):
                raise _Failed("no such code of a close frame")
            try:
                return self._handle_message(opcode, payload)
            except ValueError as error:
                raise _Failed("the reason of a close frame is UTF-8") from error
        if opcode == _CONTINUATION:
            if self._fragments is None:
                raise _Failed("there is nothing to continue")
            self._fragments += payload
        elif self._fragments is not None or opcode not in (_TEXT, _BINARY):
            raise _Failed("a message is to be continued, or of no known kind")
        elif not is_final:
            self._fragments = bytearray(payload)
        if not is_final:
            return None
        if self._fragments is not None:
            payload, self._fragments = bytes(self._fragments), None
        return self._run_callback(self.handler.on_message, payload)

    def _fail(self, failed: _Failed) -> None:
        """Say why, and read on without looking until the client has heard it and gone, five seconds at most.

        Where bytes are left unread, closing resets the connection, and the client gets to know nothing.
        """
        self._failed = True
        self.close(failed.code, str(failed))
        if isinstance(self.stream, Stream) and not self.stream.writing():
            with contextlib.suppress(OSError):
                self.stream.socket.shutdown(socket.SHUT_WR)
        self._read_on()
