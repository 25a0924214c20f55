"""Effects: what a session wants done, as plain values, to be performed in order.

Owns the one vocabulary between core and the code around it. Each kind of client writes some effects in its own protocol
(Reply, Refuse, Subscribed, SubscriptionsEnded, Expiring); all others mean the same for every kind. Must not know who
performs them: a WebSocket, an HTTP request or a test.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors, jsonrpc


@dataclass(eq=False, slots=True)
class Batch:
    """A JSON-RPC batch in flight, answered as a whole after its last member. open: members without a reply.

    activate: channels whose events start after the answer. named: how many channels its members have named.
    """

    open: int
    replies: list[str] = field(default_factory=list)
    activate: list[str] = field(default_factory=list)
    named: int = 0


@dataclass(eq=False, slots=True)
class Ticket:
    """One request in flight. id: as JSON text; None: it gets no answer. key: the id as a value."""

    id: str | None = None
    key: jsonrpc.Id = None
    batch: Batch | None = None


class Effect:
    """The base class of all effects."""

    __slots__ = ()


@dataclass(slots=True)
class Send(Effect):
    """Send this text to the client."""

    text: str


@dataclass(slots=True)
class Reply(Effect):
    """The result of a request, as JSON text."""

    ticket: Ticket
    text: str


@dataclass(slots=True)
class Refuse(Effect):
    """A request has failed."""

    ticket: Ticket
    error: errors.RpcError


@dataclass(slots=True)
class Execute(Effect):
    """Run the call as `caller`, then `complete` or `fail` its ticket.

    fair_key: calls with the same key wait for the database in order; calls with different keys take turns.
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
    """LISTEN on these channels, then report the results to `subscribed`."""

    ticket: Ticket
    rules: dict[str, rules.Rule]


@dataclass(slots=True)
class Subscribed(Effect):
    """The results of a request for channels: channel -> "ok", or why not."""

    ticket: Ticket
    results: dict[str, str]


@dataclass(slots=True)
class Activate(Effect):
    """Start sending the events of these channels: the client's "ok" has been sent."""

    channels: list[str]


@dataclass(slots=True)
class Unsubscribe(Effect):
    """Stop sending the events of these channels."""

    channels: list[str]


@dataclass(slots=True)
class SubscriptionsEnded(Effect):
    """The client no longer receives these channels."""

    channels: list[str]
    reason: str


@dataclass(slots=True)
class Expiring(Effect):
    """The client's identity expires in `seconds`."""

    seconds: int


@dataclass(slots=True)
class Login(Effect):
    """Authenticate this token (None: the client has none any more), then `logged_in` or `fail`."""

    ticket: Ticket
    token: str | None = field(repr=False)


@dataclass(slots=True)
class SetTimer(Effect):
    """Call `tick` once at this time, in seconds since the epoch. Replaces the timer set before."""

    at: float


@dataclass(slots=True)
class Close(Effect):
    """Close the connection with this code and reason."""

    code: errors.CloseCode
    reason: str


@dataclass(slots=True)
class Denied(Effect):
    """For the log: what was refused, and why. The reason is not sent to clients."""

    what: str
    reason: str
