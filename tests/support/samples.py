"""Owns what several unit tests build: types, routines and functions as the database would describe them."""

from collections.abc import Mapping
from typing import Any

import pytest

from pgrpc.core.functions import catalog, pgtypes, routines, signatures
from pgrpc.core.identity import identity
from pgrpc.core.validation import schemas
from pgrpc.core.wire import errors

CALLERS = frozenset(("app",))
"""The roles that calls may run as."""


def base(oid: int, name: str) -> pgtypes.Type:
    return pgtypes.Type(oid, f"pg_catalog.{name}", name, "base")


def array(of: pgtypes.Type, oid: int) -> pgtypes.Type:
    return pgtypes.Type(oid, f"{of.sql}[]", f"{of.name}[]", "array", of)


BOOL, INT2, INT4, INT8, OID = (base(*row) for row in ((16, "boolean"), (21, "smallint"), (23, "integer"),
                                                      (20, "bigint"), (26, "oid")))  # fmt: skip
NUMERIC, FLOAT8, TEXT, VARCHAR, CHAR, BIT, VARBIT = (
    base(*row)
    for row in ((1700, "numeric"), (701, "double precision"), (25, "text"), (1043, "character varying"),
                (1042, "character"), (1560, "bit"), (1562, "bit varying"))
)  # fmt: skip
JSON, JSONB = base(114, "json"), base(3802, "jsonb")
INT4S, INT8S, TEXTS, JSONBS = array(INT4, 1007), array(INT8, 1016), array(TEXT, 1009), array(JSONB, 3807)
VOID, RECORD, ANY, TRIGGER, ANYARRAY = (
    pgtypes.Type(oid, f"pg_catalog.{name}", name, "pseudo")
    for oid, name in ((2278, "void"), (2249, "record"), (2276, "any"), (2279, "trigger"), (2277, "anyarray"))
)


def enum(*labels: str) -> pgtypes.Type:
    return pgtypes.Type(50001, "public.mood", "mood", "enum", labels=labels)


def domain(of: pgtypes.Type, *, not_null: bool = False, typmod: int = -1) -> pgtypes.Type:
    return pgtypes.Type(50002, "public.d", "d", "domain", of, typmod, not_null)


def composite(**attributes: pgtypes.Type) -> pgtypes.Type:
    parts = tuple(pgtypes.Attribute(name, of) for name, of in attributes.items())
    return pgtypes.Type(50003, "public.pair", "pair", "composite", attributes=parts)


def argument(name: str, of: pgtypes.Type = INT4, mode: Any = "in", *, default: bool = False) -> routines.Argument:
    return routines.Argument(name, of, mode, default)


def routine(*arguments: routines.Argument, returns: pgtypes.Type = INT4, **more: Any) -> routines.Routine:
    given: dict[str, Any] = {"schema": "public", "name": "f", "kind": "function", "executable_by": CALLERS} | more
    written = f"public.f({', '.join(a.type.name for a in arguments if a.is_input)})"
    return routines.Routine(signature=given.pop("signature", written), arguments=arguments, returns=returns, **given)


def function(
    *listed: routines.Routine, narrowed: Any = None, reset: bool | None = None, method: str = "f"
) -> catalog.Function:
    overloads = tuple(signatures.Overload(r) for r in listed)
    validator = None if narrowed is None else schemas.compile(narrowed)
    return catalog.Function(method, overloads, validator, 2.5, "number", reset)


def functions(listed: Mapping[str, catalog.Function]) -> catalog.Catalog:
    return catalog.Catalog(listed, listed)


def somebody(role: str | None = None, expires: float | None = None, **claims: Any) -> identity.Identity:
    return identity.Identity(role, claims, {}, expires)


def nested(depth: int, innermost: Any) -> Any:
    """`innermost` inside that many arrays."""
    for _ in range(depth):
        innermost = [innermost]
    return innermost


def faults_made(patch: pytest.MonkeyPatch) -> list[str]:
    """The path of every fault that is made from now on."""
    made: list[str] = []
    make = errors.Fault

    def fault(path: str, rule: str, message: str) -> errors.Fault:
        made.append(path)
        return make(path, rule, message)

    patch.setattr(errors, "Fault", fault)
    return made
