"""How WebSocket frames are read: each is handled as soon as it has arrived, in the same turn of the loop.

Owns the way from the socket to Tornado's parser of frames, and the clients' turns. Must not know what a message says.

Tornado 6.6 asks its stream three times for a small frame, and each answer is a future that wakes a task in the loop's
next turn; one call in five was spent there. Here the parser, a coroutine of Tornado's, is given the bytes it waits for
directly. tests/integration/test_outbox.py tells when Tornado changes what this relies on.
"""

import asyncio
import types
from asyncio import Future
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.websocket import WebSocketProtocol13

_TEXT, _BINARY = 0x1, 0x2

_TURN = 16
"""Frames of one client that are handled in a row: then the others get their turn."""

_READ_AT_ONCE = 64 * 1024
"""Bytes that are asked of the socket at one time: as many as Tornado asks for."""


class Stream(IOStream):
    """Tornado's, which hands over what arrives, once it is told to whom.

    Until then, and when told not to, it is as it was: what arrives stays in its buffer or in the kernel's.
    """

    # One more in the dictionary of a stream would cost 1.2 kB.
    __slots__ = ("_taker",)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._taker: Callable[[bytes], None] | None = None
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


@types.coroutine
def _more() -> Generator[None, None, None]:
    """Wait until the bytes that are missing have arrived."""
    yield


class Protocol(WebSocketProtocol13):
    """Text frames come as bytes: Tornado drops the connection, without a close frame, on text that is not UTF-8; a
    JSON-RPC client is told -32700 instead, and stays connected.
    """

    # In its dictionary they would cost 1.5 kB.
    __slots__ = ("_arrived", "_frame", "_missing", "_over", "_pieces", "_taken")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._arrived = b""
        self._taken = 0
        self._pieces: list[bytes] | None = None  # of what the frame at hand waits for
        self._missing = 0  # bytes, of the same
        self._frame: Coroutine[Any, Any, None] | None = None  # begun, and not at its end
        self._over: Future[None] | None = None

    async def _receive_frame_loop(self) -> None:
        self._over = asyncio.get_running_loop().create_future()
        try:
            if self.stream.closed():
                self._abort()
            if not self.client_terminated:
                self.stream.set_close_callback(self._abort)
                self._read_on()
                await self._over
        except StreamClosedError:
            self._abort()
        finally:
            self.handler.on_ws_connection_close(self.close_code, self.close_reason)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        super().close(code, reason)
        if self.client_terminated:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        """Nothing more is read; an error is Tornado's to handle."""
        self._hold_back()
        if self._over is not None and not self._over.done():
            if error is None:
                self._over.set_result(None)
            else:
                self._over.set_exception(error)

    def _read_on(self) -> None:
        if isinstance(self.stream, Stream):
            if not self.stream.hands_over:
                self.stream.hand_over(self._arrive)
            return
        try:  # with TLS
            reading = self.stream.read_bytes(_READ_AT_ONCE, partial=True)
        except StreamClosedError:
            self._abort()
        else:
            asyncio.ensure_future(reading).add_done_callback(self._has_read)

    def _has_read(self, reading: "Future[bytes]") -> None:
        if reading.cancelled() or reading.exception() is not None:
            self._abort()
        else:
            self._arrive(reading.result())

    def _arrive(self, data: bytes) -> None:
        if self._pieces is None:
            self._arrived = data
        else:
            self._pieces.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                self._read_on()
                return
        self._go_on()

    def _go_on(self, _: object = None) -> None:
        """Handle what has arrived, frame by frame."""
        for _turn in range(_TURN):
            if self.client_terminated:  # now, or before this turn came
                return
            frame = self._frame or self._receive_frame()
            self._frame = None
            try:
                waits_for = frame.send(None)
            except StopIteration:
                if not self._arrived:
                    self._read_on()
                    return
            except Exception as error:  # such as a reason for closing that is not UTF-8
                self._end(error)
                return
            else:
                self._frame = frame
                if waits_for is None:
                    self._read_on()
                else:  # a message is handled before the next one is looked at
                    self._hold_back()
                    waits_for._asyncio_future_blocking = False  # as a task does
                    waits_for.add_done_callback(self._go_on)
                return
        self._hold_back()
        asyncio.get_running_loop().call_soon(self._go_on)

    def _hold_back(self) -> None:
        if isinstance(self.stream, Stream):
            self.stream.hold_back()

    async def _read_bytes(self, n: int) -> bytes:
        if len(self._arrived) - self._taken < n:
            rest = self._arrived[self._taken :]
            self._pieces, self._missing = [rest], n - len(rest)
            await _more()
            self._arrived, self._taken, self._pieces = b"".join(self._pieces), 0, None
        data = self._arrived[self._taken : self._taken + n]
        self._taken += n
        if self._taken == len(self._arrived):
            self._arrived, self._taken = b"", 0
        self._wire_bytes_in += n
        return data

    def _handle_message(self, opcode: int, data: bytes) -> "Future[None] | None":
        return super()._handle_message(_BINARY if opcode == _TEXT else opcode, data)
