"""The whitelist x what the database says -> the catalog, or everything that keeps a listed function from being called.

Owns the rules of what can be offered at all; runs at start and for `check`, never during a call. Must not know the
configuration file: it sees entries, and names the entry and key at fault.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

from pgrpc.core.functions import catalog, pgtypes, routines
from pgrpc.core.limits import ratelimit
from pgrpc.core.validation import schemas


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """A JSON Schema read from a file. document: its numbers are int or Decimal."""

    uri: str
    document: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """A method that clients may call. function: as the file has it; what it means is for the database to say.

    roles: who may call it, None is everybody. rate: how often one client may.
    """

    method: str
    function: str
    params: SchemaFile | None = None
    timeout: float | None = None
    numbers: Literal["number", "string"] = "number"
    reset: bool | None = None
    roles: tuple[str, ...] | None = None
    rate: ratelimit.Rate | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault between the file and the database. `key`: the entry's key that it is about, or None."""

    method: str
    key: str | None
    message: str


def build(
    listed: Sequence[Entry],
    found: Mapping[str, Sequence[routines.Routine]],
    documents: Mapping[str, Any],
    callers: frozenset[str],
) -> tuple[catalog.Catalog, list[Problem]]:
    """The catalog, and everything that keeps listed functions from being called.

    found: method -> the routines that its `function` names. documents: uri -> JSON document, all that a
    hand-written schema may refer to. callers: the roles that calls may run as.
    """
    functions: dict[str, catalog.Function] = {}
    problems: list[Problem] = []
    for entry in listed:
        function, faults = _function(entry, found.get(entry.method, ()), documents, callers)
        problems += faults
        if function is not None:
            functions[entry.method] = function
    return catalog.Catalog((entry.method for entry in listed), functions), problems


def _function(
    entry: Entry, found: Sequence[routines.Routine], documents: Mapping[str, Any], callers: frozenset[str]
) -> tuple[catalog.Function | None, list[Problem]]:
    problems = [
        Problem(entry.method, "function", f"{routine.signature} cannot be called: {reason}")
        for routine in found
        if (reason := _uncallable(routine, callers)) is not None
    ]
    if not found:
        problems.append(
            Problem(
                entry.method,
                "function",
                f"the database has no function {entry.function} that is visible here",
            )
        )
    problems += [
        Problem(entry.method, "roles", f"{role} may not execute it (GRANT EXECUTE ON ... TO {role})")
        for role in sorted(callers & set(entry.roles or ()))
        if found and not any(role in routine.executable_by for routine in found)
    ]
    overloads = tuple(catalog.Overload(routine) for routine in found if _uncallable(routine, callers) is None)
    problems += [Problem(entry.method, "function", message) for message in _ambiguities(overloads)]
    narrowed = None
    if entry.params is not None:
        try:
            narrowed = schemas.compile(entry.params.document, entry.params.uri, documents)
        except schemas.Unusable as error:
            problems += [Problem(entry.method, "params", message) for message in error.faults]
        else:
            problems += [Problem(entry.method, "params", m) for m in _misfits(entry.params.document, overloads)]
    if problems:
        return None, problems
    return catalog.Function(entry.method, overloads, narrowed, entry.timeout, entry.numbers, entry.reset), []


class Unusable(Exception):
    """Why a function cannot be what the file wants it to be; str() says so."""


def predicate(name: str, found: Sequence[routines.Routine], callers: Collection[str]) -> catalog.Function:
    """A function that says yes or no to a text; one of `callers` at least may call it. Raises Unusable."""
    fitting = [
        routine
        for routine in found
        if [argument.type.oid for argument in routine.inputs] == [pgtypes.TEXT]
        and (routine.returns.oid, routine.returns_set, routine.kind) == (pgtypes.BOOL, False, "function")
    ]
    routine = _only(f"{name}(text) that returns boolean", fitting, found)
    if (reason := _uncallable(routine, callers)) is not None:
        raise Unusable(f"{routine.signature} cannot be called: {reason}")
    return catalog.Function(name, (catalog.Overload(routine),), None, None, "number", None)


def hook(name: str, found: Sequence[routines.Routine], callers: Collection[str]) -> routines.Routine:
    """A function without arguments that every one of `callers` may call. Raises Unusable."""
    fitting = [routine for routine in found if not routine.inputs and routine.kind == "function"]
    routine = _only(f"{name}() without arguments", fitting, found)
    for caller in sorted(callers):
        if (reason := _uncallable(routine, (caller,))) is not None:
            raise Unusable(f"{routine.signature} cannot be called: {reason}")
    return routine


def _only(wanted: str, fitting: Sequence[routines.Routine], found: Sequence[routines.Routine]) -> routines.Routine:
    """Functions of one name differ in their arguments, so there is at most one: in the first schema that has one."""
    if not fitting:
        others = "".join(f"; {routine.signature} is another" for routine in found)
        raise Unusable(f"the database has no function {wanted} that is visible here{others}")
    return fitting[0]


def doubts(routine: routines.Routine) -> list[str]:
    """What is allowed, and hardly meant."""
    if not routine.is_open_definer:
        return []
    return [
        f"{routine.signature} is SECURITY DEFINER without a search_path of its own: a caller's objects can come before "
        f"those it means (ALTER FUNCTION {routine.signature} SET search_path = ..., pg_temp)"
    ]


def public_doubts(routine: routines.Routine) -> list[str]:
    """Of one that the file gives to some roles only."""
    if not routine.is_public:
        return []
    return [
        f"PUBLIC may execute {routine.signature}, whatever stands here "
        f"(REVOKE EXECUTE ON {routine.kind.upper()} {routine.signature} FROM PUBLIC)"
    ]


_NOT_RESULTS = ("trigger", "event_trigger", "internal", "language_handler", "index_am_handler", "table_am_handler",
                "fdw_handler", "tsm_handler")  # fmt: skip


def _uncallable(routine: routines.Routine, callers: Collection[str]) -> str | None:
    if routine.kind in ("aggregate", "window"):
        return f"it is {'an aggregate' if routine.kind == 'aggregate' else 'a window'} function"
    if routine.returns.kind == "pseudo" and routine.returns.name in _NOT_RESULTS:
        return f"it returns {routine.returns.name}"
    for argument in routine.inputs:
        innermost = argument.type.of if argument.type.kind == "array" and argument.type.of else argument.type
        if innermost.kind == "pseudo":
            return f"its argument {argument.name} has the type {argument.type.name}, which JSON cannot stand for"
    if routine.executable_by.isdisjoint(callers):
        grant = f"GRANT EXECUTE ON {routine.kind.upper()} ..."
        who = " or ".join(sorted(callers))
        return f"it may not be executed by {who}: that takes USAGE on its schema, and EXECUTE ({grant})"
    return None


def _ambiguities(overloads: Sequence[catalog.Overload]) -> list[str]:
    """Pairs of overloads that one set of argument names fits both."""
    return [
        f"{a.routine.signature} and {b.routine.signature} take the same argument names: name the one meant, "
        f"as in `function: {a.routine.signature}`"
        for a, b in combinations(overloads, 2)
        if a.required | b.required <= a.accepted & b.accepted
    ]


def _misfits(document: Any, overloads: Sequence[catalog.Overload]) -> list[str]:
    """Where a hand-written schema can never fit the signature."""
    if not isinstance(document, dict) or not overloads:
        return []
    accepted = frozenset[str]().union(*(o.accepted for o in overloads))
    takes = f"the function takes {', '.join(sorted(accepted)) or 'no arguments'}"
    properties = document.get("properties", {})
    named = dict.fromkeys([*properties, *document.get("required", ())])
    faults = [f"the schema names {name!r}, but {takes}" for name in named if name not in accepted]
    if "object" not in (_types(document) or {"object"}):
        faults.append("the schema must describe an object: the arguments by name")
    for name in sorted(accepted & set(properties)):
        asked = _types(properties[name])
        offered = [_types(o.schema["properties"][name]) for o in overloads if name in o.accepted]
        if asked and all(offer and not (asked & offer) for offer in offered):
            faults.append(f"the schema wants {name!r} to be {' or '.join(sorted(asked))}, which its type never is")
    return faults


def _types(schema: Any) -> set[str]:
    """The JSON types that a schema's own `type` allows; the empty set where it does not say."""
    if not isinstance(schema, dict) or "type" not in schema:
        return set()
    types = schema["type"]
    found = {types} if isinstance(types, str) else set(types)
    return found | {"integer"} if "number" in found else found
