"""What an operator orders by NOTIFY on the control channel.

Owns the words of an order, and that the control channel's notifications are no events. Must not know how an order is
carried out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pgrpc.core.wire import jsontext


@dataclass(frozen=True, slots=True)
class End:
    """`{"end": {"sub": "ann"}}`: close every socket of this subject."""

    subject: str


@dataclass(frozen=True, slots=True)
class Reload:
    """`{"reload": "keys"}`: read keys and certificates again."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """What is no order; why, in words that tell nothing of it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Missed:
    """The channel was not heard for a while: orders may have been given meanwhile."""


Order = End | Reload | Unclear | Missed


def read(payload: str) -> Order:
    """The order that a notification gives. Subjects are compared as text, as the claim `sub` is."""
    try:
        found = jsontext.parse(payload)
    except ValueError:
        return Unclear("it is not JSON")
    match found:
        case {"end": {"sub": str(subject), **more}, **others} if not (more or others):
            return End(subject)
        case {"reload": "keys", **others} if not others:
            return Reload()
    return Unclear('it is neither {"end": {"sub": "..."}} nor {"reload": "keys"}')


class Sink(Protocol):
    """Who hears everything else; as the listener wants it."""

    def listening(self, names: Sequence[str], gap: str | None = None) -> None: ...
    def refused(self, name: str, reason: str) -> None: ...
    def lost(self, reason: str) -> None: ...
    def publish(self, batch: list[tuple[str, str]]) -> Any: ...


class Control:
    """Stands between the listener and the events: takes out what comes on `channel`, each as an order."""

    def __init__(self, channel: str, events: Sink, ordered: Callable[[Order], None]) -> None:
        self._channel = channel
        self._events = events
        self._ordered = ordered

    def listening(self, names: Sequence[str], gap: str | None = None) -> None:
        if gap is not None and self._channel in names:
            self._ordered(Missed())
        self._events.listening(names, gap)

    def refused(self, name: str, reason: str) -> None:
        self._events.refused(name, reason)

    def lost(self, reason: str) -> None:
        self._events.lost(reason)

    def publish(self, batch: list[tuple[str, str]]) -> None:
        events = [each for each in batch if each[0] != self._channel]
        if len(events) < len(batch):
            for name, payload in batch:
                if name == self._channel:
                    self._ordered(read(payload))
        if events:
            self._events.publish(events)
