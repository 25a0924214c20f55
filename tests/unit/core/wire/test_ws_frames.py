"""Text frames, byte for byte (RFC 6455, section 5.2)."""

import json

import pytest

from pgrpc.core.wire import ws_frames


@pytest.mark.parametrize(
    ("size", "head"),
    [
        pytest.param(0, b"\x81\x00", id="empty"),
        pytest.param(1, b"\x81\x01", id="1"),
        pytest.param(125, b"\x81\x7d", id="the longest short one"),
        pytest.param(126, b"\x81\x7e\x00\x7e", id="the shortest of 16 bits"),
        pytest.param(65_535, b"\x81\x7e\xff\xff", id="the longest of 16 bits"),
        pytest.param(65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", id="the shortest of 64 bits"),
    ],
)
def test_size(size: int, head: bytes) -> None:
    assert ws_frames.text("a" * size) == head + b"a" * size


def test_the_size_is_that_of_the_bytes() -> None:
    assert ws_frames.text("é😀" * 21) == b"\x81\x7e\x00\x7e" + "é😀".encode() * 21


@pytest.mark.parametrize("before", ["", "\\\\"], ids=["alone", "after a backslash"])
def test_a_lone_surrogate_becomes_its_escape(before: str) -> None:
    frame = ws_frames.text(f'"{before}\ud800"')
    assert frame[2:] == f'"{before}'.encode() + b'\\ud800"'
    assert frame[1] == len(frame) - 2
    assert json.loads(frame[2:])[-1] == "\ud800"
