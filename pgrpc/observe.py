"""Observations: everything that the server reports, as plain values with the text and level of their log lines.

Owns this text; the caller only says what happened. No observation has a field for a token, a password or a payload.
Must not know who reports, nor where the lines go.
"""

import logging
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, dataclass_transform


class _Template(string.Formatter):
    """`{o.count:client}` is "1 client" or "2 clients", `{o.faults:lines}` a line for each."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        if format_spec == "lines":
            return "\n".join(value)
        if len(format_spec) > 1 and format_spec.isalpha():
            return f"{value} {format_spec}" + ("" if value == 1 else "s")
        return super().format_field(value, format_spec)


@dataclass_transform(frozen_default=True)
class Observation:
    """level: of its log line. words: the template of that line, for the observation's attributes.

    is_of_many: it can happen to thousands of clients at once, so that not each gets a line.
    """

    level: ClassVar[int]
    words: ClassVar[str]
    is_of_many: ClassVar[bool]

    def __init_subclass__(cls, *, level: int = logging.INFO, is_of_many: bool = False) -> None:
        cls.level, cls.is_of_many = level, is_of_many
        dataclass(frozen=True)(cls)

    def line(self) -> str:
        return _Template().format(self.words, o=self)


# The server's life


class Serving(Observation):
    words = "serving {o.url}{o.front}"
    url: str
    front_page: str | None = None
    """Its URL, if that is not `url`."""

    @property
    def front(self) -> str:
        return f"; the front page is at {self.front_page}" if self.front_page else ""


class ConfigMismatch(Observation, level=logging.ERROR):
    """The database became available late, and does not match the file."""

    words = "calls are refused until the database matches the configuration; trying again:\n{o.faults:lines}"
    faults: Sequence[str]


class Warnings(Observation, level=logging.WARNING):
    """Settings that are valid, but probably unintended."""

    words = "serving, with warnings:\n{o.warnings:lines}"
    warnings: Sequence[str]


class Stopping(Observation):
    words = "stopping: {o.reason}"
    reason: str


class WorkerServing(Observation):
    """One of several processes is serving."""

    words = "worker {o.number} is serving: process {o.process}"
    number: int
    process: int


class WorkerEnded(Observation, level=logging.ERROR):
    """wait: seconds until it is replaced; None if it is not. faults: in the configuration, as it has reported."""

    words = "worker {o.number}: {o.reason}{o.next}{o.wrong}"
    number: int
    reason: str
    wait: float | None = None
    faults: Sequence[str] = ()

    @property
    def next(self) -> str:
        return "" if self.wait is None else f"; a new one starts in {self.wait:.2f} s, the other workers keep running"

    @property
    def wrong(self) -> str:
        lines = ["; retrying until the database matches the configuration:", *self.faults]
        return "\n".join(lines) if self.faults else ""


class ParentEnded(Observation, level=logging.CRITICAL):
    words = "the parent process has ended, so this worker stops too"


class Bug(Observation, level=logging.CRITICAL, is_of_many=True):
    """An error of ours. The exception is logged with its traceback, which contains code, not data."""

    words = "a bug in pgrpc, in {o.where}; please report it"
    where: str
    error: BaseException


# The database


class DatabaseDown(Observation, level=logging.ERROR):
    """No connection for calls is left."""

    words = "the database is unavailable, calls are refused; reconnecting: {o.reason}"
    reason: str


class DatabaseUp(Observation):
    words = "connected to the database: calls are served"
    connections: int


class PoolShort(Observation, level=logging.WARNING):
    """Some connections could not be opened; the others are used."""

    words = "only {o.connections} of {o.wanted} connections are open; retrying: {o.reason}"
    connections: int
    wanted: int
    reason: str


class QueueFull(Observation, level=logging.WARNING, is_of_many=True):
    """limits.queue is reached."""

    words = "refused a call: {o.waiting} calls are waiting for the database already (limits.queue)"
    waiting: int


class ListenerDown(Observation, level=logging.ERROR):
    words = "no LISTEN connection, so no events are received; reconnecting: {o.reason}"
    reason: str


class ListenerUp(Observation):
    words = "LISTEN connection open: events are received"


class ListenerUpAgain(Observation):
    words = "LISTEN connection open again, with {o.channels:channel}{o.gap}"
    channels: int

    @property
    def gap(self) -> str:
        return "; subscribers receive rpc.gap: events may have been lost" if self.channels else ""


class ListenRefused(Observation, level=logging.WARNING, is_of_many=True):
    words = "LISTEN was refused for channel {o.channel!r}: {o.reason}"
    channel: str
    reason: str


# Clients


class Overloaded(Observation, level=logging.WARNING, is_of_many=True):
    """A limit of the whole server is reached."""

    words = "refused a connection: {o.reason}"
    reason: str


class HostRefused(Observation, level=logging.WARNING, is_of_many=True):
    words = "refused {o.address}: the host name {o.shown!r} is not listed in server.allowed_hosts"
    address: str
    host: str

    @property
    def shown(self) -> str:
        return self.host[:200]


class OriginRefused(Observation, level=logging.WARNING, is_of_many=True):
    words = "refused {o.address}: the origin {o.shown!r} is not listed in server.allowed_origins"
    address: str
    origin: str

    @property
    def shown(self) -> str:
        return self.origin[:200]


class TokenRefused(Observation, level=logging.WARNING, is_of_many=True):
    """reason: our own text; contains nothing of the token."""

    words = "refused {o.address}: {o.reason}"
    address: str
    reason: str


class Denied(Observation, level=logging.WARNING, is_of_many=True):
    """A client may not call this, or subscribe to it. The client is not told why."""

    words = "{o.what} refused to {o.address}: {o.reason}"
    address: str
    what: str
    reason: str


class Unresponsive(Observation, is_of_many=True):
    """Clients that answered no ping."""

    words = "dropped {o.count:client} that did not answer a ping within {o.interval:g} s"
    count: int
    interval: float


class SlowClient(Observation, level=logging.WARNING, is_of_many=True):
    words = "closed {o.address}: it reads too slowly; {o.waiting} bytes of events were waiting"
    address: str
    waiting: int


class EventsDropped(Observation, level=logging.WARNING, is_of_many=True):
    """For a client that reads too slowly, by the channel's `slow_consumer`."""

    words = "dropped events of {o.names}: {o.address} reads too slowly; it receives rpc.gap"
    address: str
    channels: Sequence[str]

    @property
    def names(self) -> str:
        return ", ".join(map(repr, self.channels[:3])) + (", ..." if len(self.channels) > 3 else "")


class NotJson(Observation, level=logging.WARNING, is_of_many=True):
    """An event that cannot be sent to clients that expect JSON."""

    words = "skipped an event of channel {o.channel!r} for clients of {o.route}: its payload is not JSON"
    channel: str
    route: str


# The operator


class KeysDown(Observation, level=logging.ERROR):
    """The key set is unavailable. known: keys of the last good one."""

    words = "the key set is unavailable, {o.still}; retrying: {o.reason}"
    reason: str
    known: int

    @property
    def still(self) -> str:
        if self.known:
            return f"the previous {self.known} keys stay in use"
        return "no token is accepted until it is available"


class KeysUp(Observation):
    words = "the key set is available: {o.known:key}"
    known: int


class Reloaded(Observation):
    words = "reloaded {o.what}"
    what: str


class NotReloaded(Observation, level=logging.ERROR):
    words = "could not reload {o.what}, still using the previous one: {o.reason}"
    what: str
    reason: str


class Disconnected(Observation):
    words = "closed {o.count:connection} of one subject, by a command on the control channel"
    count: int


class BadCommand(Observation, level=logging.WARNING, is_of_many=True):
    words = "ignored a notification on the control channel: {o.reason}"
    reason: str


class CommandsMissed(Observation, level=logging.WARNING):
    words = "the LISTEN connection was lost: commands on the control channel may be lost too; send them again"


Observer = Callable[[Observation], None]
