"""The keywords about a value itself: what each takes, exactly, and what it costs."""

from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.validation import assertions, budget

ALL: list[Any] = [None, True, False, 0, 1, Decimal("1.5"), Decimal("2.0"), "", "ab", [], [1, 1], {}, {"a": 1}]


@pytest.mark.parametrize(
    ("keyword", "argument", "broken_by"),
    [
        ("type", "integer", [None, True, False, Decimal("1.5"), "", "ab", [], [1, 1], {}, {"a": 1}]),
        ("type", "number", [None, True, False, "", "ab", [], [1, 1], {}, {"a": 1}]),
        ("type", "string", [v for v in ALL if not isinstance(v, str)]),
        ("type", "boolean", [v for v in ALL if not isinstance(v, bool)]),
        ("type", "null", ALL[1:]),
        ("type", "array", [v for v in ALL if not isinstance(v, list)]),
        ("type", "object", [v for v in ALL if not isinstance(v, dict)]),
        ("type", ["array", "object", "null", "boolean", "number"], ["", "ab"]),
        ("enum", [Decimal("1.0"), "ab", [1, Decimal("1.0")], None, {}], [True, False, 0, *ALL[5:8], [], {"a": 1}]),
        ("const", 1, [None, True, False, 0, *ALL[5:]]),
        ("minimum", 1, [0]),
        ("maximum", 1, [Decimal("1.5"), Decimal("2.0")]),
        ("exclusiveMinimum", 1, [0, 1]),
        ("exclusiveMaximum", Decimal("1.5"), [Decimal("1.5"), Decimal("2.0")]),
        ("multipleOf", Decimal("0.5"), []),
        ("multipleOf", 2, [1, Decimal("1.5")]),
        ("minLength", 1, [""]),
        ("maxLength", 1, ["ab"]),
        ("format", "date", ["", "ab"]),
        ("minItems", 1, [[]]),
        ("maxItems", 1, [[1, 1]]),
        ("uniqueItems", True, [[1, 1]]),
        ("uniqueItems", False, []),
        ("minProperties", 1, [{}]),
        ("maxProperties", 0, [{"a": 1}]),
    ],
)
def test_what_breaks_a_keyword(keyword: str, argument: Any, broken_by: list[Any]) -> None:
    holds = assertions.ASSERTIONS[keyword]
    found = [value for value in ALL if not holds(budget.Budget(), argument, value)]
    assert list(map(repr, found)) == list(map(repr, broken_by))


@pytest.mark.parametrize(
    ("keyword", "argument", "value"),
    [
        ("multipleOf", 1, Decimal("0." + "7" * 60_000)),
        ("enum", list(range(100_000)), 1),
        ("uniqueItems", True, [[1] * 50_000]),
    ],
)
def test_what_costs_too_much(keyword: str, argument: Any, value: Any) -> None:
    with pytest.raises(budget.TooMuchWork):
        assertions.ASSERTIONS[keyword](budget.Budget(), argument, value)


def test_a_format_costs_by_the_character() -> None:
    spending = budget.Budget()
    holds = assertions.ASSERTIONS["format"]
    with pytest.raises(budget.TooMuchWork):  # noqa: PT012
        for _ in range(100):
            assert holds(spending, "email", "@" * 8000)
