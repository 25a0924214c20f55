"""What a database could offer: its functions, which of them can be called, and a guess of its channels.

Owns how a function is named in the configuration. Must not know its text.
"""

import asyncio
import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pgrpc.core.functions import allowlist
from pgrpc.init import channel_names
from pgrpc.postgres import connect, discover, introspect

_TIMEOUT = 5.0
"""Seconds for the connection to each address."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_REFUSED = re.compile(r"rpc\.|\$/|.*\$\{", re.DOTALL)
"""As a method: the protocol's own names, and what would look like a variable."""


@dataclass(frozen=True, slots=True)
class Function:
    """One or several overloads.

    method: the key. function: the value of `function`. fault: why it cannot be called.
    """

    method: str
    function: str
    signatures: Sequence[str]
    description: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Surface:
    database: str
    role: str
    functions: Sequence[Function]
    channels: Sequence[str]

    @property
    def callable(self) -> Sequence[Function]:
        return [function for function in self.functions if function.fault is None]


def look(dsn: str) -> Surface:
    """Raises connect.BadDsn, connect.CannotConnect."""
    return asyncio.run(_read(connect.Connector(dsn, _TIMEOUT)))


async def _read(connector: connect.Connector) -> Surface:
    found = await discover.read(connector)
    functions = named(found.functions)
    described = await introspect.read(connector, {each.method: each.function for each in functions})
    entries = [allowlist.Entry(each.method, each.function) for each in functions if each.method in described.routines]
    _, problems = allowlist.build(entries, described.routines, {}, frozenset((described.login.name,)))
    faults = {method: [str(reason)] for method, reason in described.faults.items()}
    for problem in problems:
        faults.setdefault(problem.method, []).append(str(problem.reason))
    return Surface(
        found.database,
        found.role,
        [dataclasses.replace(each, fault="; ".join(faults.get(each.method, ())) or None) for each in functions],
        channel_names.guess(channel_names.Body(text, triggers) for text, triggers in found.bodies),
    )


def named(functions: Sequence[discover.Function]) -> list[Function]:
    """Overloads together, in the order of their schemas and names; each under a method of its own."""
    overloads: dict[tuple[str, str], list[discover.Function]] = {}
    for function in functions:
        overloads.setdefault((function.schema, function.name), []).append(function)
    visible: dict[str, set[str]] = {}
    for function in functions:
        if function.is_visible:
            visible.setdefault(function.name, set()).add(function.schema)
    found: dict[str, Function] = {}
    for (schema, name), several in overloads.items():
        without_schema = all(each.is_visible for each in several) and visible[name] == {schema}
        wanted = [name, f"{schema}.{name}", f"{schema}_{name}"]
        wanted += [f"function_{number}" for number in range(2, len(functions) + 2)]
        method = next(each for each in wanted if each not in found and not _REFUSED.match(each))
        descriptions = [each.description for each in several if each.description]
        found[method] = Function(
            method,
            _quoted(name) if without_schema else f"{_quoted(schema)}.{_quoted(name)}",
            [each.signature for each in several],
            descriptions[0] if descriptions else None,
        )
    return list(found.values())


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
