from typing import Any

import pytest

from pgrpc.compat.postgresql2websocket import sql_rows
from pgrpc.core.functions import pgtypes, routines
from tests.support import samples
from tests.support.samples import argument, routine

PAIR = samples.composite(x=samples.INT4, y=samples.TEXT)
TWO_OUT = (argument("a", samples.INT4, "out"), argument("b", samples.TEXT, "out"))
TABLE = (argument("a", samples.INT4, "table"), argument("b", samples.TEXT, "table"))


def rows(of: routines.Routine, text: str, *, spread: bool) -> list[str]:
    return list(sql_rows.rows(of, text, "f", spread))


@pytest.mark.parametrize(
    ("of", "text", "selected", "spread"),
    [
        pytest.param(routine(), "3", ['{"f": 3}'], ['{"f": 3}'], id="a scalar"),
        pytest.param(routine(), "null", ['{"f": null}'], ['{"f": null}'], id="null"),
        pytest.param(routine(returns=samples.VOID), "null", ['{"f": null}'], ['{"f": null}'], id="void"),
        pytest.param(
            routine(returns=samples.JSON), '{"a" : [1.50]}', ['{"f": {"a" : [1.50]}}'], ['{"f": {"a" : [1.50]}}'],
            id="json is one column",
        ),
        pytest.param(
            routine(returns_set=True), "[1, \n 2, null]", ['{"f": 1}', '{"f": 2}', '{"f": null}'],
            ['{"f": 1}', '{"f": 2}', '{"f": null}'], id="a set of scalars",
        ),
        pytest.param(routine(returns_set=True), "[]", [], [], id="no rows"),
        pytest.param(
            routine(returns=PAIR), '{"x":1,"y":"a, b"}', ['{"f": {"x":1,"y":"a, b"}}'], ['{"x": 1, "y": "a, b"}'],
            id="a composite",
        ),
        pytest.param(routine(returns=PAIR), "null", ['{"f": null}'], ['{"x": null, "y": null}'], id="no composite"),
        pytest.param(
            routine(returns=samples.domain(PAIR)), '{"x":1,"y":2}', ['{"f": {"x":1,"y":2}}'], ['{"x": 1, "y": 2}'],
            id="a domain over a composite",
        ),
        pytest.param(
            routine(returns=samples.domain(samples.INT4)), "1", ['{"f": 1}'], ['{"f": 1}'], id="a domain",
        ),
        pytest.param(
            routine(returns=PAIR, returns_set=True), '[{"x":1,"y":"a"}, \n null]',
            ['{"f": {"x":1,"y":"a"}}', '{"f": null}'], ['{"x": 1, "y": "a"}', '{"x": null, "y": null}'],
            id="a set of composites",
        ),
        pytest.param(
            routine(*TWO_OUT, returns=samples.RECORD), '{"a":1,"b":"x"}', ['{"f": {"a":1,"b":"x"}}'],
            ['{"a": 1, "b": "x"}'], id="OUT arguments",
        ),
        pytest.param(
            routine(*TABLE, returns=samples.RECORD, returns_set=True), '[{"a" : 1, "b" : "x"}]',
            ['{"f": {"a" : 1, "b" : "x"}}'], ['{"a": 1, "b": "x"}'], id="TABLE",
        ),
        pytest.param(
            routine(argument("a", samples.INT4, "table"), returns_set=True), '[{"a":1}, {"a":null}]',
            ['{"f": 1}', '{"f": null}'], ['{"a": 1}', '{"a": null}'], id="TABLE of one column",
        ),
        pytest.param(routine(argument("a", samples.INT4, "out")), "1", ['{"f": 1}'], ['{"a": 1}'], id="one OUT"),
        pytest.param(routine(argument("$1", samples.INT4, "out")), "1", ['{"f": 1}'], ['{"f": 1}'], id="no name"),
        pytest.param(
            routine(argument("a", PAIR, "out"), returns=PAIR), '{"x":1,"y":2}', ['{"f": {"x":1,"y":2}}'],
            ['{"x": 1, "y": 2}'], id="one composite OUT",
        ),
        pytest.param(
            routine(returns=samples.RECORD), '{"f1":1}', ['{"f": {"f1":1}}'], ['{"f1": 1}'], id="any record",
        ),
        pytest.param(routine(returns=samples.RECORD), "null", ['{"f": null}'], ['{"f": null}'], id="no record"),
    ],
)  # fmt: skip
def test_rows_have_the_columns_that_sql_gives_them(
    of: routines.Routine, text: str, selected: list[str], spread: list[str]
) -> None:
    assert rows(of, text, spread=False) == selected
    assert rows(of, text, spread=True) == spread


def test_names_are_json_strings() -> None:
    of: Any = routine(argument('a"\n', samples.INT4, "out"))
    assert rows(of, "1", spread=True) == ['{"a\\"\\n": 1}']
    pair = pgtypes.Type(1, "p", "p", "composite", attributes=(pgtypes.Attribute('é"', samples.INT4),))
    assert rows(routine(returns=pair), "null", spread=True) == ['{"é\\"": null}']


def test_digits_are_untouched() -> None:
    wide = "9" * 5000 + ".10"
    assert rows(routine(), wide, spread=False) == [f'{{"f": {wide}}}']
    assert rows(routine(returns_set=True), f"[{wide}]", spread=True) == [f'{{"f": {wide}}}']


def test_rows_are_made_one_by_one() -> None:
    made = sql_rows.rows(routine(returns_set=True), "[1,2,not JSON]", "f", False)
    assert [next(made), next(made)] == ['{"f": 1}', '{"f": 2}']
