"""Findings: a GRANT of USAGE that many places need is reported once, at the first of them."""

import dataclasses
from types import MappingProxyType

from pgrpc.check import findings
from pgrpc.config import model
from pgrpc.core.functions import privileges

USAGE = privileges.Missing("USAGE", "schema", "shop", ("web",))
EXECUTE = privileges.Missing("EXECUTE", "function", "shop.f()", ("web",))
LACK, GRANT = "web lacks USAGE on schema shop", "GRANT USAGE ON SCHEMA shop TO web;"


def gathered(*methods: str) -> list[findings.Finding]:
    """Of functions that need USAGE, in the order of looking at them; the file has them in that of the alphabet."""
    lines: dict[model.Place, model.Position] = {("functions", method): (ord(method), 1) for method in methods}
    found = findings.Findings(model.Marks("config.yaml", MappingProxyType(lines)))
    for method in methods:
        found.fault(("functions", method, "function"), USAGE)
        found.fault(("functions", method, "roles"), USAGE)
    return found.faults()


def test_usage_is_reported_where_it_is_needed_first() -> None:
    assert gathered("a") == [(("functions", "a", "function"), f"{LACK}: {GRANT}")]
    assert gathered("c", "a", "b") == [
        (("functions", "a", "function"), f"{LACK}, needed also for functions.b, functions.c: {GRANT}")
    ]
    ((_, words),) = gathered(*"abcdefg")
    assert words == f"{LACK}, needed also for functions.b, functions.c, functions.d and 3 more: {GRANT}"


def test_others_are_reported_each() -> None:
    found = findings.Findings(model.Marks("config.yaml"))
    found.fault(("functions", "a"), EXECUTE)
    found.fault(("functions", "b"), EXECUTE)
    found.fault(("functions", "b"), "odd")
    found.warn(("functions", "b"), ["one", "two"])
    assert [place for place, _ in found.faults()] == [("functions", "b"), ("functions", "a"), ("functions", "b")]
    assert found.warnings == [(("functions", "b"), "one"), (("functions", "b"), "two")]


def test_one_grant_for_the_overloads_of_a_place() -> None:
    found = findings.Findings(model.Marks("config.yaml"))
    found.fault(("functions", "a"), EXECUTE)
    found.fault(("functions", "a"), dataclasses.replace(EXECUTE, on="shop.f(integer)"))
    assert found.faults() == [
        (
            ("functions", "a"),
            "web lacks EXECUTE on function shop.f(), shop.f(integer): "
            "GRANT EXECUTE ON FUNCTION shop.f(), shop.f(integer) TO web;",
        )
    ]


def test_a_grant_suggests_the_anonymous_role_last() -> None:
    found = findings.Findings(model.Marks("config.yaml"), "anon")
    found.fault(("functions", "a"), dataclasses.replace(EXECUTE, roles=("anon", "web")))
    ((_, words),) = found.faults()
    assert words.startswith("web and anon lack EXECUTE on function shop.f(): one of these must be able to call it")
    assert words.endswith("such as: GRANT EXECUTE ON FUNCTION shop.f() TO web;")
