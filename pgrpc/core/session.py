"""One client's protocol: text in -> effects out.

Owns what a client may have at one time: its calls in flight, its batches, its subscriptions. Must not know
sockets, tasks or the database: it returns effects, in the order in which they must be performed, and is told
what became of them through `complete`, `fail` and `subscribed`. It never raises for anything that a client sent.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

from pgrpc.core import catalog, channels, effects, errors, identity, jsonrpc, jsontext, ratelimit, schemas


class Limits(Protocol):
    """Of one connection."""

    @property
    def calls_in_flight(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def subscriptions(self) -> int: ...
    @property
    def calls_per_second(self) -> int | None: ...


class Session:
    """The protocol state of one connection."""

    # An idle connection must cost little: whatever holds something is made on first use.
    __slots__ = (
        "_bucket", "_catalog", "_channels", "_client", "_limits", "_pending", "_running", "_subscribed", "_waiting",
    )  # fmt: skip

    def __init__(
        self,
        functions: catalog.Catalog,
        listed: channels.Channels,
        limits: Limits,
        client: identity.Identity | None = identity.NOBODY,
    ) -> None:
        """client: None is nobody yet, of whom nothing is taken."""
        self._client = client
        self._catalog = functions
        self._channels = listed
        self._limits = limits
        rate = limits.calls_per_second
        self._bucket = None if rate is None else ratelimit.TokenBucket(rate)
        self._running: dict[effects.Ticket, None] | None = None
        self._waiting: deque[effects.Execute] | None = None  # members of batches, while too many calls are in flight
        self._subscribed: set[str] | None = None
        self._pending: dict[effects.Ticket, tuple[dict[str, str], set[str]]] | None = (
            None  # answers begun, channels awaited
        )

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
        with schemas.together():  # there is no pause between them
            return [effect for member in message for effect in self._message(member, batch, now)]

    def call(self, ticket: effects.Ticket, method: str, params: catalog.Params, now: float) -> list[effects.Effect]:
        """A call that was asked for in the words of another protocol, which writes the answer: the ticket has no id.

        Raises errors.RpcError where it is refused.
        """
        self._count(now)
        if self._client is None:
            raise errors.Unauthenticated
        return self._call(ticket, self._catalog.bind(method, params), self._client)

    def complete(self, ticket: effects.Ticket, text: str) -> list[effects.Effect]:
        """A call has returned this JSON text."""
        self._running_done(ticket)
        return [*self._reply(ticket, text), *self._next()]

    def fail(self, ticket: effects.Ticket, error: errors.RpcError) -> list[effects.Effect]:
        """A call has failed."""
        self._running_done(ticket)
        return [*self._refuse(ticket, error), *self._next()]

    def subscribed(self, ticket: effects.Ticket, results: dict[str, str]) -> list[effects.Effect]:
        """What became of each channel of a Subscribe: "ok", or the reason why not."""
        assert self._pending is not None
        answer, awaited = self._pending.pop(ticket)
        answer |= results
        # Not what an rpc.off of the meantime has given up.
        live = [name for name in results if results[name] == "ok" and name in awaited]
        if self._subscribed is None:
            self._subscribed = set()
        self._subscribed.update(live)
        return self._reply(ticket, jsontext.dump(answer), live)

    def close(self) -> list[effects.Effect]:
        """The client is gone: what must be cancelled and given back."""
        last: list[effects.Effect] = [effects.Cancel(ticket) for ticket in self._running or ()]
        names = list(self._subscribed or ()) + [n for _, awaited in (self._pending or {}).values() for n in awaited]
        if names:
            last.append(effects.Unsubscribe(names))
        self._waiting = None
        return last

    @property
    def client(self) -> identity.Identity | None:
        return self._client

    @property
    def in_flight(self) -> int:
        return len(self._running or ())

    def _message(self, message: jsonrpc.Message, batch: effects.Batch | None, now: float) -> list[effects.Effect]:
        if isinstance(message, jsonrpc.Invalid):
            return self._refuse(effects.Ticket(message.id, None, batch), message.error)
        ticket = effects.Ticket(message.id, message.key, batch)
        try:
            if message.method not in ("rpc.off", "$/cancelRequest"):  # they give back
                self._count(now)
            if self._client is None:
                raise errors.Unauthenticated
            match message.method:
                case "rpc.on":
                    return self._on(ticket, _names(message.params))
                case "rpc.off":
                    return self._off(ticket, _names(message.params))
                case "$/cancelRequest":
                    return self._cancel(ticket, message.params)
            return self._call(ticket, self._catalog.bind(message.method, message.params), self._client)
        except errors.RpcError as error:
            return self._refuse(ticket, error)

    def _count(self, now: float) -> None:
        wait = 0.0 if self._bucket is None else self._bucket.take(now)
        if wait:
            raise errors.RateLimited(round(wait, 3))

    # Calls

    def _call(self, ticket: effects.Ticket, call: catalog.Call, caller: identity.Identity) -> list[effects.Effect]:
        limit = self._limits.calls_in_flight
        execute = effects.Execute(ticket, call, caller)
        if self._running is None:
            self._running = {}
        if len(self._running) < limit and not self._waiting:
            self._running[ticket] = None
            return [execute]
        # Members of a batch wait their turn; but what waits is bounded too, by one batch.
        if ticket.batch is not None and len(self._waiting or ()) < self._limits.batch:
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(execute)
            return []
        raise errors.LimitReached(f"{limit} calls of this connection are in flight already", limit)

    def _running_done(self, ticket: effects.Ticket) -> None:
        assert self._running is not None
        del self._running[ticket]

    def _next(self) -> list[effects.Effect]:
        """The calls that may start now that one has ended."""
        assert self._running is not None
        started: list[effects.Effect] = []
        while self._waiting and len(self._running) < self._limits.calls_in_flight:
            execute = self._waiting.popleft()
            self._running[execute.ticket] = None
            started.append(execute)
        return started

    def _cancel(self, ticket: effects.Ticket, params: list[Any] | dict[str, Any]) -> list[effects.Effect]:
        """Every call of that id; one that has ended already, or never was, is no error (LSP 3.17, cancelRequest)."""
        if not isinstance(params, dict) or "id" not in params:
            raise errors.InvalidParams([errors.Fault("/id", "required", "is missing")])
        key = params["id"]
        done: list[effects.Effect] = [effects.Cancel(t) for t in self._running or () if _named(t, key)]
        for execute in [e for e in self._waiting or () if _named(e.ticket, key)]:
            assert self._waiting is not None
            self._waiting.remove(execute)
            done += self._refuse(execute.ticket, errors.Cancelled())
        return [*done, *self._reply(ticket, "true")]

    # Channels

    def _on(self, ticket: effects.Ticket, names: list[str]) -> list[effects.Effect]:
        """Answered when LISTEN has taken effect on every channel that may be had."""
        answer: dict[str, str] = {}
        rules: dict[str, channels.Rule] = {}
        limit = self._limits.subscriptions
        held = (self._subscribed or set()).union(*(awaited for _, awaited in (self._pending or {}).values()))
        for name in names:
            rule = self._channels.rule(name)
            if isinstance(rule, str):
                answer[name] = rule
            elif name in (self._subscribed or ()):
                answer[name] = "ok"
            elif name not in held and len(held) >= limit:
                answer[name] = f"this connection has reached its limit of {limit} subscriptions"
            else:
                answer[name] = ""  # keeps its place
                rules[name] = rule
                held.add(name)
        if not rules:
            return self._reply(ticket, jsontext.dump(answer))
        if self._pending is None:
            self._pending = {}
        self._pending[ticket] = (answer, set(rules))
        return [effects.Subscribe(ticket, rules)]

    def _off(self, ticket: effects.Ticket, names: list[str]) -> list[effects.Effect]:
        answer = {}
        gone = []
        for name in dict.fromkeys(names):
            awaited = [wanted for _, wanted in (self._pending or {}).values() if name in wanted]
            if name in (self._subscribed or ()) or awaited:
                answer[name] = "ok"
                gone.append(name)
                for wanted in awaited:
                    wanted.discard(name)
                if self._subscribed is not None:
                    self._subscribed.discard(name)
            else:
                answer[name] = "not subscribed"
        done: list[effects.Effect] = [effects.Unsubscribe(gone)] if gone else []
        return [*done, *self._reply(ticket, jsontext.dump(answer))]

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


def _named(ticket: effects.Ticket, key: Any) -> bool:
    """Whether a request goes by this id. 7 and "7" are different ids, and so are 1 and true."""
    return ticket.id is not None and type(ticket.key) is type(key) and ticket.key == key


def _names(params: list[Any] | dict[str, Any]) -> list[str]:
    """The channels of rpc.on and rpc.off: ["a", "b"] or {"channels": ["a", "b"]}."""
    at = ""
    names: Any = params
    if isinstance(params, dict):
        at = "/channels"
        if "channels" not in params:
            raise errors.InvalidParams([errors.Fault(at, "required", "is missing")])
        names = params["channels"]
        unknown = [name for name in params if name != "channels"]
        if unknown:
            raise errors.InvalidParams(
                [errors.Fault(errors.pointer([n]), "additionalProperties", "is not expected here") for n in unknown]
            )
    if not isinstance(names, list):
        raise errors.InvalidParams([errors.Fault(at, "type", "must be array")])
    faults = [
        errors.Fault(f"{at}/{i}", "type", "must be string") for i, name in enumerate(names) if not isinstance(name, str)
    ]
    if faults:
        raise errors.InvalidParams(faults)
    return names
