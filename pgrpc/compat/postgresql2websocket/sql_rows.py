"""The result of a call, as JSON text -> its rows as SQL has them, each a JSON object.

Owns which columns `select f(...)` and `select * from f(...)` have. Nothing is converted: values are cut out of the
text that PostgreSQL wrote. Must not know how rows are sent.
"""

from collections.abc import Iterable, Iterator

from pgrpc.core.functions import pgtypes, routines
from pgrpc.core.wire import jsontext


def rows(routine: routines.Routine, text: str, column: str, spread: bool) -> Iterator[str]:
    """Each row as `{"add": 3}`. column: the name of the result where it is one column. spread: `select * from`.

    Raises RecursionError where the result is nested too deeply.
    """
    outputs = routine.outputs
    values: Iterable[str] = jsontext.elements(text) if routine.returns_set else (text,)
    of = routine.returns
    if len(outputs) == 1:  # SQL returns the bare value; in FROM its column has the argument's name
        (output,) = outputs
        of = output.type
        if output.mode == "table":
            values = (jsontext.member(value, output.name) for value in values)
        if spread and not output.name.startswith("$"):
            column = output.name
    columns = _columns(routine, of) if spread else None
    for value in values:
        if columns is None or (value == "null" and not columns):
            yield _object([(jsontext.dump(column), value)])
        elif value == "null":
            yield _object((jsontext.dump(name), "null") for name in columns)
        else:
            yield _object(jsontext.members(value))


def _columns(routine: routines.Routine, of: pgtypes.Type) -> list[str] | None:
    """The columns of a row: [] where only the row itself shows them; None where the result is not a row."""
    if len(routine.outputs) > 1:
        return [output.name for output in routine.outputs]
    while of.kind == "domain" and of.of is not None:
        of = of.of
    if of.kind == "composite":
        return [attribute.name for attribute in of.attributes]
    return [] if of.name == "record" else None


def _object(members: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in members) + "}"
