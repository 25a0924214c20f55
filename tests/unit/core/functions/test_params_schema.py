"""A hand-written schema beside signatures: what can never pass, what would not be checked, what narrows nothing."""

from typing import Any

import pytest

from pgrpc.core.functions import params_schema, pgtypes, routines, signatures
from tests.support import samples
from tests.support.samples import argument, routine

ADD = routine(argument("a"), argument("b"))
OPTIONAL = routine(argument("a", default=True), argument("b", default=True))
CLOSED = {"additionalProperties": False}
NO_OBJECT = "the schema must describe an object: the arguments by name"
REMEDY = "describe {!r} in properties, or remove additionalProperties: false"


def faults(document: Any, *of: routines.Routine) -> list[str]:
    return params_schema.faults(document, [signatures.Overload(each) for each in of])


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"properties": {"a": {"minimum": 1}}}, [], id="fits"),
        pytest.param(True, [], id="true"),
        pytest.param(False, ["the schema is false, so no call can pass it"], id="false"),
        pytest.param({"type": "object", "required": ["a"]}, [], id="an object"),
        pytest.param({"type": ["object", "null"]}, [], id="an object or null"),
        pytest.param({"type": "array"}, [NO_OBJECT], id="an array"),
        pytest.param({"type": ["array", "null"]}, [NO_OBJECT], id="two others"),
        pytest.param(
            {"properties": {"c": {}}}, ["the schema names 'c', but the function takes a, b"], id="unknown name"
        ),
        pytest.param(
            {"properties": {"a": {}}, "required": ["c", "a"]},
            ["the schema names 'c', but the function takes a, b"],
            id="unknown name that is required",
        ),
        pytest.param(
            {"properties": {"c": {}}, "required": ["c"]},
            ["the schema names 'c', but the function takes a, b"],
            id="an unknown name is reported once",
        ),
        pytest.param(
            {"properties": {"a": {"type": "string"}}},
            ["the schema requires a to be a string, but the argument is integer"],
            id="another type",
        ),
        pytest.param(
            {"properties": {"a": {"type": ["string", "array"]}}},
            ["the schema requires a to be an array or a string, but the argument is integer"],
            id="other types",
        ),
        pytest.param({"properties": {"a": {"type": "number"}}}, [], id="an integer is a number"),
        pytest.param({"properties": {"a": {"type": ["string", "integer"]}}}, [], id="one of the types fits"),
        pytest.param({"properties": {"a": {"type": "null"}}}, [], id="null"),
        pytest.param({"properties": {"a": True, "b": {}}}, [], id="nothing said"),
        pytest.param(
            {"type": "array", "properties": {"c": {}, "a": {"type": "object"}}},
            [
                NO_OBJECT,
                "the schema names 'c', but the function takes a, b",
                "the schema requires a to be an object, but the argument is integer",
            ],
            id="all at once",
        ),
    ],
)
def test_names_and_types(document: Any, expected: list[str]) -> None:
    assert faults(document, ADD) == expected


def test_a_number_where_the_argument_is_text() -> None:
    assert faults({"properties": {"sku": {"type": "number"}}}, routine(argument("sku", samples.TEXT))) == [
        "the schema requires sku to be a number, but the argument is text"
    ]


@pytest.mark.parametrize(
    ("of", "asked", "fits"),
    [
        pytest.param(samples.TEXT, "string", True, id="text"),
        pytest.param(samples.NUMERIC, "integer", True, id="numeric can be an integer"),
        pytest.param(samples.INT8, "string", False, id="int8: digits have become an integer by then"),
        pytest.param(samples.enum("a"), "string", True, id="enum"),
        pytest.param(samples.JSONB, "array", True, id="json can be anything"),
        pytest.param(samples.INT4S, "array", True, id="array"),
        pytest.param(samples.INT4S, "integer", False, id="array is no integer"),
        pytest.param(samples.domain(samples.INT4, not_null=True), "null", False, id="never null"),
    ],
)
def test_schema_against_type(of: pgtypes.Type, asked: str, fits: bool) -> None:
    assert (faults({"properties": {"x": {"type": asked}}}, routine(argument("x", of))) == []) == fits


def test_a_schema_for_overloads_may_name_what_any_of_them_takes() -> None:
    found = routine(argument("id")), routine(argument("email", samples.TEXT)), routine(argument("id", samples.INT8))
    assert faults({"properties": {"id": {"type": "integer"}, "email": {"type": "string"}}}, *found) == []
    assert faults({"properties": {"id": {"type": "string"}, "y": {}}}, *found) == [
        "the schema names 'y', but the function takes email, id",
        "the schema requires id to be a string, but the argument is integer or bigint",
    ]


def test_a_schema_for_no_arguments() -> None:
    assert faults({"required": ["a"]}, routine()) == ["the schema names 'a', but the function takes no arguments"]


def test_without_a_function_only_the_schema_itself_is_judged() -> None:
    assert faults({"properties": {"a": {"maxmum": 1}}, "required": ["b"]}) == [
        "unknown keyword 'maxmum' at /properties/a would not be checked; did you mean maximum?"
    ]


# Schemas that no call can pass


@pytest.mark.parametrize(
    ("document", "out"),
    [
        pytest.param({"properties": {"a": {}, "b": {}}, **CLOSED}, [], id="all described"),
        pytest.param({"properties": {"a": {}}, **CLOSED}, ["b"], id="one is not"),
        pytest.param(CLOSED, ["a", "b"], id="none is"),
        pytest.param({"patternProperties": {"^[ab]$": {}}, **CLOSED}, [], id="patterns may match it"),
        pytest.param({"properties": {"a": {}}, "additionalProperties": {"minimum": 1}}, [], id="others may come"),
    ],
)
def test_required_arguments_that_are_shut_out(document: Any, out: list[str]) -> None:
    expected = [
        f"the function requires {name!r} but the schema does not allow it, so no call can pass: {REMEDY.format(name)}"
        for name in out
    ]
    assert faults(document, ADD) == expected
    assert faults(document, OPTIONAL) == []
    assert faults(document, ADD, OPTIONAL) == [], "one form can be called"


def test_a_required_name_that_is_shut_out() -> None:
    words = "the schema requires 'b' but does not allow it, so no call can pass: "
    for of in (ADD, OPTIONAL):
        assert faults({"properties": {"a": {}}, "required": ["b"], **CLOSED}, of) == [words + REMEDY.format("b")]
    false = {"properties": {"a": {}, "b": False}, "required": ["b"]}
    assert faults(false, ADD) == [f"{words}its own schema is false"]


def test_bounds_that_nothing_is_between() -> None:
    document = {
        "minProperties": 3,
        "maxProperties": 2,
        "properties": {"a": {"minimum": 5, "maximum": 1}, "b": {"minimum": 1, "maximum": 1}},
    }
    assert faults(document, ADD) == [
        "minProperties 3 is more than maxProperties 2, so nothing can pass",
        "minimum 5 is more than maximum 1 at /properties/a, so nothing can pass",
    ]


# Schemas that do not check what they seem to


@pytest.mark.parametrize(
    ("document", "mistyped"),
    [
        pytest.param({"properties": {"a": {"maxmum": 1}}}, [("maxmum", "/properties/a", "maximum")], id="a letter"),
        pytest.param({"propertys": {}}, [("propertys", "its root", "properties")], id="at the root"),
        pytest.param({"properties": {"a": {"Minimum": 1}}}, [("Minimum", "/properties/a", "minimum")], id="its case"),
        pytest.param(
            {"anyOf": [{"requires": ["a"]}, True]}, [("requires", "/anyOf/0", "required")], id="in a list of schemas"
        ),
        pytest.param(
            {"$defs": {"x/y": {"minlength": 1}}}, [("minlength", "/$defs/x~1y", "minLength")], id="in a definition"
        ),
        pytest.param(
            {"not": {"items": {"uniqeItems": True}}}, [("uniqeItems", "/not/items", "uniqueItems")], id="inside"
        ),
        pytest.param({"properties": {"maxmum": {}, "a": {}}}, [], id="a name is no keyword"),
        pytest.param({"properties": {"a": {"const": {"maxmum": 1}, "default": {"types": 1}}}}, [], id="a value"),
        pytest.param({"x-type": 1, "note": 1, "examples": [], "owner": "me", "comment": ""}, [], id="annotations"),
    ],
)
def test_mistyped_keywords(document: Any, mistyped: list[tuple[str, str, str]]) -> None:
    assert faults(document) == [
        f"unknown keyword {word!r} at {place} would not be checked; did you mean {meant}?"
        for word, place, meant in mistyped
    ]


@pytest.mark.parametrize(
    ("document", "place", "word", "now"),
    [
        pytest.param(
            {"dependencies": {"a": ["b"]}},
            "its root",
            "dependencies",
            "dependentRequired or dependentSchemas",
            id="root",
        ),
        pytest.param(
            {"properties": {"a": {"additionalItems": False}}}, "/properties/a", "additionalItems", "items", id="member"
        ),
    ],
)
def test_keywords_of_older_drafts(document: Any, place: str, word: str, now: str) -> None:
    assert faults(document, ADD) == [
        f"keyword {word!r} at {place} is of an older draft and would not be checked; write {now}"
    ]


def test_mistyped_keywords_in_files_that_it_refers_to() -> None:
    document = {"properties": {"a": {"$ref": "small.json#/$defs/n"}, "b": {"$ref": "small.json"}}}
    documents = {
        "file:///s/root.json": document,
        "file:///s/small.json": {"$defs": {"n": {"maxmum": 1, "a": {}}}, "$ref": "deep/er.json"},
        "file:///s/deep/er.json": {"typ": "integer", "$ref": "../small.json"},
        "file:///s/unused.json": {"maxmum": 1},
    }
    found = params_schema.faults(document, [signatures.Overload(ADD)], "file:///s/root.json", documents)
    assert found == [
        "'small.json#/$defs/n': unknown keyword 'maxmum' at /$defs/n would not be checked; did you mean maximum?",
        "'deep/er.json': unknown keyword 'typ' at its root would not be checked; did you mean type?",
    ]


def test_arguments_beside_properties() -> None:
    words = "'{}' is beside properties, not in it, and would not be checked: move it into properties"
    assert faults({"type": "object", "a": {"minimum": 1}, "b": {}}, ADD) == [words.format("a"), words.format("b")]


@pytest.mark.parametrize(
    "document",
    [
        *(True, {}, {"type": "object"}, {"title": "x", "$defs": {"a": {}}}),
        {"properties": {}, "required": [], "additionalProperties": True},
    ],
)
def test_what_narrows_nothing(document: Any) -> None:
    assert params_schema.warnings(document) == ["the schema narrows nothing: did you forget properties?"]


@pytest.mark.parametrize(
    "document", [False, {"required": ["a"]}, {"$ref": "other.json"}, {"minProperties": 1}, {"properties": {"a": {}}}]
)
def test_what_narrows_something(document: Any) -> None:
    assert params_schema.warnings(document) == []


# Schemas whose values or keywords shut everything out


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"properties": {"a": {"enum": [1, "x"]}}}, [], id="one value fits"),
        pytest.param({"properties": {"a": {"const": 5}}}, [], id="the const fits"),
        pytest.param({"properties": {"c": {"const": 5}}}, ["the schema names 'c', but the function takes a, b"],
                     id="name"),
        pytest.param({"properties": {"a": {"enum": ["x", "y"]}}},
                     ["every value that the schema lists for a is refused: the argument is integer"], id="enum"),
        pytest.param({"properties": {"a": {"const": "x"}}},
                     ["every value that the schema lists for a is refused: the argument is integer"], id="const"),
        pytest.param({"properties": {"a": {"enum": []}}}, ["enum of a lists no value, so no call can pass it"],
                     id="none"),
        pytest.param({"properties": {"a": {"enum": ["x"] * 101}}}, [], id="too many to be tried"),
        pytest.param({"not": {}}, ["the schema refuses everything (not: {}), so no call can pass it"], id="not"),
        pytest.param({"not": {"required": ["a"]}}, [], id="not something"),
    ],
)  # fmt: skip
def test_values_that_cannot_pass(document: Any, expected: list[str]) -> None:
    assert faults(document, ADD) == expected
    assert params_schema.warnings({"not": {}}) == []


@pytest.mark.parametrize("beside", [{}, {"allOf": [{"properties": {"b": {}}}]}])
def test_unevaluated_properties_shut_out_too(beside: dict[str, Any]) -> None:
    found = faults({"properties": {"a": {}}, "unevaluatedProperties": False, **beside}, ADD)
    assert bool(found) == (not beside)
    assert all("or remove unevaluatedProperties: false" in words for words in found)
