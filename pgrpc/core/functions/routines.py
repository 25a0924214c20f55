"""What the database says of its functions and procedures, as plain values.

Owns the words shared by the catalog's reader (postgres/introspect) and its users. Must not know SQL text, nor which
routines are listed.
"""

from dataclasses import dataclass
from typing import Literal

from pgrpc.core.functions import pgtypes


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument (pg_proc.proargmodes). An unnamed input has the made-up name "$1", "$2", ..."""

    name: str
    type: pgtypes.Type
    mode: Literal["in", "out", "inout", "variadic", "table"] = "in"
    has_default: bool = False

    @property
    def is_input(self) -> bool:
        return self.mode in ("in", "inout", "variadic")


@dataclass(frozen=True, eq=False, slots=True)  # compared and hashed by identity: it is a key of caches
class Routine:
    """One row of pg_proc. `signature` is how people write it: "auction.place_bid(integer, numeric)".

    executable_by: of the roles asked about. lacks_usage: of the same, those without USAGE on the schema. lacks_execute:
    those without EXECUTE on the routine itself. is_public: PUBLIC has EXECUTE. is_open_definer: it is SECURITY DEFINER
    and takes its search_path from the caller.
    """

    schema: str
    name: str
    signature: str
    kind: Literal["function", "procedure", "aggregate", "window"]
    arguments: tuple[Argument, ...]
    returns: pgtypes.Type
    returns_set: bool = False
    volatility: Literal["immutable", "stable", "volatile"] = "volatile"
    executable_by: frozenset[str] = frozenset()
    is_public: bool = False
    is_open_definer: bool = False
    description: str | None = None
    lacks_usage: frozenset[str] = frozenset()
    lacks_execute: frozenset[str] = frozenset()

    @property
    def inputs(self) -> tuple[Argument, ...]:
        return tuple(a for a in self.arguments if a.is_input)

    @property
    def signature_with_names(self) -> str:
        """With its arguments' names, for people: "auction.place_bid(item integer, amount numeric)"."""
        named = (f"{'VARIADIC ' if a.mode == 'variadic' else ''}{a.name} {a.type.name}" for a in self.inputs)
        return f"{self.signature[: self.signature.rindex('(')]}({', '.join(named)})"

    @property
    def outputs(self) -> tuple[Argument, ...]:
        """OUT, INOUT and TABLE columns; () where the result is the return type alone."""
        return tuple(a for a in self.arguments if a.mode in ("out", "inout", "table"))
