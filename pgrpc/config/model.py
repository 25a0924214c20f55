"""The configuration as the rest of pgrpc sees it: frozen values, each with the place in the file it came from.

Owns the shape and the defaults. Must not know YAML, the environment, nor how a value is checked.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pgrpc.core.channels import rules
from pgrpc.core.functions import allowlist
from pgrpc.core.limits import settings
from pgrpc.core.network import forwarding

Place = tuple[str | int, ...]
"""Where a value is: the keys and indexes that lead to it."""

Position = tuple[int, int]
"""Line and column, both from 1."""


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


class Invalid(Exception):
    """A configuration that cannot be used. `faults`: everything wrong with it, in the order of the file.

    sound: the part of it that nothing is wrong with, so that the database can be asked about that as well.
    """

    def __init__(self, faults: Sequence[str], sound: "Config | None" = None) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
        self.sound = sound


@dataclass(frozen=True, slots=True)
class Marks:
    """The file as the command line named it, and the position of each key and item in it.

    names: places whose values came from elsewhere, such as another server's settings -> what they are called there.
    """

    file: str
    positions: Mapping[Place, Position] = field(default_factory=_nothing, repr=False)
    names: Mapping[Place, str] = field(default_factory=_nothing, repr=False)

    def position(self, place: Sequence[str | int]) -> Position:
        """Of the place, or of the nearest one around it that the file has."""
        for length in range(len(place), 0, -1):
            if found := self.positions.get(tuple(place[:length])):
                return found
        return 1, 1

    def where(self, place: Sequence[str | int]) -> str:
        """`config.yaml:12:5: functions.bid.timeout`; or the name that the value has where it came from."""
        for length in range(len(place), 0, -1):
            if name := self.names.get(tuple(place[:length])):
                return name
        line, column = self.position(place)
        return f"{self.file}:{line}:{column}" + (f": {shown(place)}" if place else "")


def shown(place: Sequence[str | int]) -> str:
    """`functions.bid.timeout`, `channels."room.*"`, `server.allowed_origins[0]`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        plain = re.fullmatch(r"[\w-]+", part)
        text += ("." if text else "") + (part if plain else json.dumps(part, ensure_ascii=False))
    # A fault is printed: a lone surrogate in a key must not break that.
    return text.encode("utf-8", "backslashreplace").decode()


Limits = settings.Limits
Function = allowlist.Entry
SchemaFile = allowlist.SchemaFile
Channel = rules.Entry
"""The settings of core are its own: what they mean is written there."""


@dataclass(frozen=True, slots=True)
class Database:
    """How to reach PostgreSQL. Times in seconds. listen_dsn: a direct connection, where dsn is a pooler."""

    dsn: str = field(repr=False)  # it may hold a password
    listen_dsn: str | None = field(default=None, repr=False)
    pool_size: int = 10
    statement_timeout: float = 10.0
    connect_timeout: float = 5.0
    listen_probe: float = 10.0


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files. port: for TLS alone, beside the server's own without it; None: the server's own speaks TLS."""

    certificate: Path
    key: Path
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """Where to listen. base_path begins and ends with "/"; allowed_origins are spelled as browsers send them, or "*".

    ping_interval: seconds. ping_timeout: seconds that a sign of life may take; None: ping_interval. relay_on_gap: what
    becomes of raw sockets when events may have been lost. static: the folder of the user's own pages, absolute.
    workers: processes that share the port. tls: None for plain HTTP. allowed_hosts: in lower case.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    base_path: str = "/"
    allowed_origins: tuple[str, ...] = ()
    ping_interval: float = 20.0
    ping_timeout: float | None = None
    relay_on_gap: Literal["close", "keep"] = "close"
    static: Path | None = None
    workers: int = 1
    tls: Tls | None = None
    trusted_proxies: tuple[forwarding.Network, ...] = ()
    allowed_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Auth:
    """Who a client is, told by a JSON Web Token. One of secret, public_key (PEM text), jwks (address or file) is set.

    algorithms: empty for those that the key is for. role_claim: the claims that lead to the role. roles: None for
    those that the database grants to the login role. headers: in lower case. leeway, expiring: seconds.
    """

    secret: str | None = field(default=None, repr=False)
    public_key: str | None = field(default=None, repr=False)
    jwks: str | Path | None = None
    algorithms: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    issuer: str | None = None
    leeway: float = 30.0
    role_claim: tuple[str, ...] = ("role",)
    roles: tuple[str, ...] | None = None
    anonymous_role: str | None = None
    cookie: str | None = None
    query_parameter: str | None = None
    headers: tuple[str, ...] = ()
    pre_request: str | None = None
    expiring: float = 60.0
    control_channel: str | None = None


@dataclass(frozen=True, slots=True)
class Eventserv:
    """pg_eventserv's dialect, at /listen/{channel}. url_base: where clients reach it, "" for what their request says.

    assets: a folder whose index.html is the front page.
    """

    url_base: str = ""
    assets: Path | None = None


@dataclass(frozen=True, slots=True)
class Postgresql2websocket:
    """postgresql2websocket's dialect, at /{channel}."""


@dataclass(frozen=True, slots=True)
class Psqlisten2websocket:
    """psqlisten2websocket's dialect: one channel for everyone, at /ws."""

    channel: str = "events"


@dataclass(frozen=True, slots=True)
class Dialects:
    """What other servers' clients speak, beside our own; None: not served."""

    eventserv: Eventserv | None = None
    postgresql2websocket: Postgresql2websocket | None = None
    psqlisten2websocket: Psqlisten2websocket | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file. schemas: uri -> document, for every file that a function's params reach.

    auth: None where nobody is asked who he is. unknown: top-level sections that are faulty and were left out.
    """

    path: Path
    database: Database
    server: Server = field(default_factory=Server)
    auth: Auth | None = None
    limits: Limits = field(default_factory=Limits)
    functions: tuple[Function, ...] = ()
    channels: tuple[Channel, ...] = ()
    dialects: Dialects = field(default_factory=Dialects)
    schemas: Mapping[str, Any] = field(default_factory=_nothing, repr=False)
    marks: Marks = field(default_factory=lambda: Marks("config.yaml"), repr=False)
    unknown: frozenset[str] = frozenset()

    def where(self, path: Sequence[str | int]) -> str:
        """The place of a key for a fault: `config.yaml:12:5: functions.bid.timeout`."""
        return self.marks.where(path)
