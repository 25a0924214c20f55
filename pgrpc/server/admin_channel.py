"""Commands of an operator, by NOTIFY on the control channel.

Owns how a command is written, and that the control channel's notifications are no events. Must not know how a command
is executed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pgrpc.core.channels.notification import Notification
from pgrpc.core.wire import jsontext


@dataclass(frozen=True, slots=True)
class Disconnect:
    """`{"end": {"sub": "ann"}}`: close every socket of this subject."""

    subject: str


@dataclass(frozen=True, slots=True)
class Reload:
    """`{"reload": "keys"}`: read keys and certificates again."""


@dataclass(frozen=True, slots=True)
class BadCommand:
    """What is no command; reason: why, in words that show nothing of it."""

    reason: str


@dataclass(frozen=True, slots=True)
class CommandsMissed:
    """Notifications of the channel may have been lost, and commands with them."""


Command = Disconnect | Reload | BadCommand | CommandsMissed


def read(payload: str) -> Command:
    """The command in a payload. Subjects are compared as text, as the claim `sub` is."""
    try:
        found = jsontext.parse(payload)
    except ValueError:
        return BadCommand("it is not JSON")
    match found:
        case {"end": {"sub": str(subject), **more}, **others} if not (more or others):
            return Disconnect(subject)
        case {"reload": "keys", **others} if not others:
            return Reload()
    return BadCommand('it is neither {"end": {"sub": "..."}} nor {"reload": "keys"}')


class Sink(Protocol):
    """Who gets everything else; as the listener wants it."""

    def listen_active(self, names: Sequence[str], gap: str | None = None) -> None: ...
    def listen_refused(self, name: str, reason: str) -> None: ...
    def listen_lost(self, reason: str) -> None: ...
    def publish(self, batch: list[Notification]) -> Any: ...


class AdminChannel:
    """Stands between the listener and the events: takes out what comes on `channel`, each as a command."""

    def __init__(self, channel: str, events: Sink, execute: Callable[[Command], None]) -> None:
        self._channel = channel
        self._events = events
        self._execute = execute

    def listen_active(self, names: Sequence[str], gap: str | None = None) -> None:
        if gap is not None and self._channel in names:
            self._execute(CommandsMissed())
        self._events.listen_active(names, gap)

    def listen_refused(self, name: str, reason: str) -> None:
        self._events.listen_refused(name, reason)

    def listen_lost(self, reason: str) -> None:
        self._events.listen_lost(reason)

    def publish(self, batch: list[Notification]) -> None:
        events = [each for each in batch if each.channel != self._channel]
        if len(events) < len(batch):
            for notification in batch:
                if notification.channel == self._channel:
                    self._execute(read(notification.payload))
        if events:
            self._events.publish(events)
