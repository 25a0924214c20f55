"""Findings: a GRANT of USAGE that many places need is reported once, at the first of them."""

from types import MappingProxyType

from pgrpc.check import findings
from pgrpc.config import model
from pgrpc.core.functions import privileges

USAGE = privileges.Missing("USAGE", "schema", "shop", ("web",))
EXECUTE = privileges.Missing("EXECUTE", "function", "shop.f()", ("web",))
WORDS = "web lacks USAGE on schema shop: GRANT USAGE ON SCHEMA shop TO web"


def gathered(*methods: str) -> list[findings.Finding]:
    """Of functions that need USAGE, in the order of looking at them; the file has them in that of the alphabet."""
    lines: dict[model.Place, model.Position] = {("functions", method): (ord(method), 1) for method in methods}
    found = findings.Findings(model.Marks("config.yaml", MappingProxyType(lines)))
    for method in methods:
        found.fault(("functions", method, "function"), USAGE)
        found.fault(("functions", method, "roles"), USAGE)
    return found.faults()


def test_usage_is_reported_where_it_is_needed_first() -> None:
    assert gathered("a") == [(("functions", "a", "function"), WORDS)]
    assert gathered("c", "a", "b") == [(("functions", "a", "function"), f"{WORDS} (also for functions.b, functions.c)")]
    ((_, words),) = gathered(*"abcdefg")
    assert words == f"{WORDS} (also for functions.b, functions.c, functions.d and 3 more)"


def test_others_are_reported_each() -> None:
    found = findings.Findings(model.Marks("config.yaml"))
    found.fault(("functions", "a"), EXECUTE)
    found.fault(("functions", "b"), EXECUTE)
    found.fault(("functions", "b"), "odd")
    found.warn(("functions", "b"), ["one", "two"])
    assert [place for place, _ in found.faults()] == [("functions", "a"), ("functions", "b"), ("functions", "b")]
    assert found.warnings == [(("functions", "b"), "one"), (("functions", "b"), "two")]
