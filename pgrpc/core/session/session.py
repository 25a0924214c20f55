"""What one client may have at one time, whatever protocol it speaks: its identity, calls, subscriptions and rates.

Owns the rules that hold for every protocol. A client asks by `call`, `subscribe`, `log_in`; what became of an effect
comes back through `complete`, `fail`, `subscribed` and `logged_in`. Everything returns effects, in the order in which
they must be performed; nothing raises for anything that a client sent. Must not know sockets, tasks or the database,
nor how a request was written: a protocol that writes its answers overrides `_reply`, `_refuse` and `_subscribed`.
"""

from collections.abc import Sequence
from typing import Any

from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.limits import ratelimit, settings
from pgrpc.core.session import calls, effects, login, subscriptions
from pgrpc.core.wire import errors

_REQUESTED = 10
"""Times the limit of subscriptions: channels that may be requested and not answered yet, each as often as it was."""


class Session:
    """The state of one connection.

    allowed: the channels that it may have. client: None where it must log in first. address: where it comes from, as
    far as rates are concerned. rates: what counts for all connections. policy: None where clients cannot log in.
    """

    # An idle connection must cost little: whatever holds something is made on first use.
    __slots__ = (
        "_address", "_allowed", "_bucket", "_calls", "_catalog", "_limits", "_login", "_questions", "_rates",
        "_subscriptions",
    )  # fmt: skip

    def __init__(
        self,
        functions: catalog.Catalog,
        allowed: rules.Allowed,
        limits: settings.Limits,
        client: identity.Identity | None = identity.NOBODY,
        *,
        address: str = "",
        rates: ratelimit.Buckets | None = None,
        policy: identity.LoginPolicy | None = None,
    ) -> None:
        self._login = login.LoginState(client, policy)
        self._address = address
        self._catalog = functions
        self._allowed = allowed
        self._limits = limits
        self._rates = rates
        rate = limits.calls_per_second
        self._bucket = None if rate is None else ratelimit.TokenBucket(ratelimit.Rate(rate))
        self._calls = calls.Calls(limits.calls_in_flight)
        # Apart: a client's own calls, however long they take, must not delay whether it may still receive a channel.
        self._questions = calls.Calls(limits.calls_in_flight)
        self._subscriptions: subscriptions.Subscriptions | None = None

    @property
    def client(self) -> identity.Identity | None:
        """Who the client is now."""
        return self._login.client

    @property
    def in_flight(self) -> int:
        return self._calls.in_flight

    def close(self) -> list[effects.Effect]:
        """The client is gone: what must be cancelled and released."""
        last = [*self._calls.close(), *self._questions.close()]
        if self._subscriptions is not None and (names := self._subscriptions.close()):
            last.append(effects.Unsubscribe(names))
        self._subscriptions = None
        self._login.close()
        return last

    # Calls

    def call(self, ticket: effects.Ticket, method: str, params: catalog.Params, now: float) -> list[effects.Effect]:
        """Call a method. now: seconds of a steady clock, for limits of rate."""
        try:
            self._count(now)
            return self._call(ticket, method, params, now)
        except errors.RpcError as error:
            return self._refuse(ticket, error)

    def complete(self, ticket: effects.Ticket, text: str) -> list[effects.Effect]:
        """A call has returned this JSON text."""
        return self._returned(ticket, text)

    def fail(self, ticket: effects.Ticket, error: errors.RpcError) -> list[effects.Effect]:
        """A call, or a login, has failed."""
        if self._login.awaits(ticket):
            refused = self._refuse(ticket, error) if self._login.was_requested else []
            return [*refused, *self._login.failed()]
        return self._returned(ticket, error)

    def cancel(self, ticket: effects.Ticket, key: Any) -> list[effects.Effect]:
        """Cancel every call of that id; one that has ended, or never was, is no error (LSP 3.17, cancelRequest)."""
        done, given_up = self._calls.cancel(key)
        for waiting in given_up:
            done += self._refuse(waiting, errors.Cancelled())
        return [*done, *self._reply(ticket, "true")]

    def _call(self, ticket: effects.Ticket, method: str, params: catalog.Params, now: float) -> list[effects.Effect]:
        client = self._known()
        self._pace("calls", now)
        access = self._catalog.access(method)
        if access.roles is not None and client.role not in access.roles:
            reason = f"the role {client.role} is not among its roles"
            return [effects.Denied(f"method {method!r}", reason), *self._refuse(ticket, errors.Forbidden())]
        if access.rate is not None and self._rates is not None:
            _pass(self._rates.take(("function", method, self._who(client)), access.rate, now))
        execute = effects.Execute(ticket, self._catalog.bind(method, params), client, self._calls)
        # Members of a batch wait their turn; but what waits is bounded too, by one batch.
        if self._calls.is_free or (ticket.batch is not None and self._calls.waiting < self._limits.batch):
            return self._calls.start(execute)
        limit = self._limits.calls_in_flight
        raise errors.LimitReached(f"{limit} calls of this connection are in flight already", limit)

    def _returned(self, ticket: effects.Ticket, outcome: str | errors.RpcError) -> list[effects.Effect]:
        started = (self._questions if self._questions.has(ticket) else self._calls).ended(ticket)
        if self._subscriptions is not None and self._subscriptions.asks(ticket):
            return [*self._subscriptions.decided(ticket, outcome), *self._logged_in(), *started]
        done = self._reply(ticket, outcome) if isinstance(outcome, str) else self._refuse(ticket, outcome)
        return [*done, *started]

    # Channels

    def subscribe(self, ticket: effects.Ticket, names: list[str], now: float) -> list[effects.Effect]:
        """Subscribe to channels: `Subscribed` answers. now: as for `call`."""
        try:
            return self._subscribe(ticket, names, now)
        except errors.RpcError as error:
            return self._refuse(ticket, error)

    def subscribed(self, ticket: effects.Ticket, results: dict[str, str]) -> list[effects.Effect]:
        """What became of each channel of a Subscribe: "ok", or the reason why not."""
        return self._subscriptions.took_effect(ticket, results) if self._subscriptions else []

    def _subscribe(self, ticket: effects.Ticket, names: list[str], now: float) -> list[effects.Effect]:
        client = self._known()
        self._pace("subscriptions", now, max(1, len(names)))
        if self._subscriptions is None:
            self._subscriptions = subscriptions.Subscriptions(
                self._allowed, self._catalog, self._limits.subscriptions, self._questions, self._subscribed
            )
        if self._subscriptions.requested >= (limit := _REQUESTED * self._limits.subscriptions):
            raise errors.LimitReached("too many channels of this connection are requested already", limit)
        return self._subscriptions.on(ticket, names, client)

    # Who the client is

    def begin(self, now: float) -> list[effects.Effect]:
        """The connection is open. now: seconds since the epoch, as in `tick` and `logged_in`."""
        return self._login.begin(now)

    def tick(self, now: float) -> list[effects.Effect]:
        """Time has passed: identities end."""
        return self._login.tick(now)

    def log_in(self, ticket: effects.Ticket, token: str, now: float) -> list[effects.Effect]:
        """Become whoever this token is of. now: as for `call`."""
        try:
            self._pace("logins", now)
            return self._login.log_in(ticket, token)
        except errors.RpcError as error:
            return self._refuse(ticket, error)

    def logged_in(self, ticket: effects.Ticket, client: identity.Identity, now: float) -> list[effects.Effect]:
        """What a Login has verified. Subscriptions that the new identity may not have end before it is answered."""
        if not self._login.awaits(ticket):
            return []
        done = self._login.logged_in(client, now)
        if self._subscriptions is not None:
            done += self._subscriptions.renew(client)
        return [*done, *self._logged_in()]

    def _logged_in(self) -> list[effects.Effect]:
        if self._subscriptions is not None and self._subscriptions.renewing:
            return []
        ticket = self._login.answered()
        return [] if ticket is None else self._reply(ticket, "true")

    def _known(self) -> identity.Identity:
        if self._login.client is None:
            raise errors.Unauthenticated("Not authenticated: log in with rpc.login, or the token has expired")
        return self._login.client

    # Rates

    def _count(self, now: float) -> None:
        """One request of this connection. Raises RateLimited."""
        if self._bucket is not None:
            _pass(self._bucket.take(now))

    def _who(self, client: identity.Identity | None) -> tuple[str, str]:
        subject = None if client is None else client.subject
        return ("address", self._address) if subject is None else ("subject", subject)

    def _pace(self, kind: str, now: float, count: int = 1) -> None:
        """Raises RateLimited."""
        if self._limits.rates and self._rates is not None:
            for scope, who in (("address", ("address", self._address)), ("identity", self._who(self._login.client))):
                rate = self._limits.rates.get((scope, kind))
                if rate is not None:
                    _pass(self._rates.take((scope, kind, who), rate, now, count))

    # Answers, as the protocol writes them

    def _reply(self, ticket: effects.Ticket, text: str) -> list[effects.Effect]:
        return [effects.Reply(ticket, text)]

    def _refuse(self, ticket: effects.Ticket, error: errors.RpcError) -> list[effects.Effect]:
        return [effects.Refuse(ticket, error)]

    def _subscribed(
        self, ticket: effects.Ticket, results: dict[str, str], activate: Sequence[str]
    ) -> list[effects.Effect]:
        """activate: the channels whose events flow after this answer."""
        answer: list[effects.Effect] = [effects.Subscribed(ticket, results)]
        return [*answer, effects.Activate(list(activate))] if activate else answer


def _pass(wait: float) -> None:
    if wait:
        raise errors.RateLimited(round(wait, 3))
