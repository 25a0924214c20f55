"""A notification -> the text that clients receive: a JSON-RPC notification, or the payload alone.

Owns these two forms. Each text is made once for all subscribers of a kind; the kind decides how it is sent (a WebSocket
frame, an event of a stream). Must not know who subscribes.
"""

from collections.abc import Callable

from pgrpc.core.channels import rules
from pgrpc.core.channels.notification import Notification
from pgrpc.core.wire import jsontext

Text = Callable[[Notification], str | None]
"""A notification -> its text; None if these subscribers do not receive it."""

Writer = Callable[[str, rules.Rule], Text]
"""Channel and rule -> the function that writes the channel's notifications."""


def jsonrpc(channel: str, rule: rules.Rule) -> Text:
    """A JSON-RPC 2.0 notification: its method is the channel, its params are channel and payload."""
    quoted = jsontext.dump(channel)
    prefix = f'{{"jsonrpc":"2.0","method":{quoted},"params":{{"channel":{quoted},"payload":'
    return lambda notification: f"{prefix}{rule.encode(notification.payload)}}}}}"


def raw(channel: str, rule: rules.Rule) -> Text:
    """The payload as it is."""
    return lambda notification: notification.payload
