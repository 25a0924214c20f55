"""The listed functions and what the database says of them -> the catalog, or why a function cannot be called.

Owns the rules of what can be offered at all; runs at start and for `check`, never during a call. Must not know the
configuration file: it sees entries, and names the entry and key at fault.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

from pgrpc.core.functions import catalog, params_schema, pgtypes, privileges, routines, signatures
from pgrpc.core.limits import ratelimit
from pgrpc.core.validation import schemas


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """A JSON Schema read from a file. document: its numbers are int or Decimal."""

    uri: str
    document: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """A method that clients may call. function: as the file has it; the database says what it means.

    roles: who may call it; None is everybody. rate: how often one client may.
    """

    method: str
    function: str
    params: SchemaFile | None = None
    timeout: float | None = None
    numbers: Literal["number", "string"] = "number"
    reset: bool | None = None
    roles: tuple[str, ...] | None = None
    rate: ratelimit.Rate | None = None


Reason = str | privileges.Missing
"""Why a function cannot be called: what is wrong with it, or the privilege that is missing."""

Callers = frozenset[str] | None
"""The roles that calls may run as; None where they are not known, so that privileges are not judged."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault between the file and the database. `key`: the entry's key that it is about, or None."""

    method: str
    key: str | None
    reason: Reason


class Unusable(Exception):
    """Why a function cannot be what the file wants it to be: `reasons`."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("; ".join(map(str, reasons)))
        self.reasons = tuple(reasons)


def build(
    listed: Sequence[Entry],
    found: Mapping[str, Sequence[routines.Routine]],
    documents: Mapping[str, Any],
    callers: Callers,
) -> tuple[catalog.Catalog, list[Problem]]:
    """The catalog, and everything that keeps listed functions from being called.

    found: method -> the routines that its `function` names. documents: uri -> JSON document, all that a
    hand-written schema may refer to.
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
    entry: Entry, found: Sequence[routines.Routine], documents: Mapping[str, Any], callers: Callers
) -> tuple[catalog.Function | None, list[Problem]]:
    kept_out = list(_kept_out(entry, found, callers))
    problems = [Problem(entry.method, "roles", reason) for reason in kept_out]
    callable_ = []
    for routine in found:
        reasons = _uncallable(routine, callers)
        problems += [Problem(entry.method, "function", r) for r in reasons if not (kept_out and _is_missing(r))]
        if not reasons:
            callable_.append(routine)
    if not found:
        problems.append(Problem(entry.method, "function", f"the database has no function {entry.function}"))
    overloads = tuple(map(signatures.Overload, callable_))
    problems += [Problem(entry.method, "function", words) for words in _ambiguities(overloads)]
    narrowed = None
    if entry.params is not None:
        try:
            narrowed = schemas.compile(entry.params.document, entry.params.uri, documents)
        except schemas.Unusable as error:
            faults = error.faults
        else:
            faults = params_schema.faults(entry.params.document, overloads, entry.params.uri, documents)
        problems += [Problem(entry.method, "params", words) for words in faults]
    if problems:
        return None, problems
    return catalog.Function(entry.method, overloads, narrowed, entry.timeout, entry.numbers, entry.reset), []


def _kept_out(entry: Entry, found: Sequence[routines.Routine], callers: Callers) -> Iterator[Reason]:
    """What the roles that the entry lists lack: each must be able to call one form at least."""
    wanted = set(entry.roles or ()) & (callers or frozenset())
    lacking = {role for role in wanted if all(role not in routine.executable_by for routine in found)}
    for routine in found:
        yield from privileges.missing_for_each(routine, lacking)


def predicate(name: str, found: Sequence[routines.Routine], callers: Callers) -> catalog.Function:
    """A function that says yes or no to a text; one of `callers` at least may call it. Raises Unusable."""
    matching = [
        routine
        for routine in found
        if [argument.type.oid for argument in routine.inputs] == [pgtypes.TEXT]
        and (routine.returns.oid, routine.returns_set, routine.kind) == (pgtypes.BOOL, False, "function")
    ]
    routine = _only(f"{name}(text) that returns boolean", matching, found)
    if reasons := _uncallable(routine, callers):
        raise Unusable(reasons)
    return catalog.Function(name, (signatures.Overload(routine),), None, None, "number", None)


def hook(name: str, found: Sequence[routines.Routine], callers: Callers) -> routines.Routine:
    """A function without arguments that every one of `callers` may call. Raises Unusable."""
    matching = [routine for routine in found if not routine.inputs and routine.kind == "function"]
    routine = _only(f"{name}() without arguments", matching, found)
    wrong = _unofferable(routine)
    lacking = privileges.missing_for_each(routine, callers or ())
    if reasons := [*([f"{routine.signature} {wrong}"] if wrong else ()), *lacking]:
        raise Unusable(reasons)
    return routine


def _only(wanted: str, matching: Sequence[routines.Routine], found: Sequence[routines.Routine]) -> routines.Routine:
    """Functions of one name differ in their arguments, so there is at most one: in the first schema that has one."""
    if not matching:
        others = f"; found {', '.join(routine.signature for routine in found)}" if found else ""
        raise Unusable([f"the database has no function {wanted}{others}"])
    return matching[0]


def warnings(routine: routines.Routine) -> list[str]:
    """What is allowed, but probably not intended."""
    if not routine.is_open_definer:
        return []
    path = f"search_path = {privileges.quoted(routine.schema)}, pg_temp"
    return [
        f"{routine.signature} is SECURITY DEFINER without a search_path of its own, so a caller's objects can replace "
        "those that it means; set it to the schemas that the function uses, such as: "
        f"ALTER {routine.kind.upper()} {privileges.qualified(routine)} SET {path};"
    ]


def public_warnings(found: Sequence[routines.Routine], roles: Collection[str]) -> Iterator[str]:
    """The same, of functions that the file gives to some roles only. roles: those that are to keep the privilege."""
    for kind in dict.fromkeys(routine.kind for routine in found if routine.is_public):
        public = [routine for routine in found if routine.is_public and routine.kind == kind]
        on = ", ".join(map(privileges.qualified, public))
        yield (
            f"PUBLIC may execute {', '.join(routine.signature for routine in public)}, so in the database these roles "
            f"restrict nobody: {privileges.grant('EXECUTE', kind, on, sorted(roles))} "
            f"REVOKE EXECUTE ON {kind.upper()} {on} FROM PUBLIC;"
        )


_NOT_RESULTS = ("trigger", "event_trigger", "internal", "language_handler", "index_am_handler", "table_am_handler",
                "fdw_handler", "tsm_handler")  # fmt: skip


def _uncallable(routine: routines.Routine, callers: Callers) -> Sequence[Reason]:
    """Why none of `callers` can call it; [] where one can."""
    if (wrong := _unofferable(routine)) is not None:
        return [f"{routine.signature} {wrong}"]
    return [] if callers is None else privileges.missing(routine, callers)


def _unofferable(routine: routines.Routine) -> str | None:
    """Why nobody can call it over JSON, whatever the privileges."""
    if routine.kind in ("aggregate", "window"):
        return f"cannot be called: it is {'an aggregate' if routine.kind == 'aggregate' else 'a window'} function"
    if routine.returns.kind == "pseudo" and routine.returns.name in _NOT_RESULTS:
        return f"cannot be called: it returns {routine.returns.name}"
    for argument in routine.inputs:
        innermost = argument.type.of if argument.type.kind == "array" and argument.type.of else argument.type
        if innermost.kind == "pseudo":
            return (
                f"cannot be called: its argument {argument.name} has the type {argument.type.name}, "
                "which JSON cannot express"
            )
    return None


def _is_missing(reason: Reason) -> bool:
    return isinstance(reason, privileges.Missing)


def _ambiguities(overloads: Sequence[signatures.Overload]) -> list[str]:
    """Pairs of overloads that both take one set of argument names."""
    return [
        f"ambiguous: {a.routine.signature_with_names} and {b.routine.signature_with_names} "
        "take the same argument names; "
        f"write the one you mean, as in function: {a.routine.signature}"
        for a, b in combinations(overloads, 2)
        if a.required | b.required <= a.accepted & b.accepted
    ]
