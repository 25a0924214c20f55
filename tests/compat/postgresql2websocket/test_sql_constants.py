from decimal import Decimal
from typing import Any

import pytest

from pgrpc.compat.postgresql2websocket import sql_constants
from pgrpc.core.functions import pgtypes
from pgrpc.core.wire import errors
from tests.support import samples
from tests.support.samples import argument, routine

TIMESTAMPTZ = samples.base(1184, "timestamptz")


def typed(of: pgtypes.Type, value: Any) -> Any:
    """What a function with one argument of this type gets, by position and by name."""
    function = samples.function(routine(argument("a", of)))
    (by_position,) = sql_constants.typed(function, [value])
    assert sql_constants.typed(function, {"a": value}) == {"a": by_position}
    return by_position


@pytest.mark.parametrize(
    ("of", "text", "value"),
    [
        (samples.INT4, "5", 5),
        (samples.INT8, " -9223372036854775808 ", -(2**63)),
        (samples.NUMERIC, "1.50", Decimal("1.50")),
        (samples.FLOAT8, "1e3", Decimal("1e3")),
        (samples.OID, "1", 1),
        (samples.BOOL, "true", True),
        (samples.BOOL, " T ", True),
        (samples.BOOL, "off", False),
        (samples.JSON, '{"a": 1.50}', {"a": Decimal("1.50")}),
        (samples.JSONB, '"x"', "x"),
        (samples.domain(samples.INT4), "5", 5),
        (samples.domain(samples.JSON), "[1]", [1]),
        (samples.TEXT, "5", "5"),
        (samples.VARCHAR, "true", "true"),
        (TIMESTAMPTZ, "2024-02-29 12:00:00.5+00", "2024-02-29T12:00:00.5+00:00"),
        (TIMESTAMPTZ, " 2024-02-29 12:00 Z ", "2024-02-29T12:00:00Z"),
        (TIMESTAMPTZ, "2024-02-29T12:00:01-0330", "2024-02-29T12:00:01-03:30"),
        (TIMESTAMPTZ, "2024-02-29T12:00:01+05:45", "2024-02-29T12:00:01+05:45"),
        # What cannot be read stays what it is: the schema of the argument says what is wrong.
        (samples.INT4, "five", "five"),
        (samples.INT4, "[5]", "[5]"),
        (samples.INT4, "true", "true"),
        (samples.INT4, "null", "null"),
        (samples.INT4, '"5"', '"5"'),
        (samples.BOOL, "maybe", "maybe"),
        (TIMESTAMPTZ, "2024-02-29 12:00", "2024-02-29 12:00"),
        (TIMESTAMPTZ, "tomorrow", "tomorrow"),
        (samples.INT4S, "{1,2}", "{1,2}"),
    ],
)
def test_a_quoted_constant_is_read_as_the_function_takes_it(of: pgtypes.Type, text: str, value: Any) -> None:
    assert typed(of, text) == value
    assert type(typed(of, text)) is type(value)


@pytest.mark.parametrize("value", [5, Decimal("5"), True, None])
def test_other_constants_stay_as_they_are(value: Any) -> None:
    assert typed(samples.INT4, value) is value
    assert typed(samples.JSON, value) is value


def test_the_elements_of_arrays_are_read() -> None:
    assert typed(samples.INT4S, ["1", None, 2]) == [1, None, 2]
    assert typed(samples.INT4S, [["1"], ["2"]]) == [[1], [2]]
    assert typed(samples.JSONBS, ['{"a":1}']) == [{"a": 1}]
    assert typed(samples.INT4, ["1"]) == ["1"]


def test_a_string_that_is_no_json_is_refused_where_it_stands() -> None:
    function = samples.function(routine(argument("a"), argument("b", samples.JSON)))
    with pytest.raises(errors.InvalidParams) as by_position:
        sql_constants.typed(function, [1, "{"])
    assert by_position.value.data == [{"path": "/1", "rule": "postgresql", "message": "is not valid JSON"}]
    with pytest.raises(errors.InvalidParams, match="/b: is not valid JSON"):
        sql_constants.typed(function, {"a": 1, "b": "{"})
    with pytest.raises(errors.InvalidParams, match="/0/1: is not valid JSON"):
        sql_constants.typed(samples.function(routine(argument("a", samples.JSONBS))), [["1", "{"]])


def test_of_a_variadic_function_each_constant_is_read() -> None:
    of = samples.function(routine(argument("a", samples.TEXT), argument("n", samples.INT4S, "variadic")))
    assert sql_constants.typed(of, ["1", "2", 3]) == ["1", 2, 3]
    assert sql_constants.typed(of, ["1", ["2"]]) == ["1", [2]]
    assert sql_constants.typed(of, ["1"]) == ["1"]
    assert sql_constants.typed(of, {"a": "1", "n": ["2"]}) == {"a": "1", "n": [2]}


def test_of_several_forms_the_one_that_fits_is_taken() -> None:
    one, two = routine(argument("a")), routine(argument("a"), argument("b"))
    assert sql_constants.typed(samples.function(one, two), ["1", "2"]) == [1, 2]


@pytest.mark.parametrize("params", [["1"], {"a": "1"}, ["1", "2", "3"], {"c": "1"}])
def test_where_none_or_several_fit_all_stay_as_they_are(params: Any) -> None:
    one, other = routine(argument("a")), routine(argument("a", samples.TEXT))
    assert sql_constants.typed(samples.function(one, other), params) == params
