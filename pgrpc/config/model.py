"""The configuration as the rest of pgrpc sees it: frozen values, each with the place in the file it came from.

Owns their shape: a field has the name of its key. The defaults are those of the schema, which a test compares. Must not
know YAML, the environment, nor how a value is checked.
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

    sound: the part of it that nothing is wrong with, so that it can be checked against the database as well.
    """

    def __init__(self, faults: Sequence[str], sound: "Config | None" = None) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
        self.sound = sound


@dataclass(frozen=True, slots=True)
class Marks:
    """The file as the command line named it, and the position of each key and item in it.

    names: places whose values came from elsewhere, such as another server's settings -> their names there.
    """

    file: str
    positions: Mapping[Place, Position] = field(default_factory=_nothing, repr=False)
    names: Mapping[Place, str] = field(default_factory=_nothing, repr=False)

    def position(self, place: Sequence[str | int]) -> Position:
        """The position of the place, or of the nearest one around it that is in the file."""
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
"""Settings that core defines for itself."""


@dataclass(frozen=True, slots=True)
class Database:
    """How to connect to PostgreSQL. Times in seconds. listen_dsn: a direct connection, if dsn leads to a pooler."""

    dsn: str = field(repr=False)  # it may contain a password
    listen_dsn: str | None = field(default=None, repr=False)
    pool_size: int = 10
    statement_timeout: float = 10.0
    connect_timeout: float = 5.0
    listen_probe: float = 10.0


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files. port: a second port, for TLS alone; None: the server's own port uses TLS."""

    certificate: Path
    key: Path
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """The address to serve on. base_path begins and ends with "/". allowed_origins: spelled as browsers do, or "*".

    ping_interval, ping_timeout: seconds; a ping_timeout of None is ping_interval. relay_on_gap: what happens to raw
    sockets when notifications may have been lost. static: the folder of the user's own pages, absolute. workers:
    processes that share the port. tls: None for plain HTTP. allowed_hosts: in lower case.
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
    """How clients authenticate. One of secret, public_key (PEM text) and jwks (address or file) is set.

    algorithms: empty for the defaults of the key. role_claim: the path to the claim that names the role. roles: None
    for those granted to the login role. headers: in lower case. leeway, expiring: seconds.
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
class Config:
    """The whole file. schemas: uri -> document, for every file that a function's params reach.

    auth: None where clients do not authenticate. dialects: of those that are on, name -> what its section says.
    unknown: the names of sections that are faulty and were left out, in the sound part of an invalid file: what depends
    on them cannot be judged.
    """

    path: Path
    database: Database
    server: Server = field(default_factory=Server)
    auth: Auth | None = None
    limits: Limits = field(default_factory=Limits)
    functions: tuple[Function, ...] = ()
    channels: tuple[Channel, ...] = ()
    dialects: Mapping[str, Any] = field(default_factory=_nothing)
    schemas: Mapping[str, Any] = field(default_factory=_nothing, repr=False)
    marks: Marks = field(default_factory=lambda: Marks("config.yaml"), repr=False)
    unknown: frozenset[str] = frozenset()

    def where(self, path: Sequence[str | int]) -> str:
        """The place of a key for a fault: `config.yaml:12:5: functions.bid.timeout`."""
        return self.marks.where(path)
