"""One routine behind a method: the parameters that it takes, and whether given ones are valid.

Owns the JSON Schema of a signature, and how positional parameters become named ones. Must not know how a method chooses
among several, nor that a schema may narrow it.
"""

import re
from collections.abc import Iterable
from typing import Any

from pgrpc.core.functions import pgtypes, routines, suggestions
from pgrpc.core.validation import budget, schemas
from pgrpc.core.wire import errors

_MADE_UP = re.compile(r"\$[0-9]+")
"""The name of an argument that has none."""

_EXPLAINED = 3
"""Unknown parameters of one call for which a close name is looked for: each takes up to a few milliseconds."""


def by_position(routine: routines.Routine, names: Iterable[str]) -> int:
    """How many of the first inputs SQL takes by position only, where these are given; those after can be named.

    What has no name, and all of a variadic function: https://www.postgresql.org/docs/current/sql-syntax-calling-funcs.html
    """
    given = frozenset(names)
    variadic = any(a.mode == "variadic" for a in routine.inputs)
    needing = (
        i for i, a in enumerate(routine.inputs, 1) if a.name in given and (variadic or _MADE_UP.fullmatch(a.name))
    )
    return max(needing, default=0)


class Overload:
    """One routine behind a method, ready to check parameters."""

    def __init__(self, routine: routines.Routine) -> None:
        self.routine = routine
        self.names = tuple(a.name for a in routine.inputs)
        self.named = tuple(name for name in self.names if not _MADE_UP.fullmatch(name))
        self.required = frozenset(a.name for a in routine.inputs if not a.has_default)
        self.accepted = frozenset(self.names)
        self.variadic = next((a for a in routine.inputs if a.mode == "variadic"), None)  # always the last
        self.ordered = by_position(routine, self.names) > 0
        self.scalars = frozenset(a.name for a in routine.inputs if pgtypes.is_scalar(a.type))
        self.positions = tuple(f"/{i}" for i in range(len(self.names)))
        self.normalisers = {a.name: made for a in routine.inputs if (made := pgtypes.normaliser(a.type)) is not None}
        self.schema: pgtypes.Schema = {
            "type": "object",
            "properties": {a.name: pgtypes.schema(a.type) for a in routine.inputs},
            "required": [name for name in self.names if name in self.required],
            "additionalProperties": False,
        }
        definitions: dict[str, Any] = {}
        for argument in routine.inputs:
            definitions |= pgtypes.definitions(argument.type)
        if definitions:
            self.schema["$defs"] = definitions
        self.compiled = schemas.compile(self.schema)

    def takes(self, names: Iterable[str]) -> bool:
        return self.required <= set(names) <= self.accepted

    def takes_positional(self, count: int) -> bool:
        if self.variadic is not None:
            return count >= len(self.required - {self.variadic.name})
        return len(self.required) <= count <= len(self.names)

    def by_name(self, values: list[Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Positional values as named ones, with the position of each. Values too many are left over.

        As in SQL, the last of a variadic function's values are collected into its array; one array in its
        place is that array. Where there are none, its default counts, else the empty array.
        """
        positions = self.positions[: len(values)]
        if self.variadic is not None:
            last = len(self.names) - 1
            if self._spread(values, last, self.variadic.has_default):
                values = [*values[:last], values[last:]]
                positions = (*self.positions[:last], "")
        return dict(zip(self.names, values)), positions  # noqa: B905  `strict` would cost as much as all the rest

    def checked(
        self, given: dict[str, Any], spending: budget.Budget | None
    ) -> tuple[dict[str, Any], list[errors.Fault]]:
        """The values as PostgreSQL takes them, and what is wrong with them."""
        values = {
            name: self.normalisers[name](value) if name in self.normalisers else value for name, value in given.items()
        }
        spending = spending or budget.Budget()
        return values, self._explained(schemas.check(self.compiled, values, spending), spending)

    def takes_value(self, name: str, value: Any) -> bool:
        """Whether this value can be that argument, whatever the others are."""
        _, faults = self.checked({name: value}, None)
        at = errors.pointer([name])
        return not any(fault.path == at or fault.path.startswith(f"{at}/") for fault in faults)

    def _explained(self, faults: list[errors.Fault], spending: budget.Budget) -> list[errors.Fault]:
        """The same, with a suggestion for each of the first few unknown parameters."""
        unknown = [i for i, f in enumerate(faults) if f.rule == "additionalProperties" and "/" not in f.path[1:]]
        for count, index in enumerate(unknown):
            name = faults[index].path[1:].replace("~1", "/").replace("~0", "~")
            is_explained = count < _EXPLAINED and spending.affords(suggestions.work(name, self.named))
            meant = suggestions.near(name, self.named, abbreviated=True) if is_explained else None
            words = "unknown parameter" + (f"; did you mean {meant}?" if meant else "")
            faults[index] = errors.Fault(faults[index].path, faults[index].rule, words)
        return faults

    @staticmethod
    def _spread(values: list[Any], last: int, has_default: bool) -> bool:
        if len(values) <= last:
            return len(values) == last and not has_default
        return len(values) > last + 1 or not isinstance(values[last], list)
