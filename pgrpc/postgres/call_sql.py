"""The SQL of a call: its arguments, the function, and its result as JSON, in which int8 and numeric may be strings.

Owns this SQL. Names come from the catalog and are quoted, values are parameters: nothing that a client wrote is ever
part of it. Must not know in which messages it is sent.
"""

from functools import lru_cache

from pgrpc.core.functions import pgtypes, routines, signatures
from pgrpc.postgres import quoting


@lru_cache(maxsize=4096)  # bounded: a function with many defaults has many sets of names
def select(routine: routines.Routine, names: tuple[str, ...], all_scalars: bool, exact: bool, result_size: int) -> str:
    call = f"{routine_name(routine)}({_passed(routine, names)})"
    source = from_arguments(routine, names, all_scalars)
    if is_void(routine):
        return f"select {call}{source}"
    outputs = routine.outputs
    result = outputs[0].type if len(outputs) == 1 else routine.returns
    longest = pgtypes.longest(result)
    if longest is not None and longest <= result_size and not routine.returns_set:
        # It cannot exceed the limit, and no subquery is needed: 8 % more calls than with those below.
        return f"select pg_catalog.to_json({numbers_as_text(result, call) if exact else call})::pg_catalog.text{source}"
    # `offset 0` keeps the planner from evaluating the function once for each use of its result.
    if exact and len(outputs) > 1:
        # Only FROM gives access to the columns of a record.
        columns = {a.name: numbers_as_text(a.type, f"r.{quoting.identifier(a.name)}") for a in outputs}
        joined = f"{source or ' from (select) _'}, lateral {call} as r"
        value, rows = json_object(columns), f"select r.*{joined} offset 0"
    else:
        value, rows = numbers_as_text(result, "r.r") if exact else "r.r", f"select {call} as r{source} offset 0"
        if len(outputs) == 1 and outputs[0].mode == "table":
            value = json_object({outputs[0].name: value})
    json = f"coalesce(pg_catalog.json_agg({value}), '[]')" if routine.returns_set else f"pg_catalog.to_json({value})"
    return limited(f"select {json}::pg_catalog.text as t from ({rows}) r", result_size)


def limited(select: str, result_size: int) -> str:
    """SQL for a text `t`, which fails where it is longer than result_size bytes; statements.py reads the error."""
    # A result that is too large must fail inside the statement, so that the call is rolled back: reading a setting that
    # does not exist raises an error that contains its name, and so the size.
    size = "pg_catalog.octet_length(t)"
    refuse = f"pg_catalog.current_setting('pgrpc.result_of_' || {size} || '_bytes')"
    return f"select case when {size} <= {result_size} then t else {refuse} end from ({select} offset 0) t"


def numbers_as_text(of: pgtypes.Type, value: str) -> str:
    """SQL for a value in which int8 and numeric are strings of digits, at any depth."""
    if not _has_wide_numbers(of):
        return value
    match of.kind:
        case "composite":
            fields = {a.name: numbers_as_text(a.type, f"({value}).{quoting.identifier(a.name)}") for a in of.attributes}
            return f"case when {value} is not distinct from null then null else {json_object(fields)} end"
        case "array":
            assert of.of is not None
            if not _is_composite(of.of):
                return f"{value}::pg_catalog.text[]"
            element = numbers_as_text(of.of, "e")
            # unnest in FROM would give the elements' columns instead. An array of several dimensions keeps its numbers.
            return (
                f"case when {value} is null then null when pg_catalog.array_ndims({value}) > 1 "
                f"then pg_catalog.to_json({value}) else (select coalesce(pg_catalog.json_agg({element}), '[]') "
                f"from (select pg_catalog.unnest({value}) as e offset 0) _e) end"
            )
        case "domain":
            assert of.of is not None
            return numbers_as_text(of.of, f"{value}::{type_sql(of.of)}" if _is_composite(of.of) else value)
    return f"{value}::pg_catalog.text"


def _has_wide_numbers(of: pgtypes.Type) -> bool:
    if of.kind in ("domain", "array"):
        return of.of is not None and _has_wide_numbers(of.of)
    return of.oid in (pgtypes.INT8, pgtypes.NUMERIC) or any(_has_wide_numbers(a.type) for a in of.attributes)


def _is_composite(of: pgtypes.Type) -> bool:
    return of.kind == "composite" or (of.kind == "domain" and of.of is not None and _is_composite(of.of))


def json_object(columns: dict[str, str]) -> str:
    return f"pg_catalog.json_build_object({', '.join(f'{quoting.literal(n)}, {sql}' for n, sql in columns.items())})"


def _passed(routine: routines.Routine, names: tuple[str, ...]) -> str:
    """The arguments of the call: first those that must be passed by position, then the others by name."""
    positional = signatures.by_position(routine, names)
    passed = []
    for place, argument in enumerate(routine.inputs):
        if argument.name not in names:
            continue
        keyword = "variadic " if argument.mode == "variadic" else ""
        target = f"{quoting.identifier(argument.name)} => " if place >= positional else ""
        passed.append(f"{keyword}{target}_.{quoting.identifier(argument.name)}")
    return ", ".join(passed)


def from_arguments(routine: routines.Routine, names: tuple[str, ...], all_scalars: bool) -> str:
    """The FROM clause that has the arguments as the columns of `_`; "" where there are none."""
    if not names:
        return ""
    passed = [a for a in routine.inputs if a.name in names]
    if all_scalars:
        columns = ", ".join(f"%s::{type_sql(a.type)} as {quoting.identifier(a.name)}" for a in passed)
        return f" from (select {columns}) _"
    columns = ", ".join(f"{quoting.identifier(a.name)} {type_sql(a.type)}" for a in passed)
    return f" from pg_catalog.json_to_record(%s::pg_catalog.json) as _({columns})"


def is_void(routine: routines.Routine) -> bool:
    return routine.returns.name == "void" and not routine.returns_set


def routine_name(routine: routines.Routine) -> str:
    return f"{quoting.identifier(routine.schema)}.{quoting.identifier(routine.name)}"


def type_sql(of: pgtypes.Type) -> str:
    return of.sql.replace("%", "%%")
