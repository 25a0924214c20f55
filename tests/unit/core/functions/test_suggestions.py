"""Close names."""

import pytest

from pgrpc.core.functions import suggestions


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("quantty", ["sku", "quantity"], "quantity"),
        ("qty", ["sku", "quantity"], None),
        ("QUANTITY", ["quality", "Quantity"], "Quantity"),
        ("a", [], None),
        ("", ["a"], None),
        ("abcd", ["abcx", "abcde"], "abcde"),
    ],
)
def test_near(name: str, known: list[str], expected: str | None) -> None:
    assert suggestions.near(name, known) == expected


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("qty", ["sku", "quantity"], "quantity"),
        ("QTY", ["Quantity"], "Quantity"),
        ("qty", ["quantity", "quality"], None),
        ("yt", ["quantity"], None),
        ("q", ["quantity"], None),
        ("tyq", ["quantity", ""], None),
    ],
)
def test_what_a_name_is_short_for(name: str, known: list[str], expected: str | None) -> None:
    assert suggestions.near(name, known, abbreviated=True) == expected


def test_no_more_is_compared_than_the_limit() -> None:
    known = [f"{i}" for i in range(50)] + ["quantity"]
    assert suggestions.near("quantity", known) is None
    assert suggestions.near("quantity", known, limit=51) == "quantity"
    assert suggestions.near("x" * 64, ["x" * 64]) is None, "no name of PostgreSQL's is as long"


def test_what_a_comparison_costs() -> None:
    worst = ["a" * 63] * 30
    assert suggestions.work("a" * 63, worst) > 15_000
    assert suggestions.work("a" * 63, worst * 100) == suggestions.work("a" * 63, worst)
    assert suggestions.work("a" * 64, worst) == 0, "it is not compared"
    assert suggestions.work("qty", ["quantity"] * 10) < 100
