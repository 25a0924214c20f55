"""JSON Schema: exact numbers, references among the documents given, and faults in words that keep values secret."""

import random
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.functions import pgtypes
from pgrpc.core.validation import budget, schemas
from pgrpc.core.wire import errors
from tests.support import samples

DRAFT7 = "http://json-schema.org/draft-07/schema#"
DRAFT2020 = "https://json-schema.org/draft/2020-12/schema"


def check(schema: Any, value: Any, **documents: Any) -> list[errors.Fault]:
    named = {f"file:///{name}.json": document for name, document in documents.items()}
    return schemas.check(schemas.compile(schema, "file:///own.json" if named else "", named), value)


def faults(schema: Any, **documents: Any) -> list[str]:
    named = {f"file:///{name}.json": document for name, document in documents.items()}
    with pytest.raises(schemas.Unusable) as caught:
        schemas.compile(schema, "file:///own.json" if named else "", named)
    assert str(caught.value) == "; ".join(caught.value.faults)
    return caught.value.faults


# Numbers


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        pytest.param(
            {"type": "integer"},
            [1, Decimal("1.0"), Decimal("1e2"), Decimal("-0.0"), Decimal("1e999999999999999999"), 10**40],
            [Decimal("1.5"), True, "1", None, Decimal("1e-999999999999999999"), Decimal(f"{10**40}.5")],
            id="integer",
        ),
        pytest.param({"type": "number"}, [1, Decimal("1.5")], [True, "1", None], id="number"),
        pytest.param(
            {"multipleOf": Decimal("0.01")},
            [
                1, 0, -3, Decimal("0.07"), Decimal("-19.99"), Decimal("0.070"), Decimal("1e30"), 10**50,
                Decimal("1e999999999999999999"), Decimal("0e-999999999999"), Decimal("0.00"), True, "a", None,
            ],
            [Decimal("0.001"), Decimal("0.075"), Decimal("1e-999999999999999999"), Decimal(f"{10**50}.001")],
            id="multipleOf a decimal",
        ),
        pytest.param(
            {"multipleOf": 3}, [0, 9, 3 * 10**60, Decimal("9.0"), Decimal("3e500")], [1, 10**60, Decimal("1.5")],
            id="multipleOf an integer",
        ),
        pytest.param(
            {"multipleOf": Decimal("1e400")}, [0, Decimal("2e400"), 10**401], [1, Decimal("1e399")],
            id="multipleOf a huge number",
        ),
        pytest.param(
            {"minimum": Decimal("0.1"), "maximum": Decimal("0.3")},
            [Decimal("0.1"), Decimal("0.10"), Decimal("0.3")],
            [Decimal("0.09999999999999999999999999"), Decimal("0.30000000000000000000000001"), 1],
            id="minimum and maximum",
        ),
        pytest.param(
            {"exclusiveMinimum": Decimal("0.1"), "exclusiveMaximum": 1}, [Decimal("0.11")], [Decimal("0.1"), 1],
            id="exclusive bounds",
        ),
        pytest.param(
            {"enum": [Decimal("0.1"), 1, "a", None]},
            [Decimal("0.10"), 1, Decimal("1.0"), "a", None],
            [True, "0.1", Decimal("0.2"), Decimal("1e999999999999")],
            id="enum",
        ),
        pytest.param({"const": {"a": 1}}, [{"a": Decimal("1.0")}], [{"a": True}, {"a": 2}], id="const"),
        pytest.param({"uniqueItems": True}, [[1, True, "1"]], [[1, Decimal("1.0")]], id="uniqueItems"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("said", [{}, {"$schema": DRAFT2020}], ids=["plain", "2020-12"])
@pytest.mark.parametrize("uri", ["", "file:///own.json"], ids=["no address", "with an address"])
def test_numbers_are_exact(schema: Any, good: list[Any], bad: list[Any], said: Any, uri: str) -> None:
    validator = schemas.compile(said | schema, uri)
    assert [value for value in good if schemas.check(validator, value)] == []
    assert [value for value in bad if not schemas.check(validator, value)] == []


# Faults


@pytest.mark.parametrize(
    ("schema", "value", "path", "rule", "message"),
    [
        pytest.param({"type": "integer"}, "SECRET", "", "type", "must be integer, not a string", id="type"),
        pytest.param(
            {"type": ["integer", "null"]}, True, "", "type", "must be integer or null, not a boolean", id="types"
        ),
        pytest.param({"type": "string"}, 987654, "", "type", "must be string, not an integer", id="an integer"),
        pytest.param({"type": "string"}, Decimal("98.7"), "", "type", "must be string, not a number", id="a number"),
        pytest.param({"type": "string"}, ["SECRET"], "", "type", "must be string, not an array", id="an array"),
        pytest.param({"type": "string"}, {"S": 1}, "", "type", "must be string, not an object", id="an object"),
        pytest.param({"type": "string"}, None, "", "type", "must be string, not null", id="null"),
        pytest.param({"required": ["a/b"]}, {}, "/a~1b", "required", "is missing", id="required"),
        pytest.param(
            {"properties": {"a": {}}, "additionalProperties": False}, {"a": 1, "b": 987654}, "/b",
            "additionalProperties", "is not expected here", id="additionalProperties",
        ),
        pytest.param(
            {"patternProperties": {"^x-": {}}, "additionalProperties": False}, {"x-a": 1, "y": 987654}, "/y",
            "additionalProperties", "is not expected here", id="additionalProperties and patterns",
        ),
        pytest.param(
            {"additionalProperties": {"type": "integer"}}, {"a": "SECRET"}, "/a", "type",
            "must be integer, not a string", id="additionalProperties with a schema",
        ),
        pytest.param({"enum": ["a", 1, None]}, "SECRET", "", "enum", "must be one of: a, 1, null", id="enum"),
        pytest.param(
            {"enum": [True, Decimal("0.10"), {"a": [Decimal("1.5")]}]}, "SECRET", "", "enum",
            'must be one of: true, 0.10, {"a":[1.5]}', id="enum of all kinds",
        ),
        pytest.param(
            {"enum": list(range(13))}, 99, "", "enum", "must be one of: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...",
            id="a long enum",
        ),
        pytest.param({"const": "a"}, "SECRET", "", "const", "must be a", id="const"),
        pytest.param({"minimum": Decimal("0.10")}, 0, "", "minimum", "must be at least 0.10", id="minimum"),
        pytest.param({"maximum": 5}, 987654, "", "maximum", "must be at most 5", id="maximum"),
        pytest.param({"exclusiveMinimum": 5}, 5, "", "exclusiveMinimum", "must be more than 5", id="exclusiveMinimum"),
        pytest.param({"exclusiveMaximum": 5}, 5, "", "exclusiveMaximum", "must be less than 5", id="exclusiveMaximum"),
        pytest.param(
            {"multipleOf": Decimal("0.5")}, Decimal("0.7"), "", "multipleOf", "must be a multiple of 0.5",
            id="multipleOf",
        ),
        pytest.param({"minLength": 3}, "SE", "", "minLength", "must have at least 3 characters", id="minLength"),
        pytest.param({"maxLength": 3}, "SECRET", "", "maxLength", "must have at most 3 characters", id="maxLength"),
        pytest.param({"pattern": "^a"}, "SECRET", "", "pattern", "must match the pattern ^a", id="pattern"),
        pytest.param({"format": "date"}, "SECRET", "", "format", "must be a valid date", id="format"),
        pytest.param({"minItems": 1}, [], "", "minItems", "must have at least 1 elements", id="minItems"),
        pytest.param({"maxItems": 1}, [1, 2], "", "maxItems", "must have at most 1 elements", id="maxItems"),
        pytest.param(
            {"uniqueItems": True}, ["SECRET", "SECRET"], "", "uniqueItems", "must not have equal elements",
            id="uniqueItems",
        ),
        pytest.param({"minProperties": 1}, {}, "", "minProperties", "must have at least 1 members", id="minProperties"),
        pytest.param(
            {"maxProperties": 0}, {"SECRET": 1}, "", "maxProperties", "must have at most 0 members", id="maxProperties"
        ),
        pytest.param(
            {"anyOf": [{"type": "integer"}]}, "SECRET", "", "anyOf", "fits none of the forms allowed", id="anyOf"
        ),
        pytest.param(
            {"oneOf": [{}, {}]}, "SECRET", "", "oneOf", "must fit exactly one of the forms allowed", id="oneOf"
        ),
        pytest.param({"not": {}}, "SECRET", "", "not", "is of a form that is not allowed", id="not"),
        pytest.param(False, "SECRET", "", "not", "is of a form that is not allowed", id="false"),
        pytest.param(
            {"contains": {"type": "integer"}}, ["SECRET"], "", "contains", "does not fit the schema's contains",
            id="a rule without words of its own",
        ),
        pytest.param(
            {"unevaluatedProperties": False}, {"SECRET": 1}, "", "unevaluatedProperties",
            "does not fit the schema's unevaluatedProperties", id="unevaluatedProperties",
        ),
        pytest.param(
            {"properties": {"a~": {"items": {"type": "integer"}}}}, {"a~": [1, "SECRET"]}, "/a~0/1", "type",
            "must be integer, not a string", id="a path",
        ),
        pytest.param(
            {"items": False}, ["SECRET"], "/0", "not", "is of a form that is not allowed", id="an element too many"
        ),
    ],
)  # fmt: skip
def test_fault(schema: Any, value: Any, path: str, rule: str, message: str) -> None:
    (fault,) = check(schema, value)
    assert fault == errors.Fault(path, rule, message)
    assert "SECRET" not in fault.message
    assert "987654" not in fault.message


def test_a_value_that_fits_has_no_faults() -> None:
    assert check({"required": ["a"], "additionalProperties": False, "properties": {"a": {}}}, {"a": 1}) == []
    assert check({"required": ["a"], "additionalProperties": False}, "no object") == []
    assert check(True, "anything") == []


def test_every_fault_is_listed() -> None:
    schema = {"properties": {"a": {"type": "integer"}, "b": {"maximum": 1}}, "required": ["c", "d"]}
    found = {(f.path, f.rule) for f in check(schema, {"a": "x", "b": 2})}
    assert found == {("/a", "type"), ("/b", "maximum"), ("/c", "required"), ("/d", "required")}


def test_at_most_twenty_faults_are_listed() -> None:
    found = check({"items": {"type": "integer"}}, ["x"] * 1000)
    assert [f.path for f in found] == [f"/{i}" for i in range(20)]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2024-02-29", "2023-02-29"),
        ("date-time", "2024-02-29T00:00:00Z", "2024-02-29"),
        ("uuid", "01234567-89ab-cdef-0123-456789abcdef", "01234567"),
        ("email", "a@b", "a"),
        ("ipv6", "::1", "1.2.3.4"),
        ("uri", "http://a/b", "a b"),
        ("uri-reference", "/a", "a b"),
        ("hostname", "a.example", "-"),
        ("regex", "a", "("),
    ],
)
def test_formats_are_checked(name: str, good: str, bad: str) -> None:
    assert check({"format": name}, good) == []
    assert [f.rule for f in check({"format": name}, bad)] == ["format"]
    assert check({"format": name}, 1) == []


# Documents


@pytest.mark.parametrize(
    ("schema", "documents"),
    [
        pytest.param({"$ref": "#/$defs/x", "$defs": {"x": {"type": "integer"}}}, {}, id="inside"),
        pytest.param({"$ref": "#here", "$defs": {"x": {"$anchor": "here", "type": "integer"}}}, {}, id="anchor"),
        pytest.param({"$ref": "b.json"}, {"b": {"type": "integer"}}, id="another document"),
        pytest.param({"$ref": "b.json#/x/0"}, {"b": {"x": [{"type": "integer"}]}}, id="into another document"),
        pytest.param({"$ref": "b.json"}, {"b": {"$ref": "c.json"}, "c": {"type": "integer"}}, id="by way of another"),
        pytest.param({"$ref": "b.json"}, {"b": {"$schema": DRAFT2020, "type": "integer"}}, id="of the same draft"),
        pytest.param(
            {"$ref": "b.json#/$defs/x"},
            {"b": {"$defs": {"x": {"$ref": "own.json#/$defs/y"}}}, "own": {}},
            id="there and back",
        ),
        pytest.param(
            {"$schema": DRAFT2020 + "#", "$ref": "#/definitions/x", "definitions": {"x": {"type": "integer"}}},
            {},
            id="with a #",
        ),
        pytest.param({"$dynamicRef": "#/$defs/x", "$defs": {"x": {"type": "integer"}}}, {}, id="dynamic"),
        pytest.param(
            {"$id": "http://a/b", "$ref": "#/$defs/x", "$defs": {"x": {"type": "integer"}}}, {}, id="with $id"
        ),
    ],
)
def test_references(schema: Any, documents: Any) -> None:
    if "own" in documents:
        schema = schema | {"$defs": {"y": {"type": "integer"}}}
        documents = {name: document for name, document in documents.items() if name != "own"}
    assert check(schema, 7, **documents) == []
    assert [f.rule for f in check(schema, "x", **documents)] == ["type"]


def test_numbers_in_other_documents_are_exact_too() -> None:
    price = {"$schema": DRAFT2020, "multipleOf": Decimal("0.01")}
    assert check({"$ref": "price.json"}, Decimal("19.99"), price=price) == []
    assert [f.rule for f in check({"$ref": "price.json"}, Decimal("19.999"), price=price)] == ["multipleOf"]


def test_a_schema_may_refer_to_itself() -> None:
    tree = {"properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}}}
    assert check(tree, {"next": {"next": {"value": 1}}}) == []
    assert [f.path for f in check(tree, {"next": {"next": {"value": "x"}}})] == ["/next/next/value"]


UNKNOWN = (
    "unknown format 'colour': it would not be checked; write a pattern, or one of date, date-time, email, hostname, "
    "idn-email, ipv4, ipv6, regex, time, uri, uri-reference, uuid"
)
OTHER_DRAFT = f'"$schema" is {DRAFT7}, but only draft 2020-12 is supported: write {DRAFT2020}, or leave it out'


@pytest.mark.parametrize("name", ["duration", "json-pointer", "idn-hostname", "uri-template", "color", "iri"])
def test_formats_that_are_not_checked_are_unknown(name: str) -> None:
    """Whatever is installed: for some of them jsonschema would use other packages."""
    assert faults({"format": name}) == [UNKNOWN.replace("colour", name)]


@pytest.mark.parametrize(
    ("schema", "documents", "expected"),
    [
        pytest.param(5, {}, ["not a valid schema at its root: must be object or boolean, not an integer"], id="5"),
        pytest.param(None, {}, ["not a valid schema at its root: must be object or boolean, not null"], id="null"),
        pytest.param([], {}, ["not a valid schema at its root: must be object or boolean, not an array"], id="array"),
        pytest.param(
            {"$schema": 5}, {}, ["not a valid schema at /$schema: must be string, not an integer"], id="$schema"
        ),
        pytest.param(
            {"pattern": "("}, {}, ["pattern '(' cannot be matched in linear time: missing ): ("], id="pattern"
        ),
        pytest.param(
            {"properties": {"a": {"minLength": "1"}}},
            {},
            ["not a valid schema at /properties/a/minLength: must be integer, not a string"],
            id="inside",
        ),
        pytest.param({"$ref": "#/$defs/x"}, {}, ["cannot resolve $ref '#/$defs/x'"], id="no such pointer"),
        pytest.param({"$ref": "#x"}, {}, ["cannot resolve $ref '#x'"], id="no such anchor"),
        pytest.param({"$ref": "c.json"}, {"b": {}}, ["cannot resolve $ref 'c.json'"], id="no such document"),
        pytest.param(
            {"$ref": "http://example.com/"}, {}, ["cannot resolve $ref 'http://example.com/'"], id="the network"
        ),
        pytest.param({"$dynamicRef": "#x"}, {}, ["cannot resolve $dynamicRef '#x'"], id="dynamic"),
        pytest.param({"format": "colour"}, {}, [UNKNOWN], id="format"),
        pytest.param(
            {"items": {"$ref": "#/x"}, "anyOf": [{"format": "colour"}]},
            {},
            ["cannot resolve $ref '#/x'", UNKNOWN],
            id="all at once",
        ),
        pytest.param(
            {"$ref": "b.json"},
            {"b": {"$ref": "c.json", "format": "colour"}},
            [f"'b.json': {UNKNOWN}", "'b.json': cannot resolve $ref 'c.json'"],
            id="in what it refers to",
        ),
        pytest.param(
            {"$ref": "b.json"},
            {"b": {"properties": 5}},
            ["'b.json': not a valid schema at /properties: must be object, not an integer"],
            id="refers to what is no schema",
        ),
        pytest.param(
            {"$ref": "b.json"},
            {"b": 5},
            ["'b.json': not a valid schema at its root: must be object or boolean, not an integer"],
            id="refers to a number",
        ),
        pytest.param({"$schema": DRAFT7}, {}, [OTHER_DRAFT], id="another draft"),
        pytest.param({"$schema": DRAFT7, "items": [{}]}, {}, [OTHER_DRAFT], id="another draft, and not valid by ours"),
        pytest.param({"$defs": {"a": {"$schema": DRAFT7}}}, {}, [OTHER_DRAFT], id="another draft inside"),
        pytest.param({"$ref": "b.json"}, {"b": {"$schema": DRAFT7}}, [f"'b.json': {OTHER_DRAFT}"], id="two drafts"),
        pytest.param({"$ref": "#"}, {}, ["it refers to itself without end, or is nested too deep"], id="endless"),
    ],
)
def test_unusable(schema: Any, documents: Any, expected: list[str]) -> None:
    assert sorted(faults(schema, **documents)) == sorted(expected)


def test_a_schema_nested_too_deep_is_unusable() -> None:
    schema: Any = {}
    for _ in range(2000):
        schema = {"items": schema}
    assert faults(schema) == ["it refers to itself without end, or is nested too deep"]


def test_what_is_not_referred_to_does_not_matter() -> None:
    assert check({"type": "integer"}, 1, bad={"properties": 5}, worse=[], format={"format": "colour"}) == []


def test_what_looks_like_a_schema_in_data_is_none() -> None:
    data = {"$ref": "nowhere", "format": "colour"}
    assert check({"const": data, "properties": {"$ref": {"type": "integer"}, "format": {}}}, data) != []
    assert check({"enum": [data]}, data) == []


def test_patterns_are_matched_in_linear_time() -> None:
    """With Python's regular expressions 30 of these characters take seconds."""
    slow = "^(a+)+$"
    schema = {
        "properties": {"a": {"pattern": slow}, "b": {"allOf": [{"pattern": slow}]}},
        "patternProperties": {slow: {"type": "integer"}},
        "additionalProperties": False,
    }
    name = "a" * 20_000 + "!"
    begin = time.process_time()
    found = [(f.path, f.rule) for f in check(schema, {"a": name, "b": name, name: 1})]
    assert time.process_time() - begin < 0.25
    assert found == [
        ("/a", "pattern"), ("/b", "pattern"), ("/a", "type"), (f"/{name}", "additionalProperties")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"pattern": "(?=a)"}, "invalid perl operator: (?=", id="pattern"),
        pytest.param({"patternProperties": {"(?=a)": {}}}, "invalid perl operator: (?=", id="patternProperties"),
    ],
)
def test_patterns_that_need_more_than_linear_time(schema: Any, expected: str) -> None:
    assert faults(schema) == [f"pattern '(?=a)' cannot be matched in linear time: {expected}"]


def test_unevaluated_members_are_matched_in_linear_time_too() -> None:
    both = {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False}
    begin = time.process_time()
    assert check(both, {"a" * 20_000: 1}) == []
    assert [f.rule for f in check(both, {"a" * 20_000 + "!": 1})] == ["unevaluatedProperties"]
    assert time.process_time() - begin < 0.25


# Only what does not surely fit is looked at in full


ARRAYS = {"$ref": "#/$defs/a", "$defs": {"a": pgtypes.schema(samples.INT4S)} | pgtypes.definitions(samples.INT4S)}


@pytest.mark.parametrize(("last", "expected"), [(1, []), ("x", ["/29999"]), ([1, "y"], ["/29999/1"])])
def test_a_long_array_does_not_take_long(last: Any, expected: list[str]) -> None:
    """In full it would be refused: that costs too much."""
    compiled = schemas.compile(ARRAYS)
    value = [*range(29_999), last]
    begin = time.process_time()
    found = schemas.check(compiled, value)
    assert time.process_time() - begin < 0.25
    assert [fault.path for fault in found] == expected


NODE = {"type": "object", "properties": {"next": {"$ref": "#"}}}
NESTED: Any = 1
for _ in range(60):
    NESTED = {"next": NESTED}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param({"anyOf": [NODE, NODE | {"title": "again"}]}, NESTED, id="doubling at every level"),
        pytest.param({"items": {"oneOf": [{}, False]}}, [1] * 30_000, id="many elements"),
        pytest.param({"unevaluatedItems": {"not": False}}, [1] * 30_000, id="many that nothing else looks at"),
    ],
)
def test_what_would_take_long_is_refused(schema: Any, value: Any) -> None:
    compiled = schemas.compile(schema)
    begin = time.process_time()
    found = schemas.check(compiled, value)
    assert time.process_time() - begin < 1  # alone 0.03
    assert found == [errors.Fault("", "work", "takes too long to be checked against the schema")]


def test_values_that_are_checked_together_share_what_they_may_cost() -> None:
    schema = {"items": {"oneOf": [{}, False]}}
    value = [1] * 1000
    assert check(schema, value) == []
    compiled = schemas.compile(schema)
    spending = budget.Budget()
    with spending.shared():
        faults = [schemas.check(compiled, value, spending) for _ in range(20)]
    assert faults[0] == []
    assert [fault.rule for fault in faults[-1]] == ["work"]
    assert schemas.check(compiled, value, spending) == []


def test_what_was_found_before_it_took_too_long_is_told() -> None:
    slow = {"properties": {"a": {"type": "integer"}, "b": {"unevaluatedItems": {"not": False}}}}
    assert [f.path for f in check(slow, {"b": [1] * 30_000, "a": "x"})] == ["/a"]


# The same faults as of the whole: derived schemas and hand-written ones, at random


TYPES = [
    samples.BOOL, samples.INT2, samples.INT4, samples.INT8, samples.OID, samples.NUMERIC, samples.FLOAT8,
    samples.TEXT, samples.VARCHAR, samples.CHAR, samples.JSONB, samples.INT4S, samples.INT8S, samples.TEXTS,
    samples.JSONBS, samples.enum("a", "1"),
    *(samples.base(oid, f"type {oid}") for oid in (17, 18, 19, 790, 1082, 1083, 1114, 1184, 1186, 1266, 1560, 2950)),
    samples.domain(samples.VARCHAR, not_null=True, typmod=4 + 2),
    samples.domain(samples.INT4S),
    samples.composite(x=samples.INT4, y=samples.TEXTS, z=samples.composite(w=samples.NUMERIC)),
    samples.array(samples.composite(x=samples.INT4, y=samples.TEXT), 60001),
    pgtypes.Type(3904, "pg_catalog.int4range", "int4range", "range", samples.INT4),
    pgtypes.Type(4451, "pg_catalog.int4multirange", "int4multirange", "multirange"),
]  # fmt: skip
LEAVES: list[Any] = [
    None, True, False, 0, 1, -1, 7, 2**31, -(2**63), 10**40, Decimal("1.0"), Decimal("-0.0"), Decimal("0.05"),
    Decimal("19.99"), Decimal("1e400"), Decimal("1e999999999999999999"), Decimal("1e-999999999999999999"), "", "a", "1",
    "ab", "é😀", "\ud800", "\0", "٣", "a\n", "\\x00ff", "01", "[1,2)", "{[1,2)}", "2024-02-29", "12:00:00",
    "2024-02-29T12:00:00Z", "2024-02-29T12:00:00", "12:00:00+02", "01234567-89ab-cdef-0123-456789abcdef",
]  # fmt: skip
NAMES = ["a", "b", "x", "y", "z", "w", "a/b", "~", ""]
WRITTEN: list[Any] = [
    True,
    False,
    {"multipleOf": Decimal("0.05"), "exclusiveMinimum": 0},
    {"type": ["integer", "string"], "pattern": r"^\d$"},
    {"type": "array", "items": {"$ref": "#"}, "maxItems": 3},
    {"items": {"enum": ["a", 1, None, True, Decimal("19.99")]}},
    {"items": {"const": 1}, "properties": {"a": {"const": "a"}, "b": {"enum": [[1], {"a": 1}, 0]}}},
    {"properties": {"a": {"$ref": "#/$defs/t"}, "b": {"items": {"$ref": "#/$defs/t"}}}, "required": ["a", "b"],
     "additionalProperties": False,
     "$defs": {"t": {"properties": {"x": {"$ref": "#/$defs/t"}, "a": {"type": "null"}}}}},
    {"properties": {"a": {"oneOf": [{"type": "integer"}, {"type": "number"}]}, "b": {"not": {"type": "string"}}}},
    {"items": {"uniqueItems": True}, "properties": {"x": {"contains": {"type": "integer"}}}},
    {"properties": {"x": {"allOf": [{"type": "number"}, {"minimum": Decimal("0.05")}]},
                    "y": {"anyOf": [{"type": "string", "minLength": 1}, {"items": {"type": "integer"}}]}}},
    {"additionalProperties": {"type": "integer", "maximum": 7}, "patternProperties": {"^a": {"type": "string"}}},
    {"minProperties": 1, "maxProperties": 2, "minItems": 1, "properties": {"a": {"maxLength": 1, "format": "date"}}},
    {"properties": {"a": {"format": "uri"}, "b": {"format": "date-time"}, "x": {"format": "uuid"}}},
    {"if": {"type": "object"}, "then": {"required": ["a"]}, "else": {"maxLength": 1}},
    {"if": {"type": "array"}, "then": {"items": {"$ref": "#"}}, "else": {"type": ["integer", "null"]}},
    {"dependentRequired": {"a": ["b"]}, "propertyNames": {"maxLength": 1}, "prefixItems": [{"type": "integer"}]},
    {"properties": {"a": {"unevaluatedProperties": False, "properties": {"b": {}}}}},
    {"items": False, "properties": {"a": {"$ref": "#", "type": "null"}}, "patternProperties": {"^b": {"minItems": 2}}},
    {"$id": "http://a/b", "properties": {"a": {"$ref": "#/$defs/i"}, "b": {"$ref": "http://a/b#/$defs/i"}},
     "$defs": {"i": {"type": "integer"}}},
    {"items": {"$id": "http://c/d", "$ref": "#/$defs/i", "$defs": {"i": {"type": "string"}}},
     "$defs": {"i": {"type": "integer"}}},
    {"items": {"$id": "http://c/d", "properties": {"a": {"$ref": "#/$defs/i"}}, "$defs": {"i": {"type": "string"}}},
     "$defs": {"i": {"type": "integer"}}},
    {"properties": {"a": {"$ref": "#/$defs/d"}}, "$defs": {"i": {"type": "integer"}, "d": {
        "$id": "http://c/d", "properties": {"a": {"$ref": "#/$defs/i"}}, "$defs": {"i": {"type": "string"}}}}},
    {"properties": {"a": {"$ref": "#/$defs/i", "minimum": 5}}, "$defs": {"i": {"type": "integer"}}},
    {"items": {"$ref": "b.json#/$defs/q"}, "properties": {"a": {"$ref": "b.json#/$defs/q"}},
     "$defs": {"s": {"type": "integer"}}},
    {"properties": {"a": {"$ref": "b.json"}, "b": {"items": {"$ref": "b.json#/$defs/s"}}}},
    {"items": {"$dynamicRef": "#/$defs/i"}, "$defs": {"i": {"type": "integer"}}},
]  # fmt: skip
BESIDE = {
    "file:///b.json": {
        "items": {"$ref": "c.json"},
        "$defs": {
            "s": {"type": "string"},
            "q": {"properties": {"x": {"$ref": "#/$defs/s"}}, "items": {"$ref": "#/$defs/s"}},
        },
    },
    "file:///c.json": {"maximum": 7, "properties": {"a": {"$ref": "own.json"}}},
}


def anything(chosen: random.Random, depth: int = 4) -> Any:
    """A JSON value."""
    kind = chosen.random()
    if depth == 0 or kind < 0.35:
        return chosen.choice(LEAVES)
    if kind < 0.65:
        same = anything(chosen, depth - 1)
        return [same if chosen.random() < 0.3 else anything(chosen, depth - 1) for _ in range(chosen.randrange(5))]
    return {name: anything(chosen, depth - 1) for name in chosen.sample(NAMES, chosen.randrange(4))}


def every_schema() -> Iterator[tuple[Any, str]]:
    for of in TYPES:
        yield {"properties": {"a": pgtypes.schema(of)}, "$defs": pgtypes.definitions(of)}, ""
        yield pgtypes.schema(of) | {"$defs": pgtypes.definitions(of)}, ""
    for schema in WRITTEN:
        yield schema, "file:///own.json"
        if "b.json" not in repr(schema):
            yield schema, ""


@pytest.mark.parametrize(("schema", "uri"), list(every_schema()))
def test_the_faults_are_those_of_the_whole(schema: Any, uri: str) -> None:
    compiled = schemas.compile(schema, uri, BESIDE if uri else {})
    chosen = random.Random(repr(schema))
    values = [*LEAVES, *([leaf] for leaf in LEAVES), *({"a": leaf} for leaf in LEAVES), ["x"] * 30]
    values += [[{"a": leaf}, [leaf]] for leaf in LEAVES] + [{"a": {"a": leaf, "x": leaf}} for leaf in LEAVES]
    values += [anything(chosen) for _ in range(60)]
    for value in values:
        whole = schemas.check_whole(compiled, value)
        assert schemas.check(compiled, value) == whole, value
        assert not (compiled.accepts(value) and whole), value
