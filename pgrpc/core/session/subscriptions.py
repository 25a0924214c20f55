"""What one client hears: the channels that it has, those on their way, and the questions that are open about them.

Owns who may hear what, from the first request on, and again whenever the client becomes somebody else. Must not know
how a client asks or is told, nor how calls are run: it returns steps, in the order in which they must be done.

A request goes this way: its channels' rules -> their `authorize` functions, asked as the client -> LISTEN -> answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.session import effects
from pgrpc.core.wire import errors

Predicate = str | errors.RpcError
"""What came of asking an `authorize` function: JSON text, or an error."""

NOT_SUBSCRIBED = "not subscribed"

UNAVAILABLE = "unavailable: whether it may be heard cannot be asked now; try again"
_GIVEN_UP = "unsubscribed before it took effect"


@dataclass(slots=True)
class Answer:
    """What a request came to: channel -> "ok" or why not. live: whose events may flow once this is told."""

    ticket: effects.Ticket
    results: dict[str, str]
    live: list[str]


Step = effects.Ask | effects.Subscribe | effects.Unsubscribe | effects.Denied | effects.Ended | Answer


@dataclass(eq=False, slots=True)
class _Request:
    """answer: "" keeps a place. wanted: the rule of each channel. awaited: without what was given up.

    open: what is to be known before LISTEN.
    """

    ticket: effects.Ticket
    answer: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, rules.Rule] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)
    open: int = 1


@dataclass(eq=False, slots=True)
class _Question:
    """Whether `client` may hear a channel: for a request, or because a client that hears it has become `client`."""

    rule: rules.Rule
    channel: str
    client: identity.Identity
    request: _Request | None


class Subscriptions:
    """Those of one connection. limit: how many channels."""

    __slots__ = ("_client", "_functions", "_held", "_limit", "_listed", "_questions", "_requests")

    def __init__(self, listed: rules.Channels, functions: catalog.Catalog, limit: int) -> None:
        self._listed = listed
        self._functions = functions
        self._limit = limit
        self._client: identity.Identity | None = None
        self._held: set[str] = set()
        self._requests: dict[effects.Ticket, _Request] = {}
        self._questions: dict[effects.Ticket, _Question] = {}

    def on(
        self, ticket: effects.Ticket, names: Iterable[str], client: identity.Identity, *, verbatim: bool = False
    ) -> list[Step]:
        """Answered when LISTEN has taken effect on every channel that may be had. verbatim: as for channels.fault."""
        self._client = client
        steps: list[Step] = []
        request = _Request(ticket)
        taken = self._held.union(*(other.awaited for other in self._requests.values()))
        for name in dict.fromkeys(names):
            rule = self._listed.rule(name, client, verbatim=verbatim)
            if isinstance(rule, rules.Refusal):
                request.answer[name] = rule.words
                steps += _denied(name, rule)
            elif name in self._held:
                request.answer[name] = "ok"
            elif name not in taken and len(taken) >= self._limit:
                request.answer[name] = f"this connection has reached its limit of {self._limit} subscriptions"
            else:
                request.answer[name] = ""
                request.wanted[name] = rule
                taken.add(name)
        request.awaited.update(request.wanted)
        self._requests[ticket] = request
        for name, rule in request.wanted.items():
            steps += self._ask(name, rule, client, request)
        return [*steps, *self._settle(request)]

    def off(self, names: Iterable[str]) -> tuple[dict[str, str], list[Step]]:
        """The answer, and what is to be done before it is told."""
        answer = {}
        gone = []
        for name in dict.fromkeys(names):
            if name in self._held or any(name in request.awaited for request in self._requests.values()):
                answer[name] = "ok"
                gone.append(name)
            else:
                answer[name] = NOT_SUBSCRIBED
        self._forget(gone, _GIVEN_UP)
        return answer, [effects.Unsubscribe(gone)] if gone else []

    def took_effect(self, ticket: effects.Ticket, results: dict[str, str]) -> list[Step]:
        """What became of each channel of a Subscribe: "ok", or the reason why not."""
        request = self._requests.pop(ticket, None)
        if request is None:
            return []
        for name, result in results.items():
            request.answer[name] = request.answer[name] or result
        # Not what was given up in the meantime.
        live = [name for name in results if results[name] == "ok" and name in request.awaited]
        self._held.update(live)
        return [Answer(ticket, request.answer, live)]

    def asks(self, ticket: effects.Ticket) -> bool:
        """Whether a call is one of our questions."""
        return ticket in self._questions

    def told(self, ticket: effects.Ticket, said: Predicate) -> list[Step]:
        """A question has been answered."""
        question = self._questions.pop(ticket)
        return self._decide(question, _refusal(question.rule, said))

    def renew(self, client: identity.Identity) -> list[Step]:
        """The client is somebody else from now on, and keeps what that one may have. `renewing` says until when."""
        self._client = client
        steps: list[Step] = []
        gone = []
        for name in sorted(self._held.union(*(request.awaited for request in self._requests.values()))):
            rule = self._listed.rule(name, client, verbatim=True)  # that one may ask for it was seen at first
            if isinstance(rule, rules.Refusal):
                gone.append(name)
                steps += _denied(name, rule)
                continue
            asking = [request for request in self._requests.values() if request.open and name in request.awaited]
            waits = any(not request.open and name in request.awaited for request in self._requests.values())
            for request in (*asking, *([None] if waits or name in self._held else [])):
                steps += self._ask(name, rule, client, request)
        return [*steps, *self._end(gone, rules.NOT_ALLOWED)]

    @property
    def on_their_way(self) -> int:
        """Channels of the requests that are not answered yet, each as often as it was asked for."""
        return sum(len(request.answer) for request in self._requests.values())

    @property
    def renewing(self) -> bool:
        """Whether channels are asked about because the client has become who it is now."""
        return any(q.request is None and q.client is self._client for q in self._questions.values())

    def close(self) -> list[str]:
        """The client is gone: the channels that must be given back."""
        names = [*self._held, *(name for request in self._requests.values() for name in request.awaited)]
        self._held.clear()
        self._requests.clear()
        self._questions.clear()
        return names

    def _ask(self, name: str, rule: rules.Rule, client: identity.Identity, request: _Request | None) -> Sequence[Step]:
        if rule.authorize is None:
            return ()
        if request is not None:
            request.open += 1
        question = _Question(rule, name, client, request)
        try:
            call = self._functions.ask(rule.authorize, name)
        except errors.RpcError as error:
            return self._decide(question, _refusal(rule, error))
        ticket = effects.Ticket(None, None, None)
        self._questions[ticket] = question
        return (effects.Ask(ticket, call, client),)

    def _decide(self, question: _Question, refusal: rules.Refusal | None) -> list[Step]:
        name, request = question.channel, question.request
        if question.client is not self._client:
            refusal = None  # it was about somebody whom the client is no more; about the new one it was asked anew
        steps = _denied(name, refusal) if refusal else []
        if request is None:
            return [*steps, *self._end([name], refusal.words)] if refusal else []
        if refusal and name in request.awaited:
            request.answer[name] = refusal.words
            request.awaited.discard(name)
        return [*steps, *self._settle(request)]

    def _settle(self, request: _Request) -> list[Step]:
        """One thing less is open."""
        request.open -= 1
        if request.open:
            return []
        wanted = {name: rule for name, rule in request.wanted.items() if name in request.awaited}
        if wanted:
            return [effects.Subscribe(request.ticket, wanted)]
        del self._requests[request.ticket]
        return [Answer(request.ticket, request.answer, [])]

    def _end(self, names: Sequence[str], words: str) -> list[Step]:
        if not names:
            return []
        had = [name for name in names if name in self._held]
        self._forget(names, words)
        return [effects.Unsubscribe(list(names)), *([effects.Ended(had, words)] if had else [])]

    def _forget(self, names: Iterable[str], words: str) -> None:
        self._held.difference_update(names)
        for request in self._requests.values():
            for name in request.awaited.intersection(names):
                request.awaited.discard(name)
                request.answer[name] = words


def _refusal(rule: rules.Rule, said: Predicate) -> rules.Refusal | None:
    """What an `authorize` function has said, where that is not "true"."""
    asked = f"{rule.authorize} of {rule.name!r}"
    match said:
        case "true":
            return None
        case str():
            return rules.Refusal(rules.NOT_ALLOWED, f"{asked} said {'no' if said == 'false' else 'neither'}")
        case errors.Unavailable():
            return rules.Refusal(UNAVAILABLE, f"{asked} could not be asked: the database is away, or too busy")
    sqlstate = said.data.get("sqlstate") if isinstance(said.data, dict) else None
    return rules.Refusal(rules.NOT_ALLOWED, f"{asked} failed: {sqlstate or said.default}")


def _denied(name: str, refusal: rules.Refusal) -> list[Step]:
    return [effects.Denied(f"channel {name!r}", refusal.reason)] if refusal.reason else []
