"""Which channels clients can subscribe to, with which roles and claims, and how their payloads travel.

Owns the rules for channel names: exact names, globs and claims in names, PostgreSQL's limit, the names that are never
given out. Must not know who subscribes, nor how.
"""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from pgrpc.core.channels import globs
from pgrpc.core.identity import claims, identity
from pgrpc.core.wire import jsontext

MAX_BYTES = 63
"""NAMEDATALEN - 1 (https://www.postgresql.org/docs/current/sql-notify.html): PostgreSQL refuses longer names."""

# rpc-websockets and its like raise these as events of their own, under the channel's name.
CLIENTS_OWN = frozenset(("open", "close", "error", "max_reconnects_reached"))

NOT_ALLOWED = "not allowed"
NOT_LISTED = "not listed"
"""No entry of the file is for this name, whoever asks. /surface.json lists the entries anyway."""

Payload = Literal["auto", "text", "json"]
SlowConsumer = Literal["close", "drop_oldest", "latest"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A channel, or a glob of channels, that clients may hear.

    roles: who may hear it, None is everybody. authorize: a SQL function that is asked besides, as the file has it.
    """

    name: str
    payload: Literal["auto", "text", "json"] = "auto"
    slow_consumer: Literal["close", "drop_oldest", "latest"] = "close"
    roles: tuple[str, ...] | None = None
    authorize: str | None = None


def postgresql_fault(name: str) -> str | None:
    """Why PostgreSQL has no channel of this exact name, in words; None where it can have one."""
    if not name:
        return "a channel name cannot be empty"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "a channel name cannot hold a lone surrogate"
    if "\0" in name:
        return "a channel name cannot hold the character NUL"
    if size > MAX_BYTES:
        return f"the name has {size} bytes; PostgreSQL's limit is {MAX_BYTES}"
    return None


def fault(name: str) -> str | None:
    """Why nobody can subscribe to a channel of this exact name, in words; None where one can."""
    if globs.is_pattern(name):
        return "this is a pattern; subscribe to exact names"
    if name.startswith(("rpc.", "$/")) or name in CLIENTS_OWN:
        return "this name is reserved"
    return postgresql_fault(name)


@dataclass(frozen=True, slots=True)
class Rule:
    """How one entry's channels are handled. roles: who may hear them, None is everybody.

    authorize: the SQL function that is asked besides.
    """

    name: str
    payload: Payload = "auto"
    slow_consumer: SlowConsumer = "close"
    roles: frozenset[str] | None = None
    authorize: str | None = None

    def encode(self, payload: str) -> str:
        """A payload as JSON text: itself where it is strictly valid JSON of the kind expected, else a string."""
        start = payload.lstrip(" \t\n\r")[:1]
        as_is = self.payload == "json" or (self.payload == "auto" and start in ("{", "["))
        return payload if as_is and start and jsontext.is_valid(payload) else jsontext.dump(payload)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client cannot have a channel. words: for the client. reason: what only the log may tell."""

    words: str
    reason: str | None = None


class Allowed(Protocol):
    """Which channels a client may have: what a session asks."""

    def rule(self, name: str, client: identity.Identity) -> Rule | Refusal:
        """The rule of a channel that a client asks for, or why it cannot have it."""


class RawChannels:
    """The listed channels, for clients to whom a name is a name and nothing else. reserved: names that no client gets.

    An exact name goes before globs and names with claims in them; of these the first in the file that matches counts.
    Whether its roles let the client in is decided then: no later entry is looked at. Raises globs.Malformed,
    claims.Malformed.
    """

    def __init__(self, listed: Iterable[Entry], reserved: Iterable[str] = ()) -> None:
        self.reserved = frozenset(reserved)
        self._exact: dict[str, Rule] = {}
        self._patterns: list[_Pattern] = []
        for entry in listed:
            roles = None if entry.roles is None else frozenset(entry.roles)
            rule = Rule(entry.name, entry.payload, entry.slow_consumer, roles, entry.authorize)
            pattern = _Pattern(rule)
            if pattern.exact is None:
                self._patterns.append(pattern)
            else:
                self._exact[pattern.exact] = rule
        self.globs = frozenset(pattern.rule.name for pattern in self._patterns)
        """The entries that may stand for several channels."""

    def rule(self, name: str, client: identity.Identity) -> Rule | Refusal:
        """The rule of a channel that a client asks for, or why it cannot have it."""
        if (words := postgresql_fault(name)) is not None:
            return Refusal(words)
        if name in self.reserved:
            return Refusal("this name is reserved")
        rule = self._exact.get(name) or next((p.rule for p in self._patterns if p.fits(name, client)), None)
        if rule is None:
            reasons = (reason for p in self._patterns if (reason := p.claims_fault(name, client)) is not None)
            reason = next(reasons, None)
            return Refusal(NOT_LISTED, "not listed in the file") if reason is None else Refusal(NOT_ALLOWED, reason)
        if rule.roles is not None and client.role not in rule.roles:
            return Refusal(NOT_ALLOWED, f"{rule.name!r} is not for the role {client.role}")
        return rule


class Channels:
    """The same for JSON-RPC clients: patterns, and names that the protocol or client libraries have, are refused."""

    def __init__(self, listed: Iterable[Entry], reserved: Iterable[str] = ()) -> None:
        entries = tuple(listed)
        self.raw = RawChannels(entries, reserved)
        self.names = tuple(entry.name for entry in entries)
        self.globs = self.raw.globs

    def rule(self, name: str, client: identity.Identity) -> Rule | Refusal:
        """The rule of a channel that a client asks for, or why it cannot have it."""
        words = fault(name)
        return self.raw.rule(name, client) if words is None else Refusal(words)


class _Pattern:
    """One entry as a regular expression for the text `claim NUL claim NUL ... name`, made once for everybody.

    Each claim is a group of it, and `{claim}` a reference to that group: what a token says is compared, and never
    becomes part of an expression. exact: the one name that it stands for, or None.
    """

    __slots__ = ("_claims", "_expression", "_with_any_claims", "exact", "rule")

    def __init__(self, rule: Rule) -> None:
        texts, self._claims = claims.split(rule.name)
        self.rule = rule
        self.exact = None if self._claims or globs.is_pattern(texts[0]) else texts[0]
        written = [globs.expression(text) for text in texts]
        groups = [f"(?P<c{index}>[^\0]*)\0" for index in range(len(self._claims))]
        references = [f"(?P=c{index})" for index in range(len(self._claims))]
        body = "".join(itertools.chain(*itertools.zip_longest(written, references, fillvalue="")))
        self._expression = re.compile("".join(groups) + body, re.DOTALL)
        self._with_any_claims = "[^.*]+".join(written)

    def fits(self, name: str, client: identity.Identity) -> bool:
        subject = self._subject(name, client)
        return subject is not None and self._expression.fullmatch(subject) is not None

    def claims_fault(self, name: str, client: identity.Identity) -> str | None:
        """In words for the log, how other claims would have let the client in; None where none would."""
        if not re.fullmatch(self._with_any_claims, name, re.DOTALL):
            return None
        if self._subject(name, client) is None:
            return f"{self.rule.name!r} has a claim that the token lacks, or whose value cannot be part of a name"
        return f"{self.rule.name!r} has a claim that is another in the token"

    def _subject(self, name: str, client: identity.Identity) -> str | None:
        """What is to be matched; None where the client lacks a claim."""
        values = [claims.text(client.claims, path) for path in self._claims]
        return None if None in values else "\0".join([*(value for value in values if value is not None), name])
