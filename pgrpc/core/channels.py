"""Which channels can be heard, and how their payloads travel.

Owns the rules for channel names: exact names and globs, PostgreSQL's limit, the names that are never given out.
Must not know who listens, nor how.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from pgrpc.core import globs, jsontext

MAX_BYTES = 63
"""NAMEDATALEN - 1 (https://www.postgresql.org/docs/current/sql-notify.html): PostgreSQL refuses longer names."""

# rpc-websockets and its like raise these as events of their own, under the channel's name.
CLIENTS_OWN = frozenset(("open", "close", "error", "max_reconnects_reached"))

Payload = Literal["auto", "text", "json"]
SlowConsumer = Literal["close", "drop_oldest", "latest"]


class Listed(Protocol):
    """One entry of the whitelist, as the configuration has it. `name` is exact or a glob, in the dialect `glob`."""

    @property
    def name(self) -> str: ...
    @property
    def glob(self) -> globs.Syntax: ...
    @property
    def payload(self) -> Payload: ...
    @property
    def slow_consumer(self) -> SlowConsumer: ...


def fault(name: str, *, verbatim: bool = False) -> str | None:
    """Why nobody can listen to a channel of this exact name, in words; None where one can.

    verbatim: for a client to whom the name is a name and nothing else: PostgreSQL's own limits remain.
    """
    if not name:
        return "a channel name cannot be empty"
    if not verbatim:
        if globs.is_pattern(name):
            return "this is a pattern; ask for exact names"
        if name.startswith(("rpc.", "$/")) or name in CLIENTS_OWN:
            return "this name is reserved"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "a channel name cannot hold a lone surrogate"
    if "\0" in name:
        return "a channel name cannot hold the character NUL"
    if size > MAX_BYTES:
        return f"the name has {size} bytes; PostgreSQL's limit is {MAX_BYTES}"
    return None


@dataclass(frozen=True, slots=True)
class Rule:
    """How one entry's channels are handled."""

    name: str
    payload: Payload = "auto"
    slow_consumer: SlowConsumer = "close"

    def encode(self, payload: str) -> str:
        """A payload as JSON text: itself where it is strictly valid JSON of the kind expected, else a string."""
        start = payload.lstrip(" \t\n\r")[:1]
        as_is = self.payload == "json" or (self.payload == "auto" and start in ("{", "["))
        return payload if as_is and start and jsontext.is_valid(payload) else jsontext.dump(payload)


class Channels:
    """The channels that can be heard. An exact name goes before globs; of globs the first in the file counts.

    reserved: names that no client gets, whatever a glob says. Raises globs.Malformed.
    """

    def __init__(self, listed: Iterable[Listed], reserved: Iterable[str] = ()) -> None:
        self._reserved = frozenset(reserved)
        self._exact: dict[str, Rule] = {}
        self._globs: list[tuple[re.Pattern[str], Rule]] = []
        entries = tuple(listed)
        self.names = tuple(entry.name for entry in entries)
        self.globs = frozenset(entry.name for entry in entries if globs.is_pattern(entry.name, entry.glob))
        for entry in entries:
            rule = Rule(entry.name, entry.payload, entry.slow_consumer)
            if entry.name in self.globs:
                self._globs.append((globs.compile(entry.name, entry.glob), rule))
            else:
                self._exact[entry.name] = rule

    def rule(self, name: str, *, verbatim: bool = False) -> Rule | str:
        """The rule of a channel that a client asks for, or why it cannot have it, in words for the client.

        verbatim: as for `fault`.
        """
        refused = fault(name, verbatim=verbatim)
        if refused is not None:
            return refused
        if name in self._reserved:
            return "this name is reserved"
        if name in self._exact:
            return self._exact[name]
        for pattern, rule in self._globs:
            if pattern.fullmatch(name):
                return rule
        return "not allowed"
