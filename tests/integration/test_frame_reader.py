"""pgrpc.web.reading on a real Tornado server: what is a message, what is none, and whose turn it is."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from tests.support import certificates
from tests.support.tornado_server import MAX_MESSAGE, Handler, serving, until
from tests.support.ws_client import PATIENCE
from tests.support.ws_raw import CLOSE, PING, PONG, StreamPeer, masked


async def heard(handler: Handler, count: int) -> list[str | bytes]:
    return [await asyncio.wait_for(handler.heard.get(), PATIENCE) for _ in range(count)]


async def ended(peer: StreamPeer, code: int) -> None:
    """A close frame comes, after pongs at most, and nothing after it."""
    opcode, payload = await peer.frame()
    if opcode == PONG:
        opcode, payload = await peer.frame()
    assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
    await peer.nothing_more()


class TestMessages:
    async def test_those_that_come_at_once(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            messages = [str(number).encode() for number in range(500)]
            peer.writer.write(b"".join(masked(0x81, message) for message in messages))
            assert await heard(handler, 500) == messages

    @pytest.mark.parametrize("secure", [False, True])
    async def test_of_every_length_and_in_pieces(self, tmp_path: Path, secure: bool) -> None:
        """Lengths of each kind and beside what is read at once; fragments with a ping between them."""
        sizes = (0, 1, 125, 126, 65_535, 65_536, 65_537, 200_000, MAX_MESSAGE)
        messages = [bytes((65 + place,)) * size for place, size in enumerate(sizes)]
        stream = b"".join(masked(0x81, message) for message in messages)
        stream += masked(0x01, b"frag") + masked(PING, b"p") + masked(0x00, b"men") + masked(0x80, b"ted")
        tls = certificates.make(tmp_path) if secure else None
        async with serving(tls=tls) as server, server.connected() as (handler, peer):
            peer.writer.write(stream)
            assert await heard(handler, len(sizes) + 1) == [*messages, b"fragmented"]
            assert await peer.frame() == (PONG, b"p")

    async def test_byte_by_byte(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            peer.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in masked(0x81, b"slow") + masked(0x81, b"l" * 200) + masked(0x81, b"slower"):
                peer.writer.write(bytes((byte,)))
                await asyncio.sleep(0)
            assert await heard(handler, 3) == [b"slow", b"l" * 200, b"slower"]

    async def test_the_mask_is_taken_off(self) -> None:
        mask, text = b"\x01\x80\xff\x10", b"a masked message"
        cloaked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
        async with serving() as server, server.connected() as (handler, peer):
            peer.writer.write(bytes((0x81, 0x80 | len(text))) + mask + cloaked)
            assert await heard(handler, 1) == [text]

    async def test_text_comes_as_bytes_whatever_they_are(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            for message in (b"\xff", "ä".encode()):
                peer.writer.write(masked(0x81, message))
            peer.writer.write(masked(0x82, b"binary"))
            assert await heard(handler, 3) == [b"\xff", "ä".encode(), b"binary"]

    async def test_those_that_come_right_behind_the_request(self) -> None:
        async with serving() as server, server.connected(masked(0x81, b"early") * 3) as (handler, peer):
            peer.writer.write(masked(0x81, b"later"))
            assert await heard(handler, 4) == [b"early"] * 3 + [b"later"]


class TestWhatIsNoMessage:
    @pytest.mark.parametrize(
        ("code", "frames"),
        [
            (1002, b"\x81\x05hello"),  # not masked: RFC 6455 section 5.1
            (1002, masked(0xC1, b"compressed")),
            (1002, masked(0x83, b"reserved")),
            (1002, masked(0x8B, b"reserved")),
            (1002, masked(0x09, b"a fragmented ping")),
            (1002, masked(0x89, b"p" * 126)),
            (1002, masked(0x80, b"continues nothing")),
            (1002, masked(0x01, b"frag") + masked(0x81, b"another message")),
            (1002, masked(0x88, b"\x03\xe8\xff")),  # its reason is not UTF-8
            (1002, masked(0x88, b"\x03")),
            (1002, masked(0x88, b"\x03\xed")),  # 1005 must never be sent
            (1002, masked(0x88, b"\x00\x00")),
            (1002, b"\x81\xfe\x00\x01" + bytes(5)),  # a length of 1, in more bytes than it needs
            (1002, b"\x81\xff" + (65535).to_bytes(8, "big") + bytes(4)),
            (1009, masked(0x81, b"x" * (MAX_MESSAGE + 1))[:100]),  # not all of it has to come
            (1009, masked(0x01, b"x" * MAX_MESSAGE) + masked(0x89, b"a ping is no part of it") + masked(0x80, b"y")),
        ],
    )
    async def test_ends_the_connection(self, code: int, frames: bytes) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            peer.writer.write(masked(0x81, b"before") + frames)
            assert await heard(handler, 1) == [b"before"]
            await ended(peer, code)
            assert handler.heard.empty()

    @pytest.mark.parametrize("frames", [masked(0x81, b"x" * (MAX_MESSAGE + 1)), b"\x81\x05hello" + b"x" * 3_000_000])
    async def test_a_client_that_goes_on_sending_hears_why_it_ends(self, frames: bytes) -> None:
        """A connection that is closed while it has something to read is reset, and the reason is lost."""
        async with serving() as server, server.connected() as (handler, peer):
            peer.writer.write(frames)
            await ended(peer, 1009 if frames[1] & 0x80 else 1002)
            handler.outbox.reply(b"after the close frame")
            await peer.writer.drain()
            assert handler.heard.empty()

    async def test_a_close_is_answered_and_nothing_is_heard_after_it(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            peer.writer.write(masked(0x88, b"\x0f\xa1bye") + masked(0x81, b"after"))
            assert await peer.frame() == (CLOSE, b"\x0f\xa1")
            await peer.nothing_more()
            await asyncio.wait_for(handler.closed.wait(), PATIENCE)
            assert (handler.close_code, handler.close_reason) == (4001, "bye")
            assert handler.heard.empty()

    @pytest.mark.parametrize("secure", [False, True])
    async def test_a_client_that_vanishes_in_the_middle_of_a_frame(self, tmp_path: Path, secure: bool) -> None:
        tls = certificates.make(tmp_path) if secure else None
        async with serving(tls=tls) as server, server.connected() as (handler, peer):
            peer.writer.write(masked(0x81, b"whole") + masked(0x81, b"half")[:-2])
            assert await heard(handler, 1) == [b"whole"]
            peer.writer.write_eof() if not secure else peer.writer.close()
            await asyncio.wait_for(handler.closed.wait(), PATIENCE)
            assert handler.heard.empty()

    async def test_below_tls(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async with serving(tls=certificates.make(tmp_path)) as server, server.connected() as (handler, peer):
            handler.pause = pause = asyncio.get_running_loop().create_future()
            peer.writer.write(masked(0x81, b"whole"))
            assert await heard(handler, 1) == [b"whole"]
            peer.writer.write(masked(0x81, b"another"))
            await until(lambda: handler.stream._read_buffer_size > 0)
            with socket.socket(fileno=os.dup(peer.writer.get_extra_info("socket").fileno())) as raw:
                raw.send(b"no record of TLS" * 10)
            handler.pause = None
            pause.set_result(None)
            assert await heard(handler, 1) == [b"another"]
            await asyncio.wait_for(handler.closed.wait(), PATIENCE)
        assert not [record for record in caplog.records if record.exc_info]


class TestTurns:
    @pytest.mark.parametrize("secure", [False, True])
    async def test_what_was_sent_before_the_client_went_is_handled(self, tmp_path: Path, secure: bool) -> None:
        tls = certificates.make(tmp_path) if secure else None
        async with serving(tls=tls) as server, server.connected() as (handler, peer):
            messages = [f"notification {number}".encode() for number in range(10_000)]
            peer.writer.write(b"".join(masked(0x81, message) for message in messages) + masked(0x88, b"\x0f\xa1bye"))
            peer.writer.close() if secure else peer.writer.write_eof()
            assert await heard(handler, 10_000) == messages
            await asyncio.wait_for(handler.closed.wait(), PATIENCE)
            assert (handler.close_code, handler.close_reason) == (4001, "bye")

    async def test_who_has_sent_much_does_not_hold_up_the_others(self) -> None:
        async with serving() as server, server.connected() as (busy, first), server.connected() as (other, second):
            first.writer.write(masked(0x81, b"x") * 2000)
            second.writer.write(masked(0x81, b"y"))
            assert await heard(other, 1) == [b"y"]
            assert busy.heard.qsize() < 2000
            assert await heard(busy, 2000) == [b"x"] * 2000

    @pytest.mark.parametrize("secure", [False, True])
    async def test_no_message_is_looked_at_while_one_is_handled(self, tmp_path: Path, secure: bool) -> None:
        """Nor read, beyond what is read at one time: a client that need not be heard yet has to wait itself."""
        tls = certificates.make(tmp_path) if secure else None
        async with serving(tls=tls) as server, server.connected() as (handler, peer):
            handler.small_buffer()
            handler.pause = asyncio.get_running_loop().create_future()
            message = masked(0x81, b"m" * 100_000)
            peer.writer.write(masked(0x81, b"first") + message * 200)
            assert await heard(handler, 1) == [b"first"]
            for _ in range(200):
                await asyncio.sleep(0)
            assert handler.heard.empty()
            assert handler.stream._read_buffer_size < 1 << 20
            pause, handler.pause = handler.pause, None
            pause.set_result(None)
            assert await heard(handler, 200) == [b"m" * 100_000] * 200

    async def test_a_client_that_goes_while_its_message_is_handled(self) -> None:
        async with serving() as server, server.connected() as (handler, peer):
            handler.pause = asyncio.get_running_loop().create_future()
            peer.writer.write(masked(0x81, b"first") + masked(0x81, b"second"))
            assert await heard(handler, 1) == [b"first"]
            peer.reset()
            await asyncio.wait_for(handler.closed.wait(), PATIENCE)
            handler.pause.set_result(None)
            for _ in range(5):  # what handled the message is told first, then what reads on
                await asyncio.sleep(0)
            assert handler.heard.empty()
