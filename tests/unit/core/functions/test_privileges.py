"""Privileges that are missing, and the GRANT for each."""

from typing import Any

import pytest

from pgrpc.core.functions import privileges
from tests.support.samples import argument, routine

A, B = frozenset("a"), frozenset("b")
BOTH = A | B
USAGE, EXECUTE = (
    "USAGE on schema public: GRANT USAGE ON SCHEMA public TO {};",
    ("EXECUTE on function public.f(integer): GRANT EXECUTE ON FUNCTION public.f(integer) TO {};"),
)


@pytest.mark.parametrize(
    ("fields", "roles", "expected"),
    [
        pytest.param({"executable_by": A}, BOTH, [], id="one can"),
        pytest.param({"lacks_usage": BOTH}, A, ["a lacks " + USAGE.format("a")], id="usage"),
        pytest.param({"lacks_execute": BOTH}, A, ["a lacks " + EXECUTE.format("a")], id="execute"),
        pytest.param(
            {"lacks_usage": A, "lacks_execute": A},
            A,
            ["a lacks " + USAGE.format("a"), "a lacks " + EXECUTE.format("a")],
            id="both",
        ),
        pytest.param(
            {"lacks_usage": BOTH, "lacks_execute": A}, BOTH, ["b lacks " + USAGE.format("b")], id="who has EXECUTE"
        ),
        pytest.param(
            {"lacks_usage": A, "lacks_execute": BOTH}, BOTH, ["b lacks " + EXECUTE.format("b")], id="who has USAGE"
        ),
        pytest.param(
            {"lacks_execute": BOTH},
            BOTH,
            [
                "a and b lack "
                + EXECUTE.format("a").replace("): ", "): one of these must be able to call it, such as: ")
            ],
            id="any of several",
        ),
    ],
)
def test_missing(fields: Any, roles: frozenset[str], expected: list[str]) -> None:
    of = routine(argument("x"), **{"executable_by": frozenset(), **fields})
    assert list(map(str, privileges.missing(of, roles))) == expected


def test_missing_for_each() -> None:
    of = routine(argument("x"), executable_by=A, lacks_usage=B | {"C"}, lacks_execute=B)
    assert list(map(str, privileges.missing_for_each(of, ["b", "a", "C"]))) == [
        "C and b lack " + USAGE.format('"C", b'),
        "b lacks " + EXECUTE.format("b"),
    ]
    assert privileges.missing_for_each(of, A) == []


def test_names_are_quoted_where_they_must_be() -> None:
    of = routine(executable_by=frozenset(), schema="User", name="order", signature='"User"."order"()')
    (missing,) = privileges.missing(of, ["Boss"])
    assert str(missing).endswith(': GRANT EXECUTE ON FUNCTION "User"."order"() TO "Boss";')
    assert [privileges.quoted(name) for name in ("a_1$", "public", "user", "a b", 'x"y', "1a")] == [
        *("a_1$", "public", '"user"', '"a b"', '"x""y"', '"1a"')
    ]


def test_listed() -> None:
    assert [privileges.listed("abcd"[:count]) for count in (1, 2, 3, 4)] == [
        *("a", "a and b", "a, b and c", "a, b, c and more")
    ]
