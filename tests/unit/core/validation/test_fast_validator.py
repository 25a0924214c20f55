"""What is surely right is accepted at once, never more than that, and of the rest only the unsure parts are named."""

import time
from decimal import Decimal
from typing import Any

import pytest
import referencing
import referencing.jsonschema

from pgrpc.core.validation import fast_validator, patterns
from tests.support.samples import nested

NUMBERS = [0, 1, -5, 10**40, Decimal("1.5"), Decimal("-0.0"), Decimal("1e999999999999999999")]
OTHERS = [True, False, None, "", "a", "ab", "\ud800", [], [1], {}, {"a": 1}]


def compiled(schema: Any) -> fast_validator.FastValidator:
    resource = referencing.jsonschema.DRAFT202012.create_resource(schema)
    resolver = referencing.Registry().resolver_with_root(resource)
    return fast_validator.FastValidator(schema, resolver, fast_validator.Making(patterns.Patterns()))


def unsure(schema: Any, value: Any) -> list[tuple[fast_validator.Path, Any]]:
    return [(part.path, part.value) for part in compiled(schema).unsure(value)]


TREE = {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}}}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        pytest.param(True, [*NUMBERS, *OTHERS], [], id="true"),
        pytest.param({}, [*NUMBERS, *OTHERS], [], id="nothing said"),
        pytest.param({"title": "a", "description": "b", "default": 1}, [*NUMBERS, *OTHERS], [], id="annotations"),
        pytest.param(False, [], [*NUMBERS, *OTHERS], id="false"),
        # 1.0 is an integer too, which the full validator knows.
        pytest.param({"type": "integer"}, [0, -5, 10**40], [True, Decimal("1.0"), "1", None], id="integer"),
        pytest.param({"type": "number"}, NUMBERS, OTHERS, id="number"),
        pytest.param({"type": "string"}, ["", "\ud800"], [1, None, []], id="string"),
        pytest.param({"type": "boolean"}, [True, False], [0, 1, "true"], id="boolean"),
        pytest.param({"type": "null"}, [None], [False, 0, ""], id="null"),
        pytest.param({"type": ["integer", "null"]}, [1, None], [True, "a"], id="two types"),
        pytest.param({"type": "array"}, [[], [1]], [{}, "[]"], id="array"),
        pytest.param({"type": "object"}, [{}, {"a": 1}], [[], "{}"], id="object"),
        pytest.param(
            {"minimum": Decimal("0.1")}, [1, Decimal("0.1"), "a", None, True], [0, Decimal("0.09")], id="minimum"
        ),
        pytest.param({"maximum": 5}, [5, -(10**40), "a"], [6, Decimal("1e999999999999999999")], id="maximum"),
        pytest.param({"minimum": -1, "maximum": 5}, [-1, 5], [-2, 6, Decimal("5.1")], id="minimum and maximum"),
        pytest.param({"exclusiveMinimum": 1}, [2, Decimal("1.1")], [1, Decimal("1.0")], id="exclusiveMinimum"),
        pytest.param({"exclusiveMaximum": 1}, [0, Decimal("0.9")], [1, Decimal("1.0")], id="exclusiveMaximum"),
        pytest.param({"multipleOf": 3}, [3, Decimal("6.0"), "a"], [1], id="multipleOf"),
        pytest.param({"multipleOf": 1}, [10**4000], [Decimal("1." + "0" * 2000)], id="multipleOf of many digits"),
        pytest.param({"minLength": 1, "maxLength": 2}, ["a", "é😀", 1], ["", "abc"], id="lengths"),
        pytest.param({"maxLength": 0}, [""], ["a"], id="maxLength"),
        pytest.param({"pattern": "^a$"}, ["a", 1], ["a\n", "b"], id="pattern"),
        pytest.param({"pattern": "[ab]{200}"}, [1], ["a" * 20_000], id="a pattern that may take long"),
        pytest.param({"format": "email", "minLength": 2}, ["a@", 1], ["ab", "@"], id="a quick format"),
        pytest.param({"format": "uri"}, [1], ["http://a/b"], id="another format"),
        pytest.param(
            {"minLength": 1, "maxLength": 2, "pattern": "a"}, ["a", "ba", 1], ["", "b", "aaa"], id="three rules"
        ),
        pytest.param(
            {"minLength": 1, "maxLength": 9, "pattern": "A", "format": "email"}, ["A@", 1], ["", "a@", "A"],
            id="four rules",
        ),
        pytest.param(
            {"enum": [1, "a", None, True, Decimal("2.5")]}, [1, Decimal("1.0"), "a", None, True, Decimal("2.50")],
            [False, "b", 2, "1", [], {}], id="enum",
        ),
        pytest.param({"enum": [1, 0]}, [1, Decimal("0.0")], [True, False, "1"], id="1 is not true"),
        pytest.param({"enum": [[1], {"a": 1}]}, [], [[1], {"a": 1}], id="enum of containers"),
        pytest.param({"const": "a"}, ["a"], ["b", 1, None], id="const"),
        pytest.param({"const": "a", "enum": ["a", "b"]}, ["a"], ["b"], id="const and enum"),
        pytest.param({"type": "string", "const": 1}, [], [1, "1"], id="const of another type"),
        pytest.param({"minItems": 1, "maxItems": 2}, [[1], [1, 2], "a"], [[], [1, 2, 3]], id="number of elements"),
        pytest.param({"items": {"type": "integer"}}, [[], [1, 2], "a"], [["a"], [1, "a"], [True]], id="items"),
        pytest.param({"items": False}, [[]], [[1]], id="no items"),
        pytest.param(
            {"minProperties": 1, "maxProperties": 1}, [{"a": 1}, 1], [{}, {"a": 1, "b": 2}], id="number of members"
        ),
        pytest.param({"required": ["a"]}, [{"a": 1, "b": 1}, 1], [{}, {"b": 1}], id="required"),
        pytest.param(
            {"properties": {"a": {"type": "integer"}}}, [{}, {"a": 1}, {"b": "x"}], [{"a": "x"}], id="properties"
        ),
        pytest.param({"additionalProperties": False}, [{}], [{"a": 1}], id="no members"),
        pytest.param(
            {"properties": {"a": {}}, "additionalProperties": False}, [{}, {"a": 1}], [{"a": 1, "b": 1}], id="closed"
        ),
        pytest.param({"additionalProperties": True}, [{"a": 1}], [], id="open"),
        pytest.param({"additionalProperties": {}}, [1], [{"a": 1}, {}], id="additionalProperties with a schema"),
        pytest.param(
            {"allOf": [{"type": "integer"}, {"minimum": 1}]}, [1], [0, "a", Decimal("1.0")], id="allOf"
        ),
        pytest.param({"anyOf": [{"type": "integer"}, {"maxLength": 1}]}, [1, "a"], ["ab"], id="anyOf"),
        pytest.param({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}, [1], ["a"], id="$ref"),
        pytest.param({"$ref": "#/$defs/a", "type": "integer", "$defs": {"a": {}}}, [], [1], id="$ref and more"),
        pytest.param(
            {"$ref": "#/$defs/a", "$defs": {"a": {"$id": "http://a/b", "type": "integer"}}}, [], [1],
            id="$ref to another base",
        ),
        pytest.param(
            {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": True}}, [1, "a"], [], id="$ref to $ref"
        ),
        pytest.param(
            TREE, [{}, {"next": {"next": {"value": 1}}}], [{"next": {"next": {"value": "a"}}}, {"next": 1}], id="a tree"
        ),
        pytest.param(
            {"if": {"type": "array"}, "then": {"items": {"type": "integer"}}, "else": {"type": "string"}},
            [[1], "a"], [["a"], 1], id="an array or an element",
        ),
        pytest.param({"if": {"type": "object"}, "then": True, "else": True}, [], [1, {}], id="another condition"),
        pytest.param({"if": {"type": "array"}, "then": True}, [], [1, []], id="a condition without else"),
        pytest.param(
            {"if": {"type": "array"}, "then": True, "else": True, "minLength": 1}, [], ["a"], id="a condition and more"
        ),
        *(
            pytest.param({keyword: argument}, [], [1, "a", [], {}], id=keyword)
            for keyword, argument in {
                "oneOf": [{}], "not": False, "uniqueItems": False, "contains": {}, "prefixItems": [], "x": 1,
                "patternProperties": {}, "propertyNames": {}, "unevaluatedItems": {}, "unevaluatedProperties": {},
                "dependentRequired": {}, "dependentSchemas": {}, "dependencies": {}, "additionalItems": {},
                "$dynamicRef": "#", "$id": "http://a/b", "$schema": "x", "$anchor": "a", "$dynamicAnchor": "a",
            }.items()
        ),
    ],
)  # fmt: skip
def test_accepts(schema: Any, good: list[Any], bad: list[Any]) -> None:
    accepts = compiled(schema).accepts
    assert [value for value in good if not accepts(value)] == []
    assert [value for value in bad if accepts(value)] == []
    assert [value for value in good if unsure(schema, value)] == []
    assert [value for value in bad if not unsure(schema, value)] == []


INTEGERS = {"type": "array", "items": {"type": "integer"}}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        pytest.param(INTEGERS, [1, "a", 2, None], [((1,), "a"), ((3,), None)], id="elements"),
        pytest.param(INTEGERS, "a", [((), "a")], id="no array"),
        pytest.param(INTEGERS | {"maxItems": 1}, [1, "a"], [((), [1, "a"])], id="an array that is too long"),
        pytest.param(
            {"properties": {"a": {"type": "integer"}, "b": INTEGERS}, "required": ["a"]},
            {"c": 1, "b": [1, "x", ["y"]], "a": "z"},
            [(("a",), "z"), (("b", 1), "x"), (("b", 2), ["y"])],
            id="members, in the order of the schema",
        ),
        pytest.param(
            {"properties": {"a": {"type": "integer"}}, "required": ["b"]}, {"a": "x"}, [((), {"a": "x"})],
            id="a member missing",
        ),
        pytest.param(TREE, {"next": {"next": {"value": "x"}}}, [(("next", "next", "value"), "x")], id="a tree"),
        pytest.param(
            {"if": {"type": "array"}, "then": INTEGERS, "else": {"type": "string"}}, [1, "a"], [((1,), "a")], id="then"
        ),
        pytest.param({"if": {"type": "array"}, "then": INTEGERS, "else": {"type": "string"}}, 1, [((), 1)], id="else"),
        pytest.param({"anyOf": [INTEGERS]}, [1, "a"], [((), [1, "a"])], id="anyOf is unsure as a whole"),
        pytest.param({"items": INTEGERS, "not": {}}, [["a"]], [((), [["a"]])], id="unknown keywords as well"),
    ],
)  # fmt: skip
def test_unsure(schema: Any, value: Any, expected: list[Any]) -> None:
    assert unsure(schema, value) == expected


def test_an_unsure_part_has_what_it_is_checked_by() -> None:
    schema = {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "integer"}}}
    (part,) = compiled(schema).unsure(["x"])
    assert part.schema == {"type": "integer"}
    assert part.resolver.lookup("#/$defs/a").contents == part.schema


@pytest.mark.parametrize("keyword", ["anyOf", "allOf"])
def test_branches_that_lead_back_are_not_followed(keyword: str) -> None:
    """At every level all of them would be tried, on all that is below."""
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    schema = {keyword: [node, node | {"title": "again"}]}
    assert compiled(schema).accepts({})
    assert not compiled(schema).accepts({"next": {}})
    begin = time.process_time()
    value: Any = 1
    for _ in range(60):
        value = {"next": value}
    assert unsure(schema, value) == [((), value)]
    assert time.process_time() - begin < 0.25


def test_what_a_branch_leads_back_to_is_still_narrowed() -> None:
    """Inside of the branch nothing is sure; a part of it that is also used elsewhere is named there."""
    inner = {"properties": {"up": {"$ref": "#/$defs/outer"}}}
    outer = {"properties": {"a": {"anyOf": [{"$ref": "#/$defs/inner"}]}, "b": {"$ref": "#/$defs/inner"}}}
    schema = {"$ref": "#/$defs/outer", "$defs": {"outer": outer, "inner": inner}}
    assert compiled(schema).accepts({"a": {}, "b": {}})
    assert unsure(schema, {"b": {"up": {"c": 1}}}) == [(("b", "up"), {"c": 1})]


def test_every_level_is_looked_at_once() -> None:
    schema = {"type": "array", "items": {"if": {"type": "array"}, "then": {"$ref": "#"}, "else": {"type": "integer"}}}
    value = nested(60, [*range(20_000), "x"])
    begin = time.process_time()
    (part,) = compiled(schema).unsure(value)
    assert time.process_time() - begin < 0.5
    assert part.path == (*[0] * 60, 20_000)


@pytest.mark.parametrize("last", [1, "x"])
def test_arrays_in_arrays_take_no_stack(last: Any) -> None:
    """However many dimensions: what is nested as deep as JSON may be, 120 times, is accepted in 10 ms."""
    array: Any = {"type": "array"}
    array["items"] = {"if": {"type": "array"}, "then": {"$ref": "#/$defs/a"}, "else": {"type": "integer"}}
    schema = {"$ref": "#/$defs/a", "$defs": {"a": array}}
    value = [nested(250, 1) for _ in range(120)] + [nested(2000, last)]
    begin = time.process_time()
    assert compiled(schema).accepts(value) is (last == 1)
    assert time.process_time() - begin < 0.25
