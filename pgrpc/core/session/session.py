"""One client's protocol: text in -> effects out.

Owns who the client is and what it may have at one time: its calls in flight, its batches, its rates. Must not know
sockets, tasks or the database: it returns effects, in the order in which they must be performed, and is told
what became of them through `complete`, `fail`, `subscribed` and `logged_in`. It never raises for anything that a
client sent.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.limits import ratelimit, settings
from pgrpc.core.session import calls, effects, login, subscriptions
from pgrpc.core.wire import errors, jsonrpc, jsontext, rpc_methods

_REQUESTED = 10
"""Times the limit of subscriptions: channels that may be on their way, for one can be asked for again and again."""


class Session:
    """The protocol state of one connection.

    client: None where it must log in first. address: where it comes from, as far as rates are concerned.
    rates: what counts for all connections. terms: None where there is no logging in.
    """

    # An idle connection must cost little: whatever holds something is made on first use.
    __slots__ = (
        "_address", "_bucket", "_calls", "_catalog", "_channels", "_limits", "_questions", "_rates", "_standing",
        "_subscriptions",
    )  # fmt: skip

    def __init__(
        self,
        functions: catalog.Catalog,
        listed: rules.Channels,
        limits: settings.Limits,
        client: identity.Identity | None = identity.NOBODY,
        *,
        address: str = "",
        rates: ratelimit.Buckets | None = None,
        terms: identity.Terms | None = None,
    ) -> None:
        self._standing = login.Standing(client, terms)
        self._address = address
        self._catalog = functions
        self._channels = listed
        self._limits = limits
        self._rates = rates
        rate = limits.calls_per_second
        self._bucket = None if rate is None else ratelimit.TokenBucket(ratelimit.Rate(rate))
        self._calls = calls.Calls(limits.calls_in_flight)
        # Apart, so that nobody hears on, by calls that take long, what is to be asked about.
        self._questions = calls.Calls(limits.calls_in_flight)
        self._subscriptions: subscriptions.Subscriptions | None = None

    def receive(self, data: str | bytes, now: float = 0.0) -> list[effects.Effect]:
        """What one message of the client leads to. now: seconds of a steady clock, for limits of rate."""
        try:
            message = jsonrpc.parse(data)
        except errors.RpcError as error:
            return [effects.Send(jsonrpc.error("null", error))]
        if not isinstance(message, list):
            return self._message(message, None, now)
        if len(message) > self._limits.batch:
            words = f"Invalid Request: the batch has {len(message)} members, the limit is {self._limits.batch}"
            return [effects.Send(jsonrpc.error("null", errors.InvalidRequest(words)))]
        batch = effects.Batch(len(message))
        with self._catalog.shared_budget():  # there is no pause between them
            return [effect for member in message for effect in self._message(member, batch, now)]

    def call(self, ticket: effects.Ticket, method: str, params: catalog.Params, now: float) -> list[effects.Effect]:
        """A call that was asked for in the words of another protocol, which writes the answer: the ticket has no id.

        Raises errors.RpcError where it is refused; then `denial` has what the log is told.
        """
        self._count(now)
        return self._call(ticket, method, params, now)

    def listen(self, name: str, now: float, *, verbatim: bool = False) -> list[effects.Effect]:
        """One channel, asked for in the words of another protocol: `Listened` will tell. verbatim: see channels.fault.

        Raises Unauthenticated, RateLimited.
        """
        return self._on(effects.Listening(None, None, None), [name], now, verbatim=verbatim)

    def complete(self, ticket: effects.Ticket, text: str) -> list[effects.Effect]:
        """A call has returned this JSON text."""
        return self._returned(ticket, text)

    def fail(self, ticket: effects.Ticket, error: errors.RpcError) -> list[effects.Effect]:
        """A call, or a login, has failed."""
        if self._standing.awaits(ticket):
            return [*self._refuse(ticket, error), *self._standing.failed()]
        return self._returned(ticket, error)

    def subscribed(self, ticket: effects.Ticket, results: dict[str, str]) -> list[effects.Effect]:
        """What became of each channel of a Subscribe: "ok", or the reason why not."""
        return self._take(self._subscriptions.took_effect(ticket, results)) if self._subscriptions else []

    def close(self) -> list[effects.Effect]:
        """The client is gone: what must be cancelled and given back."""
        last = [*self._calls.close(), *self._questions.close()]
        if self._subscriptions is not None and (names := self._subscriptions.close()):
            last.append(effects.Unsubscribe(names))
        self._subscriptions = None
        self._standing.close()
        return last

    @property
    def client(self) -> identity.Identity | None:
        """Who the client is now."""
        return self._standing.client

    @property
    def in_flight(self) -> int:
        return self._calls.in_flight

    def _message(self, message: jsonrpc.Message, batch: effects.Batch | None, now: float) -> list[effects.Effect]:
        if isinstance(message, jsonrpc.Invalid):
            return self._refuse(effects.Ticket(message.id, None, batch), message.error)
        ticket = effects.Ticket(message.id, message.key, batch)
        try:
            match message.method:
                case "rpc.off":  # this and cancelling give something back
                    return self._off(ticket, rpc_methods.names(message.params))
                case "$/cancelRequest":
                    return self._cancel(ticket, rpc_methods.identifier(message.params))
            self._count(now)
            match message.method:
                case "rpc.on":
                    return self._on(ticket, rpc_methods.names(message.params), now)
                case "rpc.login":
                    token = rpc_methods.token(message.params)
                    self._pace("logins", now)
                    return self._standing.log_in(ticket, token)
            return self._call(ticket, message.method, message.params, now)
        except errors.RpcError as error:
            return [*denial(error), *self._refuse(ticket, error)]

    # Calls

    def _call(self, ticket: effects.Ticket, method: str, params: catalog.Params, now: float) -> list[effects.Effect]:
        client = self._known()
        self._pace("calls", now)
        access = self._catalog.access(method)
        if access.roles is not None and client.role not in access.roles:
            raise _Denied(effects.Denied(f"method {method!r}", f"it is not for the role {client.role}"))
        if access.rate is not None and self._rates is not None:
            _pass(self._rates.take(("function", method, self._who(client)), access.rate, now))
        execute = effects.Execute(ticket, self._catalog.bind(method, params), client)
        # Members of a batch wait their turn; but what waits is bounded too, by one batch.
        if self._calls.is_free or (ticket.batch is not None and self._calls.waiting < self._limits.batch):
            return self._calls.start(execute)
        limit = self._limits.calls_in_flight
        raise errors.LimitReached(f"{limit} calls of this connection are in flight already", limit)

    def _returned(self, ticket: effects.Ticket, said: str | errors.RpcError) -> list[effects.Effect]:
        started = (self._questions if self._questions.has(ticket) else self._calls).ended(ticket)
        if self._subscriptions is not None and self._subscriptions.asks(ticket):
            return [*self._take(self._subscriptions.told(ticket, said)), *self._logged_in(), *started]
        done = self._reply(ticket, said) if isinstance(said, str) else self._refuse(ticket, said)
        return [*done, *started]

    def _cancel(self, ticket: effects.Ticket, key: Any) -> list[effects.Effect]:
        """Every call of that id; one that has ended already, or never was, is no error (LSP 3.17, cancelRequest)."""
        done, given_up = self._calls.cancel(key)
        for waited in given_up:
            done += self._refuse(waited, errors.Cancelled())
        return [*done, *self._reply(ticket, "true")]

    # Channels

    def _on(
        self, ticket: effects.Ticket, names: list[str], now: float, *, verbatim: bool = False
    ) -> list[effects.Effect]:
        client = self._known()
        self._pace("subscriptions", now, max(1, len(names)))
        if self._subscriptions is None:
            self._subscriptions = subscriptions.Subscriptions(self._channels, self._catalog, self._limits.subscriptions)
        if self._subscriptions.on_their_way >= (most := _REQUESTED * self._limits.subscriptions):
            raise errors.LimitReached("too many channels of this connection are on their way already", most)
        return self._take(self._subscriptions.on(ticket, names, client, verbatim=verbatim))

    def _off(self, ticket: effects.Ticket, names: list[str]) -> list[effects.Effect]:
        if self._subscriptions is None:
            return self._reply(ticket, jsontext.dump(dict.fromkeys(names, subscriptions.NOT_SUBSCRIBED)))
        answer, steps = self._subscriptions.off(names)
        return [*self._take(steps), *self._reply(ticket, jsontext.dump(answer))]

    def _take(self, steps: Sequence[subscriptions.Step]) -> list[effects.Effect]:
        """Steps of the subscriptions, as effects: their questions are calls of this client's."""
        done: list[effects.Effect] = []
        for step in steps:
            match step:
                case subscriptions.Answer(effects.Listening(), results, live):
                    ((_, result),) = results.items()
                    done.append(effects.Listened(result, result == rules.NOT_ALLOWED))
                    done += [effects.Activate(live)] if live else []
                case subscriptions.Answer(ticket, results, live):
                    done += self._reply(ticket, jsontext.dump(results), live)
                case effects.Ask():
                    done += self._questions.start(step)
                case _:
                    done.append(step)
        return done

    # Who the client is

    def begin(self, now: float) -> list[effects.Effect]:
        """The connection is open. now: seconds since the epoch, as in `tick` and `logged_in`."""
        return self._standing.begin(now)

    def tick(self, now: float) -> list[effects.Effect]:
        """Time has passed: identities end."""
        return self._standing.tick(now)

    def logged_in(self, ticket: effects.Ticket, client: identity.Identity, now: float) -> list[effects.Effect]:
        """What a Login has found out. What the client hears and may not hear any more ends before it is answered."""
        if not self._standing.awaits(ticket):
            return []
        done = self._standing.logged_in(client, now)
        if self._subscriptions is not None:
            done += self._take(self._subscriptions.renew(client))
        return [*done, *self._logged_in()]

    def _logged_in(self) -> list[effects.Effect]:
        if self._subscriptions is not None and self._subscriptions.renewing:
            return []
        ticket = self._standing.answered()
        return [] if ticket is None else self._reply(ticket, "true")

    def _known(self) -> identity.Identity:
        if self._standing.client is None:
            raise errors.Unauthenticated("Not authenticated: there was no login, or the token has expired")
        return self._standing.client

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
            for scope, who in (("address", ("address", self._address)), ("identity", self._who(self._standing.client))):
                rate = self._limits.rates.get((scope, kind))
                if rate is not None:
                    _pass(self._rates.take((scope, kind, who), rate, now, count))

    # Answers

    def _reply(self, ticket: effects.Ticket, text: str, activate: Iterable[str] = ()) -> list[effects.Effect]:
        return self._answer(ticket, None if ticket.id is None else jsonrpc.result(ticket.id, text), activate)

    def _refuse(self, ticket: effects.Ticket, error: errors.RpcError) -> list[effects.Effect]:
        return self._answer(ticket, None if ticket.id is None else jsonrpc.error(ticket.id, error), ())

    def _answer(self, ticket: effects.Ticket, reply: str | None, activate: Iterable[str]) -> list[effects.Effect]:
        """The reply, alone or as a member of its batch; events flow only after it."""
        batch = ticket.batch
        if batch is None:
            text, live = reply, list(activate)
        else:
            batch.open -= 1
            batch.activate += activate
            if reply is not None:
                batch.replies.append(reply)
            if batch.open:
                return []
            text, live = jsonrpc.batch(batch.replies) if batch.replies else None, batch.activate
        done: list[effects.Effect] = [] if text is None else [effects.Send(text)]
        return [*done, effects.Activate(live)] if live else done


class _Denied(errors.Forbidden):
    def __init__(self, effect: effects.Denied) -> None:
        super().__init__()
        self.effect = effect


def denial(error: errors.RpcError) -> list[effects.Effect]:
    """What the log is told of a refusal."""
    return [error.effect] if isinstance(error, _Denied) else []


def _pass(wait: float) -> None:
    if wait:
        raise errors.RateLimited(round(wait, 3))
