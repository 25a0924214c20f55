"""The SQL texts of a call: its arguments, the function, its result as JSON, in which int8 and numeric may be strings.

Owns these texts. Names come from the catalog and are quoted, values are parameters: nothing that a client wrote is ever
part of a text. Must not know in which messages they are sent.
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
    most = pgtypes.longest(result)
    if most is not None and most <= result_size and not routine.returns_set:
        # Nothing to be limited, and mentioned once: 8 % more calls than with the subqueries below.
        return f"select pg_catalog.to_json({numbers_as_text(result, call) if exact else call})::pg_catalog.text{source}"
    # `offset 0` keeps the planner from evaluating the function once for each mention of its result.
    if exact and len(outputs) > 1:
        # A record's columns can be named only in FROM.
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
    # Too large a result must fail inside the statement, so that nothing of the call stays: asking for a setting that
    # does not exist is an error that says its name.
    size = "pg_catalog.octet_length(t)"
    refuse = f"pg_catalog.current_setting('pgrpc.result_of_' || {size} || '_bytes')"
    return f"select case when {size} <= {result_size} then t else {refuse} end from ({select} offset 0) t"


def numbers_as_text(of: pgtypes.Type, value: str) -> str:
    """The SQL of a value in which int8 and numeric are strings of digits, at any depth."""
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
            # unnest in FROM would give the elements' columns instead. Of more dimensions only the form is kept.
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
    """The arguments of the call: by name, those by position first that need it."""
    positional = signatures.by_position(routine, names)
    written = []
    for place, argument in enumerate(routine.inputs):
        if argument.name not in names:
            continue
        keyword = "variadic " if argument.mode == "variadic" else ""
        target = f"{quoting.identifier(argument.name)} => " if place >= positional else ""
        written.append(f"{keyword}{target}_.{quoting.identifier(argument.name)}")
    return ", ".join(written)


def from_arguments(routine: routines.Routine, names: tuple[str, ...], all_scalars: bool) -> str:
    """What has the arguments as the columns of `_`."""
    if not names:
        return ""
    given = [a for a in routine.inputs if a.name in names]
    if all_scalars:
        columns = ", ".join(f"%s::{type_sql(a.type)} as {quoting.identifier(a.name)}" for a in given)
        return f" from (select {columns}) _"
    columns = ", ".join(f"{quoting.identifier(a.name)} {type_sql(a.type)}" for a in given)
    return f" from pg_catalog.json_to_record(%s::pg_catalog.json) as _({columns})"


def is_void(routine: routines.Routine) -> bool:
    return routine.returns.name == "void" and not routine.returns_set


def routine_name(routine: routines.Routine) -> str:
    return f"{quoting.identifier(routine.schema)}.{quoting.identifier(routine.name)}"


def type_sql(of: pgtypes.Type) -> str:
    return of.sql.replace("%", "%%")
