"""What waits to be sent to one client: replies, which are never dropped, and events, which are bounded.

Owns the way from our bytes to the socket, and their order; and which events go when they are too many. Must not know
what the bytes say. With `reading` and `accepting` it reaches past Tornado's public API, because `write_message` makes
a task for each message, and `stream.write` costs as much as ten sends.

A direct send is right only on a plain stream (TLS has errors of its own) that is open and has nothing waiting:
then nothing of Tornado's (pongs, the close frame) can be overtaken. (One that was closed meanwhile answers EBADF.)
tests/integration/test_outbox.py tells when Tornado changes what this relies on.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tornado.iostream import IOStream, StreamClosedError

from pgrpc.core.channels import hub
from pgrpc.web.sockets import frame_reader

_SMALL = 4096
"""Bytes up to which a reply may wait for others, to be joined with them."""

_CHUNK = 256 * 1024
"""Bytes that small messages are joined to: enough for the socket's buffer, little to copy."""

Bytes = bytes | memoryview


class Owner(Protocol):
    """The socket."""

    def too_slow(self) -> None:
        """Too many events wait, and they may not be dropped."""

    def gap_frame(self, channels: list[str]) -> bytes:
        """What tells the client that events of these channels were dropped; b"" where it cannot be told."""


class Outbox:
    """limit: bytes of events that may wait."""

    # An idle connection must cost little: what holds something is made on first use.
    __slots__ = (
        "_closed",
        "_direct_send",
        "_drained",
        "_gaps",
        "_joined",
        "_limit",
        "_loop",
        "_owner",
        "_queue",
        "_stream",
        "_writing",
        "_written_count",
        "events",
        "replies",
    )  # fmt: skip

    def __init__(self, limit: int, owner: Owner) -> None:
        self._limit = limit
        self._owner = owner
        self._stream: IOStream | None = None
        self._direct_send: Callable[[bytes], int] | None = None  # the socket's send, while nothing waits
        self._loop: asyncio.AbstractEventLoop | None = None  # asking for it is a system call with CPython 3.11
        self._queue: deque[tuple[bytes, hub.Run | None]] | None = None  # None marks a reply
        self._joined: list[bytes] | None = None  # replies of this turn of the loop
        self._gaps: dict[str, None] | None = None  # channels of which events were dropped: told next
        self._writing: asyncio.Future[None] | None = None
        self._closed = False
        self._drained: asyncio.Future[None] | None = None
        self.events = 0
        self.replies = 0
        """Bytes that wait here, of each kind. What the stream itself holds is on its way."""
        self._written_count = 0

    @property
    def progress(self) -> tuple[int, int]:
        """Changes with what the client takes of what has waited, and with nothing else."""
        # Behind ours the stream may hold pings; they do not count, for a peer that is gone "takes" those too.
        sent = self._stream._total_write_done_index if self._stream is not None and self._writing is not None else 0
        return self._written_count, sent

    def open(self, stream: IOStream) -> None:
        """The handshake is done: send what has gathered, and what comes from now on."""
        self._stream = stream
        if isinstance(stream, frame_reader.Stream):
            stream.written = self._update_direct_send
        self._loop = asyncio.get_running_loop()
        self._flush()

    def finish(self) -> None:
        """Before our close frame: send the replies that wait. Events are left out: the close tells of that."""
        last = [data for data, run in self._queue or () if run is None] + (self._joined or [])
        if last and self._stream is not None:
            with contextlib.suppress(StreamClosedError):
                # Its failure is of no use: the connection's end tells as much.
                self._stream.write(b"".join(last)).add_done_callback(lambda w: w.cancelled() or w.exception())

    def close(self) -> None:
        """Nothing more may be sent: no data frame after a close frame (RFC 6455 section 5.5.1)."""
        self._closed = True
        self._direct_send = None
        self._queue = self._gaps = self._joined = None
        self.events = self.replies = 0
        self._wake()

    def reply(self, data: bytes, *, more: bool = False) -> None:
        """more: others may come in this turn of the loop; small ones are then sent as one, at its end."""
        # A client with 8 calls in flight got 2.4 replies with each send: 15 % more calls. One whose only call this was
        # gets its reply at once.
        if self._joined is None and more and self._loop is not None and not self._closed:
            self._joined = []
            self._loop.call_soon(self.send_joined)
        if self._joined is None or len(data) > _SMALL:
            self._send(data, None)
            return
        self._joined.append(data)
        if not more:
            self.send_joined()

    def send_joined(self) -> None:
        """Now, and not at the end of the turn."""
        joined, self._joined = self._joined, None
        if joined:
            self._send(b"".join(joined), None)

    def event(self, run: hub.Run) -> None:
        """Take it if no event waits, or if it fits within the bound; past that its channel's policy decides."""
        if self._direct_send is not None and self._joined is None:  # of thousands of clients nearly all
            self._send_directly(self._direct_send, run.data)
        elif not self.events or self.events + len(run.data) <= self._limit:
            self._send(run.data, run)
        elif run.slow_consumer == "latest":
            self._drop(run.channel)
            self._send(run.last, run)
        elif run.slow_consumer == "drop_oldest":
            self._drop_oldest(run)
        else:
            self._owner.too_slow()

    def drained(self) -> "asyncio.Future[None]":
        """Done when no reply waits any more."""
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()
        waiting = self._drained
        if not self.replies:
            self._wake()
        return waiting

    def _send(self, data: bytes, run: hub.Run | None) -> None:
        if self._joined is not None:
            self.send_joined()
        if self._direct_send is not None:
            self._send_directly(self._direct_send, data)
        elif not self._closed:
            if self._queue is None:
                self._queue = deque()
            self._queue.append((data, run))
            self._count(len(data), run is not None)
            if self._stream is not None and self._writing is None:
                self._write(self._stream, self._take())

    def _send_directly(self, send: Callable[[bytes], int], data: bytes) -> None:
        stream = self._stream
        assert stream is not None
        try:
            sent = send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            stream.close(exc_info=error)
            return
        if sent < len(data):
            self._write(stream, memoryview(data)[sent:])

    def _update_direct_send(self) -> None:
        """Find out whether a direct send is right now."""
        # Whenever that may have changed, and not with each event: what has to be looked at is spread over memory, and
        # with a thousand clients none of it is in the processor's cache. That was 1.4 of 8.2 us a frame.
        stream = self._stream
        clear = not (self._queue or self._gaps or self._writing or self._closed)
        if isinstance(stream, frame_reader.Stream) and clear and not (stream.closed() or stream.writing()):
            self._direct_send = stream.socket.send
        else:
            self._direct_send = None

    def _write(self, stream: IOStream, data: Bytes) -> None:
        """Have the stream wait for the socket. It gets whole messages only: whatever comes next, a pong of Tornado's or
        the close frame, then stands between two of them.
        """
        try:
            self._writing = stream.write(data)
        except StreamClosedError:
            self.close()
            return
        self._direct_send = None
        self._writing.add_done_callback(self._written)

    def _written(self, written: "asyncio.Future[None]") -> None:
        self._writing = None
        self._written_count += 1
        if written.cancelled() or written.exception() is not None:
            self.close()
        else:
            self._flush()

    def _flush(self) -> None:
        if self._stream is not None and (self._queue or self._gaps):
            self._write(self._stream, self._take())
        elif not self._queue:
            self._queue = None
            self._update_direct_send()
            self._wake()

    def _take(self) -> bytes:
        """The next messages to write: small ones joined, a large one alone."""
        taken: list[bytes] = []
        size = 0
        if self._gaps is not None:  # what is left of these channels is newer than what was dropped
            gaps, self._gaps = list(self._gaps), None
            taken.append(self._owner.gap_frame(gaps))
        while self._queue and (not taken or size + len(self._queue[0][0]) <= _CHUNK):
            data, run = self._queue.popleft()
            taken.append(data)
            size += len(data)
            self._count(-len(data), run is not None)
        if not self.replies:
            self._wake()
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _drop(self, channel: str, needed: int | None = None) -> None:
        """Drop what waits of a channel: all of it, or the oldest until there is room for `needed` bytes, and more, so
        that the queue is not gone through again for each event.
        """
        kept: deque[tuple[bytes, hub.Run | None]] = deque()
        for data, run in self._queue or ():
            full = needed is None or self.events + needed > self._limit * 3 // 4
            if run is not None and run.channel == channel and full:
                self._count(-len(data), True)
            else:
                kept.append((data, run))
        self._queue = kept

    def _drop_oldest(self, run: hub.Run) -> None:
        """Make room for the newest by dropping the oldest of its channel, and have the client told before it."""
        self._drop(run.channel, len(run.data))
        if self._gaps is None:
            self._gaps = {}
        self._gaps[run.channel] = None
        if not self.events or self.events + len(run.data) <= self._limit:
            self._send(run.data, run)
        # Otherwise other channels hold the room, and this one is dropped too.

    def _count(self, size: int, is_event: bool) -> None:
        if is_event:
            self.events += size
        else:
            self.replies += size

    def _wake(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
