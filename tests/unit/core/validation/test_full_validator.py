"""Every fault of a value: those that jsonschema finds, but exact, within a budget, and without a word of the value."""

import random
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import jsonschema.validators
import pytest
import referencing

from pgrpc.core.validation import budget, full_validator, patterns

extend: Any = jsonschema.validators.extend
WITH_DECIMALS: Any = extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, v: (type(v) is int) or (isinstance(v, Decimal) and v == v.to_integral_value())
    ),
)


def found(schema: Any, value: Any) -> list[full_validator.Error]:
    resource = full_validator.SPECIFICATION.create_resource(schema)
    registry: Any = referencing.Registry()
    resolver = registry.with_resource("", resource).crawl().resolver_with_root(resource)
    return list(full_validator.Validator(budget.Budget(), patterns.Patterns()).errors(value, schema, resolver))


def errors(schema: Any, value: Any) -> list[tuple[list[str | int], str]]:
    return [(error.place(), error.rule) for error in found(schema, value)]


TEXT = {"type": "string"}
REF: Any = {"properties": {"a": {}}}
UNEVALUATED: list[tuple[str, Any, Any, bool]] = [
    ("unevaluatedItems", {}, [1], True),
    ("unevaluatedItems", {}, {"a": 1}, False),
    ("unevaluatedItems", {"prefixItems": [{}]}, [1], False),
    ("unevaluatedItems", {"prefixItems": [{}]}, [1, 2], True),
    ("unevaluatedItems", {"items": {}}, [1, 2], False),
    ("unevaluatedItems", {"contains": {"minimum": 2}}, [2, 3], False),
    ("unevaluatedItems", {"contains": {"minimum": 2}}, [2, 1], True),
    ("unevaluatedItems", {"allOf": [{"unevaluatedItems": {}}]}, [1], False),
    ("unevaluatedItems", {"anyOf": [{"prefixItems": [TEXT]}, {"prefixItems": [{}, {}]}]}, [1, 2], False),
    ("unevaluatedItems", {"anyOf": [{"prefixItems": [TEXT, {}]}, {"prefixItems": [{}]}]}, [1, 1], True),
    ("unevaluatedProperties", {}, {"a": 1}, True),
    ("unevaluatedProperties", {}, [1], False),
    ("unevaluatedProperties", {"properties": {"a": {}, "b": {}}}, {"a": 1}, False),
    ("unevaluatedProperties", {"patternProperties": {"^a": {}}}, {"ab": 1}, False),
    ("unevaluatedProperties", {"patternProperties": {"^a": {}}}, {"ba": 1}, True),
    ("unevaluatedProperties", {"additionalProperties": {}}, {"a": 1}, False),
    ("unevaluatedProperties", {"oneOf": [True, False]}, {"a": 1}, True),
    ("unevaluatedProperties", {"allOf": [{"properties": {"a": {}}}]}, {"a": 1}, False),
    ("unevaluatedProperties", {"dependentSchemas": {"a": {"properties": {"a": {}}}}}, {"a": 1}, False),
    ("unevaluatedProperties", {"dependentSchemas": {"b": {"properties": {"a": {}}}}}, {"a": 1}, True),
    ("unevaluatedProperties", {"if": {"properties": {"a": {}}}}, {"a": 1}, False),
    ("unevaluatedProperties", {"if": {}, "then": {"properties": {"a": {}}}}, {"a": 1}, False),
    ("unevaluatedProperties", {"if": False, "else": {"properties": {"a": {}}}}, {"a": 1}, False),
    ("unevaluatedProperties", {"if": False, "then": {"properties": {"a": {}}}}, {"a": 1}, True),
    ("unevaluatedProperties", {"$ref": "#/$defs/a", "$defs": {"a": REF}}, {"a": 1}, False),
]


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        pytest.param(True, 1, [], id="true"),
        pytest.param(False, 1, [([], "not")], id="false"),
        pytest.param({"x": 1, "title": 5}, 1, [], id="unknown keywords"),
        pytest.param({"minimum": 3, "type": "string"}, 1, [([], "minimum"), ([], "type")], id="in the schema's order"),
        pytest.param({"$ref": "#/$defs/a", "$defs": {"a": False}}, 1, [([], "not")], id="$ref"),
        pytest.param({"$ref": "#/$defs/a", "type": "null", "$defs": {"a": TEXT}}, 1, [([], "type")] * 2, id="and more"),
        pytest.param({"$dynamicRef": "#a", "$defs": {"a": TEXT | {"$dynamicAnchor": "a"}}}, 1, [([], "type")], id="d"),
        pytest.param({"$ref": "#a", "$defs": {"a": TEXT | {"$anchor": "a"}}}, 1, [([], "type")], id="$anchor"),
        pytest.param(
            {"items": {"$id": "http://c/d", "$ref": "#/$defs/i", "$defs": {"i": TEXT}}, "$defs": {"i": True}}, [1, "a"],
            [([0], "type")], id="$id is another base",
        ),
        pytest.param({"allOf": [TEXT, {"minimum": 3}, {}]}, 1, [([], "type"), ([], "minimum")], id="allOf"),
        pytest.param({"anyOf": [TEXT, {"minimum": 3}]}, 1, [([], "anyOf")], id="anyOf"),
        pytest.param({"anyOf": [TEXT, {"minimum": 3}]}, 4, [], id="anyOf holds"),
        pytest.param({"oneOf": [TEXT, {"minimum": 3}]}, 1, [([], "oneOf")], id="oneOf, none"),
        pytest.param({"oneOf": [TEXT, {"minimum": 3}]}, "a", [([], "oneOf")], id="oneOf, two"),
        pytest.param({"oneOf": [TEXT, {"minimum": 3}]}, 3, [], id="oneOf holds"),
        pytest.param({"not": TEXT}, "a", [([], "not")], id="not"),
        pytest.param({"not": TEXT}, 1, [], id="not holds"),
        pytest.param({"if": TEXT, "then": {"minLength": 2}, "else": False}, "a", [([], "minLength")], id="then"),
        pytest.param({"if": TEXT, "then": False, "else": {"minimum": 2}}, 1, [([], "minimum")], id="else"),
        pytest.param({"if": TEXT}, 1, [], id="a condition for nothing"),
        pytest.param({"properties": {"a": TEXT, "b": False}}, {"a": 1, "c": 1}, [(["a"], "type")], id="properties"),
        pytest.param({"properties": {"a": False}}, ["a"], [], id="properties of no object"),
        pytest.param({"patternProperties": {"^a$": TEXT}}, {"a": 1, "a\n": 1}, [(["a"], "type")], id="patterns"),
        pytest.param({"patternProperties": {"^a": False}}, ["a"], [], id="patternProperties of no object"),
        pytest.param(
            {"patternProperties": {"^a": {}}, "properties": {"p": {}}, "additionalProperties": False},
            {"a": 1, "p": 1, "b": 1}, [(["b"], "additionalProperties")], id="additionalProperties: false",
        ),
        pytest.param({"additionalProperties": True}, {"a": 1}, [], id="additionalProperties: true"),
        pytest.param(
            {"properties": {"p": {}}, "additionalProperties": TEXT}, {"b": 1, "p": 1}, [(["b"], "type")],
            id="additionalProperties with a schema",
        ),
        pytest.param({"additionalProperties": False}, "a", [], id="additionalProperties of no object"),
        pytest.param({"propertyNames": {"maxLength": 1}}, {"a": 1, "bb": 1}, [([], "maxLength")], id="propertyNames"),
        pytest.param({"propertyNames": False}, ["a"], [], id="propertyNames of no object"),
        pytest.param({"required": ["a", "b"]}, {"b": 1}, [(["a"], "required")], id="required"),
        pytest.param({"required": ["a"]}, [], [], id="required of no object"),
        pytest.param({"dependentRequired": {"a": ["b"], "c": ["d"]}}, {"a": 1}, [([], "dependentRequired")], id="need"),
        pytest.param({"dependentRequired": {"a": ["b"]}}, {"a": 1, "b": 1}, [], id="has what it needs"),
        pytest.param({"dependentRequired": {"a": ["b"]}}, ["a"], [], id="dependentRequired of no object"),
        pytest.param(
            {"dependentSchemas": {"a": {"required": ["b"]}, "c": False}}, {"a": 1}, [(["b"], "required")], id="depends"
        ),
        pytest.param({"dependentSchemas": {"a": False}}, ["a"], [], id="dependentSchemas of no object"),
        pytest.param({"prefixItems": [TEXT, {}]}, [1], [([0], "type")], id="prefixItems"),
        pytest.param({"prefixItems": [False]}, {"0": 1}, [], id="prefixItems of no array"),
        pytest.param({"prefixItems": [{}], "items": TEXT}, [1, 2, "a", 3], [([1], "type"), ([3], "type")], id="items"),
        pytest.param({"items": False}, {"0": 1}, [], id="items of no array"),
        pytest.param({"contains": TEXT}, [1], [([], "contains")], id="contains"),
        pytest.param({"contains": TEXT}, [1, "a"], [], id="contains one"),
        pytest.param({"contains": TEXT, "minContains": 2}, [1, "a"], [([], "minContains")], id="minContains"),
        pytest.param({"contains": TEXT, "minContains": 0}, [1], [], id="contains none"),
        pytest.param({"contains": TEXT, "maxContains": 1}, ["b", "a"], [([], "maxContains")], id="maxContains"),
        pytest.param({"contains": False}, "a", [], id="contains of no array"),
        pytest.param({"properties": {"a": {"items": TEXT}}}, {"a": ["", 1]}, [(["a", 1], "type")], id="a path"),
        *(
            pytest.param({**schema, keyword: False}, value, [([], keyword)] if broken else [], id=f"{keyword} {schema}")
            for keyword, schema, value, broken in UNEVALUATED

        ),
        pytest.param({"unevaluatedProperties": TEXT}, {"a": "x"}, [], id="unevaluatedProperties with a schema"),
    ],
)  # fmt: skip
def test_errors(schema: Any, value: Any, expected: Any) -> None:
    assert errors(schema, value) == expected


def test_an_error_says_what_the_schema_wanted() -> None:
    (error,) = found({"properties": {"a": {"minimum": 3}}}, {"a": 1})
    assert error == full_validator.Error((None, "a"), "minimum", 3, 1)


# What jsonschema says


LEAVES: list[Any] = [None, True, False, 0, 1, -1, 7, 10**40, Decimal("1.0"), Decimal("-0.0"), "", "a", "1", "é😀", "a@"]
NAMES = ["a", "b", "a/b", ""]


def anything(chosen: random.Random, depth: int) -> Any:
    kind = chosen.random()
    if depth == 0 or kind < 0.3:
        return chosen.choice(LEAVES)
    if kind < 0.65:
        return [anything(chosen, depth - 1) for _ in range(chosen.randrange(4))]
    return {name: anything(chosen, depth - 1) for name in chosen.sample(NAMES, chosen.randrange(4))}


def a_schema(chosen: random.Random, depth: int) -> Any:
    if depth == 0:
        return chosen.choice([True, False, {}, {"type": "integer"}, {"type": "string"}, {"$ref": "#/$defs/a"}])

    def inner() -> Any:
        return a_schema(chosen, depth - 1)

    rules: dict[str, Callable[[], Any]] = {
        **dict.fromkeys(("oneOf", "anyOf", "allOf"), lambda: [inner(), inner()]),
        **dict.fromkeys(("not", "contains", "items", "propertyNames", "additionalProperties"), inner),
        **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), inner),
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), lambda: chosen.choice([0, 7])),
        **dict.fromkeys(("minContains", "maxContains", "minItems", "maxItems"), lambda: chosen.randrange(3)),
        **dict.fromkeys(("minLength", "maxLength", "minProperties", "maxProperties"), lambda: chosen.randrange(3)),
        **dict.fromkeys(("properties", "dependentSchemas"), lambda: {n: inner() for n in chosen.sample(NAMES, 2)}),
        "patternProperties": lambda: {chosen.choice(["a", "b", "^$"]): inner()},
        "uniqueItems": lambda: True,
        "prefixItems": lambda: [inner()],
        "required": lambda: chosen.sample(NAMES, 1),
        "dependentRequired": lambda: {"a": ["b"]},
        "pattern": lambda: "a",
        "format": lambda: "email",
        "multipleOf": lambda: 7,
        "type": lambda: chosen.sample(["integer", "number", "string", "boolean", "null", "array", "object"], 2),
        "enum": lambda: [anything(chosen, 2) for _ in range(3)],
        "const": lambda: anything(chosen, 1),
        "$ref": lambda: "#/$defs/a",
        "$dynamicRef": lambda: "#dynamic",
    }
    condition = {"if": inner(), "then": inner(), "else": inner()} if chosen.random() < 0.1 else {}
    return {keyword: rules[keyword]() for keyword in chosen.sample(sorted(rules), chosen.randint(1, 3))} | condition


@pytest.mark.parametrize("seed", range(4))
def test_jsonschema_agrees_on_what_is_valid(seed: int) -> None:
    chosen = random.Random(seed)
    of = {"type": ["string", "array"], "$dynamicAnchor": "dynamic"}
    valid = 0
    for _ in range(100):
        schema = {"allOf": [a_schema(chosen, 3)], "$defs": {"a": of}}
        theirs = WITH_DECIMALS(schema, format_checker=WITH_DECIMALS.FORMAT_CHECKER)
        for value in [anything(chosen, 3) for _ in range(6)]:
            assert (found(schema, value) == []) is theirs.is_valid(value), (schema, value)
            valid += theirs.is_valid(value)
    assert 200 < valid < 500


def test_jsonschema_agrees_on_the_faults() -> None:
    """Where it says that an object lacks a member, or has one too many, the path here is the member's."""
    schema = {
        "properties": {
            "a": {"items": {"type": ["integer", "null"], "maximum": 5}, "minItems": 3},
            "b": {"anyOf": [{"const": 1}, {"required": ["x"]}], "not": {"enum": [[], 2]}},
            "c": {"prefixItems": [{"multipleOf": 2}], "items": {"format": "email"}, "contains": {"type": "null"}},
        },
    }
    value = {"a": [1, "x", 7], "b": 2, "c": [3, "x", "a@b"]}
    theirs = [
        (list(e.absolute_path), e.validator)
        for e in WITH_DECIMALS(schema, format_checker=WITH_DECIMALS.FORMAT_CHECKER).iter_errors(value)
    ]
    assert errors(schema, value) == theirs
    assert len(theirs) == 6


# Work


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
        pytest.param({"unevaluatedProperties": {"type": "integer"}}, WIDE, id="unevaluatedProperties of many"),
        pytest.param({"unevaluatedItems": {"type": "integer"}}, MANY, id="unevaluatedItems of many"),
        pytest.param({"items": {"uniqueItems": True}}, [list(range(2000))] * 60, id="uniqueItems"),
        pytest.param({"uniqueItems": True}, [{str(i): {}} for i in range(15_000)], id="uniqueItems of objects"),
        pytest.param({"contains": {"type": "string"}}, MANY, id="contains"),
        pytest.param({"items": {}}, MANY, id="items"),
        pytest.param({"items": {"enum": list(range(1000))}}, [999] * 10_000, id="enum"),
        pytest.param({"items": {"properties": {str(i): {} for i in range(1000)}}}, [{}] * 20_000, id="properties"),
        pytest.param({"patternProperties": {f"{i}x": {} for i in range(20)}}, WIDE, id="patternProperties"),
        pytest.param({"patternProperties": {"x": {}}, "additionalProperties": False}, WIDE, id="additional names"),
        pytest.param({"propertyNames": {"pattern": "^[0-9]+$"}}, WIDE, id="propertyNames"),
        pytest.param({"pattern": "[ab]*a[ab]{200}b"}, "ab" * 30_000, id="a pattern with a large count"),
        pytest.param({"items": {"format": "regex"}}, ["a" * 1000] * 60, id="slow formats"),
        pytest.param({"items": {"format": "hostname"}}, ["a" * 60] * 3000, id="quick formats"),
    ],
)
def test_work_has_an_end(schema: Any, value: Any) -> None:
    begin = time.process_time()
    with pytest.raises(budget.TooMuchWork):
        errors(schema, value)
    assert time.process_time() - begin < 1  # alone 0.03


def test_what_is_refused_is_never_put_into_words() -> None:
    """jsonschema writes each refused value into a message: half a second for 60 kB of brackets."""

    class Secret(str):
        def __repr__(self) -> str:
            raise AssertionError("a value was put into words")

        __str__ = __repr__

        def __format__(self, form: str) -> str:
            raise AssertionError("a value was put into words")

    schema: Any = {
        "type": "null",
        "enum": [1],
        "const": 1,
        "minLength": 99,
        "maxLength": 1,
        "pattern": "^$",
        "format": "date",
        "not": {},
    }
    refused = errors({"items": schema, "uniqueItems": True}, [Secret("abc")] * 2)
    assert [rule for place, rule in refused if place == [0]] == list(schema)
