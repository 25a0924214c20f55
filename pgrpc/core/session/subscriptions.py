"""The subscriptions of one client: active ones, requested ones, and the `authorize` calls for them.

Owns whether the client may receive a channel, at the request and again at each change of its identity. Must not know
how requests and answers are written, nor how calls are run.

The steps of a request: the channels' rules -> their `authorize` functions, called as the client -> LISTEN -> answer.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.session import calls, effects
from pgrpc.core.wire import errors

Decision = str | errors.RpcError
"""The result of an `authorize` function: JSON text, or an error."""

NOT_SUBSCRIBED = "not subscribed"

UNAVAILABLE = "unavailable: the database could not check whether it is allowed; try again"
_UNSUBSCRIBED = "unsubscribed before it took effect"

Answer = Callable[[effects.Ticket, dict[str, str], list[str]], list[effects.Effect]]
"""Answers a request with its results (channel -> "ok", or why not) and the channels whose events start after that."""


@dataclass(eq=False, slots=True)
class _Request:
    """results: of each channel, "" while unknown. wanted: the rule of each channel that needs LISTEN.

    pending: those of them that were neither refused nor unsubscribed. open: `authorize` calls before LISTEN.
    """

    ticket: effects.Ticket
    results: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, rules.Rule] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    open: int = 1


@dataclass(eq=False, slots=True)
class _Check:
    """An `authorize` call for a request; or, without one, for a channel that the client keeps after a login."""

    rule: rules.Rule
    channel: str
    client: identity.Identity
    request: _Request | None


class Subscriptions:
    """limit: how many channels. authorize_calls: the queue of `authorize` calls."""

    __slots__ = (
        "_active",
        "_allowed",
        "_answer",
        "_authorize_calls",
        "_checks",
        "_client",
        "_functions",
        "_limit",
        "_requests",
    )

    def __init__(
        self,
        allowed: rules.Allowed,
        functions: catalog.Catalog,
        limit: int,
        authorize_calls: calls.Calls,
        answer: Answer,
    ) -> None:
        self._allowed = allowed
        self._functions = functions
        self._limit = limit
        self._authorize_calls = authorize_calls
        self._answer = answer
        self._client: identity.Identity | None = None
        self._active: set[str] = set()
        self._requests: dict[effects.Ticket, _Request] = {}
        self._checks: dict[effects.Ticket, _Check] = {}

    def on(self, ticket: effects.Ticket, names: Iterable[str], client: identity.Identity) -> list[effects.Effect]:
        """Subscribe; answered when LISTEN has taken effect on every channel that is allowed."""
        self._client = client
        steps: list[effects.Effect] = []
        request = _Request(ticket)
        counted = self._active.union(*(other.pending for other in self._requests.values()))
        for name in dict.fromkeys(names):
            rule = self._allowed.rule(name, client)
            if isinstance(rule, rules.Refusal):
                request.results[name] = rule.words
                steps += _denied(name, rule)
            elif name in self._active:
                request.results[name] = "ok"
            elif name not in counted and len(counted) >= self._limit:
                request.results[name] = f"this connection has reached its limit of {self._limit} subscriptions"
            else:
                request.results[name] = ""
                request.wanted[name] = rule
                counted.add(name)
        request.pending.update(request.wanted)
        self._requests[ticket] = request
        for name, rule in request.wanted.items():
            steps += self._check(name, rule, client, request)
        return [*steps, *self._settle(request)]

    def off(self, names: Iterable[str]) -> tuple[dict[str, str], list[effects.Effect]]:
        """Unsubscribe: returns the answer, and the effects to perform before it is sent."""
        answer = {}
        ended = []
        had = self._active.union(*(request.pending for request in self._requests.values()))
        for name in dict.fromkeys(names):
            if name in had:
                answer[name] = "ok"
                ended.append(name)
            else:
                answer[name] = NOT_SUBSCRIBED
        self._forget(ended, _UNSUBSCRIBED)
        return answer, [effects.Unsubscribe(ended)] if ended else []

    def took_effect(self, ticket: effects.Ticket, results: dict[str, str]) -> list[effects.Effect]:
        """The results of a Subscribe: channel -> "ok", or the reason why not."""
        request = self._requests.pop(ticket, None)
        if request is None:
            return []
        for name, result in results.items():
            request.results[name] = request.results[name] or result
        # Not what was unsubscribed in the meantime.
        live = [name for name in results if results[name] == "ok" and name in request.pending]
        self._active.update(live)
        return self._answer(ticket, request.results, live)

    def is_check(self, ticket: effects.Ticket) -> bool:
        """Whether this is an `authorize` call."""
        return ticket in self._checks

    def checked(self, ticket: effects.Ticket, decision: Decision) -> list[effects.Effect]:
        """An `authorize` function has returned, or failed."""
        check = self._checks.pop(ticket)
        return self._decide(check, _refusal(check.rule, decision))

    def renew(self, client: identity.Identity) -> list[effects.Effect]:
        """The client has a new identity, and keeps the channels allowed for it; `renewing` until that is decided."""
        self._client = client
        steps: list[effects.Effect] = []
        refused = []
        for name in sorted(self._active.union(*(request.pending for request in self._requests.values()))):
            rule = self._allowed.rule(name, client)
            if isinstance(rule, rules.Refusal):
                refused.append(name)
                steps += _denied(name, rule)
                continue
            undecided = [request for request in self._requests.values() if request.open and name in request.pending]
            waits = any(not request.open and name in request.pending for request in self._requests.values())
            for request in (*undecided, *([None] if waits or name in self._active else [])):
                steps += self._check(name, rule, client, request)
        return [*steps, *self._end(refused, rules.NOT_ALLOWED)]

    @property
    def requested(self) -> int:
        """How many channels are in requests that are not answered yet, with repetitions."""
        return sum(len(request.results) for request in self._requests.values())

    @property
    def renewing(self) -> bool:
        """Whether `authorize` calls are in flight because of the last login."""
        return any(check.request is None and check.client is self._client for check in self._checks.values())

    def close(self) -> list[str]:
        """The client is gone: returns the channels to unsubscribe."""
        names = [*self._active, *(name for request in self._requests.values() for name in request.pending)]
        self._active.clear()
        self._requests.clear()
        self._checks.clear()
        return names

    def _check(
        self, name: str, rule: rules.Rule, client: identity.Identity, request: _Request | None
    ) -> Sequence[effects.Effect]:
        if rule.authorize is None:
            return ()
        if request is not None:
            request.open += 1
        check = _Check(rule, name, client, request)
        try:
            call = self._functions.ask(rule.authorize, name)
        except errors.RpcError as error:
            return self._decide(check, _refusal(rule, error))
        ticket = effects.Ticket()
        self._checks[ticket] = check
        return self._authorize_calls.start(effects.Execute(ticket, call, client, self._authorize_calls))

    def _decide(self, check: _Check, refusal: rules.Refusal | None) -> list[effects.Effect]:
        name, request = check.channel, check.request
        if check.client is not self._client:
            refusal = None  # it was for the client's previous identity; another check is in flight for the new one
        steps = _denied(name, refusal) if refusal else []
        if request is None:
            return [*steps, *self._end([name], refusal.words)] if refusal else []
        if refusal and name in request.pending:
            request.results[name] = refusal.words
            request.pending.discard(name)
        return [*steps, *self._settle(request)]

    def _settle(self, request: _Request) -> list[effects.Effect]:
        """One step of the request is done: LISTEN after the last one."""
        request.open -= 1
        if request.open:
            return []
        wanted = {name: rule for name, rule in request.wanted.items() if name in request.pending}
        if wanted:
            return [effects.Subscribe(request.ticket, wanted)]
        del self._requests[request.ticket]
        return self._answer(request.ticket, request.results, [])

    def _end(self, names: Sequence[str], words: str) -> list[effects.Effect]:
        if not names:
            return []
        ended = [name for name in names if name in self._active]
        self._forget(names, words)
        return [effects.Unsubscribe(list(names)), *([effects.SubscriptionsEnded(ended, words)] if ended else [])]

    def _forget(self, names: Iterable[str], words: str) -> None:
        gone = frozenset(names)
        self._active -= gone
        for request in self._requests.values():
            for name in request.pending & gone:
                request.pending.discard(name)
                request.results[name] = words


def _refusal(rule: rules.Rule, decision: Decision) -> rules.Refusal | None:
    """Why an `authorize` function does not allow a channel; None if it returned true."""
    call = f"{rule.authorize}, authorize of {rule.name!r},"
    match decision:
        case "true":
            return None
        case str():
            return rules.Refusal(rules.NOT_ALLOWED, f"{call} returned {decision}")
        case errors.Unavailable():
            return rules.Refusal(UNAVAILABLE, f"{call} could not be called: the database is unavailable, or too busy")
    sqlstate = decision.data.get("sqlstate") if isinstance(decision.data, dict) else None
    return rules.Refusal(rules.NOT_ALLOWED, f"{call} failed: {sqlstate or decision.default}")


def _denied(name: str, refusal: rules.Refusal) -> list[effects.Effect]:
    return [effects.Denied(f"channel {name!r}", refusal.reason)] if refusal.reason else []
