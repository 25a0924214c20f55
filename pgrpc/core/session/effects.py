"""What a session asks of the shell around it: plain values, to be performed in the order given.

Owns the vocabulary between `core/session` and the socket that performs it. Must not know either.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors, jsonrpc


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


@dataclass(eq=False, slots=True)
class Listening(Ticket):
    """A channel that was asked for in other words than a request: `Listened` tells what came of it."""


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
class Ask(Execute):
    """A question of the session's own: it does not wait behind the client's calls."""


@dataclass(slots=True)
class Cancel:
    """Cancel the call in the database; its ticket still ends by `complete` or `fail`."""

    ticket: Ticket


@dataclass(slots=True)
class Subscribe:
    """Have LISTEN take effect on these channels, then tell `subscribed`."""

    ticket: Ticket
    rules: dict[str, rules.Rule]


@dataclass(slots=True)
class Activate:
    """Let the events of these channels flow: the client has its "ok"."""

    channels: list[str]


@dataclass(slots=True)
class Unsubscribe:
    channels: list[str]


@dataclass(slots=True)
class Listened:
    """result: "ok", or why not. refused: the client may not have it, now or later."""

    result: str
    refused: bool


@dataclass(slots=True)
class Ended:
    """Tell the client that it does not hear these channels any more."""

    channels: list[str]
    reason: str


@dataclass(slots=True)
class Expiring:
    """Tell the client that its identity ends in so many seconds."""

    seconds: int


@dataclass(slots=True)
class Login:
    """Find out whose token this is, or what a client without a token is (None); then `logged_in` or `fail`."""

    ticket: Ticket
    token: str | None = field(repr=False)


@dataclass(slots=True)
class Wake:
    """Call `tick` at this time, in seconds since the epoch; once, and instead of what was asked for before."""

    at: float


@dataclass(slots=True)
class Close:
    """End the connection, saying why."""

    code: errors.CloseCode
    reason: str


@dataclass(slots=True)
class Denied:
    """For the log: what a client may not have, and why. Clients are not told the reason."""

    what: str
    reason: str


Effect = (
    Send | SendRows | Execute | Cancel | Subscribe | Activate | Unsubscribe | Listened | Ended | Expiring | Login | Wake
    | Close | Denied
)  # fmt: skip
