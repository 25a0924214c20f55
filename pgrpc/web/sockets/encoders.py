"""The kinds of subscribers by WebSocket: each event is encoded as one text frame.

Owns the step from an event's text to its frame. Must not know how the text is written.
"""

from pgrpc.core.channels import events, hub, rules
from pgrpc.core.channels.notification import Notification
from pgrpc.core.wire import ws_frames


def framed(writer: events.Writer) -> hub.Kind:
    """The kind of subscriber that receives these texts. Call it once: subscribers of one kind share encoded frames."""

    def kind(channel: str, rule: rules.Rule) -> hub.Encode:
        write = writer(channel, rule)

        def encode(notification: Notification) -> bytes | None:
            text = write(notification)
            return None if text is None else ws_frames.text(text)

        return encode

    return kind


JSONRPC = framed(events.jsonrpc)
RAW = framed(events.raw)
