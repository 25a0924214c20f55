"""Everything worth reporting, as plain values -> log lines.

Owns the words and levels of the log: whoever reports says only what happened. Must not know who reports, and
holds no token, password or payload: no observation has a field for one.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_QUIET = 10.0
"""Seconds between two lines about clients of one kind."""

_log = logging.getLogger("pgrpc")


@dataclass(frozen=True, slots=True)
class Serving:
    url: str

    def line(self) -> tuple[int, str]:
        return logging.INFO, f"serving {self.url}"


@dataclass(frozen=True, slots=True)
class Unfit:
    """The database came late, and does not have what the file lists."""

    faults: Sequence[str]

    def line(self) -> tuple[int, str]:
        return logging.ERROR, "no calls are served until the database fits the file; trying on:\n" + "\n".join(
            self.faults
        )


@dataclass(frozen=True, slots=True)
class Doubtful:
    """File and database fit, but some of it is hardly meant."""

    warnings: Sequence[str]

    def line(self) -> tuple[int, str]:
        return logging.WARNING, "served as it is, but look at this:\n" + "\n".join(self.warnings)


@dataclass(frozen=True, slots=True)
class DatabaseDown:
    """No connection for calls is left."""

    reason: str

    def line(self) -> tuple[int, str]:
        return logging.ERROR, f"the database is away, calls are refused until it is back; trying on: {self.reason}"


@dataclass(frozen=True, slots=True)
class DatabaseUp:
    connections: int

    def line(self) -> tuple[int, str]:
        return logging.INFO, "connected to the database: calls are served"


@dataclass(frozen=True, slots=True)
class PoolShort:
    """Some connections could not be opened; the others serve."""

    connections: int
    wanted: int
    reason: str

    def line(self) -> tuple[int, str]:
        return (
            logging.WARNING,
            f"only {self.connections} of {self.wanted} connections are open; trying on: {self.reason}",
        )


@dataclass(frozen=True, slots=True)
class ListenerDown:
    reason: str

    def line(self) -> tuple[int, str]:
        return logging.ERROR, f"no events are heard until the listener is connected again; trying on: {self.reason}"


@dataclass(frozen=True, slots=True)
class ListenerUp:
    channels: int
    gap: bool

    def line(self) -> tuple[int, str]:
        if not self.gap:
            return logging.INFO, "the listener is connected: events are heard"
        after = "; subscribers are told that events may have been lost" if self.channels else ""
        return logging.INFO, f"the listener is connected, {self.channels} channels are heard again{after}"


@dataclass(frozen=True, slots=True)
class ListenRefused:
    channel: str
    reason: str

    def line(self) -> tuple[int, str]:
        return logging.WARNING, f"LISTEN was refused for channel {self.channel!r}: {self.reason}"


@dataclass(frozen=True, slots=True)
class SlowClient:
    address: str
    waiting: int

    def line(self) -> tuple[int, str]:
        return logging.WARNING, f"closed {self.address}: it does not read; {self.waiting} bytes waited for it"


@dataclass(frozen=True, slots=True)
class EventsDropped:
    """For a client that does not read, as its channels' policy has it."""

    address: str
    channels: Sequence[str]

    def line(self) -> tuple[int, str]:
        names = ", ".join(map(repr, self.channels[:3])) + (", ..." if len(self.channels) > 3 else "")
        return logging.WARNING, f"dropped events of {names}: {self.address} reads too slowly; it is told of the gap"


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """reason: in our own words; it holds nothing of the token."""

    address: str
    reason: str

    def line(self) -> tuple[int, str]:
        return logging.WARNING, f"refused {self.address}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Denied:
    """What a client may not call or hear. The client is not told why."""

    address: str
    what: str
    reason: str

    def line(self) -> tuple[int, str]:
        return logging.WARNING, f"denied {self.address} the {self.what}: {self.reason}"


@dataclass(frozen=True, slots=True)
class KeysDown:
    """The key set cannot be had. known: keys of the last good one."""

    reason: str
    known: int

    def line(self) -> tuple[int, str]:
        still = (
            f"the {self.known} keys of before stay in force" if self.known else "no token is taken until it is there"
        )
        return logging.ERROR, f"the key set cannot be had, {still}; trying on: {self.reason}"


@dataclass(frozen=True, slots=True)
class KeysUp:
    known: int

    def line(self) -> tuple[int, str]:
        return logging.INFO, f"the key set is there: {self.known} keys"


@dataclass(frozen=True, slots=True)
class NotJson:
    """An event that cannot be sent to those who expect JSON."""

    channel: str

    def line(self) -> tuple[int, str]:
        return logging.WARNING, f"left out an event of channel {self.channel!r} for clients of /ws: it is no JSON"


@dataclass(frozen=True, slots=True)
class Overloaded:
    """A limit of the whole server is reached."""

    reason: str

    def line(self) -> tuple[int, str]:
        return logging.WARNING, f"refused a connection: {self.reason}"


@dataclass(frozen=True, slots=True)
class OriginRefused:
    address: str
    origin: str

    def line(self) -> tuple[int, str]:
        return logging.WARNING, (
            f"refused {self.address}: pages of {self.origin[:200]!r} may not connect (server.allowed_origins)"
        )


@dataclass(frozen=True, slots=True)
class HostRefused:
    address: str
    host: str

    def line(self) -> tuple[int, str]:
        return logging.WARNING, (
            f"refused {self.address}: it asked for {self.host[:200]!r}, which is no name of ours (server.allowed_hosts)"
        )


@dataclass(frozen=True, slots=True)
class QueueFull:
    """As many calls wait for the database as may."""

    waiting: int

    def line(self) -> tuple[int, str]:
        return logging.WARNING, f"refused a call: {self.waiting} wait for the database already"


@dataclass(frozen=True, slots=True)
class Unresponsive:
    """Clients that answered no ping."""

    count: int
    interval: float

    def line(self) -> tuple[int, str]:
        return logging.INFO, f"dropped {self.count} clients that gave no sign of life for {self.interval:g} s"


@dataclass(frozen=True, slots=True)
class Reloaded:
    what: str

    def line(self) -> tuple[int, str]:
        return logging.INFO, f"read again: {self.what}"


@dataclass(frozen=True, slots=True)
class NotReloaded:
    what: str
    reason: str

    def line(self) -> tuple[int, str]:
        return logging.ERROR, f"could not read {self.what} again, what was there stays in use: {self.reason}"


@dataclass(frozen=True, slots=True)
class Ended:
    """As the operator ordered."""

    count: int

    def line(self) -> tuple[int, str]:
        return logging.INFO, f"closed {self.count} connections of one subject, as ordered on the control channel"


@dataclass(frozen=True, slots=True)
class OrderUnclear:
    reason: str

    def line(self) -> tuple[int, str]:
        return logging.WARNING, f"a notification on the control channel was no order: {self.reason}"


@dataclass(frozen=True, slots=True)
class OrdersMissed:
    def line(self) -> tuple[int, str]:
        return logging.WARNING, (
            "the control channel was not heard for a while: what was ordered meanwhile was not done; order it again"
        )


@dataclass(frozen=True, slots=True)
class Stopping:
    reason: str

    def line(self) -> tuple[int, str]:
        return logging.INFO, f"stopping: {self.reason}"


@dataclass(frozen=True, slots=True)
class WorkerServing:
    """One of several processes."""

    number: int
    process: int

    def line(self) -> tuple[int, str]:
        return logging.INFO, f"worker {self.number} serves: process {self.process}"


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """wait: seconds until it is replaced; None where it is not. faults: what it found wrong with the configuration."""

    number: int
    reason: str
    wait: float | None = None
    faults: Sequence[str] = ()

    def line(self) -> tuple[int, str]:
        words = f"worker {self.number}: {self.reason}"
        if self.wait is not None:
            words += f"; another is started in {self.wait:.2f} s, the other workers go on"
        if self.faults:
            words += "; tried again until the database fits the file:\n" + "\n".join(self.faults)
        return logging.ERROR, words


@dataclass(frozen=True, slots=True)
class ParentEnded:
    """The process that looks after the workers."""

    def line(self) -> tuple[int, str]:
        return logging.CRITICAL, "the parent process has ended, so this worker stops too"


@dataclass(frozen=True, slots=True)
class Bug:
    """A fault of our own. The exception is logged with its traceback, which names code, not data."""

    where: str
    error: BaseException

    def line(self) -> tuple[int, str]:
        return logging.CRITICAL, f"a bug in pgrpc, in {self.where}; please report it"


Observation = (
    Serving | Unfit | Doubtful | DatabaseDown | DatabaseUp | PoolShort | ListenerDown | ListenerUp | ListenRefused
    | SlowClient | EventsDropped | NotJson | TokenRefused | Denied | KeysDown | KeysUp | Overloaded
    | OriginRefused | HostRefused | QueueFull | Unresponsive | Reloaded | NotReloaded | Ended | OrderUnclear
    | OrdersMissed | Stopping | WorkerServing | WorkerEnded | ParentEnded | Bug
)  # fmt: skip

_OF_MANY = (
    Bug, SlowClient, Unresponsive, ListenRefused, EventsDropped, NotJson, TokenRefused, Denied, Overloaded,
    OriginRefused, HostRefused, QueueFull, OrderUnclear,
)  # fmt: skip
"""What can happen to thousands of clients at one moment."""

Observer = Callable[[Observation], None]


class Log:
    """The observer that writes log lines. Of what happens to many clients at once it writes one line, then counts."""

    def __init__(self) -> None:
        self._quiet_until: dict[type, float] = {}
        self._left_out: dict[type, int] = {}

    def __call__(self, observation: Observation) -> None:
        kind = type(observation)
        left_out = 0
        if kind in _OF_MANY:
            now = time.monotonic()
            if now < self._quiet_until.get(kind, 0.0):
                self._left_out[kind] = self._left_out.get(kind, 0) + 1
                return
            self._quiet_until[kind] = now + _QUIET
            left_out = self._left_out.pop(kind, 0)
        level, words = observation.line()
        more = f" (and {left_out} times more since the last such line)" if left_out else ""
        _log.log(level, words + more, exc_info=observation.error if isinstance(observation, Bug) else None)


log = Log()
