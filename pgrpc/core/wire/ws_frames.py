"""WebSocket frames as a server sends them (RFC 6455 section 5.2): one frame per message, no mask, no extension.

Owns the bytes of a text frame. Must not know who receives them.
"""

import struct


def text(message: str) -> bytes:
    """A text frame. A lone surrogate, which UTF-8 cannot hold, becomes its JSON escape."""
    # "backslashreplace" writes U+D800 as \ud800, which is the same character in a JSON string, the only place where a
    # lone surrogate can be.
    payload = message.encode("utf-8", "backslashreplace")
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload
