"""A document against the configuration's schema: every fault in words that say what to do.

Owns the words. Never tells a value: it may be a password. Must not know YAML or the environment; what a text
means beyond its pattern is checked by whoever makes a value of it.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema.validators
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from pgrpc.config import faults, model, schema, sections, units, yamltree

_EXPECTED = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping (key: value)",
    "array": "a list",
}


def _pattern(validator: Any, pattern: str, value: Any, rule: Any) -> Iterator[ValidationError]:
    """As ECMAScript has it: `$` is the very end, where Python's also stands before a last newline."""
    if isinstance(value, str) and not re.search(re.sub(r"\$\Z", r"\\Z", pattern), value):
        yield ValidationError("")


_extend: Any = jsonschema.validators.extend
_Validator = _extend(Draft202012Validator, {"pattern": _pattern})


def check(document: dict[str, Any], found: faults.Faults, dialects: sections.Sections) -> dict[str, Any]:
    """The document without the values that do not fit; each of those is added to `found`."""
    validator = _Validator(schema.document({name: section.schema for name, section in dialects.items()}))
    for name in schema.DOCUMENT["properties"]:
        if document.get(name, {}) is None:  # a section whose every line is a comment
            document[name] = {}
    document.setdefault("database", {})  # so that what it must have is told
    _retype(document, found, validator)
    for error in _errors(document, validator):
        for place, words in _told(error):
            found.add(place, words)
    pruned: dict[str, Any] = _pruned(document, (), found)
    return pruned


def _errors(document: Any, validator: Any) -> Iterator[ValidationError]:
    for error in validator.iter_errors(document):
        if "propertyNames" in error.absolute_schema_path:
            continue  # there for editors; names are checked with better words where they are used
        # The first alternative is the one that people write; the others are "or nothing at all".
        yield error.context[0] if error.validator == "anyOf" else error


def _retype(document: Any, found: faults.Faults, validator: Any) -> None:
    """`port: ${PORT}`: a variable is text; where text does not fit, it is read as if it had been typed there."""
    for error in list(_errors(document, validator)):
        place = tuple(error.absolute_path)
        if place in found.substituted and isinstance(error.instance, str):
            _parent(document, place)[place[-1]] = yamltree.plain(error.instance)


def _parent(document: Any, place: model.Place) -> Any:
    for part in place[:-1]:
        document = document[part]
    return document


def _pruned(value: Any, place: model.Place, found: faults.Faults) -> Any:
    """Items of lists keep their index: a faulty one becomes None."""
    match value:
        case dict():
            inner = {key: (*place, key) for key in value}
            return {key: _pruned(value[key], at, found) for key, at in inner.items() if not found.has(at)}
        case list():
            at = [(*place, index) for index in range(len(value))]
            return [None if found.has(p) else _pruned(v, p, found) for v, p in zip(value, at, strict=True)]
    return value


def _told(error: ValidationError) -> Iterator[tuple[model.Place, str]]:
    place = tuple(error.absolute_path)
    rule: Any = error.validator_value
    value: Any = error.instance
    own = _own(error)
    match error.validator:
        case "required":
            missing = [name for name in rule if name not in value]
            yield from (((*place, name), _missing(name, own["properties"][name])) for name in missing)
        case "additionalProperties":
            known, removed = own["properties"], own.get("removedProperties", {})
            for name in value:
                if name not in known:
                    yield (*place, name), _unknown(name, known, removed)
        case "type":
            yield place, _wrong_type(own, value)
        case "enum":
            yield place, f"must be one of: {', '.join(map(str, rule))}"
        case "minimum" | "maximum":
            yield place, units.bounds_fault(own, value) or ""
        case "minLength":
            yield place, "must not be empty"
        case "pattern":
            yield place, own["patternErrorMessage"]
        case keyword:
            yield place, f"does not fit the schema's {keyword}"


def _own(error: ValidationError) -> Mapping[str, Any]:
    return error.schema if isinstance(error.schema, Mapping) else {}


def _missing(name: str, rule: Mapping[str, Any]) -> str:
    examples = rule.get("examples", [])
    return "is missing" + (f": write for example {name}: {examples[0]}" if examples else "")


def _unknown(name: str, known: Mapping[str, Any], removed: Mapping[str, str]) -> str:
    if name in removed:
        return f"unknown key: {removed[name]}"
    if near := difflib.get_close_matches(name, known, n=1, cutoff=0.65):
        return f'unknown key; did you mean "{near[0]}"?'
    return "unknown key" + (f"; known here: {', '.join(known)}" if known else "")


def _wrong_type(rule: Mapping[str, Any], value: Any) -> str:
    types = [rule["type"]] if isinstance(rule["type"], str) else [name for name in rule["type"] if name != "null"]
    # Of more than one type is only what has units: the pattern's words say it all.
    words = f"must be {_EXPECTED[types[0]]}" if len(types) == 1 else rule["patternErrorMessage"]
    words += f", not {_kind(value)}"
    if types[0] == "string" and isinstance(value, bool | int | float):
        return words + ": put it in quotes"
    if types == ["integer"] and isinstance(value, str) and _is_number(value):
        return words + ": take the quotes away"
    if types[0] == "boolean" and isinstance(value, str):
        return words + " (yes, no, on and off are text here)"
    return words


def _is_number(text: str) -> bool:
    value = yamltree.plain(text)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "a mapping"
