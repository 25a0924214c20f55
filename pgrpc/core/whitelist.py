"""The whitelist x what the database says -> the catalog, or everything that keeps a listed function from being called.

Owns the rules of what can be offered at all; runs at start and for `check`, never during a call. Must not know the
configuration file: it sees entries, and names the entry and key at fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, Protocol

from pgrpc.core import catalog, routines, schemas


class SchemaFile(Protocol):
    """A hand-written schema: its address, and what it holds (numbers int or Decimal)."""

    @property
    def uri(self) -> str: ...
    @property
    def document(self) -> Any: ...


class Listed(Protocol):
    """One entry of the whitelist, as the configuration has it."""

    @property
    def method(self) -> str: ...
    @property
    def function(self) -> str: ...
    @property
    def params(self) -> SchemaFile | None: ...
    @property
    def timeout(self) -> float | None: ...
    @property
    def numbers(self) -> Literal["number", "string"]: ...
    @property
    def reset(self) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault between the file and the database. `key`: the entry's key that it is about, or None."""

    method: str
    key: str | None
    message: str


def build(
    listed: Sequence[Listed],
    found: Mapping[str, Sequence[routines.Routine]],
    documents: Mapping[str, Any],
    default_timeout: float,
) -> tuple[catalog.Catalog, list[Problem]]:
    """The catalog, and everything that keeps listed functions from being called.

    found: method -> the routines that its `function` names. documents: uri -> JSON document, all that a
    hand-written schema may refer to. default_timeout: seconds.
    """
    functions: dict[str, catalog.Function] = {}
    problems: list[Problem] = []
    for entry in listed:
        function, faults = _function(entry, found.get(entry.method, ()), documents, default_timeout)
        problems += faults
        if function is not None:
            functions[entry.method] = function
    return catalog.Catalog((entry.method for entry in listed), functions), problems


def _function(
    entry: Listed, found: Sequence[routines.Routine], documents: Mapping[str, Any], default_timeout: float
) -> tuple[catalog.Function | None, list[Problem]]:
    problems = [
        Problem(entry.method, "function", f"{routine.signature} cannot be called: {reason}")
        for routine in found
        if (reason := _uncallable(routine)) is not None
    ]
    if not found:
        problems.append(
            Problem(
                entry.method,
                "function",
                f"the database has no function {entry.function} that is visible here",
            )
        )
    overloads = tuple(catalog.Overload(routine) for routine in found if _uncallable(routine) is None)
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
    timeout = default_timeout if entry.timeout is None else entry.timeout
    return catalog.Function(entry.method, overloads, narrowed, timeout, entry.numbers, entry.reset), []


_NOT_RESULTS = ("trigger", "event_trigger", "internal", "language_handler", "index_am_handler", "table_am_handler",
                "fdw_handler", "tsm_handler")  # fmt: skip


def _uncallable(routine: routines.Routine) -> str | None:
    if routine.kind in ("aggregate", "window"):
        return f"it is {'an aggregate' if routine.kind == 'aggregate' else 'a window'} function"
    if routine.returns.kind == "pseudo" and routine.returns.name in _NOT_RESULTS:
        return f"it returns {routine.returns.name}"
    for argument in routine.inputs:
        innermost = argument.type.of if argument.type.kind == "array" and argument.type.of else argument.type
        if innermost.kind == "pseudo":
            return f"its argument {argument.name} has the type {argument.type.name}, which JSON cannot stand for"
    if not routine.may_execute:
        return f"the server's login role lacks the EXECUTE privilege (GRANT EXECUTE ON {routine.kind.upper()} ...)"
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
    required = document.get("required")  # a boolean in drafts 3 and 4
    named = dict.fromkeys([*properties, *(required if isinstance(required, list) else ())])
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
