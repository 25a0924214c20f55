"""A notification as the text that clients receive: JSON-RPC, or its payload alone.

Owns these two texts. Each is made once for all subscribers of a kind; what becomes of the text on the way (a WebSocket
frame, an event of a stream) is for the kind of subscriber to say. Must not know who subscribes.
"""

from collections.abc import Callable

from pgrpc.core.channels import rules
from pgrpc.core.channels.notification import Notification
from pgrpc.core.wire import jsontext

Text = Callable[[Notification], str | None]
"""None for a notification that these subscribers do not receive."""

Writer = Callable[[str, rules.Rule], Text]
"""Channel and rule -> what writes the channel's notifications."""


def jsonrpc(channel: str, rule: rules.Rule) -> Text:
    """A notification of JSON-RPC 2.0: its method is the channel, its params are channel and payload."""
    quoted = jsontext.dump(channel)
    prefix = f'{{"jsonrpc":"2.0","method":{quoted},"params":{{"channel":{quoted},"payload":'
    return lambda notification: f"{prefix}{rule.encode(notification.payload)}}}}}"


def raw(channel: str, rule: rules.Rule) -> Text:
    """The payload as it is."""
    return lambda notification: notification.payload
