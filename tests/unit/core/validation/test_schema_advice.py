"""What to write instead, where a JSON Schema is not valid."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from pgrpc.core.validation import schema_advice, schemas


def fault(schema: Any) -> str:
    with pytest.raises(schemas.Unusable) as caught:
        schemas.compile(schema)
    (found,) = caught.value.faults
    return found.removeprefix("not a valid schema at ")


KNOWN = "must be one of: array, boolean, integer, null, number, object, string"


def test_the_types_are_those_of_the_draft() -> None:
    with pytest.raises(SchemaError) as caught:
        Draft202012Validator.check_schema({"type": "x"})
    assert schema_advice.cause(caught.value).validator_value == [*schema_advice.TYPES]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("integr", "integer"),
        ("Integer", "integer"),
        ("int", "integer"),
        ("str", "string"),
        ("bool", "boolean"),
        ("text", "string"),
        ("float", "number"),
        ("dict", "object"),
        ("None", "null"),
    ],
)
def test_a_type_that_is_nearly_one(written: str, meant: str) -> None:
    assert fault({"type": written}) == f"/type: {KNOWN}; did you mean {meant}?"
    inside = {"properties": {"a": {"type": ["null", written]}}}
    assert fault(inside) == f"/properties/a/type/1: {KNOWN}; did you mean {meant}?"
    short = {"properties": {"a": written}}
    assert fault(short) == (f'/properties/a: must be object or boolean, not a string: write {{"type": "{meant}"}}')


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "colour"}, f"/type: {KNOWN}"),
        ({"type": 5}, f"/type: {KNOWN}"),
        ({"type": {}}, f"/type: {KNOWN}"),
        ({"type": ["colour", "int"]}, f"/type/0: {KNOWN}"),
        ({"type": [5]}, f"/type/0: {KNOWN}"),
        ({"type": []}, "/type: must have at least 1 elements"),
        ({"type": ["null", "null"]}, "/type: must not have equal elements"),
        ({"items": "colour"}, "/items: must be object or boolean, not a string"),
        (
            {"items": [{}]},
            "/items: must be object or boolean, not an array: write a schema for each element under prefixItems",
        ),
        (
            {"properties": {"a": {"required": True}}},
            "/properties/a/required: must be array, not a boolean: list the names of the members that are required, "
            "beside properties",
        ),
        ({"required": "a"}, "/required: must be array, not a string: put it in brackets"),
        ({"exclusiveMinimum": True}, "/exclusiveMinimum: must be number, not a boolean: write the bound itself"),
        ({"minLength": "1"}, "/minLength: must be integer, not a string"),
        ({"minLength": -1}, "/minLength: must be at least 0"),
        ({"uniqueItems": [1]}, "/uniqueItems: must be boolean, not an array"),
        ("integer", 'its root: must be object or boolean, not a string: write {"type": "integer"}'),
        (5, "its root: must be object or boolean, not an integer"),
    ],
)
def test_what_is_wrong_and_what_to_write(schema: Any, expected: str) -> None:
    assert fault(schema) == expected


@pytest.mark.parametrize(
    ("written", "meant"),
    [("datetime", "date-time"), ("date_time", "date-time"), ("UUID", "uuid"), ("e-mail", "email"), ("duration", None)],
)
def test_a_format_that_is_nearly_one(written: str, meant: str | None) -> None:
    found = fault({"format": written})
    assert found.startswith(f"unknown format '{written}': it would not be checked; write a pattern, or one of date, ")
    assert found.endswith(f", uuid; did you mean {meant}?" if meant else ", uuid")
