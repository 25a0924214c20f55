"""Channel -> subscribers: what is wanted of the listener, and each batch of notifications encoded once for all.

Owns who receives what, and the order "answer first, then events". Must not know sockets, nor how LISTEN is done:
it is told what took effect, and says what is wanted through two plain callables.

The life of a subscription: `subscribe` (waits for LISTEN) -> `answer` is called -> `activate` once the answer has
been handed to the socket -> events -> `unsubscribe`. Everything here runs to its end without awaiting, so nothing
can come between an answer and its first event.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from pgrpc.core.channels import rules
from pgrpc.core.channels.notification import Notification


@dataclass(frozen=True, slots=True)
class Run:
    """Notifications that follow each other on one channel, as one kind of subscriber gets them, joined into `data`.

    last: the newest of them alone. slow_consumer: what to do with a client that is too slow for it.
    """

    channel: str
    data: bytes
    last: bytes
    slow_consumer: rules.SlowConsumer = "close"


Encode = Callable[[Notification], bytes | None]
"""A notification -> its bytes; None where these subscribers do not receive it."""

Kind = Callable[[str, rules.Rule], Encode]
"""A kind of subscriber, such as JSON-RPC by WebSocket: channel and rule -> what makes bytes of the channel's events."""


class Subscriber(Protocol):
    """A socket. Nothing of it may raise or wait. Subscribers are told apart by identity."""

    @property
    def kind(self) -> Kind:
        """Always the same: subscribers of one kind share the bytes that are made for it."""

    @property
    def deliver(self) -> "Deliver":
        """Always the same."""

    def gap(self, channels: Sequence[str], reason: str) -> None:
        """Events on these channels may have been lost."""


Deliver = Callable[[Run], None]
"""Takes a run of events for one subscriber."""

Answer = Callable[[dict[str, str]], None]
"""Called once with channel -> "ok" or the reason why not."""


@dataclass(eq=False, slots=True)
class _Request:
    subscriber: Subscriber
    pending: set[str]
    results: dict[str, str]
    answer: Answer

    def settle(self, channel: str, result: str) -> None:
        self.pending.remove(channel)
        self.results[channel] = result
        if not self.pending:
            self.answer(self.results)


@dataclass(slots=True)
class _Audience:
    """The subscribers of one kind, by one rule."""

    encode: Encode
    slow_consumer: rules.SlowConsumer
    members: dict[Subscriber, Deliver] = field(default_factory=dict)


@dataclass(slots=True)
class _Channel:
    name: str
    listening: bool = False
    requests: list[_Request] = field(default_factory=list)
    reserved: dict[Subscriber, rules.Rule] = field(default_factory=dict)
    audiences: dict[tuple[Kind, rules.Rule], _Audience] = field(default_factory=dict)
    members: dict[Subscriber, rules.Rule] = field(default_factory=dict)

    def add(self, subscriber: Subscriber) -> None:
        rule = self.reserved.pop(subscriber)
        self._leave(subscriber)
        self.members[subscriber] = rule
        key = (subscriber.kind, rule)
        if key not in self.audiences:
            self.audiences[key] = _Audience(subscriber.kind(self.name, rule), rule.slow_consumer)
        self.audiences[key].members[subscriber] = subscriber.deliver

    def remove(self, subscriber: Subscriber) -> None:
        self.reserved.pop(subscriber, None)
        self._leave(subscriber)

    def _leave(self, subscriber: Subscriber) -> None:
        rule = self.members.pop(subscriber, None)
        if rule is not None:
            key = (subscriber.kind, rule)
            del self.audiences[key].members[subscriber]
            if not self.audiences[key].members:
                del self.audiences[key]

    @property
    def unused(self) -> bool:
        return not (self.members or self.reserved)


class Hub:
    """listen, unlisten: what the listener must do for a channel. `listen` may answer at once."""

    def __init__(self, listen: Callable[[str], None], unlisten: Callable[[str], None]) -> None:
        self._listen = listen
        self._unlisten = unlisten
        self._channels: dict[str, _Channel] = {}

    def subscribe(self, subscriber: Subscriber, wanted: dict[str, rules.Rule], answer: Answer) -> None:
        """Reserve the channels for the subscriber, and answer when LISTEN has taken effect, or cannot, for each."""
        request = _Request(subscriber, set(wanted), dict.fromkeys(wanted, ""), answer)
        new = []
        for name, rule in wanted.items():
            channel = self._channels.get(name)
            if channel is None:
                channel = self._channels[name] = _Channel(name)
                new.append(name)
            elif not (channel.listening or channel.requests):  # its LISTEN was lost: it may be refused at once
                new.append(name)
            channel.reserved[subscriber] = rule
            channel.requests.append(request)
        for name in new:
            self._listen(name)
        for name in wanted:
            channel = self._channels.get(name)
            if channel is not None and channel.listening:
                self._settle(name, channel, "ok")

    def activate(self, subscriber: Subscriber, names: Iterable[str]) -> None:
        """From now on the subscriber receives the events of these channels: it has its "ok"."""
        for name in names:
            channel = self._channels.get(name)
            if channel is not None and subscriber in channel.reserved:
                channel.add(subscriber)

    def unsubscribe(self, subscriber: Subscriber, names: Iterable[str]) -> None:
        """Forget the subscriber on these channels, whether it receives them already or still waits."""
        for name in names:
            channel = self._channels.get(name)
            if channel is None:
                continue
            for request in [r for r in channel.requests if r.subscriber is subscriber]:
                channel.requests.remove(request)
                request.settle(name, "unsubscribed before it took effect")
            self._remove(name, channel, subscriber)

    def listen_active(self, names: Sequence[str], gap: str | None = None) -> None:
        """LISTEN has taken effect on these channels; `gap` says why events may have been lost before."""
        gaps: dict[Subscriber, list[str]] = {}
        for name in names:
            channel = self._channels.get(name)
            if channel is None:
                continue
            channel.listening = True
            if gap is not None:
                for subscriber in channel.members:
                    gaps.setdefault(subscriber, []).append(name)
        for subscriber, lost in gaps.items():
            subscriber.gap(lost, gap or "")
        for name in names:
            channel = self._channels.get(name)
            if channel is not None:
                self._settle(name, channel, "ok")

    def listen_refused(self, name: str, reason: str) -> None:
        """LISTEN on this channel is refused now."""
        channel = self._channels.get(name)
        if channel is not None:
            waiting = [request.subscriber for request in channel.requests]
            self._settle(name, channel, reason)
            for subscriber in waiting:
                self._remove(name, channel, subscriber)

    def listen_lost(self, reason: str) -> None:
        """The listener's connection is gone: requests are answered; subscribers stay, and get a gap later."""
        for name, channel in list(self._channels.items()):
            channel.listening = False
            if channel.requests:
                self.listen_refused(name, reason)

    def publish(self, batch: Iterable[Notification]) -> None:
        """Hand each run of notifications to the channel's subscribers, encoded once for each kind and rule."""
        for name, run in groupby(batch, attrgetter("channel")):
            channel = self._channels.get(name)
            if channel is None:
                continue
            notifications = list(run)
            for audience in list(channel.audiences.values()):  # copies: a delivery may end a subscription
                encoded = [data for data in map(audience.encode, notifications) if data is not None]
                if not encoded:
                    continue
                made = Run(name, b"".join(encoded), encoded[-1], audience.slow_consumer)
                for deliver in list(audience.members.values()):
                    deliver(made)

    def _settle(self, name: str, channel: _Channel, result: str) -> None:
        requests, channel.requests = channel.requests, []
        for request in requests:
            request.settle(name, result)

    def _remove(self, name: str, channel: _Channel, subscriber: Subscriber) -> None:
        channel.remove(subscriber)
        if channel.unused and self._channels.get(name) is channel:
            del self._channels[name]
            self._unlisten(name)
