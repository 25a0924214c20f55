"""pgrpc.web.outbox on a real Tornado server, with a client that sees every byte."""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from tornado.iostream import SSLIOStream, StreamClosedError

from pgrpc.core.channels import hub, rules
from pgrpc.core.wire import ws_frames
from pgrpc.web.sockets import frame_reader
from tests.support import certificates
from tests.support.tornado_server import LIMIT, Handler, serving, until
from tests.support.ws_client import PATIENCE
from tests.support.ws_raw import CLOSE, PING, PONG, TEXT, masked


def run(
    text: str, channel: str = "c", policy: rules.SlowConsumer = "close", *, count: int = 1, last: str | None = None
) -> hub.Run:
    data = ws_frames.text(text) * count
    return hub.Run(channel, data, ws_frames.text(text if last is None else last), policy)


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
                    handler.outbox.reply(ws_frames.text(text))
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
                handler.outbox.reply(ws_frames.text(sent[-1]))
                if i % 7 == 0:
                    await asyncio.sleep(0)
            assert await reading == sent

    async def test_replies_of_one_turn_are_sent_as_one_where_more_may_come(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            plain: socket.socket = peer.writer.get_extra_info("socket")
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            with socket.socket(fileno=os.dup(plain.fileno())) as raw:
                raw.setblocking(False)
                joined = [ws_frames.text(f"reply {i}") for i in range(3)]
                for data in joined:
                    handler.outbox.reply(data, more=True)
                with pytest.raises(BlockingIOError):
                    raw.recv(1000)
                await asyncio.sleep(0)
                assert raw.recv(1000) == b"".join(joined)
                handler.outbox.reply(b"one", more=True)
                handler.outbox.reply(b"last")  # nothing to wait for
                assert raw.recv(1000) == b"onelast"
                await asyncio.sleep(0)
                with pytest.raises(BlockingIOError):
                    raw.recv(1000)

    @pytest.mark.parametrize("last", [masked(0x88, b"\x03\xe8"), b"not a frame"], ids=["a close", "rubbish"])
    async def test_replies_that_wait_for_others_go_before_a_close_frame(self, last: bytes) -> None:
        class Answering(Handler):
            def on_message(self, message: str | bytes) -> None:
                self.outbox.reply(ws_frames.text("reply"), more=True)

        async with serving(kind=Answering) as server, server.connected() as (_, peer):
            peer.writer.write(masked(0x81, b"request") + last)  # of one turn
            assert await peer.text() == "reply"
            assert (await peer.frame())[0] == CLOSE

    async def test_nothing_overtakes_replies_that_wait_for_others(self) -> None:
        async with serving(limit=64 << 20) as server, server.connected() as (handler, peer):
            sent = []
            for i in range(400):
                text = f"{i}:" + "x" * (9000 if i % 11 == 0 else i)
                sent.append(text)
                if i % 5 == 0:
                    handler.outbox.event(run(text))
                else:
                    handler.outbox.reply(ws_frames.text(text), more=i % 7 != 0)
                if i % 50 == 0:
                    await asyncio.sleep(0)
            handler.outbox.reply(ws_frames.text("before the end"), more=True)
            handler.outbox.finish()
            handler.end(1012)
            assert [await peer.text() for _ in range(401)] == [*sent, "before the end"]
            assert (await peer.frame())[0] == CLOSE
            handler.outbox.reply(ws_frames.text("after it"), more=True)
            await asyncio.sleep(0)

    async def test_what_gathers_before_the_handshake_is_sent_first(self) -> None:
        """The raw relay subscribes before it upgrades."""

        class Early(Handler):
            def initialize(self, opened: "asyncio.Queue[Handler]", limit: int) -> None:
                super().initialize(opened, limit)
                for i in range(10):
                    self.outbox.event(run(f"early {i}"))

        async with serving(kind=Early) as server, server.connected() as (handler, peer):
            handler.outbox.event(run("late"))
            assert [await peer.text() for _ in range(11)] == [*(f"early {i}" for i in range(10)), "late"]


class TestControlFrames:
    async def test_pongs_stand_between_messages_never_inside(self) -> None:
        async with serving(limit=64 << 20) as server, server.connected() as (handler, peer):
            handler.small_buffer()
            big = "b" * (3 << 20)
            handler.outbox.reply(ws_frames.text(big))
            handler.outbox.reply(ws_frames.text("after"))
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

    async def test_what_tornado_has_begun_to_send_is_not_cut_in_two(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            handler.small_buffer()
            handler.outbox.event(run("first"))
            assert await peer.text() == "first"
            plain: socket.socket = peer.writer.get_extra_info("socket")
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            taken = bytearray()
            with socket.socket(fileno=os.dup(plain.fileno())) as duplicate:
                duplicate.setblocking(False)
                pings = 0
                while not handler.stream.writing():  # a part of one of them waits
                    handler.ping(b"p" * 125)
                    pings += 1
                with contextlib.suppress(BlockingIOError):
                    while True:  # within this one turn of the loop: there is room again
                        taken += duplicate.recv(1 << 16)
                handler.outbox.event(run("second"))
                handler.outbox.reply(ws_frames.text("third"))
            peer.reader.feed_data(bytes(taken))
            peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert [await peer.frame() for _ in range(pings)] == [(PING, b"p" * 125)] * pings
            assert [await peer.text(), await peer.text()] == ["second", "third"]

    async def test_a_pong_beside_a_partial_send(self) -> None:
        """The stream has sent all it had, but its future has not been called back: what then is sent in part, and cut
        off by the close frame, must be whole all the same.
        """
        async with serving(limit=64 << 20) as server, server.connected() as (handler, peer):
            handler.small_buffer()
            first, second = "1" * 200_000, "2" * 300_000
            handler.outbox.reply(ws_frames.text(first))
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
                handler.outbox.reply(ws_frames.text(second))
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
            handler.outbox.reply(ws_frames.text("a" * waiting))
            handler.end(1012)
            handler.outbox.reply(ws_frames.text("late reply"))
            handler.outbox.event(run("late event"))
            await asyncio.sleep(0)
            handler.outbox.event(run("later event"))
            assert await peer.text() == "a" * waiting
            opcode, payload = await peer.frame()
            assert (opcode, payload) == (CLOSE, struct.pack("!H", 1012) + b"the end")
            handler.outbox.reply(ws_frames.text("latest"))
            peer.send(CLOSE, payload[:2])
            await peer.nothing_more()


class TestBounds:
    async def test_replies_are_never_dropped_whatever_their_size(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            texts = ["r" * (20 << 20), *(f"{i}" + "s" * 100_000 for i in range(30))]
            for text in texts:
                handler.outbox.reply(ws_frames.text(text))
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
            handler.outbox.reply(ws_frames.text("r" * 500_000))
            handler.outbox.event(run("e" * 50_000))
            assert not handler.overflows
            assert await peer.text() == "r" * 500_000
            assert await peer.text() == "e" * 50_000

    async def test_latest_keeps_the_newest_only(self) -> None:
        async with serving(limit=100_000) as server, server.connected() as (handler, peer):
            handler.small_buffer()
            handler.outbox.reply(ws_frames.text("r" * 500_000))
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
            handler.outbox.reply(ws_frames.text("r" * 500_000))
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
            handler.outbox.reply(ws_frames.text("r" * (4 << 20)))
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
                        handler.outbox.reply(ws_frames.text("w" * waiting))
                    drained = handler.outbox.drained()
                    peer.reset()
                    await asyncio.sleep(0)
                    for i in range(turn):
                        handler.outbox.event(run(f"{i}"))
                        handler.outbox.reply(ws_frames.text("x" * 1000))
                    await asyncio.wait_for(handler.closed.wait(), PATIENCE)
                    handler.outbox.reply(ws_frames.text("after the end"))
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
            handler.outbox.reply(ws_frames.text("x"))
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
                    handler.outbox.reply(ws_frames.text(text))
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
            handler.outbox.reply(ws_frames.text("late"))
            frame = await peer.frame()
            while frame[0] == PONG:
                frame = await peer.frame()
            assert frame[0] == CLOSE

    async def test_a_peer_that_vanishes(self, certificate: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
        async with serving(tls=certificate) as server, server.connected() as (handler, peer):
            handler.outbox.reply(ws_frames.text("w" * (8 << 20)))
            peer.reset()
            await asyncio.wait_for(handler.closed.wait(), PATIENCE)
            handler.outbox.reply(ws_frames.text("x"))
        assert [record for record in caplog.records if record.exc_info] == []


class TestWhatWeRelyOnInTornado:
    """If one of these fails, Tornado has changed: look at outbox, reading and accepting before anything else."""

    async def test_the_stream(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            stream = handler.stream
            assert type(stream) is frame_reader.Stream
            assert isinstance(stream.socket, socket.socket)
            assert stream.socket.getblocking() is False
            assert not stream.writing()
            looked: list[bool] = []
            stream.written = lambda: looked.append(stream.writing())
            before = stream._total_write_done_index
            written = stream.write(ws_frames.text("x"))
            assert written.done()  # it tries the socket at once
            assert stream._total_write_done_index == before + 3
            assert await peer.text() == "x"
            assert looked == [False]
            handler.small_buffer()
            big = ws_frames.text("y" * (4 << 20))
            first, second = stream.write(memoryview(big)), stream.write(ws_frames.text("z"))
            assert stream.writing()
            assert looked[-1]
            assert not first.done()
            assert await peer.text() == "y" * (4 << 20)
            assert await peer.text() == "z"
            await first
            await second
            assert not stream.writing()
            assert not looked[-1]

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
