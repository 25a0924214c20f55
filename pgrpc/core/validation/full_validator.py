"""The full half of validation: every fault of a value against a JSON Schema, draft 2020-12.

Owns the keywords that hold values against schemas. The faults are those of jsonschema (the unit tests compare them),
but numbers are exact, patterns are RE2's, all work is charged to a budget, and no value is ever put into words: it may
be long, or secret. Must not know where a schema came from, nor the words of a fault.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import referencing.jsonschema

from pgrpc.core.validation import assertions, budget, patterns

SPECIFICATION = referencing.jsonschema.DRAFT202012

Path = tuple[Any, str | int] | None
"""Where a value is: where its container is, and its name or index in that. None is the root."""


class Error(NamedTuple):
    """A keyword that a value breaks. rule: "not" also for the schema `false`. argument: what the schema gives it."""

    path: Path
    rule: str
    argument: Any
    value: Any

    def place(self) -> list[str | int]:
        """The names and indexes that lead to the value."""
        parts: list[str | int] = []
        path = self.path
        while path is not None:
            path, part = path
            parts.append(part)
        return parts[::-1]


class Schema(NamedTuple):
    """A schema that is an object, and what resolves its references, by `lookup(reference)`."""

    keywords: Mapping[str, Any]
    resolver: Any


class Validator:
    """Finds faults, and charges the work to a budget. Raises budget.TooMuchWork where that is spent."""

    def __init__(self, spending: budget.Budget, known: patterns.Patterns) -> None:
        self.budget = spending
        self._patterns = known

    def errors(self, value: Any, schema: Any, resolver: Any, path: Path = None) -> Iterator[Error]:
        """Every fault, in the order of the schema."""
        if schema is True:
            return
        if schema is False:
            yield Error(path, "not", {}, value)
            return
        self.budget.spend(2 + len(schema))
        inside = Schema(schema, _base(schema, resolver))
        for keyword, argument in schema.items():
            if (holds := assertions.ASSERTIONS.get(keyword)) is not None:
                if not holds(self.budget, argument, value):
                    yield Error(path, keyword, argument, value)
            elif (find := _APPLICATORS.get(keyword)) is not None:
                yield from find(self, argument, value, inside, path)

    def is_valid(self, value: Any, schema: Any, resolver: Any) -> bool:
        return next(self.errors(value, schema, resolver), None) is None

    def matches(self, pattern: str, text: str) -> bool:
        compiled = self._patterns.compile(pattern)
        self.budget.spend(compiled.work(text))
        return compiled.matches(text)


def _base(schema: Mapping[str, Any], resolver: Any) -> Any:
    if "$id" not in schema:
        return resolver
    return resolver.in_subresource(SPECIFICATION.create_resource(schema))


Applicator = Callable[[Validator, Any, Any, Schema, Path], Iterator[Error]]


def _reference(validator: Validator, reference: str, value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    validator.budget.spend(4)
    found = schema.resolver.lookup(reference)
    yield from validator.errors(value, found.contents, found.resolver, path)


def _all_of(validator: Validator, inner: list[Any], value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    for each in inner:
        yield from validator.errors(value, each, schema.resolver, path)


def _any_of(validator: Validator, inner: list[Any], value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    if not any(validator.is_valid(value, each, schema.resolver) for each in inner):
        yield Error(path, "anyOf", inner, value)


def _one_of(validator: Validator, inner: list[Any], value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    valid = (each for each in inner if validator.is_valid(value, each, schema.resolver))
    if next(valid, None) is None or next(valid, None) is not None:
        yield Error(path, "oneOf", inner, value)


def _not(validator: Validator, inner: Any, value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    if validator.is_valid(value, inner, schema.resolver):
        yield Error(path, "not", inner, value)


def _if(validator: Validator, inner: Any, value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    branch = "then" if validator.is_valid(value, inner, schema.resolver) else "else"
    yield from validator.errors(value, schema.keywords.get(branch, True), schema.resolver, path)


def _pattern(validator: Validator, pattern: str, value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    if isinstance(value, str) and not validator.matches(pattern, value):
        yield Error(path, "pattern", pattern, value)


def _properties(
    validator: Validator, inner: Mapping[str, Any], value: Any, schema: Schema, path: Path
) -> Iterator[Error]:
    if isinstance(value, dict):
        validator.budget.spend(len(inner) // 16)
        for name, each in inner.items():
            if name in value:
                yield from validator.errors(value[name], each, schema.resolver, (path, name))


def _pattern_properties(
    validator: Validator, inner: Mapping[str, Any], value: Any, schema: Schema, path: Path
) -> Iterator[Error]:
    if isinstance(value, dict):
        for pattern, each in inner.items():
            for name, item in value.items():
                if validator.matches(pattern, name):
                    yield from validator.errors(item, each, schema.resolver, (path, name))


def _additional_properties(validator: Validator, inner: Any, value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    if not isinstance(value, dict) or inner is True:
        return
    validator.budget.spend(len(value) // 2)
    known = schema.keywords.get("properties", {})
    matching = schema.keywords.get("patternProperties", {})
    for name, item in value.items():
        if name not in known and not any(validator.matches(pattern, name) for pattern in matching):
            if inner is False:
                yield Error((path, name), "additionalProperties", inner, item)
            else:
                yield from validator.errors(item, inner, schema.resolver, (path, name))


def _property_names(validator: Validator, inner: Any, value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    if isinstance(value, dict):
        for name in value:
            yield from validator.errors(name, inner, schema.resolver, path)


def _required(validator: Validator, names: list[str], value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    if isinstance(value, dict):
        validator.budget.spend(len(names) // 16)
        yield from (Error((path, name), "required", names, None) for name in names if name not in value)


def _dependent_required(
    validator: Validator, inner: Mapping[str, list[str]], value: Any, schema: Schema, path: Path
) -> Iterator[Error]:
    if isinstance(value, dict):
        for name, needed in inner.items():
            validator.budget.spend(1 + len(needed) // 16)
            if name in value and not all(each in value for each in needed):
                yield Error(path, "dependentRequired", inner, value)


def _dependent_schemas(
    validator: Validator, inner: Mapping[str, Any], value: Any, schema: Schema, path: Path
) -> Iterator[Error]:
    if isinstance(value, dict):
        validator.budget.spend(len(inner) // 16)
        for name, each in inner.items():
            if name in value:
                yield from validator.errors(value, each, schema.resolver, path)


def _prefix_items(validator: Validator, inner: list[Any], value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    if isinstance(value, list):
        for index, (item, each) in enumerate(zip(value, inner, strict=False)):
            yield from validator.errors(item, each, schema.resolver, (path, index))


def _items(validator: Validator, inner: Any, value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    if isinstance(value, list):
        for index in range(len(schema.keywords.get("prefixItems", ())), len(value)):
            yield from validator.errors(value[index], inner, schema.resolver, (path, index))


def _contains(validator: Validator, inner: Any, value: Any, schema: Schema, path: Path) -> Iterator[Error]:
    if not isinstance(value, list):
        return
    least, most = schema.keywords.get("minContains", 1), schema.keywords.get("maxContains", len(value))
    count = sum(validator.is_valid(item, inner, schema.resolver) for item in value)
    if count > most:
        yield Error(path, "maxContains", most, value)
    elif count < least:
        yield Error(path, "minContains" if count else "contains", least, value)


def _unevaluated(kind: type, keyword: str, items: Callable[[Any], Iterable[tuple[Any, Any]]]) -> Applicator:
    def find(validator: Validator, inner: Any, value: Any, schema: Schema, path: Path) -> Iterator[Error]:
        if isinstance(value, kind):
            others = Schema({k: v for k, v in schema.keywords.items() if k != keyword}, schema.resolver)
            seen = _evaluated(validator, value, others)
            inside = items(value)
            if not all(name in seen or validator.is_valid(item, inner, schema.resolver) for name, item in inside):
                yield Error(path, keyword, inner, value)

    return find


def _evaluated(validator: Validator, value: Any, schema: Schema) -> set[Any]:
    """The names or indexes in a value that a schema has looked at."""
    validator.budget.spend(2 + len(value) // 8)
    is_list = isinstance(value, list)
    rest = {"items", "unevaluatedItems"} if is_list else {"additionalProperties", "unevaluatedProperties"}
    if not rest.isdisjoint(schema.keywords):
        return set(range(len(value)) if is_list else value)
    seen = set(_evaluated_here(validator, value, schema))
    for inner in _valid_beside(validator, value, schema):
        seen |= _evaluated(validator, value, inner)
    return seen


def _evaluated_here(validator: Validator, value: Any, schema: Schema) -> Iterator[Any]:
    if isinstance(value, list):
        yield from range(min(len(value), len(schema.keywords.get("prefixItems", ()))))
        if "contains" in schema.keywords:
            inner = schema.keywords["contains"]
            yield from (i for i, item in enumerate(value) if validator.is_valid(item, inner, schema.resolver))
    else:
        yield from (name for name in schema.keywords.get("properties", ()) if name in value)
        for pattern in schema.keywords.get("patternProperties", ()):
            yield from (name for name in value if validator.matches(pattern, name))


def _valid_beside(validator: Validator, value: Any, schema: Schema) -> Iterator[Schema]:
    """The other schemas that the same value is held against, and that it is valid for."""
    keywords, resolver = schema
    inner = [each for keyword in ("allOf", "anyOf", "oneOf") for each in keywords.get(keyword, ())]
    if isinstance(value, dict):
        inner += [each for name, each in keywords.get("dependentSchemas", {}).items() if name in value]
    if "if" in keywords:
        is_valid = validator.is_valid(value, keywords["if"], resolver)
        inner += [keywords["if"], keywords.get("then", True)] if is_valid else [keywords.get("else", True)]
    found = [(each, resolver) for each in inner]
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in keywords:
            target = resolver.lookup(keywords[keyword])
            found.append((target.contents, target.resolver))
    for each, base in found:
        if isinstance(each, dict) and validator.is_valid(value, each, base):
            yield Schema(each, _base(each, base))


_APPLICATORS: Mapping[str, Applicator] = {
    "$ref": _reference,
    "$dynamicRef": _reference,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "pattern": _pattern,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
    "required": _required,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "unevaluatedItems": _unevaluated(list, "unevaluatedItems", enumerate),
    "unevaluatedProperties": _unevaluated(dict, "unevaluatedProperties", dict.items),
}
