"""The channels of one client: those that it has, those requested, and the questions that are open about them.

Owns who may receive what, from the first request on, and again whenever the client becomes somebody else. Must not know
how a client asks or is answered, nor how calls are run.

A request goes this way: its channels' rules -> their `authorize` functions, asked as the client -> LISTEN -> answer.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.session import calls, effects
from pgrpc.core.wire import errors

Decision = str | errors.RpcError
"""What an `authorize` function returned: JSON text, or an error."""

NOT_SUBSCRIBED = "not subscribed"

UNAVAILABLE = "unavailable: the database cannot decide now whether it is allowed; try again"
_GIVEN_UP = "unsubscribed before it took effect"

Answer = Callable[[effects.Ticket, dict[str, str], list[str]], list[effects.Effect]]
"""How a request is answered: channel -> "ok" or why not; and the channels whose events flow after that."""


@dataclass(eq=False, slots=True)
class _Request:
    """results: "" keeps a place. wanted: the rule of each channel. pending: without what was unsubscribed meanwhile.

    open: how much must be known before LISTEN.
    """

    ticket: effects.Ticket
    results: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, rules.Rule] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    open: int = 1


@dataclass(eq=False, slots=True)
class _Question:
    """Whether `client` may receive a channel: for a request, or since a client that receives it has become `client`."""

    rule: rules.Rule
    channel: str
    client: identity.Identity
    request: _Request | None


class Subscriptions:
    """Those of one connection. limit: how many channels. questions: where `authorize` functions wait their turn."""

    __slots__ = (
        "_allowed",
        "_answer",
        "_asking",
        "_client",
        "_functions",
        "_held",
        "_limit",
        "_questions",
        "_requests",
    )

    def __init__(
        self, allowed: rules.Allowed, functions: catalog.Catalog, limit: int, questions: calls.Calls, answer: Answer
    ) -> None:
        self._allowed = allowed
        self._functions = functions
        self._limit = limit
        self._asking = questions
        self._answer = answer
        self._client: identity.Identity | None = None
        self._held: set[str] = set()
        self._requests: dict[effects.Ticket, _Request] = {}
        self._questions: dict[effects.Ticket, _Question] = {}

    def on(self, ticket: effects.Ticket, names: Iterable[str], client: identity.Identity) -> list[effects.Effect]:
        """Answered when LISTEN has taken effect on every channel that is allowed."""
        self._client = client
        steps: list[effects.Effect] = []
        request = _Request(ticket)
        taken = self._held.union(*(other.pending for other in self._requests.values()))
        for name in dict.fromkeys(names):
            rule = self._allowed.rule(name, client)
            if isinstance(rule, rules.Refusal):
                request.results[name] = rule.words
                steps += _denied(name, rule)
            elif name in self._held:
                request.results[name] = "ok"
            elif name not in taken and len(taken) >= self._limit:
                request.results[name] = f"this connection has reached its limit of {self._limit} subscriptions"
            else:
                request.results[name] = ""
                request.wanted[name] = rule
                taken.add(name)
        request.pending.update(request.wanted)
        self._requests[ticket] = request
        for name, rule in request.wanted.items():
            steps += self._ask(name, rule, client, request)
        return [*steps, *self._settle(request)]

    def off(self, names: Iterable[str]) -> tuple[dict[str, str], list[effects.Effect]]:
        """The answer, and what is to be done before it is told."""
        answer = {}
        gone = []
        for name in dict.fromkeys(names):
            if name in self._held or any(name in request.pending for request in self._requests.values()):
                answer[name] = "ok"
                gone.append(name)
            else:
                answer[name] = NOT_SUBSCRIBED
        self._forget(gone, _GIVEN_UP)
        return answer, [effects.Unsubscribe(gone)] if gone else []

    def took_effect(self, ticket: effects.Ticket, results: dict[str, str]) -> list[effects.Effect]:
        """What became of each channel of a Subscribe: "ok", or the reason why not."""
        request = self._requests.pop(ticket, None)
        if request is None:
            return []
        for name, result in results.items():
            request.results[name] = request.results[name] or result
        # Not what was given up in the meantime.
        live = [name for name in results if results[name] == "ok" and name in request.pending]
        self._held.update(live)
        return self._answer(ticket, request.results, live)

    def asks(self, ticket: effects.Ticket) -> bool:
        """Whether a call is one of our questions."""
        return ticket in self._questions

    def decided(self, ticket: effects.Ticket, decision: Decision) -> list[effects.Effect]:
        """An `authorize` function has returned, or failed."""
        question = self._questions.pop(ticket)
        return self._decide(question, _refusal(question.rule, decision))

    def renew(self, client: identity.Identity) -> list[effects.Effect]:
        """The client is somebody else from now on, and keeps what it may still have; `renewing` while that is open."""
        self._client = client
        steps: list[effects.Effect] = []
        gone = []
        for name in sorted(self._held.union(*(request.pending for request in self._requests.values()))):
            rule = self._allowed.rule(name, client)
            if isinstance(rule, rules.Refusal):
                gone.append(name)
                steps += _denied(name, rule)
                continue
            asking = [request for request in self._requests.values() if request.open and name in request.pending]
            waits = any(not request.open and name in request.pending for request in self._requests.values())
            for request in (*asking, *([None] if waits or name in self._held else [])):
                steps += self._ask(name, rule, client, request)
        return [*steps, *self._end(gone, rules.NOT_ALLOWED)]

    @property
    def requested(self) -> int:
        """Channels of the requests that are not answered yet, each as often as it was requested."""
        return sum(len(request.results) for request in self._requests.values())

    @property
    def renewing(self) -> bool:
        """Whether channels are asked about because the client has become who it is now."""
        return any(q.request is None and q.client is self._client for q in self._questions.values())

    def close(self) -> list[str]:
        """The client is gone: the channels that must be released."""
        names = [*self._held, *(name for request in self._requests.values() for name in request.pending)]
        self._held.clear()
        self._requests.clear()
        self._questions.clear()
        return names

    def _ask(
        self, name: str, rule: rules.Rule, client: identity.Identity, request: _Request | None
    ) -> Sequence[effects.Effect]:
        if rule.authorize is None:
            return ()
        if request is not None:
            request.open += 1
        question = _Question(rule, name, client, request)
        try:
            call = self._functions.ask(rule.authorize, name)
        except errors.RpcError as error:
            return self._decide(question, _refusal(rule, error))
        ticket = effects.Ticket()
        self._questions[ticket] = question
        return self._asking.start(effects.Execute(ticket, call, client, self._asking))

    def _decide(self, question: _Question, refusal: rules.Refusal | None) -> list[effects.Effect]:
        name, request = question.channel, question.request
        if question.client is not self._client:
            refusal = None  # it was about who the client was before; about who it is now another was asked
        steps = _denied(name, refusal) if refusal else []
        if request is None:
            return [*steps, *self._end([name], refusal.words)] if refusal else []
        if refusal and name in request.pending:
            request.results[name] = refusal.words
            request.pending.discard(name)
        return [*steps, *self._settle(request)]

    def _settle(self, request: _Request) -> list[effects.Effect]:
        """One question less is open."""
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
        had = [name for name in names if name in self._held]
        self._forget(names, words)
        return [effects.Unsubscribe(list(names)), *([effects.SubscriptionsEnded(had, words)] if had else [])]

    def _forget(self, names: Iterable[str], words: str) -> None:
        self._held.difference_update(names)
        for request in self._requests.values():
            for name in request.pending.intersection(names):
                request.pending.discard(name)
                request.results[name] = words


def _refusal(rule: rules.Rule, decision: Decision) -> rules.Refusal | None:
    """Why an `authorize` function does not allow a channel; None where it returned true."""
    asked = f"{rule.authorize}, authorize of {rule.name!r},"
    match decision:
        case "true":
            return None
        case str():
            return rules.Refusal(rules.NOT_ALLOWED, f"{asked} returned {decision}")
        case errors.Unavailable():
            return rules.Refusal(UNAVAILABLE, f"{asked} could not be called: the database is unavailable, or too busy")
    sqlstate = decision.data.get("sqlstate") if isinstance(decision.data, dict) else None
    return rules.Refusal(rules.NOT_ALLOWED, f"{asked} failed: {sqlstate or decision.default}")


def _denied(name: str, refusal: rules.Refusal) -> list[effects.Effect]:
    return [effects.Denied(f"channel {name!r}", refusal.reason)] if refusal.reason else []
