"""The kinds of subscribers that are WebSockets: an event's text -> its frame.

Owns that each event of a channel is one text frame. Must not know the texts.
"""

from pgrpc.core.channels import events, hub, rules
from pgrpc.core.channels.notification import Notification
from pgrpc.core.wire import ws_frames


def framed(writer: events.Writer) -> hub.Kind:
    """The kind whose events are these texts. Made once: subscribers of one kind share what is made for it."""

    def kind(channel: str, rule: rules.Rule) -> hub.Encode:
        write = writer(channel, rule)

        def encode(notification: Notification) -> bytes | None:
            text = write(notification)
            return None if text is None else ws_frames.text(text)

        return encode

    return kind


JSONRPC = framed(events.jsonrpc)
RAW = framed(events.raw)
