"""Numbers are exact, and what JSON Schema calls equal is equal, in a time that clients cannot make long."""

import time
from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.validation import budget, exact


@pytest.mark.parametrize(
    ("value", "is_number", "is_integer"),
    [
        (1, True, True),
        (10**40, True, True),
        (Decimal("1.0"), True, True),
        (Decimal("-0.0"), True, True),
        (Decimal("1e999999999999999999"), True, True),
        (Decimal("1.5"), True, False),
        (Decimal("1e-999999999999999999"), True, False),
        (Decimal(f"{10**40}.5"), True, False),
        (True, False, False),
        ("1", False, False),
        (None, False, False),
        ([1], False, False),
    ],
)
def test_numbers(value: Any, is_number: bool, is_integer: bool) -> None:
    assert exact.is_number(value) is is_number
    assert exact.is_integer(value) is is_integer


DIFFERENT: list[Any] = [
    None, True, False, 1, 0, 15, 100, 10**40, Decimal("1.5"), Decimal("-1.5"), Decimal("0.1"), "", "1", "a", "true",
    "1.5E+0", "null", [], [1], [True], [1, [2]], [[1], 2], {}, {"a": 1}, {"a": True}, {"a": "1"}, {"b": 1},
    {"a": 1, "b": 2}, {"a": [1]}, ["a"], Decimal("1e999999999999"),
]  # fmt: skip
EQUAL: list[tuple[Any, Any]] = [
    (1, Decimal("1.0")),
    (100, Decimal("1e2")),
    (Decimal("0.0"), Decimal("-0")),
    (0, Decimal("-0.0")),
    (Decimal("0.10"), Decimal("0.1")),
    ([1, [2]], [Decimal("1.0"), [2]]),
    ({"a": 1, "b": 2}, {"b": 2, "a": Decimal("1.0")}),
    ([], []),
    ({}, {}),
]


def test_what_is_equal() -> None:
    for i, one in enumerate(DIFFERENT):
        for j, other in enumerate(DIFFERENT):
            assert exact.equal(one, other) is (i == j), (one, other)
    for one, other in EQUAL:
        assert exact.equal(one, other)
        assert exact.equal(other, one)


def test_unique_is_what_is_not_equal() -> None:
    assert exact.are_unique(DIFFERENT, budget.Budget())
    for one, other in EQUAL:
        assert not exact.are_unique([one, None, other], budget.Budget())
    assert not exact.are_unique([True, 1, True], budget.Budget())


def test_numbers_that_python_hashes_alike_do_not_take_long() -> None:
    values = [i * (2**61 - 1) for i in range(3000)]
    begin = time.process_time()
    assert exact.are_unique(values, budget.Budget())
    assert time.process_time() - begin < 0.5


@pytest.mark.parametrize("value", [[list(range(50_000))], [{str(i): i for i in range(50_000)}]], ids=["list", "dict"])
def test_what_is_inside_of_elements_has_a_price(value: Any) -> None:
    with pytest.raises(budget.TooMuchWork):
        exact.are_unique(value, budget.Budget())


@pytest.mark.parametrize(
    ("value", "divisor", "expected"),
    [
        (9, 3, True),
        (10**4000, 7, False),
        (1, Decimal("0.01"), True),
        (Decimal("19.99"), Decimal("0.01"), True),
        (Decimal("19.999"), Decimal("0.01"), False),
        (Decimal("-1.50"), Decimal("0.5"), True),
        (Decimal("1e999999999999999999"), Decimal("0.01"), True),
        (Decimal("1e-999999999999999999"), Decimal("0.01"), False),
        (Decimal("0e-999999999999"), 3, True),
        (Decimal("2e400"), Decimal("1e400"), True),
        (Decimal("0." + "3" * 5000), 3, False),  # more digits than int() takes as a text
    ],
)
def test_multiples(value: Any, divisor: Any, expected: bool) -> None:
    assert exact.is_multiple(value, divisor) == expected


def test_digits() -> None:
    assert exact.digits(10**4000) == 0
    assert exact.digits(Decimal("-0.125")) == 3
