"""The dialects of JSON Schema as they are here: exact, never slow, and silent about values."""

import time
import warnings
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from pgrpc.core.validation import jsonschema_dialect

LATEST = jsonschema.Draft202012Validator
LONG = Decimal("0." + "7" * 60_000)


def errors(schema: Any, value: Any, dialect: Any = LATEST) -> list[tuple[list[Any], str]]:
    jsonschema_dialect.begin()
    ours = jsonschema_dialect.exact(dialect)
    found = list(ours(schema, format_checker=ours.FORMAT_CHECKER).iter_errors(value))
    assert {error.message for error in found} <= {""}
    return [(list(error.absolute_path), error.validator) for error in found]


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
    assert jsonschema_dialect.is_multiple(value, divisor) == expected
    assert (errors({"multipleOf": divisor}, value) == []) == expected


def test_a_long_number_is_left_to_who_counts() -> None:
    rules = jsonschema_dialect.rules(LATEST)
    assert rules.is_multiple(Decimal("0.02"), Decimal("0.01"))
    assert rules.is_multiple(10**4000, 10)
    assert not rules.is_multiple(Decimal("1." + "0" * 2000), 1)
    with pytest.raises(jsonschema_dialect.TooMuchWork):
        errors({"multipleOf": 1}, LONG)


@pytest.mark.parametrize(
    ("values", "unique"),
    [
        ([1, True, "1", None, False, 0, "true"], True),
        ([1, Decimal("1.0")], False),
        ([100, Decimal("1e2")], False),
        ([Decimal("0.0"), Decimal("-0")], False),
        ([Decimal("1.5"), Decimal("-1.5"), 15, "1.5E+0"], True),
        ([[1], [True]], True),
        ([[1, [2]], [Decimal("1.0"), [2]]], False),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], False),
        ([{"a": 1}, {"a": True}, {"a": "1"}, [], {}], True),
        ([[], []], False),
        ("aa", True),
    ],
)
def test_unique_items(values: Any, unique: bool) -> None:
    assert (errors({"uniqueItems": True}, values) == []) == unique
    assert errors({"uniqueItems": False}, values) == []


def test_numbers_that_python_hashes_alike_do_not_take_long() -> None:
    values = [i * (2**61 - 1) for i in range(3000)]
    begin = time.process_time()
    assert errors({"uniqueItems": True}, values) == []
    assert time.process_time() - begin < 0.5


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        pytest.param({"pattern": "^a$"}, "a\n", [([], "pattern")], id="pattern"),
        pytest.param({"pattern": "^a$"}, 1, [], id="pattern of no string"),
        pytest.param(
            {"patternProperties": {"^a": {"type": "integer"}}}, {"ab": "x", "b": "x"}, [(["ab"], "type")],
            id="patternProperties",
        ),
        pytest.param({"patternProperties": {"^a": False}}, [], [], id="patternProperties of no object"),
        pytest.param(
            {"patternProperties": {"^a": {}}, "properties": {"p": {}}, "additionalProperties": False},
            {"a": 1, "p": 1, "b": 1}, [(["b"], "additionalProperties")], id="additionalProperties: false",
        ),
        pytest.param({"additionalProperties": True}, {"a": 1}, [], id="additionalProperties: true"),
        pytest.param(
            {"properties": {"p": {}}, "additionalProperties": {"type": "integer"}}, {"b": "x", "p": "x"},
            [(["b"], "type")], id="additionalProperties with a schema",
        ),
        pytest.param({"additionalProperties": False}, "a", [], id="additionalProperties of no object"),
        pytest.param({"required": ["a"]}, {}, [(["a"], "required")], id="required"),
        pytest.param({"required": ["a"]}, [], [], id="required of no object"),
        pytest.param({"multipleOf": 2}, True, [], id="multipleOf of no number"),
        pytest.param({"type": "integer"}, Decimal("1.0"), [], id="1.0 is an integer"),
        pytest.param({"type": "integer"}, True, [([], "type")], id="true is none"),
        pytest.param({"enum": ["a"], "properties": {}}, "b", [([], "enum")], id="enum"),
        pytest.param({"format": "date"}, 1, [], id="format of no string"),
        pytest.param({"unevaluatedItems": False}, {}, [], id="unevaluatedItems of no array"),
        pytest.param({"$ref": "#/$defs/a", "$defs": {"a": False}}, 1, [([], None)], id="$ref"),
    ],
)  # fmt: skip
def test_errors(schema: Any, value: Any, expected: Any) -> None:
    assert errors(schema, value) == expected


def test_draft_3_has_other_words() -> None:
    third = jsonschema.Draft3Validator
    assert errors({"divisibleBy": Decimal("0.01")}, Decimal("1e50"), third) == []
    assert errors({"divisibleBy": Decimal("0.01")}, Decimal("0.001"), third) == [([], "divisibleBy")]
    assert errors({"properties": {"a": {"required": True}}}, {}, third) == [(["a"], "required")]


# Formats


@pytest.mark.parametrize("name", sorted(jsonschema_dialect.formats(LATEST).checkers))
@pytest.mark.parametrize("piece", ["a", "a.", "/", "{", "0", "²", "é", "[-", "(", "\ud800", "1:", "%", "a@", "P1", "~"])
def test_no_format_takes_long(name: str, piece: str) -> None:
    """Some take seconds for 64 KiB, and jsonschema's expect fewer kinds of errors than there are."""
    conforms = jsonschema_dialect.formats(LATEST).conforms
    begin = time.process_time()
    for start in ("", "a://", "P", "1970-01-01T00:00:00.", "{", "a{"):
        for length in (1000, 8000, 65_000):
            conforms((start + piece * length)[:length], name)
            conforms((start + piece * length)[: length - 1] + "!", name)
    assert time.process_time() - begin < 1.5  # of 36; alone 0.1


def test_a_text_that_is_too_long_has_no_format() -> None:
    assert errors({"format": "email"}, "@" * 8192) == []
    assert errors({"format": "email"}, "@" * 8193) == [([], "format")]
    assert errors({"format": "regex"}, "a" * 1025) == [([], "format")]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("regex", ["a", "(?=a)", "[[a]"], ["(", "a{" + "9" * 30 + "}", "(" * 1000]),
        ("relative-json-pointer", ["0/a", "1#"], ["²1", "-1"]),
        ("duration", ["P1D"], ["1D"]),
    ],
)
def test_formats(name: str, good: list[str], bad: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [text for text in good if errors({"format": name}, text)] == []
        assert [text for text in bad if not errors({"format": name}, text)] == []


def test_formats_whose_parser_is_slow_are_unknown() -> None:
    assert jsonschema_dialect.formats(LATEST).checkers.keys() == LATEST.FORMAT_CHECKER.checkers.keys() - {
        "iri",
        "iri-reference",
    }


# Work


def test_each_value_may_cost_the_same() -> None:
    for _ in range(3):
        assert errors({"items": {"not": False}}, [1] * (jsonschema_dialect.WORK // 20)) == []


LOOP = {"properties": {"next": {"$ref": "#"}}}
DEEP: Any = 1
for _ in range(60):
    DEEP = {"next": DEEP}
WIDE = {str(i): i for i in range(20_000)}
MANY = [1] * 60_000


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param({"anyOf": [LOOP | {"type": "object"}] * 2}, DEEP, id="anyOf that doubles"),
        pytest.param({"oneOf": [LOOP | {"type": "object"}] * 2}, DEEP, id="oneOf that doubles"),
        pytest.param({"allOf": [LOOP], "unevaluatedProperties": False}, DEEP, id="unevaluatedProperties that doubles"),
        pytest.param({"unevaluatedProperties": {}}, WIDE, id="unevaluatedProperties of many"),
        pytest.param({"unevaluatedItems": {}}, MANY, id="unevaluatedItems of many"),
        pytest.param({"items": {"uniqueItems": True}}, [list(range(2000))] * 60, id="uniqueItems"),
        pytest.param({"uniqueItems": True}, [{str(i): {}} for i in range(15_000)], id="uniqueItems of objects"),
        pytest.param({"contains": {"type": "string"}}, MANY, id="contains"),
        pytest.param({"items": {}}, MANY, id="items"),
        pytest.param({"items": {"enum": list(range(1000))}}, [999] * 10_000, id="enum"),
        pytest.param({"items": {"properties": {str(i): {} for i in range(1000)}}}, [{}] * 20_000, id="properties"),
        pytest.param({"patternProperties": {f"{i}x": {} for i in range(20)}}, WIDE, id="patternProperties"),
        pytest.param({"patternProperties": {"x": {}}, "additionalProperties": False}, WIDE, id="additional names"),
        pytest.param({"propertyNames": {"pattern": "^[0-9]+$"}}, WIDE, id="propertyNames"),
        pytest.param({"anyOf": [{"items": {"type": "string"}}]}, MANY, id="errors that nobody asked for"),
        pytest.param({"anyOf": [{"type": "string"}] * 100}, MANY, id="long messages"),
        pytest.param({"pattern": "[ab]*a[ab]{200}b"}, "ab" * 30_000, id="a pattern with a large count"),
        pytest.param({"items": {"format": "regex"}}, ["a" * 1000] * 60, id="slow formats"),
        pytest.param({"items": {"format": "hostname"}}, ["a" * 60] * 3000, id="quick formats"),
    ],
)
def test_work_has_an_end(schema: Any, value: Any) -> None:
    begin = time.process_time()
    with pytest.raises(jsonschema_dialect.TooMuchWork):
        errors(schema, value)
    assert time.process_time() - begin < 1  # alone 0.03


def test_work_can_be_shared() -> None:
    schema, value = {"items": {"format": "regex"}}, ["a" * 1000] * 8
    assert errors(schema, value) == []
    with jsonschema_dialect.shared():
        assert errors(schema, value) == []
        with pytest.raises(jsonschema_dialect.TooMuchWork):
            errors(schema, value)
    assert errors(schema, value) == []
