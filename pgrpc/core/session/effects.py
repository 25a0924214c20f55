"""What a session asks for: plain values, to be performed in the order given.

Owns the one vocabulary between core and whatever is around it. What a kind of client is told in its own way (Reply,
Refuse, Subscribed, SubscriptionsEnded, Expiring) is left to it; everything else means the same for all. Must not know
who performs: a WebSocket, an HTTP request or a test.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors, jsonrpc


@dataclass(eq=False, slots=True)
class Batch:
    """A batch in flight: it is answered as a whole, after its last member."""

    open: int
    replies: list[str] = field(default_factory=list)
    activate: list[str] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Ticket:
    """One request in flight: where its answer belongs. id: its JSON text; None where nobody waits for an answer."""

    id: str | None = None
    key: jsonrpc.Id = None
    batch: Batch | None = None


class Effect:
    """The base of all of them."""

    __slots__ = ()


@dataclass(slots=True)
class Send(Effect):
    """Text for the client."""

    text: str


@dataclass(slots=True)
class Reply(Effect):
    """The result of a request, as JSON text."""

    ticket: Ticket
    text: str


@dataclass(slots=True)
class Refuse(Effect):
    """Why a request has no result."""

    ticket: Ticket
    error: errors.RpcError


@dataclass(slots=True)
class Execute(Effect):
    """Run the call as `caller`, then `complete` or `fail` its ticket.

    fair_key: calls with the same one wait for the database behind each other, calls with another one take turns.
    """

    ticket: Ticket
    call: catalog.Call
    caller: identity.Identity
    fair_key: Hashable


@dataclass(slots=True)
class Cancel(Effect):
    """Cancel the call in the database; its ticket still ends by `complete` or `fail`."""

    ticket: Ticket


@dataclass(slots=True)
class Subscribe(Effect):
    """Have LISTEN take effect on these channels, then report to `subscribed`."""

    ticket: Ticket
    rules: dict[str, rules.Rule]


@dataclass(slots=True)
class Subscribed(Effect):
    """What a request for channels came to: channel -> "ok" or why not."""

    ticket: Ticket
    results: dict[str, str]


@dataclass(slots=True)
class Activate(Effect):
    """Let the events of these channels flow: the client has its "ok"."""

    channels: list[str]


@dataclass(slots=True)
class Unsubscribe(Effect):
    channels: list[str]


@dataclass(slots=True)
class SubscriptionsEnded(Effect):
    """The client does not receive these channels any more."""

    channels: list[str]
    reason: str


@dataclass(slots=True)
class Expiring(Effect):
    """The client's identity ends in so many seconds."""

    seconds: int


@dataclass(slots=True)
class Login(Effect):
    """Verify this token, or find out what a client without a token is (None); then `logged_in` or `fail`."""

    ticket: Ticket
    token: str | None = field(repr=False)


@dataclass(slots=True)
class SetTimer(Effect):
    """Call `tick` at this time, in seconds since the epoch; once, and instead of the time asked for before."""

    at: float


@dataclass(slots=True)
class Close(Effect):
    """End the connection, and say why."""

    code: errors.CloseCode
    reason: str


@dataclass(slots=True)
class Denied(Effect):
    """For the log: what a client may not have, and why. Clients do not learn the reason."""

    what: str
    reason: str
