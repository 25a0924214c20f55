"""The privileges that keep roles from calling a function, each with the GRANT that gives it.

Owns which privilege is missing, and the SQL that grants it. Must not know where in the file a role or
function is named.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pgrpc.core.functions import routines

_RESERVED = """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
    column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for
    foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral
    leading left like limit localtime localtimestamp natural none not notnull null offset on only or order outer
    overlaps placing primary references returning right select session_user similar some symmetric
    system_user table tablesample then to trailing true union unique user using variadic verbose when where window
    with
"""
"""https://www.postgresql.org/docs/current/sql-keywords-appendix.html"""

_SHOWN = 3
"""Roles named in one message."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A privilege that `roles` lack. One of them must have it, or with for_each all of them.

    on: as GRANT names it, without its kind, such as the schema "shop" or the function "shop.f(integer)"; several are
    separated by commas. roles: the one that `cure` suggests comes first.
    """

    privilege: Literal["USAGE", "EXECUTE"]
    kind: Literal["schema", "function", "procedure", "aggregate", "window"]
    on: str
    roles: tuple[str, ...]
    for_each: bool = False

    def __str__(self) -> str:
        """`web lacks USAGE on schema shop: GRANT USAGE ON SCHEMA shop TO web;`."""
        return f"{self.lack}: {self.cure}"

    @property
    def lack(self) -> str:
        lacking = "lacks" if len(self.roles) == 1 else "lack"
        return f"{listed(self.roles)} {lacking} {self.privilege} on {self.kind} {self.on}"

    @property
    def cure(self) -> str:
        """It ends with SQL that can be run as it is."""
        if self.for_each or len(self.roles) == 1:
            return grant(self.privilege, self.kind, self.on, self.roles)
        lead = "one of these must be able to call it, such as"
        return f"{lead}: {grant(self.privilege, self.kind, self.on, self.roles[:1])}"


def grant(privilege: str, kind: str, on: str, roles: Sequence[str]) -> str:
    return f"GRANT {privilege} ON {kind.upper()} {on} TO {', '.join(map(quoted, roles))};"


def missing(routine: routines.Routine, roles: Collection[str]) -> list[Missing]:
    """What keeps every one of these roles from calling the routine; [] where one of them can."""
    if not routine.executable_by.isdisjoint(roles):
        return []

    def usage(of: Collection[str]) -> Missing:
        return Missing("USAGE", "schema", quoted(routine.schema), tuple(sorted(of)))

    def execute(of: Collection[str]) -> Missing:
        return Missing("EXECUTE", routine.kind, qualified(routine), tuple(sorted(of)))

    # The shortest way: a role that has one of the two needs only the other.
    if granted := (set(roles) - routine.lacks_execute) & routine.lacks_usage:
        return [usage(granted)]
    if usable := set(roles) - routine.lacks_usage:
        return [execute(usable)]
    return [usage(roles), execute(roles)]


def missing_for_each(routine: routines.Routine, roles: Collection[str]) -> list[Missing]:
    """What keeps any of these roles from calling the routine."""
    found: dict[Missing, list[str]] = {}
    for role in sorted(roles):
        for lack in missing(routine, (role,)):
            found.setdefault(replace(lack, roles=(), for_each=True), []).append(role)
    return [replace(lack, roles=tuple(lacking)) for lack, lacking in found.items()]


def qualified(routine: routines.Routine) -> str:
    """The routine as SQL names it whatever the search_path is."""
    return f"{quoted(routine.schema)}.{quoted(routine.name)}{routine.signature[routine.signature.rindex('(') :]}"


def quoted(name: str) -> str:
    """An identifier as SQL writes it, with quotes where it needs them."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_$]*", name) and name not in _RESERVED.split()
    return name if plain else '"' + name.replace('"', '""') + '"'


def listed(names: Sequence[str]) -> str:
    """`a, b and c`, `a, b, c and more`."""
    if len(names) > _SHOWN:
        return f"{', '.join(names[:_SHOWN])} and more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
