"""The state of one client, whatever protocol it speaks: its identity, calls, subscriptions and rate limits.

Owns the rules that are the same for every protocol. Requests come by `call`, `subscribe` and `log_in`; the results of
effects by `complete`, `fail`, `subscribed` and `logged_in`. Each method returns effects, to be performed in order; none
raises for anything that a client sent. Must not know sockets, tasks or the database, nor how requests are written: a
protocol that writes its own answers overrides `_reply`, `_refuse` and `_subscribed`.
"""

from collections.abc import Sequence
from typing import Any

from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.limits import ratelimit, settings
from pgrpc.core.session import calls, effects, login, subscriptions
from pgrpc.core.wire import errors, jsonrpc

_REQUESTED = 10
"""How many channels may be requested and not answered yet, or named in one message, as a multiple of the limit of
subscriptions."""


class Session:
    """allowed: the channels that it may subscribe to. client: None if it must log in first.

    address: its key for rate limits per address. rates: the buckets that all connections share. policy: None if clients
    cannot log in.
    """

    # An idle connection must cost little memory: collections are created on first use.
    __slots__ = (
        "_address", "_allowed", "_authorize_calls", "_bucket", "_calls", "_catalog", "_limits", "_login", "_rates",
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
        # Separate, so that a client's long calls do not delay the check whether it may still receive a channel.
        self._authorize_calls = calls.Calls(limits.calls_in_flight)
        self._subscriptions: subscriptions.Subscriptions | None = None

    @property
    def client(self) -> identity.Identity | None:
        """The client's present identity."""
        return self._login.client

    @property
    def in_flight(self) -> int:
        return self._calls.in_flight

    @property
    def most_requested(self) -> int:
        """How many channels may be requested and not answered yet, and how many one message may name."""
        return _REQUESTED * self._limits.subscriptions

    def close(self) -> list[effects.Effect]:
        """The client is gone: the effects that cancel and release everything."""
        last = [*self._calls.close(), *self._authorize_calls.close()]
        if self._subscriptions is not None and (names := self._subscriptions.close()):
            last.append(effects.Unsubscribe(names))
        self._subscriptions = None
        self._login.close()
        return last

    # Calls

    def call(self, ticket: effects.Ticket, method: str, params: jsonrpc.Params, now: float) -> list[effects.Effect]:
        """Call a method. now: seconds of a monotonic clock, for rate limits."""
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
        """Cancel every call with this id; an id without a call is no error (LSP 3.17, cancelRequest)."""
        done, dropped = self._calls.cancel(key)
        for waiting in dropped:
            done += self._refuse(waiting, errors.Cancelled())
        return [*done, *self._reply(ticket, "true")]

    def _call(self, ticket: effects.Ticket, method: str, params: jsonrpc.Params, now: float) -> list[effects.Effect]:
        client = self._require_client()
        self._check_rates("calls", now)
        access = self._catalog.access(method)
        if access.roles is not None and client.role not in access.roles:
            reason = f"its roles do not include {client.role}"
            return [effects.Denied(f"method {method!r}", reason), *self._refuse(ticket, errors.Forbidden())]
        if access.rate is not None and self._rates is not None:
            _raise_if_limited(self._rates.take(("function", method, self._rate_key(client)), access.rate, now))
        execute = effects.Execute(ticket, self._catalog.bind(method, params), client, self._calls)
        # Members of a batch wait in the queue, which is bounded by the size of one batch.
        if self._calls.is_free or (ticket.batch is not None and self._calls.waiting < self._limits.batch):
            return self._calls.start(execute)
        limit = self._limits.calls_in_flight
        raise errors.LimitReached(f"{limit} calls of this connection are in flight already", limit)

    def _returned(self, ticket: effects.Ticket, outcome: str | errors.RpcError) -> list[effects.Effect]:
        started = (self._authorize_calls if self._authorize_calls.has(ticket) else self._calls).ended(ticket)
        if self._subscriptions is not None and self._subscriptions.is_check(ticket):
            return [*self._subscriptions.checked(ticket, outcome), *self._logged_in(), *started]
        done = self._reply(ticket, outcome) if isinstance(outcome, str) else self._refuse(ticket, outcome)
        return [*done, *started]

    # Channels

    def subscribe(self, ticket: effects.Ticket, names: list[str], now: float) -> list[effects.Effect]:
        """Subscribe to channels; the answer is `Subscribed`. now: as for `call`."""
        try:
            return self._subscribe(ticket, names, now)
        except errors.RpcError as error:
            return self._refuse(ticket, error)

    def subscribed(self, ticket: effects.Ticket, results: dict[str, str]) -> list[effects.Effect]:
        """The results of a Subscribe: channel -> "ok", or the reason why not."""
        return self._subscriptions.took_effect(ticket, results) if self._subscriptions else []

    def _subscribe(self, ticket: effects.Ticket, names: list[str], now: float) -> list[effects.Effect]:
        client = self._require_client()
        self._check_rates("subscriptions", now, max(1, len(names)))
        if self._subscriptions is None:
            self._subscriptions = subscriptions.Subscriptions(
                self._allowed, self._catalog, self._limits.subscriptions, self._authorize_calls, self._subscribed
            )
        if self._subscriptions.requested >= self.most_requested:
            words = "too many requests for channels of this connection wait for an answer"
            raise errors.LimitReached(words, self.most_requested)
        return self._subscriptions.on(ticket, names, client)

    # Who the client is

    def begin(self, now: float) -> list[effects.Effect]:
        """The connection is open. now: seconds since the epoch, as in `tick` and `logged_in`."""
        return self._login.begin(now)

    def tick(self, now: float) -> list[effects.Effect]:
        """Time has passed: the identity may have expired."""
        return self._login.tick(now)

    def log_in(self, ticket: effects.Ticket, token: str, now: float) -> list[effects.Effect]:
        """Log in with a token. now: as for `call`."""
        try:
            self._check_rates("logins", now)
            return self._login.log_in(ticket, token)
        except errors.RpcError as error:
            return self._refuse(ticket, error)

    def logged_in(self, ticket: effects.Ticket, client: identity.Identity, now: float) -> list[effects.Effect]:
        """A Login has succeeded. Subscriptions that are not allowed for the new identity end before it is answered."""
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

    def _require_client(self) -> identity.Identity:
        if self._login.client is None:
            raise errors.Unauthenticated("Not authenticated: log in with rpc.login, or the token has expired")
        return self._login.client

    # Rates

    def _count(self, now: float) -> None:
        """Count one request of this connection. Raises RateLimited."""
        if self._bucket is not None:
            _raise_if_limited(self._bucket.take(now))

    def _rate_key(self, client: identity.Identity | None) -> tuple[str, str]:
        subject = None if client is None else client.subject
        return ("address", self._address) if subject is None else ("subject", subject)

    def _check_rates(self, kind: str, now: float, count: int = 1) -> None:
        """Count against `limits.rates`. Raises RateLimited."""
        if self._limits.rates and self._rates is not None:
            for scope, who in (
                ("address", ("address", self._address)),
                ("identity", self._rate_key(self._login.client)),
            ):
                rate = self._limits.rates.get((scope, kind))
                if rate is not None:
                    _raise_if_limited(self._rates.take((scope, kind, who), rate, now, count))

    # Answers, as the protocol writes them

    def _reply(self, ticket: effects.Ticket, text: str) -> list[effects.Effect]:
        return [effects.Reply(ticket, text)]

    def _refuse(self, ticket: effects.Ticket, error: errors.RpcError) -> list[effects.Effect]:
        return [effects.Refuse(ticket, error)]

    def _subscribed(
        self, ticket: effects.Ticket, results: dict[str, str], activate: Sequence[str]
    ) -> list[effects.Effect]:
        """activate: the channels whose events start after this answer."""
        answer: list[effects.Effect] = [effects.Subscribed(ticket, results)]
        return [*answer, effects.Activate(list(activate))] if activate else answer


def _raise_if_limited(wait: float) -> None:
    if wait:
        raise errors.RateLimited(round(wait, 3))
