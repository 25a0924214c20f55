"""Which channels a client may subscribe to, by name, role and claims, and how their payloads are encoded.

Owns the rules for channel names: exact names, globs and claims in names, PostgreSQL's limit, reserved names. Must not
know who subscribes, nor how.
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

# Clients such as rpc-websockets emit events of their own under these names, as they do for channels.
CLIENTS_OWN = frozenset(("open", "close", "error", "max_reconnects_reached"))

NOT_ALLOWED = "not allowed"
NOT_LISTED = "not listed"
"""No entry of the file matches this name, for any client. /surface.json lists the entries anyway."""

Payload = Literal["auto", "text", "json"]
SlowConsumer = Literal["close", "drop_oldest", "latest"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the file: a channel, or a glob of channels, that clients may subscribe to.

    roles: who may subscribe; None: everybody. authorize: a SQL function that must also allow it, as named in the file.
    """

    name: str
    payload: Literal["auto", "text", "json"] = "auto"
    slow_consumer: Literal["close", "drop_oldest", "latest"] = "close"
    roles: tuple[str, ...] | None = None
    authorize: str | None = None


def postgresql_fault(name: str) -> str | None:
    """Why PostgreSQL cannot have a channel of this exact name; None if it can."""
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
    """Why no client can subscribe to a channel of this exact name; None if one can."""
    if globs.is_pattern(name):
        return "this is a pattern; subscribe to exact names"
    if name.startswith(("rpc.", "$/")) or name in CLIENTS_OWN:
        return "this name is reserved"
    return postgresql_fault(name)


@dataclass(frozen=True, slots=True)
class Rule:
    """How the channels of one entry are handled. roles: who may subscribe; None: everybody.

    authorize: the SQL function that must also allow it.
    """

    name: str
    payload: Payload = "auto"
    slow_consumer: SlowConsumer = "close"
    roles: frozenset[str] | None = None
    authorize: str | None = None

    def encode(self, payload: str) -> str:
        """A payload as JSON: unchanged if it is valid JSON of the kind that `payload` expects, else as a string."""
        start = payload.lstrip(" \t\n\r")[:1]
        as_is = self.payload == "json" or (self.payload == "auto" and start in ("{", "["))
        return payload if as_is and start and jsontext.is_valid(payload) else jsontext.dump(payload)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client cannot have a channel. words: for the client. reason: for the log only."""

    words: str
    reason: str | None = None


class Allowed(Protocol):
    """The channels that a session's client may subscribe to."""

    def rule(self, name: str, client: identity.Identity) -> Rule | Refusal:
        """The rule for a requested channel, or why the client cannot have it."""


class RawChannels:
    """The listed channels, for protocols that reserve no names. reserved: names that no client can have.

    An exact name precedes globs and names with claims; of these the first match in the file applies. Only then are its
    roles checked: no later entry is tried. Raises claims.Malformed.
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
        """The entries that can match several channels."""

    def rule(self, name: str, client: identity.Identity) -> Rule | Refusal:
        """The rule for a requested channel, or why the client cannot have it."""
        if (words := postgresql_fault(name)) is not None:
            return Refusal(words)
        if name in self.reserved:
            return Refusal("this name is reserved")
        rule = self._exact.get(name) or next((p.rule for p in self._patterns if p.matches(name, client)), None)
        if rule is None:
            reasons = (reason for p in self._patterns if (reason := p.claims_fault(name, client)) is not None)
            reason = next(reasons, None)
            return Refusal(NOT_LISTED, "not listed in the file") if reason is None else Refusal(NOT_ALLOWED, reason)
        if rule.roles is not None and client.role not in rule.roles:
            return Refusal(NOT_ALLOWED, f"the roles of {rule.name!r} do not include {client.role}")
        return rule


class Channels:
    """The same for JSON-RPC clients: patterns, and names that the protocol or client libraries use, are refused."""

    def __init__(self, listed: Iterable[Entry], reserved: Iterable[str] = ()) -> None:
        entries = tuple(listed)
        self.raw = RawChannels(entries, reserved)
        self.names = tuple(entry.name for entry in entries)
        self.globs = self.raw.globs

    def rule(self, name: str, client: identity.Identity) -> Rule | Refusal:
        """The rule for a requested channel, or why the client cannot have it."""
        words = fault(name)
        return self.raw.rule(name, client) if words is None else Refusal(words)


class _Pattern:
    """One entry as a regular expression for the text `claim NUL claim NUL ... name`, compiled once for all clients.

    Each claim is a group, and `{claim}` a reference to it: the value of a claim is compared, and never becomes part of
    an expression. exact: the only name that it matches, or None.
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
        self._with_any_claims = re.compile("[^.*]+".join(written), re.DOTALL)

    def matches(self, name: str, client: identity.Identity) -> bool:
        subject = self._subject(name, client)
        return subject is not None and self._expression.fullmatch(subject) is not None

    def claims_fault(self, name: str, client: identity.Identity) -> str | None:
        """For the log: which claim keeps the client out; None if no claims would let it in."""
        if not self._with_any_claims.fullmatch(name):
            return None
        if self._subject(name, client) is None:
            return f"the token lacks a claim in {self.rule.name!r}, or its value cannot be part of a channel name"
        return f"the token has another value for a claim in {self.rule.name!r}"

    def _subject(self, name: str, client: identity.Identity) -> str | None:
        """The text to match; None if the client lacks a claim."""
        values = [claims.text(client.claims, path) for path in self._claims]
        return None if None in values else "\0".join([*(value for value in values if value is not None), name])
