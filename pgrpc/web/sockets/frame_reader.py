"""Reads a client's WebSocket frames, and handles each in the same turn of the loop in which it is complete.

Owns the way from the socket to a message (RFC 6455 section 5), and fairness among clients. Must not know the content of
messages.

Tornado 6.6 reads a small frame in three steps, each of which wakes a task in the loop's next turn: 20 % of the cost of
a call. It also accepts frames that are not masked, and drops the connection on text that is not UTF-8. So frames are
parsed here; control frames (pings, the close) are still handled by Tornado. tests/integration/test_frame_reader.py
fails when Tornado changes what this relies on.
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
"""Frames of one client that are handled in a row, before the other clients have their turn."""

_READ_SIZE = 64 * 1024
"""Bytes of one read from the socket: as in Tornado."""

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PONG = 0x0, 0x1, 0x2, 0x8, 0xA
_CONTROL = 0x8  # the bit
_FINAL, _RESERVED, _MASKED = 0x80, 0x70, 0x80


class Stream(IOStream):
    """Tornado's stream, which passes what arrives to a receiver.

    Before `start_reading` and after `stop_reading` it behaves as Tornado's: what arrives stays in its buffer, and then
    in the kernel's.
    """

    # More entries in the instance's dictionary would cost 1.2 kB for each connection.
    __slots__ = ("_receive", "written")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._receive: Callable[[bytes], None] | None = None
        self.written: Callable[[], None] | None = None
        """Called after a write to the socket: whether data is still waiting may have changed."""
        super().__init__(*arguments, **named)

    def start_reading(self, receive: Callable[[bytes], None]) -> None:
        """Pass what is in the buffer to `receive`, now, and everything that arrives from now on."""
        self._receive = receive
        self._add_io_state(self.io_loop.READ)
        if self._read_buffer_size:
            receive(self._consume(self._read_buffer_size))

    def stop_reading(self) -> None:
        self._receive = None

    @property
    def is_reading(self) -> bool:
        return self._receive is not None

    @property
    def is_at_end(self) -> bool:
        """Closed, with nothing left in the buffer."""
        return self.closed() and not self._read_buffer_size

    def _handle_write(self) -> None:
        super()._handle_write()
        if self.written is not None:
            self.written()

    def reading(self) -> bool:
        return self._receive is not None or super().reading()

    def _handle_read(self) -> None:
        if self._receive is None:
            super()._handle_read()
            return
        try:
            data = self.socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(exc_info=error)
            return
        if data:
            self._receive(data)
        else:
            self.close()


class _Failed(Exception):
    """The client violates the protocol. code: of our close frame, RFC 6455 section 7.4.1."""

    def __init__(self, reason: str, code: int = 1002) -> None:
        super().__init__(reason)
        self.code = code


def _is_valid_close(payload: bytes) -> bool:
    """Whether a close frame has a valid code: RFC 6455 section 7.4, and those registered since."""
    code = int.from_bytes(payload[:2], "big")
    return len(payload) > 1 and (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999)


class Protocol(WebSocketProtocol13):
    """Tornado's protocol with this reader. Its handler has `before_close`, called before a close frame is sent.

    The handler gets text messages as bytes too, so that a JSON-RPC client gets -32700 for text that is not UTF-8.
    """

    # In the instance's dictionary they would cost 1.5 kB for each connection.
    __slots__ = ("_arrived", "_failed", "_fragments", "_is_scheduled", "_missing", "_offset", "_over", "_pieces")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._arrived = b""
        self._offset = 0  # of the next frame in it
        self._pieces: bytearray | None = None  # the part of an incomplete frame that has arrived
        self._missing = 0  # bytes of that frame
        self._fragments: bytearray | None = None  # of an incomplete message
        self._is_scheduled = False  # whether `_go_on` will run for what has arrived
        self._failed = False
        self._over: Future[None] | None = None

    async def _receive_frame_loop(self) -> None:
        self._over = asyncio.get_running_loop().create_future()
        try:
            if self.stream.closed():
                self._abort()
            if not self.client_terminated:
                self.stream.set_close_callback(self._lost)
                self._start_reading()
                await self._over
        finally:
            self.handler.on_ws_connection_close(self.close_code, self.close_reason)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        if not self.server_terminated:
            self.handler.before_close()  # type: ignore[attr-defined]
        super().close(code, reason)
        if self.client_terminated:  # nothing more is read
            self._stop_reading()
            if self._over is not None and not self._over.done():
                self._over.set_result(None)

    def _lost(self) -> None:
        """The client has gone. Frames that have arrived are still handled in their turn."""
        if not self._is_scheduled:
            self._abort()

    def _start_reading(self) -> None:
        if isinstance(self.stream, Stream):
            if self.stream.is_at_end:
                self._abort()
            elif not self.stream.is_reading:
                self.stream.start_reading(self._arrive)
            return
        try:  # with TLS
            reading = asyncio.ensure_future(self.stream.read_bytes(_READ_SIZE, partial=True))
        except OSError:  # such as StreamClosedError, or an error of TLS
            self._abort()
        else:
            reading.add_done_callback(self._has_read)

    def _has_read(self, reading: "Future[bytes]") -> None:
        if reading.cancelled() or reading.exception() is not None:
            self._abort()
        else:
            self._arrive(reading.result())

    def _stop_reading(self) -> None:
        if isinstance(self.stream, Stream):
            self.stream.stop_reading()

    def _arrive(self, data: bytes) -> None:
        if self._failed:
            self._start_reading()
            return
        if self._pieces is None:
            self._arrived = data
        else:
            self._pieces += data
            self._missing -= len(data)
            if self._missing > 0:
                self._start_reading()
                return
            self._arrived, self._pieces = bytes(self._pieces), None
        self._go_on()

    def _go_on(self, _: object = None) -> None:
        """Handle what has arrived, frame by frame."""
        self._is_scheduled = False
        for _turn in range(_TURN):
            if self.client_terminated:  # by the frame before, or since this turn was scheduled
                return
            try:
                frame = self._frame()
                if frame is None:
                    self._start_reading()
                    return
                handling = self._handle(*frame)
            except _Failed as failed:
                self._fail(failed)
                return
            if handling is not None:  # a message is handled before the next frame is read
                if self.stream.closed():  # it may wait for a client that has gone
                    self._abort()
                    return
                self._stop_reading()
                handling.add_done_callback(self._go_on)
                return
        self._stop_reading()
        self._is_scheduled = True
        asyncio.get_running_loop().call_soon(self._go_on)

    def _frame(self) -> tuple[int, bytes] | None:
        """The first byte of the next frame and its payload; None if it is not complete."""
        arrived, at = self._arrived, self._offset
        here = len(arrived) - at
        if here < 2:
            self._wait_for(2 - here)
            return None
        first, second = arrived[at], arrived[at + 1]
        if first & _RESERVED or not second & _MASKED:
            raise _Failed("a client's frames must be masked, and must not use extensions")
        size, head = second & 0x7F, 6
        if size > 125:
            head = 8 if size == 126 else 14
            if first & _CONTROL:
                raise _Failed("a control frame must not exceed 125 bytes")
            if here < head:
                self._wait_for(head - here)
                return None
            size = int.from_bytes(arrived[at + 2 : at + head - 4], "big")
            if size < (126 if head == 8 else 1 << 16):
                raise _Failed("a length must be written with as few bytes as possible")
        if not first & _CONTROL and size + len(self._fragments or ()) > self.params.max_message_size:
            raise _Failed("message too big", 1009)
        end = at + head + size
        if len(arrived) < end:
            self._wait_for(end - len(arrived))
            return None
        start = at + head
        payload = _websocket_mask(arrived[start - 4 : start], arrived[start:end])
        if end == len(arrived):
            self._arrived, self._offset = b"", 0
        else:
            self._offset = end
        return first, payload

    def _wait_for(self, missing: int) -> None:
        rest = self._arrived[self._offset :]
        if rest:
            self._pieces, self._missing = bytearray(rest), missing
        self._arrived, self._offset = b"", 0

    def _handle(self, first: int, payload: bytes) -> "Future[None] | None":
        opcode, is_final = first & 0xF, first & _FINAL
        if opcode & _CONTROL:
            if not is_final or opcode > _PONG:
                raise _Failed("a control frame must not be fragmented, and must be of a known kind")
            if opcode == _CLOSE and payload and not _is_valid_close(payload):
                raise _Failed("invalid code in a close frame")
            try:
                return self._handle_message(opcode, payload)
            except ValueError as error:
                raise _Failed("the reason of a close frame must be UTF-8") from error
        if opcode == _CONTINUATION:
            if self._fragments is None:
                raise _Failed("a continuation frame without a message")
            self._fragments += payload
        elif self._fragments is not None or opcode not in (_TEXT, _BINARY):
            raise _Failed("expected a continuation frame, or a message of a known kind")
        elif not is_final:
            self._fragments = bytearray(payload)
        if not is_final:
            return None
        if self._fragments is not None:
            payload, self._fragments = bytes(self._fragments), None
        return self._run_callback(self.handler.on_message, payload)

    def _fail(self, failed: _Failed) -> None:
        """Send a close frame, and discard what arrives until the client has closed, for at most five seconds.

        If bytes were left unread, closing would reset the connection, and the client would not receive the reason.
        """
        self._failed = True
        self.close(failed.code, str(failed))
        if isinstance(self.stream, Stream) and not self.stream.writing():
            with contextlib.suppress(OSError):
                self.stream.socket.shutdown(socket.SHUT_WR)
        self._start_reading()
