"""jsonschema-rs accepts nothing that the dialect here does not, and where it is missing nothing but time is lost."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.validation import fast_validator_rs, schemas
from tests.support.samples import nested


class Library:
    """A stand-in for jsonschema-rs."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def Draft202012Validator(self, schema: Any) -> "Library":
        if self.answer is SyntaxError:
            raise ValueError("not for us")
        return self

    def is_valid(self, value: Any) -> Any:
        if self.answer is ValueError:
            raise ValueError("a lone surrogate")
        return self.answer


SCHEMA: Any = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
PARTS = [SCHEMA, *SCHEMA["oneOf"]]


@pytest.mark.parametrize(("answer", "accepted"), [(True, True), (False, False), (ValueError, False)])
def test_the_answer_of_the_library(monkeypatch: pytest.MonkeyPatch, answer: Any, accepted: bool) -> None:
    monkeypatch.setattr(fast_validator_rs, "_library", Library(answer))
    accepts = fast_validator_rs.acceptor(SCHEMA, PARTS)
    assert accepts is not None
    assert accepts(1) == accepted


def test_it_may_be_missing_or_unable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_validator_rs, "_library", None)
    assert fast_validator_rs.acceptor(SCHEMA, PARTS) is None
    monkeypatch.setattr(fast_validator_rs, "_library", Library(SyntaxError))
    assert fast_validator_rs.acceptor(SCHEMA, PARTS) is None


@pytest.mark.parametrize(
    "part",
    [
        {"pattern": "a"}, {"format": "date"}, {"multipleOf": 2}, {"patternProperties": {}}, {"$id": "http://a/b"},
        {"$anchor": "a"}, {"$dynamicRef": "#"}, {"$ref": "b.json"}, {"$ref": "http://a/b"}, {"$ref": "file:///a"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_agreed_upon(monkeypatch: pytest.MonkeyPatch, part: Any) -> None:
    monkeypatch.setattr(fast_validator_rs, "_library", Library(True))
    assert fast_validator_rs.acceptor(SCHEMA, [*PARTS, part]) is None
    assert fast_validator_rs.acceptor(SCHEMA, [*PARTS, {"$ref": "#/oneOf/0"}]) is not None


LEAVES = [
    None, True, False, 0, 1, -1, 7, 10**40, Decimal("1.0"), Decimal("-0.0"), Decimal("0.05"), Decimal("1e400"), "", "a",
    Decimal("1e999999999999999999"), Decimal("1e-999999999999999999"), Decimal(f"7.{'0' * 50}1"), "1", "é😀", "\ud800",
]  # fmt: skip
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
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum"), lambda: chosen.choice([0, 7, Decimal("0.05")])),
        **dict.fromkeys(("minContains", "maxContains", "maxItems", "minLength", "minProperties"), lambda: 1),
        **dict.fromkeys(("properties", "dependentSchemas"), lambda: {n: inner() for n in chosen.sample(NAMES, 2)}),
        "uniqueItems": lambda: True,
        "prefixItems": lambda: [inner()],
        "required": lambda: chosen.sample(NAMES, 1),
        "dependentRequired": lambda: {"a": ["b"]},
        "type": lambda: chosen.sample(["integer", "number", "string", "boolean", "null", "array", "object"], 2),
        "enum": lambda: [anything(chosen, 2) for _ in range(3)],
        "const": lambda: anything(chosen, 1),
    }
    condition = {"if": inner(), "then": inner(), "else": inner()} if chosen.random() < 0.1 else {}
    return {keyword: rules[keyword]() for keyword in chosen.sample(sorted(rules), chosen.randint(1, 3))} | condition


def test_it_accepts_only_what_the_dialect_accepts() -> None:
    pytest.importorskip("jsonschema_rs")
    chosen = random.Random(1)
    accepted = 0
    for _ in range(150):
        schema = {"allOf": [a_schema(chosen, 3)], "$defs": {"a": {"type": ["string", "array"]}}, "uniqueItems": False}
        compiled = schemas.compile(schema)
        for value in [anything(chosen, 3) for _ in range(8)]:
            if compiled.accepts(value):
                accepted += 1
                assert schemas.check_whole(compiled, value) == [], (schema, value)
    assert accepted > 150


def test_what_it_cannot_take_is_left_to_the_dialect() -> None:
    compiled = schemas.compile({"items": {"oneOf": [{"$ref": "#"}, False]}})
    for value in ["\ud800", nested(100, "\ud800"), nested(100, 1)]:
        assert schemas.check(compiled, value) == schemas.check_whole(compiled, value) == []
