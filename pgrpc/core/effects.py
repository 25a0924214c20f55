"""What a session asks of the shell around it: plain values, to be performed in the order given.

Owns the vocabulary between `core/session` and the socket that performs it. Must not know either.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pgrpc.core import catalog, channels, identity, jsonrpc


@dataclass(eq=False, slots=True)
class Batch:
    """A batch on its way: it is answered as a whole, when its last member is."""

    open: int
    replies: list[str] = field(default_factory=list)
    activate: list[str] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Ticket:
    """One request that is being worked on: where its answer belongs."""

    id: str | None
    key: jsonrpc.Id
    batch: Batch | None


@dataclass(slots=True)
class Send:
    """Text for the client."""

    text: str


@dataclass(slots=True)
class SendRows:
    """Texts for the client, each a message, made while they are sent; then tell `sent`."""

    rows: Iterator[str]


@dataclass(slots=True)
class Execute:
    """Run the call as `caller`, then `complete` or `fail` its ticket."""

    ticket: Ticket
    call: catalog.Call
    caller: identity.Identity


@dataclass(slots=True)
class Cancel:
    """Cancel the call in the database; its ticket still ends by `complete` or `fail`."""

    ticket: Ticket


@dataclass(slots=True)
class Subscribe:
    """Have LISTEN take effect on these channels, then tell `subscribed`."""

    ticket: Ticket
    rules: dict[str, channels.Rule]


@dataclass(slots=True)
class Activate:
    """Let the events of these channels flow: the client has its "ok"."""

    channels: list[str]


@dataclass(slots=True)
class Unsubscribe:
    channels: list[str]


Effect = Send | SendRows | Execute | Cancel | Subscribe | Activate | Unsubscribe
