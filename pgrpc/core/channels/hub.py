"""Publish and subscribe: which subscriber receives which channel, each notification encoded once for all of a kind.

Owns the subscribers of each channel, and the order "answer first, then events". Must not know sockets, nor how LISTEN
is sent: it requests LISTEN and UNLISTEN by two plain callables, and the listener reports what took effect.

The life of a subscription: `subscribe` (waits for LISTEN) -> `answer` is called -> `activate` once the answer was given
to the socket -> events -> `unsubscribe`. Nothing here awaits, so nothing comes between an answer and its first event.
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
    """Consecutive notifications of one channel, encoded for one kind of subscriber and joined into `data`.

    last: the newest of them alone. slow_consumer: what to do if a client reads too slowly.
    """

    channel: str
    data: bytes
    last: bytes
    slow_consumer: rules.SlowConsumer = "close"


Encode = Callable[[Notification], bytes | None]
"""A notification -> its bytes; None if these subscribers do not receive it."""

Kind = Callable[[str, rules.Rule], Encode]
"""A kind of subscriber, such as JSON-RPC by WebSocket: channel and rule -> the function that encodes its events."""


class Subscriber(Protocol):
    """A client that receives events. Its methods must not raise or wait. Subscribers are compared by identity."""

    @property
    def kind(self) -> Kind:
        """Constant: subscribers of one kind share the encoded bytes."""

    @property
    def deliver(self) -> "Deliver":
        """Constant."""

    def gap(self, channels: Sequence[str], reason: str) -> None:
        """Events on these channels may have been lost."""


Deliver = Callable[[Run], None]
"""Sends a run of events to one subscriber."""

Answer = Callable[[dict[str, str]], None]
"""Called once with the results: channel -> "ok", or the reason why not."""


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
    """The subscribers of one channel that are of one kind and under one rule."""

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
    """listen, unlisten: called with a channel to LISTEN or UNLISTEN on; `listen` may report its result at once."""

    def __init__(self, listen: Callable[[str], None], unlisten: Callable[[str], None]) -> None:
        self._listen = listen
        self._unlisten = unlisten
        self._channels: dict[str, _Channel] = {}

    def subscribe(self, subscriber: Subscriber, wanted: dict[str, rules.Rule], answer: Answer) -> None:
        """Reserve the channels for the subscriber; answer when LISTEN has taken effect or was refused on each."""
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
        """Start sending the events of these channels to the subscriber: its "ok" has been sent."""
        for name in names:
            channel = self._channels.get(name)
            if channel is not None and subscriber in channel.reserved:
                channel.add(subscriber)

    def unsubscribe(self, subscriber: Subscriber, names: Iterable[str]) -> None:
        """Remove the subscriber from these channels, whether it is active or still waits."""
        for name in names:
            channel = self._channels.get(name)
            if channel is None:
                continue
            for request in [r for r in channel.requests if r.subscriber is subscriber]:
                channel.requests.remove(request)
                request.settle(name, "unsubscribed before it took effect")
            self._remove(name, channel, subscriber)

    def listen_active(self, names: Sequence[str], gap: str | None = None) -> None:
        """LISTEN has taken effect on these channels. gap: why events may have been lost before that, or None."""
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
        """LISTEN on this channel was refused: its waiting subscribers get this reason."""
        channel = self._channels.get(name)
        if channel is not None:
            waiting = [request.subscriber for request in channel.requests]
            self._settle(name, channel, reason)
            for subscriber in waiting:
                self._remove(name, channel, subscriber)

    def listen_lost(self, reason: str) -> None:
        """The LISTEN connection was lost: waiting requests get this reason; subscribers stay, and get a gap later."""
        for name, channel in list(self._channels.items()):
            channel.listening = False
            if channel.requests:
                self.listen_refused(name, reason)

    def publish(self, batch: Iterable[Notification]) -> None:
        """Deliver each run of notifications to the channel's subscribers, encoded once for each kind and rule."""
        for name, run in groupby(batch, attrgetter("channel")):
            channel = self._channels.get(name)
            if channel is None:
                continue
            notifications = list(run)
            for audience in list(channel.audiences.values()):  # copied, because a delivery may end a subscription
                encoded = [data for data in map(audience.encode, notifications) if data is not None]
                if not encoded:
                    continue
                encoded_run = Run(name, b"".join(encoded), encoded[-1], audience.slow_consumer)
                for deliver in list(audience.members.values()):
                    deliver(encoded_run)

    def _settle(self, name: str, channel: _Channel, result: str) -> None:
        requests, channel.requests = channel.requests, []
        for request in requests:
            request.settle(name, result)

    def _remove(self, name: str, channel: _Channel, subscriber: Subscriber) -> None:
        channel.remove(subscriber)
        if channel.unused and self._channels.get(name) is channel:
            del self._channels[name]
            self._unlisten(name)
