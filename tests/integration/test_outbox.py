"""pgrpc.web.outbox and .reading on a real Tornado server, with a client that sees every byte."""

import asyncio
import base64
import logging
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from tornado.httpserver import HTTPServer
from tornado.iostream import SSLIOStream, StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13

from pgrpc.core import channels, frames, hub
from pgrpc.web import accepting, outbox, reading
from tests import certificates

PATIENCE = 30.0
LIMIT = 1 << 20
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Handler(WebSocketHandler):
    """A socket with an outbox, and nothing else."""

    def initialize(self, opened: "asyncio.Queue[Handler]", limit: int) -> None:
        self.opened = opened
        self.outbox = outbox.Outbox(limit, self)
        self.overflows = 0
        self.dropped: list[list[str]] = []
        self.heard: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.closed = asyncio.Event()

    def check_origin(self, origin: str) -> bool:
        return True

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        plain = super().get_websocket_protocol()
        return plain and reading.Protocol(self, False, plain.params)  # type: ignore[attr-defined]

    def open(self, *args: str, **kwargs: str) -> None:
        assert isinstance(self.ws_connection, WebSocketProtocol13)
        self.stream = self.ws_connection.stream
        self.outbox.open(self.stream)
        self.opened.put_nowait(self)

    def on_message(self, message: str | bytes) -> None:
        self.heard.put_nowait(message)

    def on_close(self) -> None:
        self.outbox.close()
        self.closed.set()

    def too_slow(self) -> None:
        self.overflows += 1
        self.end(4408)

    def gap_frame(self, channels: list[str]) -> bytes:
        self.dropped.append(channels)
        return frames.text("gap:" + ",".join(channels))

    def end(self, code: int) -> None:
        self.outbox.close()
        self.close(code, "the end")

    def small_buffer(self) -> None:
        """As little as the kernel allows, so that sends are partial."""
        self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


def masked(first: int, payload: bytes) -> bytes:
    """A client's frame. Its mask changes nothing."""
    size = len(payload)
    long = struct.pack("!Q", size) if size > 0xFFFF else struct.pack("!H", size) if size > 125 else b""
    return bytes((first, 0x80 | {0: size, 2: 126, 8: 127}[len(long)])) + long + bytes(4) + payload


class Peer:
    """A WebSocket client that reads only when told to, and checks what it reads byte by byte."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._context = context

    async def __aenter__(self) -> Self:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", self._port))
        self.reader, self.writer = await asyncio.open_connection(
            sock=plain, limit=1024, ssl=self._context, server_hostname="localhost" if self._context else None
        )
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write(
            f"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)

    async def frame(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame. Fails on anything that is not a frame of a server's."""
        async with asyncio.timeout(PATIENCE):
            first, size = await self.reader.readexactly(2)
            assert first & 0xF0 == 0x80, "a frame is whole, and uses no extension"
            assert size < 128, "a server does not mask"
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            assert first & 0xF in (TEXT, CLOSE, PING, PONG)
            return first & 0xF, await self.reader.readexactly(size)

    async def text(self) -> str:
        opcode, payload = await self.frame()
        assert opcode == TEXT, (opcode, payload[:100])
        return payload.decode()

    async def nothing_more(self) -> None:
        async with asyncio.timeout(PATIENCE):
            assert await self.reader.read() == b""

    def send(self, opcode: int, payload: bytes) -> None:
        assert len(payload) < 126
        self.writer.write(masked(0x80 | opcode, payload))

    def reset(self) -> None:
        """Vanish without a word: the server gets RST."""
        plain = self.writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Server:
    def __init__(self, port: int, opened: "asyncio.Queue[Handler]", context: ssl.SSLContext | None) -> None:
        self._port = port
        self._opened = opened
        self._context = context

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[Handler, Peer]]:
        async with Peer(self._port, self._context) as peer:
            handler = await asyncio.wait_for(self._opened.get(), PATIENCE)
            yield handler, peer
        await asyncio.wait_for(handler.closed.wait(), PATIENCE)


@asynccontextmanager
async def serving(limit: int = LIMIT, tls: tuple[Path, Path] | None = None) -> AsyncIterator[Server]:
    opened: asyncio.Queue[Handler] = asyncio.Queue()
    theirs = ours = None
    if tls is not None:
        ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ours.load_cert_chain(*tls)
        theirs = ssl.create_default_context(cafile=tls[0])
    server = HTTPServer(Application([("/", Handler, {"opened": opened, "limit": limit})]), ssl_options=ours)
    sockets = bind_sockets(0, "127.0.0.1")
    accepting.accept(server, sockets, pytest.fail)
    try:
        yield Server(sockets[0].getsockname()[1], opened, theirs)
    finally:
        server.stop()
        await server.close_all_connections()


def run(
    text: str, channel: str = "c", policy: channels.SlowConsumer = "close", *, count: int = 1, last: str | None = None
) -> hub.Run:
    data = frames.text(text) * count
    return hub.Run(channel, data, frames.text(text if last is None else last), policy)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class TestOrder:
    async def test_it_is_kept_under_partial_writes(self) -> None:
        async with serving(limit=64 << 20) as server, server.connected() as (handler, peer):
            handler.small_buffer()
            sent = []
            for i in range(400):
                text = f"{i}:" + "x" * (i * 37 % 9000)
                sent.append(text)
                if i % 3:
                    handler.outbox.event(run(text))
                else:
                    handler.outbox.reply(frames.text(text))
                if i % 50 == 0:
                    await asyncio.sleep(0)
            assert handler.outbox.events > 0
            assert [await peer.text() for _ in sent] == sent
            assert handler.outbox.events == handler.outbox.replies == 0

    async def test_what_comes_while_the_client_reads_stays_in_order(self) -> None:
        async with serving(limit=64 << 20) as server, server.connected() as (handler, peer):
            handler.small_buffer()

            async def read(count: int) -> list[str]:
                return [await peer.text() for _ in range(count)]

            reading = asyncio.create_task(read(2000))
            sent = []
            for i in range(2000):
                sent.append(f"{i}:" + "y" * (i * 7919 % 3000))
                handler.outbox.reply(frames.text(sent[-1]))
                if i % 7 == 0:
                    await asyncio.sleep(0)
            assert await reading == sent

    async def test_what_gathers_before_the_handshake_is_sent_first(self) -> None:
        """The raw relay subscribes before it upgrades."""
        opened: asyncio.Queue[Handler] = asyncio.Queue()

        class Early(Handler):
            def initialize(self, opened: "asyncio.Queue[Handler]", limit: int) -> None:
                super().initialize(opened, limit)
                for i in range(10):
                    self.outbox.event(run(f"early {i}"))

        server = HTTPServer(Application([("/", Early, {"opened": opened, "limit": LIMIT})]))
        sockets = bind_sockets(0, "127.0.0.1")
        accepting.accept(server, sockets, pytest.fail)
        try:
            async with Peer(sockets[0].getsockname()[1]) as peer:
                handler = await opened.get()
                handler.outbox.event(run("late"))
                assert [await peer.text() for _ in range(11)] == [*(f"early {i}" for i in range(10)), "late"]
        finally:
            server.stop()
            await server.close_all_connections()


class TestControlFrames:
    async def test_pongs_stand_between_messages_never_inside(self) -> None:
        async with serving(limit=64 << 20) as server, server.connected() as (handler, peer):
            handler.small_buffer()
            big = "b" * (3 << 20)
            handler.outbox.reply(frames.text(big))
            handler.outbox.reply(frames.text("after"))
            peer.send(PING, b"1")
            # Tornado has answered when it has read what comes after the ping.
            peer.send(TEXT, b"behind the ping")
            await asyncio.wait_for(handler.heard.get(), PATIENCE)
            handler.ping(b"ours")
            for i in range(20):
                handler.outbox.event(run(f"event {i}"))
            got = [await peer.frame() for _ in range(24)]
            assert got[0] == (TEXT, big.encode())
            texts = [payload for opcode, payload in got[1:] if opcode == TEXT]
            assert texts == [b"after", *(f"event {i}".encode() for i in range(20))]
            assert sorted(each for each in got if each[0] != TEXT) == [(PING, b"ours"), (PONG, b"1")]

    async def test_a_pong_beside_a_partial_send(self) -> None:
        """The stream has sent all it had, but its future has not been called back: what then is sent in part, and cut
        off by the close frame, must be whole all the same.
        """
        async with serving(limit=64 << 20) as server, server.connected() as (handler, peer):
            handler.small_buffer()
            first, second = "1" * 200_000, "2" * 300_000
            handler.outbox.reply(frames.text(first))
            assert handler.stream.writing()
            plain: socket.socket = peer.writer.get_extra_info("socket")
            taken = bytearray()
            duplicate = socket.socket(fileno=os.dup(plain.fileno()))
            duplicate.settimeout(PATIENCE)
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            with duplicate:
                # Within this one turn of the loop: the peer reads, and Tornado writes a ping.
                while handler.stream.writing():
                    taken += duplicate.recv(1 << 16)
                    handler.ping(b"")
                handler.outbox.reply(frames.text(second))
                handler.end(1012)
                await asyncio.sleep(0)
                while handler.stream.writing():
                    taken += duplicate.recv(1 << 16)
                    await asyncio.sleep(0)
                while not taken.endswith(struct.pack("!BBH", 0x88, 9, 1012) + b"the end"):
                    taken += duplicate.recv(1 << 16)
            peer.reader = asyncio.StreamReader()
            peer.reader.feed_data(bytes(taken))
            peer.reader.feed_eof()
            got: list[tuple[int, bytes]] = []
            while not got or got[-1][0] != CLOSE:
                got.append(await peer.frame())
            assert got[0] == (TEXT, first.encode())
            assert [payload for opcode, payload in got[1:] if opcode == TEXT] in ([], [second.encode()])

    @pytest.mark.parametrize("waiting", [0, 10, 3 << 20])
    async def test_nothing_comes_after_a_close_frame(self, waiting: int) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            handler.small_buffer()
            handler.outbox.reply(frames.text("a" * waiting))
            handler.end(1012)
            handler.outbox.reply(frames.text("late reply"))
            handler.outbox.event(run("late event"))
            await asyncio.sleep(0)
            handler.outbox.event(run("later event"))
            assert await peer.text() == "a" * waiting
            opcode, payload = await peer.frame()
            assert (opcode, payload) == (CLOSE, struct.pack("!H", 1012) + b"the end")
            handler.outbox.reply(frames.text("latest"))
            peer.send(CLOSE, payload[:2])
            await peer.nothing_more()


class TestBounds:
    async def test_replies_are_never_dropped_whatever_their_size(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            texts = ["r" * (20 << 20), *(f"{i}" + "s" * 100_000 for i in range(30))]
            for text in texts:
                handler.outbox.reply(frames.text(text))
            handler.outbox.event(run("event"))
            assert not handler.overflows
            drained = handler.outbox.drained()
            assert not drained.done()
            for text in texts:
                assert await peer.text() == text
            assert await peer.text() == "event"
            await asyncio.wait_for(drained, PATIENCE)
            assert handler.outbox.drained().done()

    async def test_too_many_events_overflow_and_are_within_the_bound_until_then(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            handler.small_buffer()
            count = 0
            most = 0
            while not handler.overflows:
                handler.outbox.event(run(f"{count}:" + "e" * 8000))
                most = max(most, handler.outbox.events)
                count += 1
                assert count < 10_000
            assert most <= LIMIT
            assert most > LIMIT - 10_000
            for i in range(count):
                opcode, payload = await peer.frame()
                if opcode == CLOSE:
                    assert payload[:2] == struct.pack("!H", 4408)
                    break
                assert payload.startswith(f"{i}:".encode())
            else:
                raise AssertionError("no close frame")

    async def test_an_event_larger_than_the_bound_is_taken_when_none_waits(self) -> None:
        async with serving(limit=1000) as server, server.connected() as (handler, peer):
            handler.small_buffer()
            handler.outbox.reply(frames.text("r" * 500_000))
            handler.outbox.event(run("e" * 50_000))
            assert not handler.overflows
            assert await peer.text() == "r" * 500_000
            assert await peer.text() == "e" * 50_000

    async def test_latest_keeps_the_newest_only(self) -> None:
        async with serving(limit=100_000) as server, server.connected() as (handler, peer):
            handler.small_buffer()
            handler.outbox.reply(frames.text("r" * 500_000))
            handler.outbox.event(run("other", "other"))
            for i in range(100):
                handler.outbox.event(run(f"{i}:" + "v" * 5000, "c", "latest"))
            assert handler.outbox.events <= 100_000
            assert await peer.text() == "r" * 500_000
            got: list[str] = []
            while not got or not got[-1].startswith("99:"):
                got.append(await peer.text())
            numbers = [int(text.split(":")[0]) for text in got if text != "other"]
            assert "other" in got
            assert numbers == sorted(numbers)
            assert len(numbers) < 25
            assert not handler.overflows

    async def test_drop_oldest_tells_of_the_gap_before_what_is_newer(self) -> None:
        async with serving(limit=50_000) as server, server.connected() as (handler, peer):
            handler.small_buffer()
            handler.outbox.reply(frames.text("r" * 500_000))
            for i in range(100):
                handler.outbox.event(run(f"{i}:" + "v" * 5000, "c", "drop_oldest"))
            assert handler.outbox.events <= 50_000
            assert await peer.text() == "r" * 500_000
            assert await peer.text() == "gap:c"
            first = int((await peer.text()).split(":")[0])
            assert first > 80
            for i in range(first + 1, 100):
                assert (await peer.text()).startswith(f"{i}:")
            assert not handler.overflows

    async def test_progress_is_what_the_client_takes_and_not_what_it_is_sent(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            handler.small_buffer()
            still = handler.outbox.progress
            handler.ping(b"x")
            assert handler.outbox.progress == still
            handler.outbox.reply(frames.text("r" * (4 << 20)))
            before = handler.outbox.progress
            handler.ping(b"x")
            await asyncio.sleep(0)
            assert handler.outbox.progress == before
            assert (await peer.frame())[0] == PING
            reading = asyncio.create_task(peer.text())
            await until(lambda: handler.outbox.progress != before)  # in the middle of the one message
            assert not reading.done()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class TestPeersThatVanish:
    @pytest.mark.parametrize("waiting", [0, 3 << 20])
    async def test_leave_no_exception_in_the_log(
        self, waiting: int, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
    ) -> None:
        unhandled: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
        caplog.set_level(logging.DEBUG)
        async with serving() as server:
            for turn in range(10):
                async with server.connected() as (handler, peer):
                    handler.small_buffer()
                    if waiting:
                        handler.outbox.reply(frames.text("w" * waiting))
                    drained = handler.outbox.drained()
                    peer.reset()
                    await asyncio.sleep(0)
                    for i in range(turn):
                        handler.outbox.event(run(f"{i}"))
                        handler.outbox.reply(frames.text("x" * 1000))
                    await asyncio.wait_for(handler.closed.wait(), PATIENCE)
                    handler.outbox.reply(frames.text("after the end"))
                    handler.outbox.event(run("after the end"))
                    assert handler.outbox.events == handler.outbox.replies == 0
                    await asyncio.wait_for(drained, PATIENCE)
                    assert handler.outbox.drained().done()
        assert not unhandled
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
        assert [record for record in caplog.records if record.exc_info] == []
        assert not recwarn.list

    async def test_the_stream_that_is_closed_under_a_send(self) -> None:
        async with serving() as server, server.connected() as (handler, _):
            handler.stream.close()
            handler.outbox.event(run("x"))
            handler.outbox.reply(frames.text("x"))
            assert handler.outbox.events == handler.outbox.replies == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificates.make(tmp_path_factory.mktemp("tls"))


class TestTls:
    async def test_order_bounds_and_close(self, certificate: tuple[Path, Path]) -> None:
        async with serving(limit=64 << 20, tls=certificate) as server, server.connected() as (handler, peer):
            assert type(handler.stream) is SSLIOStream
            sent = [f"{i}:" + "t" * (i * 997 % 70_000) for i in range(200)]
            for i, text in enumerate(sent):
                if i % 2:
                    handler.outbox.event(run(text))
                else:
                    handler.outbox.reply(frames.text(text))
                if i % 20 == 0:
                    await asyncio.sleep(0)
            peer.send(PING, b"")
            got: list[str] = []
            while len(got) < len(sent):
                opcode, payload = await peer.frame()
                if opcode == TEXT:
                    got.append(payload.decode())
            assert got == sent
            handler.end(1012)
            handler.outbox.reply(frames.text("late"))
            frame = await peer.frame()
            while frame[0] == PONG:
                frame = await peer.frame()
            assert frame[0] == CLOSE

    async def test_a_peer_that_vanishes(self, certificate: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
        async with serving(tls=certificate) as server, server.connected() as (handler, peer):
            handler.outbox.reply(frames.text("w" * (8 << 20)))
            peer.reset()
            await asyncio.wait_for(handler.closed.wait(), PATIENCE)
            handler.outbox.reply(frames.text("x"))
        assert [record for record in caplog.records if record.exc_info] == []


class TestReading:
    async def test_frames_that_come_at_once(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            messages = [str(number).encode() for number in range(500)]
            peer.writer.write(b"".join(masked(0x81, message) for message in messages))
            heard = [await asyncio.wait_for(handler.heard.get(), PATIENCE) for _ in messages]
            assert heard == messages

    async def test_frames_of_every_length_and_in_pieces(self) -> None:
        """Lengths of each kind and beside what is read at once; fragments with a ping between them."""
        sizes = (0, 1, 125, 126, 65_535, 65_536, 65_537, 200_000)
        messages = [bytes((65 + place,)) * size for place, size in enumerate(sizes)]
        stream = b"".join(masked(0x81, message) for message in messages)
        stream += masked(0x01, b"frag") + masked(0x80 | PING, b"p") + masked(0x00, b"men") + masked(0x80, b"ted")
        async with serving() as server, server.connected() as (handler, peer):
            peer.writer.write(stream)
            heard = [await asyncio.wait_for(handler.heard.get(), PATIENCE) for _ in (*messages, "fragmented")]
            assert heard == [*messages, b"fragmented"]
            assert await peer.frame() == (PONG, b"p")

    async def test_a_frame_that_comes_byte_by_byte(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            peer.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in masked(0x81, b"slow") + masked(0x81, b"slower"):
                peer.writer.write(bytes((byte,)))
                await asyncio.sleep(0)
            assert await asyncio.wait_for(handler.heard.get(), PATIENCE) == b"slow"
            assert await asyncio.wait_for(handler.heard.get(), PATIENCE) == b"slower"


class TestWhatWeRelyOnInTornado:
    """If one of these fails, Tornado has changed: look at outbox, reading and accepting before anything else."""

    async def test_the_stream(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            stream = handler.stream
            assert type(stream) is reading.Stream
            assert isinstance(stream.socket, socket.socket)
            assert stream.socket.getblocking() is False
            assert not stream.writing()
            before = stream._total_write_done_index
            written = stream.write(frames.text("x"))
            assert written.done()  # it tries the socket at once
            assert stream._total_write_done_index == before + 3
            assert await peer.text() == "x"
            handler.small_buffer()
            big = frames.text("y" * (4 << 20))
            first, second = stream.write(memoryview(big)), stream.write(frames.text("z"))
            assert stream.writing()
            assert not first.done()
            assert await peer.text() == "y" * (4 << 20)
            assert await peer.text() == "z"
            await first
            await second
            assert not stream.writing()

    async def test_a_stream_that_is_closed(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            stream = handler.stream
            handler.small_buffer()
            pending = stream.write(b"x" * (4 << 20))
            peer.reset()
            await asyncio.wait_for(handler.closed.wait(), PATIENCE)
            assert stream.closed()
            assert isinstance(pending.exception(), StreamClosedError)
            with pytest.raises(StreamClosedError):
                stream.write(b"x")

    async def test_the_handler_forgets_its_connection_when_it_closes(self) -> None:
        """So the outbox keeps the stream, and must be told that nothing more may be sent: the stream would take it."""
        async with serving() as server, server.connected() as (handler, peer):
            handler.close(1012)
            assert handler.ws_connection is None
            assert not handler.stream.closed()
            assert not handler.stream.writing()
            assert (await peer.frame())[0] == CLOSE

    async def test_text_comes_as_bytes(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            peer.send(TEXT, b"\xff")
            assert await asyncio.wait_for(handler.heard.get(), PATIENCE) == b"\xff"
            peer.send(TEXT, "ä".encode())
            assert await asyncio.wait_for(handler.heard.get(), PATIENCE) == "ä".encode()

    async def test_frames_are_cut_from_what_has_arrived(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """If Tornado reads its frames by another way, this is not wrong, but slower."""
        async with serving() as server, server.connected() as (handler, peer):
            asked = 0
            read_bytes = handler.stream.read_bytes

            def counted(*args: Any, **kwargs: Any) -> Any:
                nonlocal asked
                asked += 1
                return read_bytes(*args, **kwargs)

            monkeypatch.setattr(handler.stream, "read_bytes", counted)
            peer.writer.write(masked(0x81, b"x") * 1000)
            for _ in range(1000):
                await asyncio.wait_for(handler.heard.get(), PATIENCE)
            assert asked < 100

    async def test_tornado_still_drops_the_connection_on_text_that_is_not_utf8(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading.Protocol, "_handle_message", WebSocketProtocol13._handle_message)
        async with serving() as server, server.connected() as (handler, peer):
            peer.send(TEXT, b"\xff")
            await asyncio.wait_for(handler.closed.wait(), PATIENCE)
            assert handler.close_code is None
            await peer.nothing_more()
