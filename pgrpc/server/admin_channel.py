"""Reads admin commands, which an operator sends by NOTIFY on the control channel.

Owns how a command is written, and keeps the control channel's notifications from clients. Must not know how a command
is executed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pgrpc.core.channels.notification import Notification
from pgrpc.core.wire import jsontext
from pgrpc.postgres import listener


@dataclass(frozen=True, slots=True)
class Disconnect:
    """`{"end": {"sub": "ann"}}`: close every socket of this subject."""

    subject: str


@dataclass(frozen=True, slots=True)
class Reload:
    """`{"reload": "keys"}`: read keys and certificates again."""


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A notification that is not a command. reason: contains nothing of the payload."""

    reason: str


@dataclass(frozen=True, slots=True)
class CommandsMissed:
    """Commands may have been lost, because the LISTEN connection was."""


Command = Disconnect | Reload | BadCommand | CommandsMissed


def read(payload: str) -> Command:
    """The command in a payload."""
    try:
        command = jsontext.parse(payload)
    except ValueError:
        return BadCommand("it is not JSON")
    match command:
        case {"end": {"sub": str(subject), **more}, **others} if not (more or others):
            return Disconnect(subject)
        case {"reload": "keys", **others} if not others:
            return Reload()
    return BadCommand('it is neither {"end": {"sub": "..."}} nor {"reload": "keys"}')


class AdminChannel:
    """A sink between the listener and `events`: executes notifications on `channel`, and passes on all others."""

    def __init__(self, channel: str, events: listener.Sink, execute: Callable[[Command], None]) -> None:
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
