"""What the file names, looked for in the database: functions, roles, predicates; and all that is wrong with them.

Owns the way from a fault in the core's words to a line of the file. Must not know how anything is served.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pgrpc.config as configuration
from pgrpc.check import client_roles, findings
from pgrpc.core.functions import allowlist, catalog, params_schema, roles, routines
from pgrpc.postgres import connect, introspect

Place = findings.Place
Finding = findings.Finding


class ConfigMismatch(Exception):
    """The file and the database do not match. warnings: what is valid, but probably not intended."""

    def __init__(self, faults: Sequence[Finding], warnings: Sequence[Finding]) -> None:
        super().__init__(str(faults))
        self.faults = faults
        self.warnings = warnings


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the database says of everything that the file names.

    predicates: by what `authorize` of a channel names. roles: all that calls may run as. token_roles: those that a
    token may name. hook: the function of auth.pre_request. warnings: what is valid, but probably not intended.
    """

    functions: Mapping[str, catalog.Function]
    predicates: Mapping[str, catalog.Function]
    roles: Mapping[str, roles.Role]
    token_roles: frozenset[str]
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
    named = list(client_roles.named(config))
    anonymous = None if config.auth is None else config.auth.anonymous_role
    found = await introspect.read(connector, dict(_functions(config)), sorted({name for _, name in named}), anonymous)
    return _Resolution(config, found, named).resolve()


def _functions(config: configuration.Config) -> Iterator[tuple[Place, str]]:
    """Every function that the file names."""
    for function in config.functions:
        yield ("functions", function.method, "function"), function.function
    for channel in config.channels:
        if channel.authorize is not None:
            yield ("channels", channel.name, "authorize"), channel.authorize
    if config.auth is not None and config.auth.pre_request is not None:
        yield ("auth", "pre_request"), config.auth.pre_request


class _Resolution:
    """Looks at the parts, one after the other, and gathers what it finds."""

    def __init__(
        self, config: configuration.Config, found: introspect.Found[Place], named: Sequence[tuple[Place, str]]
    ) -> None:
        self._config = config
        self._auth = config.auth
        self._found = found
        self._named = named
        self._named_functions = dict(_functions(config))
        self._findings = findings.Findings(config.marks, None if config.auth is None else config.auth.anonymous_role)
        for place, reason in found.faults.items():
            if isinstance(reason, str) or "auth" not in config.unknown:
                self._findings.fault(place, reason)

    def resolve(self) -> Resolved:
        found = self._found
        if found.encoding == "SQL_ASCII":
            words = (
                "the database's encoding is SQL_ASCII, so the encoding of its text is unknown and JSON cannot hold it"
            )
            self._findings.fault(("database", "dsn"), f"{words}; use a database with the encoding UTF8")
        self._findings.warnings += configuration.warnings(self._config)
        token_roles, clients = self._callers()
        for place, listed in found.routines.items():
            for routine in listed:
                self._findings.warn(place, allowlist.warnings(routine))
        functions, predicates, hook = self._functions(clients), self._predicates(clients), self._hook(clients)
        if faults := self._findings.faults():
            raise ConfigMismatch(faults, self._findings.warnings)
        known = {name: found.roles[name] for name in (clients or ()) if name in found.roles}
        return Resolved(functions, predicates, known, token_roles, hook, self._findings.warnings)

    def _callers(self) -> tuple[frozenset[str], allowlist.Callers]:
        """The roles that a token may name, and all that calls may run as."""
        login, known = self._found.login, self._found.roles
        if "auth" in self._config.unknown:
            words = "has faults, so roles and privileges (USAGE, EXECUTE) were not checked"
            self._findings.fault(("auth",), words)
            return frozenset(), None
        if self._auth is None:
            return frozenset(), frozenset((login.name,))
        token_roles, clients = client_roles.possible(self._auth, login, known)
        faults = list(client_roles.faults(self._auth, self._named, login, known, clients))
        if not clients and not faults and self._config.functions:
            words = f"no client can have a role: name an anonymous_role, or grant a role to {login.name}"
            faults.append((("auth",), words))
        for place, words in faults:
            self._findings.fault(place, words)
        self._findings.warnings += client_roles.warnings(self._config, self._named, login, known, clients)
        return token_roles, clients or None

    def _functions(self, clients: allowlist.Callers) -> Mapping[str, catalog.Function]:
        places: dict[str, Place] = {
            entry.method: ("functions", entry.method, "function") for entry in self._config.functions
        }
        readable = [entry for entry in self._config.functions if places[entry.method] not in self._found.faults]
        behind = {method: self._found.routines.get(place, ()) for method, place in places.items()}
        built, problems = allowlist.build(readable, behind, self._config.schemas, clients)
        for problem in problems:
            self._fault(("functions", problem.method, *((problem.key,) if problem.key else ())), problem.reason)
        faulty = {(problem.method, problem.key) for problem in problems}
        for entry in readable:
            if entry.roles is not None and clients and clients.intersection(entry.roles):
                public = allowlist.public_warnings(behind[entry.method], self._users(behind[entry.method], clients))
                self._findings.warn(("functions", entry.method, "roles"), public)
            if entry.params is not None and (entry.method, "params") not in faulty:
                self._findings.warn(
                    ("functions", entry.method, "params"), params_schema.warnings(entry.params.document)
                )
        return built.functions

    def _users(self, found: Sequence[routines.Routine], clients: frozenset[str]) -> frozenset[str]:
        """The roles that one of these functions is for, in all places of the file that name one."""
        wanted = {routine.signature for routine in found}
        given: dict[Place, tuple[str, ...] | None] = {("functions", e.method): e.roles for e in self._config.functions}
        given |= {("channels", e.name): e.roles for e in self._config.channels}
        users = frozenset[str]()
        for place, named in self._found.routines.items():
            if wanted.intersection(routine.signature for routine in named):
                users |= clients.intersection(given.get(place[:2]) or clients)
        return users

    def _predicates(self, clients: allowlist.Callers) -> Mapping[str, catalog.Function]:
        made: dict[str, catalog.Function] = {}
        for entry in self._config.channels:
            place: Place = ("channels", entry.name, "authorize")
            if entry.authorize is None or place in self._found.faults:
                continue
            wanted = clients and (clients.intersection(entry.roles or ()) or clients)
            try:
                made[entry.authorize] = allowlist.predicate(
                    entry.authorize, self._found.routines.get(place, ()), wanted
                )
            except allowlist.Unusable as error:
                for reason in error.reasons:
                    self._fault(place, reason)
        return made

    def _hook(self, clients: allowlist.Callers) -> routines.Routine | None:
        place: Place = ("auth", "pre_request")
        if self._auth is None or self._auth.pre_request is None or place in self._found.faults:
            return None
        try:
            return allowlist.hook(self._auth.pre_request, self._found.routines.get(place, ()), clients)
        except allowlist.Unusable as error:
            for reason in error.reasons:
                self._fault(place, reason)
            return None

    def _fault(self, place: Place, reason: allowlist.Reason) -> None:
        """With what to write in the place of a function that does not exist."""
        if place in self._named_functions and not self._found.routines.get(place):
            reason = f"{reason}{self._instead(place)}"
        self._findings.fault(place, reason)

    def _instead(self, place: Place) -> str:
        key, similar = place[-1], self._found.similar.get(place)
        if not similar:
            text = self._named_functions[place]
            named = text if "." in text else f"SCHEMA.{text}"
            return f"; create it, or write the name that it has, with its schema, as in {key}: {named}"
        found = f"; found {', '.join(similar)}"
        if len(similar) > 1:
            return f"{found}: write the one you mean, as in {key}: {similar[0]}"
        name = self._found.visible.get(place)
        if name is None or place in self._config.marks.positions or place[0] != "functions":
            return f"{found}: write {key}: {similar[0]}"
        return f"{found}: rename the key to {name}, or write {key}: {name}"
