"""A document against the configuration's schema: "did you mean", "must be at least 1" and their like.

Owns the words of these faults, which say what to write instead. They show no value of the file, because it may be a
password, except the name that an entry of functions or channels has. Must not know YAML or the environment, nor what a
text means beyond its pattern.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema.validators
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from pgrpc.config import convert, dialect_sections, faults, model, schema, units, yamltext, yamltree

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


def check(document: dict[str, Any], found: faults.Faults, dialects: dialect_sections.Sections) -> dict[str, Any]:
    """The document without the values that do not fit; `found` gets a fault for each of those."""
    root = schema.document({name: section.schema for name, section in dialects.items()})
    validator = _Validator(root)
    names = schema.DOCUMENT["properties"]
    for name in document:
        # A section whose name is misspelled is not missing: what is in it is unknown.
        if name not in names and (near := _near(name, names)) and near not in document:
            found.invalidate((near,))
    for name in names:
        if document.get(name, {}) is None:  # a section whose every line is a comment
            document[name] = {}
    document.setdefault("database", {})  # so that what it must have is reported
    _retype(document, found, validator)
    # All of them first: what to say of a key depends on what is known of another, not on the order of errors.
    for place, words in [each for error in _errors(document, validator) for each in _faults(error, found, root)]:
        found.reject(place, words)
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


def _faults(error: ValidationError, found: faults.Faults, root: schema.Schema) -> Iterator[tuple[model.Place, str]]:
    place = tuple(error.absolute_path)
    own = schema.resolve(error.schema) if isinstance(error.schema, Mapping) else {}
    value: Any = error.instance
    match error.validator:
        case "required":
            keys = own["properties"]
            # A key whose name is misspelled is not missing: its name is the fault.
            unknown = [name for name in value if name not in keys and not found.has((*place, name))]
            meant = {_near(name, keys) for name in unknown}
            missing = [name for name in own["required"] if name not in value and name not in meant]
            yield from (((*place, name), _missing(name, keys[name])) for name in missing)
        case "additionalProperties":
            known, removed = own["properties"], own.get("removedProperties", {})
            for name in value:
                if name not in known:
                    yield (*place, name), _unknown(name, known, removed)
        case "type":
            yield place, _wrong_type(schema.at(root, place), place, value) + _form(own, error, place, found)
        case keyword:
            yield place, _wrong_value(str(keyword), own, value)


def _wrong_value(keyword: str, rule: schema.Schema, value: Any) -> str:
    match keyword:
        case "enum":
            return f"must be one of: {', '.join(map(str, rule['enum']))}"
        case "minimum" | "maximum":
            return units.bounds_fault(rule, value) or ""
        case "minLength":
            return "must not be empty"
        case "pattern":
            return str(rule["patternErrorMessage"])
    return f"does not fit the schema's {keyword}"


def _form(rule: schema.Schema, error: ValidationError, place: model.Place, found: faults.Faults) -> str:
    """What to write in the place of a value that is no mapping."""
    if "object" not in schema.types(rule) or not place or place in found.substituted:
        return ""
    named = "additionalProperties" in error.absolute_schema_path
    written = yamltext.mapping(rule, error.instance if named or isinstance(error.instance, list) else None)
    return f": write {yamltext.key(place[-1])}: {written}" if written else ""


def _missing(name: str, rule: schema.Schema) -> str:
    return "is missing" + _example(rule, (name,))


def _example(rule: schema.Schema, place: model.Place) -> str:
    """What to write there; "" where the schema has neither example nor default, or the value is an item of a list."""
    found = schema.resolve(rule)
    example = next((each for each in (*found.get("examples", ()), found.get("default")) if each), None)
    if example is None or not place or isinstance(place[-1], int):
        return ""
    return f": write for example {yamltext.key(place[-1])}: {yamltext.value(example, inside=False)}"


def _near(name: str, known: Mapping[str, Any]) -> str | None:
    """The key that was meant: its schema lists this name as one that it has elsewhere, or it is spelled nearly so."""
    for key, rule in known.items():
        if name.lower() in rule.get("otherNames", ()):
            return key
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.65)), None)


def _unknown(name: str, known: Mapping[str, Any], removed: Mapping[str, str]) -> str:
    if name in removed:
        return f"unknown key: {removed[name]}"
    if near := _near(name, known):
        return f'unknown key; did you mean "{near}"?'
    return "unknown key" + (f"; known here: {', '.join(known)}" if known else "")


def _wrong_type(rule: schema.Schema, place: model.Place, value: Any) -> str:
    found = schema.resolve(rule)
    types: Sequence[str] = schema.types(found)
    # Of more than one type is only what has units: the pattern's words say it all.
    words = f"must be {_EXPECTED[types[0]]}" if len(types) == 1 else found["patternErrorMessage"]
    words += f", not {_kind(value)}"
    if isinstance(value, dict) and "mappingErrorMessage" in found:
        return f"{words}: {found['mappingErrorMessage']}"
    if types[0] == "string":
        return _no_text(rule, place, value, words)
    if types == ("array",):
        is_item = isinstance(value, str) and _text_fault(found.get("items", {}), value) is None
        return words + (": put it in brackets" if is_item else _example(rule, place))
    if types == ("integer",) and isinstance(value, str) and _Validator(found).is_valid(yamltree.plain(value)):
        return words + ": remove the quotes"
    if types[0] == "boolean" and isinstance(value, str):
        return words + " (yes, no, on and off are text here)"
    return words


def _no_text(rule: schema.Schema, place: model.Place, value: Any, words: str) -> str:
    """Quotes are a cure only for what is sound once it is text. true and false are hardly names of anything."""
    if isinstance(value, bool | int | float):
        if fault := _text_fault(rule, json.dumps(value)):
            return fault
        if not (isinstance(value, bool) and _example(rule, place)):
            return words + ": put it in quotes"
    return words + _example(rule, place)


def _text_fault(rule: schema.Schema, text: str) -> str | None:
    """What is wrong with a text in this place; None where nothing is."""
    kind, found = schema.kind(rule), schema.resolve(rule)
    if not _Validator(found).is_valid(text):
        return _wrong_value("pattern", found, text)
    try:
        if kind is not None and kind in convert.KINDS:
            convert.KINDS[kind](text, found)
    except ValueError as error:
        return str(error)
    return None


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
