"""What a database could offer: its functions, which of them can be called, and a guess of its channels.

Owns how a function is named in the configuration. Must not know its text.
"""

import asyncio
import dataclasses
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
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
    functions = await _judged(connector, named(found.functions))
    # Overloads that cannot be one method, such as those with the same argument names, can be one each.
    apart = {each.function for each in functions if each.fault and len(each.signatures) > 1}
    if apart:
        functions = await _judged(connector, named(found.functions, apart))
    bodies = (channel_names.Body(text, triggers) for text, triggers in found.bodies)
    return Surface(found.database, found.role, functions, channel_names.guess(bodies))


async def _judged(connector: connect.Connector, functions: Sequence[Function]) -> list[Function]:
    """With the reason why one cannot be called."""
    described = await introspect.read(connector, {each.method: each.function for each in functions})
    entries = [allowlist.Entry(each.method, each.function) for each in functions if each.method in described.routines]
    _, problems = allowlist.build(entries, described.routines, {}, frozenset((described.login.name,)))
    faults = {method: [str(reason)] for method, reason in described.faults.items()}
    for problem in problems:
        # The file has these below a heading that says so.
        reason = str(problem.reason)
        faults.setdefault(problem.method, []).append(reason.partition(" cannot be called: ")[2] or reason)
    return [dataclasses.replace(each, fault="; ".join(faults.get(each.method, ())) or None) for each in functions]


def named(functions: Sequence[discover.Function], apart: Collection[str] = ()) -> list[Function]:
    """Overloads together, in the order of their schemas and names; each under a method of its own.

    apart: the functions, as `function` has them, each overload of which is to be a method.
    """
    visible: dict[str, set[str]] = {}
    for function in functions:
        if function.is_visible:
            visible.setdefault(function.name, set()).add(function.schema)
    overloads: dict[tuple[str, str], list[discover.Function]] = {}
    for function in functions:
        overloads.setdefault((function.schema, function.name), []).append(function)
    owners: dict[str, tuple[str, str]] = {}
    found: list[Function] = []
    for (schema, name), several in overloads.items():
        without_schema = all(each.is_visible for each in several) and visible[name] == {schema}
        sql = _quoted(name) if without_schema else f"{_quoted(schema)}.{_quoted(name)}"
        for group in [[each] for each in several] if sql in apart else [several]:
            method = next(each for each in _methods(schema, name, owners) if each not in owners)
            owners[method] = schema, name
            descriptions = [each.description for each in group if each.description]
            found.append(
                Function(
                    method,
                    f"{sql}({group[0].types})" if sql in apart else sql,
                    [each.signature for each in group],
                    descriptions[0] if descriptions else None,
                )
            )
    return found


def _methods(schema: str, name: str, owners: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Names for it, the best first, without end. owners: method -> schema and name of its function."""
    for base in (name, f"{schema}.{name}", f"{schema}_{name}"):
        if owners.get(base, (schema, name)) == (schema, name) and not _REFUSED.match(base):
            yield base
            yield from (f"{base}_{number}" for number in itertools.count(2))
    yield from (f"function_{number}" for number in itertools.count(2))


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
