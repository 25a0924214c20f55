"""Routines: which of their arguments are given, and which come back."""

from typing import Any

import pytest

from tests.support import samples

ALL = [samples.argument(mode, mode=mode) for mode in ("in", "out", "inout", "table", "variadic")]


@pytest.mark.parametrize(
    ("mode", "is_input"),
    [("in", True), ("inout", True), ("variadic", True), ("out", False), ("table", False)],
)
def test_input(mode: Any, is_input: bool) -> None:
    assert samples.argument("a", mode=mode).is_input == is_input


def test_inputs_and_outputs_keep_the_order_of_the_signature() -> None:
    routine = samples.routine(*ALL)
    assert [a.name for a in routine.inputs] == ["in", "inout", "variadic"]
    assert [a.name for a in routine.outputs] == ["out", "inout", "table"]


def test_no_outputs_where_the_return_type_says_it_all() -> None:
    assert samples.routine(samples.argument("a")).outputs == ()


def test_a_routine_is_told_apart_by_identity() -> None:
    one, other = samples.routine(), samples.routine()
    assert one != other
    assert len({one: 1, other: 2}) == 2


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ((), "public.f()"),
        ((samples.argument("q", samples.TEXT), samples.argument("n", mode="out")), "public.f(q text)"),
        ((samples.argument("$1"), samples.argument("x", samples.INT4S, "variadic")),
         "public.f($1 integer, VARIADIC x integer[])"),
    ],
)  # fmt: skip
def test_a_routine_with_the_names_of_its_arguments(arguments: Any, written: str) -> None:
    assert samples.routine(*arguments).signature_with_names == written
