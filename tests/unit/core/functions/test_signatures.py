"""One routine behind a method: the parameters that it takes, and what is wrong with those given."""

from typing import Any

import pytest

from pgrpc.core.functions import signatures, suggestions
from pgrpc.core.validation import budget
from tests.support import samples
from tests.support.samples import argument, routine

ADD = routine(argument("a"), argument("b", default=True))
FORMAT = routine(argument("template", samples.TEXT), argument("values", samples.INT4S, "variadic"))
OPTIONAL = routine(argument("a"), argument("values", samples.INT4S, "variadic", default=True))
UNNAMED = routine(argument("$1"), argument("b"), argument("$3"))


@pytest.mark.parametrize(
    ("of", "names", "count"),
    [
        pytest.param(ADD, ["a", "b"], 0, id="all have names"),
        pytest.param(UNNAMED, ["$1", "b"], 1, id="what has no name"),
        pytest.param(UNNAMED, ["$1", "b", "$3"], 3, id="and what is before it"),
        pytest.param(UNNAMED, ["b"], 0, id="not given"),
        pytest.param(FORMAT, ["template", "values"], 2, id="all of a variadic function"),
        pytest.param(FORMAT, [], 0, id="nothing given"),
    ],
)
def test_how_many_arguments_sql_takes_by_position_only(of: Any, names: list[str], count: int) -> None:
    assert signatures.by_position(of, names) == count


def test_the_schema_of_a_signature() -> None:
    schema = signatures.Overload(routine(argument("a"), argument("p", samples.INT4S, default=True))).schema
    assert schema["required"] == ["a"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == ["a", "p"]
    assert len(schema["$defs"]) == 1
    assert "$defs" not in signatures.Overload(ADD).schema


@pytest.mark.parametrize(
    ("names", "takes"), [(["a"], True), (["a", "b"], True), (["b"], False), (["a", "c"], False), ([], False)]
)
def test_which_names_it_takes(names: list[str], takes: bool) -> None:
    assert signatures.Overload(ADD).takes(names) == takes


@pytest.mark.parametrize(
    ("of", "counts"), [(ADD, [1, 2]), (FORMAT, [1, 2, 3, 4]), (OPTIONAL, [1, 2, 3, 4]), (routine(), [0])]
)
def test_how_many_positional_values_it_takes(of: Any, counts: list[int]) -> None:
    assert [count for count in range(5) if signatures.Overload(of).takes_positional(count)] == counts


@pytest.mark.parametrize(
    ("of", "values", "named", "positions"),
    [
        pytest.param(ADD, [1, 2], {"a": 1, "b": 2}, ("/0", "/1"), id="each"),
        pytest.param(ADD, [1, 2, 3], {"a": 1, "b": 2}, ("/0", "/1"), id="too many are left over"),
        pytest.param(FORMAT, ["x", 1, 2], {"template": "x", "values": [1, 2]}, ("/0", ""), id="variadic"),
        pytest.param(FORMAT, ["x", 1], {"template": "x", "values": [1]}, ("/0", ""), id="one element"),
        pytest.param(FORMAT, ["x", [1]], {"template": "x", "values": [1]}, ("/0", "/1"), id="the array itself"),
        pytest.param(FORMAT, ["x"], {"template": "x", "values": []}, ("/0", ""), id="no elements"),
        pytest.param(FORMAT, [], {}, (), id="nothing"),
        pytest.param(OPTIONAL, [1], {"a": 1}, ("/0",), id="a default instead of no elements"),
    ],
)
def test_positional_values_by_name(of: Any, values: list[Any], named: dict[str, Any], positions: Any) -> None:
    assert signatures.Overload(of).by_name(values) == (named, positions)


def test_values_are_normalised_and_checked() -> None:
    of = signatures.Overload(routine(argument("n", samples.INT8), argument("t", samples.TEXT)))
    assert of.checked({"n": "5", "t": "5"}, None) == ({"n": 5, "t": "5"}, [])
    assert [(fault.path, fault.rule) for fault in of.checked({"n": "x"}, None)[1]] == [
        ("/n", "type"),
        ("/t", "required"),
    ]


def test_whether_a_value_can_be_an_argument() -> None:
    of = signatures.Overload(routine(argument("n"), argument("n2", samples.INT4S)))
    assert of.takes_value("n", 1)
    assert not of.takes_value("n", "x")
    assert of.takes_value("n2", [1])
    assert not of.takes_value("n2", ["x"])


def test_a_suggestion_for_the_first_few_unknown_parameters() -> None:
    of = signatures.Overload(routine(argument("quantity"), argument("$2")))
    given = {"quantity": 1, "$2": 2, "a/b~c": 1, "quantit": 1, "quantiti": 1, "quantitty": 1}
    assert [(fault.path, fault.message) for fault in of.checked(given, None)[1]] == [
        ("/a~1b~0c", "unknown parameter"),
        ("/quantit", "unknown parameter; did you mean quantity?"),
        ("/quantiti", "unknown parameter; did you mean quantity?"),
        ("/quantitty", "unknown parameter"),
    ]


def test_suggestions_for_all_calls_of_a_batch_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{'a' * 60}{i}" for i in range(30)]
    of = signatures.Overload(routine(*(argument(name, default=True) for name in names)))
    compared: list[str] = []
    monkeypatch.setattr(suggestions, "near", lambda name, *_, **__: compared.append(name))
    spending = budget.Budget()
    with spending.shared():
        for i in range(100):
            (fault,) = of.checked({f"{'b' * 60}{i}": 1}, spending)[1]
            assert fault.rule == "additionalProperties"
    assert len(compared) == 1


def test_a_name_that_is_unknown_inside_a_value() -> None:
    of = signatures.Overload(routine(argument("p", samples.composite(x=samples.INT4))))
    (fault,) = of.checked({"p": {"y": 1}}, None)[1]
    assert fault.path == "/p/y"
    assert not fault.message.startswith("unknown parameter")
