"""What the file names, looked for in the database: functions, roles, predicates; and all that is wrong with them.

Owns the way from a fault in the core's words to a line of the file. Must not know how anything is served.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pgrpc.config as configuration
from pgrpc.core.functions import allowlist, catalog, roles, routines
from pgrpc.postgres import connect, introspect

Place = tuple[str | int, ...]
"""The keys and indexes that lead to a value of the file."""

Finding = tuple[Place, str]
"""Where, and what is wrong there."""


class ConfigMismatch(Exception):
    """warnings: what is hardly meant, beside the faults."""

    def __init__(self, faults: Sequence[Finding], warnings: Sequence[Finding]) -> None:
        super().__init__(str(faults))
        self.faults = faults
        self.warnings = warnings


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the database says of all that the file names.

    predicates: by what `authorize` of a channel names. roles: all that calls may run as. nameable: those that a token
    may name. hook: the function of auth.pre_request. warnings: of what is allowed, and hardly meant.
    """

    functions: Mapping[str, catalog.Function]
    predicates: Mapping[str, catalog.Function]
    roles: Mapping[str, roles.Role]
    nameable: frozenset[str]
    hook: routines.Routine | None
    warnings: Sequence[Finding]


def lines(config: configuration.Config, faults: Sequence[Finding], warnings: Sequence[Finding] = ()) -> tuple[str, ...]:
    """`config.yaml:12:5: functions.bid.timeout: ...`, in the order of the file."""
    found = [*faults, *((place, f"warning: {words}") for place, words in warnings)]
    found.sort(key=lambda finding: config.marks.position(finding[0]))
    return tuple(dict.fromkeys(f"{config.where(place)}: {words}" for place, words in found))


def invalid(config: configuration.Config, faults: Sequence[Finding]) -> configuration.Invalid:
    return configuration.Invalid(lines(config, faults))


async def inspect(config: configuration.Config, connector: connect.Connector) -> Resolved:
    """Raises ConfigMismatch, CannotConnect."""
    auth = config.auth
    named = list(_roles(config))
    anonymous = None if auth is None else auth.anonymous_role
    found = await introspect.read(connector, dict(_functions(config)), sorted({name for _, name in named}), anonymous)
    return _Resolution(config, found, named).fit()


def _functions(config: configuration.Config) -> Iterator[tuple[Place, str]]:
    """Every function that the file names."""
    for function in config.functions:
        yield ("functions", function.method, "function"), function.function
    for channel in config.channels:
        if channel.authorize is not None:
            yield ("channels", channel.name, "authorize"), channel.authorize
    if config.auth is not None and config.auth.pre_request is not None:
        yield ("auth", "pre_request"), config.auth.pre_request


def _roles(config: configuration.Config) -> Iterator[tuple[Place, str]]:
    """Every role that the file names, once: where it lists them, all others are among these."""
    if config.auth is None:
        return
    if config.auth.anonymous_role is not None:
        yield ("auth", "anonymous_role"), config.auth.anonymous_role
    if config.auth.roles is not None:
        for index, name in enumerate(config.auth.roles):
            yield ("auth", "roles", index), name
        return
    for function in config.functions:
        for name in sorted(function.roles or ()):
            yield ("functions", function.method, "roles"), name
    for channel in config.channels:
        for name in sorted(channel.roles or ()):
            yield ("channels", channel.name, "roles"), name


class _Resolution:
    """Gathers what is found while the parts are looked at, one after the other."""

    def __init__(
        self, config: configuration.Config, found: introspect.Found[Place], named: Sequence[tuple[Place, str]]
    ) -> None:
        self._config = config
        self._auth = config.auth
        self._found = found
        self._named = named
        self._faults: list[Finding] = list(found.faults.items())
        self._warnings: list[Finding] = []

    def fit(self) -> Resolved:
        found = self._found
        if found.encoding == "SQL_ASCII":
            words = (
                "the database's encoding is SQL_ASCII, so its text may be of any encoding and cannot be sent as JSON"
            )
            self._faults.append((("database", "dsn"), f"{words}; use a database with the encoding UTF8"))
        nameable = self._nameable()
        callers = nameable if self._auth is not None else frozenset((found.login.name,))
        if self._auth is not None and self._auth.anonymous_role is not None:
            callers |= {self._auth.anonymous_role}
        self._look_at_roles(callers)
        for place, listed in found.routines.items():
            self._warnings += [(place, words) for routine in listed for words in allowlist.doubts(routine)]
        functions, predicates, hook = self._functions(callers), self._predicates(callers), self._hook(callers)
        if self._faults:
            raise ConfigMismatch(self._faults, self._warnings)
        known = {name: found.roles[name] for name in callers & found.roles.keys()}
        return Resolved(functions, predicates, known, nameable, hook, self._warnings)

    def _nameable(self) -> frozenset[str]:
        """The roles that a token may name."""
        login, known = self._found.login, self._found.roles
        if self._auth is None:
            return frozenset()
        if self._auth.roles is not None:
            return frozenset(name for name in self._auth.roles if roles.fault(name, login, known) is None)
        if login.is_superuser:
            words = f"is needed: every role is granted to {login.name}, a superuser; list those that tokens may name"
            self._faults.append((("auth", "roles"), words))
        return roles.granted(login, known)

    def _look_at_roles(self, callers: frozenset[str]) -> None:
        login, known = self._found.login, self._found.roles
        for place, name in self._named:
            words = roles.fault(name, login, known)
            if words is None and name not in callers:
                words = f"no client can have the role {name}: list it in auth.roles, with all others that one may have"
            if words is not None:
                self._faults.append((place, words))
        if self._auth is None:
            return
        places = {name: place for place, name in reversed(self._named)}
        for name in sorted(callers & known.keys()):
            place = places.get(name, ("auth", "roles"))
            self._warnings += [(place, words) for words in roles.doubts(known[name])]
        self._warnings += [(("database", "dsn"), words) for words in roles.login_doubts(login)]
        if self._auth.cookie is not None and "*" in self._config.server.allowed_origins:
            words = '"*" lets any page connect, but not with auth.cookie: that is for pages listed by their names'
            self._warnings.append((("server", "allowed_origins"), words))

    def _functions(self, callers: frozenset[str]) -> Mapping[str, catalog.Function]:
        places: dict[str, Place] = {
            entry.method: ("functions", entry.method, "function") for entry in self._config.functions
        }
        readable = [entry for entry in self._config.functions if places[entry.method] not in self._found.faults]
        behind = {method: self._found.routines.get(place, ()) for method, place in places.items()}
        built, problems = allowlist.build(readable, behind, self._config.schemas, callers)
        self._faults += [(("functions", p.method, *((p.key,) if p.key else ())), p.message) for p in problems]
        for entry in readable:
            if entry.roles is not None:
                doubts = (words for routine in behind[entry.method] for words in allowlist.public_doubts(routine))
                self._warnings += [(("functions", entry.method, "roles"), words) for words in doubts]
        return built.functions

    def _predicates(self, callers: frozenset[str]) -> Mapping[str, catalog.Function]:
        made: dict[str, catalog.Function] = {}
        for entry in self._config.channels:
            place: Place = ("channels", entry.name, "authorize")
            if entry.authorize is None or place in self._found.faults:
                continue
            try:
                behind = self._found.routines.get(place, ())
                made[entry.authorize] = allowlist.predicate(entry.authorize, behind, entry.roles or callers)
            except allowlist.Unusable as error:
                self._faults.append((place, str(error)))
        return made

    def _hook(self, callers: frozenset[str]) -> routines.Routine | None:
        place: Place = ("auth", "pre_request")
        if self._auth is None or self._auth.pre_request is None or place in self._found.faults:
            return None
        try:
            return allowlist.hook(self._auth.pre_request, self._found.routines.get(place, ()), callers)
        except allowlist.Unusable as error:
            self._faults.append((place, str(error)))
            return None
