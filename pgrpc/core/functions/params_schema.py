"""A hand-written JSON Schema beside the signatures that it narrows: what can never pass, and what narrows nothing.

Owns the comparison of the two, and the keywords that are mistyped. Must not know how a value is validated, nor where
the schema was read from.
"""

import urllib.parse
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pgrpc.core.functions import signatures, suggestions
from pgrpc.core.wire import errors

_CHECKING = (
    "$ref", "$dynamicRef", "additionalProperties", "allOf", "anyOf", "const", "contains", "dependentRequired",
    "dependentSchemas", "else", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "if", "items", "maxContains",
    "maximum", "maxItems", "maxLength", "maxProperties", "minContains", "minimum", "minItems", "minLength",
    "minProperties", "multipleOf", "not", "oneOf", "pattern", "patternProperties", "prefixItems", "properties",
    "propertyNames", "required", "then", "type", "unevaluatedItems", "unevaluatedProperties", "uniqueItems",
)  # fmt: skip
"""Keywords that refuse values: one that is nearly one of these would not be checked."""

_OLDER = MappingProxyType({
    "$recursiveRef": "$dynamicRef", "additionalItems": "items", "dependencies": "dependentRequired or dependentSchemas",
    "disallow": "not", "divisibleBy": "multipleOf", "extends": "allOf",
})  # fmt: skip
"""Keywords of drafts before 2020-12 that mean nothing in it -> those that took their place."""

_TYPED = tuple(keyword for keyword in _CHECKING if len(keyword) > 3)
"""Those that a mistyped word is compared with: `note` is no `not`."""

_OTHERS = frozenset((
    "$anchor", "$comment", "$defs", "$dynamicAnchor", "$id", "$schema", "$vocabulary", "comment",
    "contentEncoding", "contentMediaType", "contentSchema", "default", "definitions", "deprecated", "description",
    "example", "examples", "id", "nullable", "optional", "options", "readOnly", "title", "writeOnly",
))  # fmt: skip
"""Keywords that only describe, JSON Schema's and well-known ones."""

_SCHEMA = ("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then",
           "unevaluatedItems", "unevaluatedProperties")  # fmt: skip
_LIST = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAP = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
"""Keywords whose value is a schema, a list of schemas, or a mapping to schemas."""

_NO_DOCUMENTS: Mapping[str, Any] = MappingProxyType({})
_BOUNDS = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"),
           ("minProperties", "maxProperties"))  # fmt: skip
_CLOSING = ("additionalProperties", "unevaluatedProperties")
_EVALUATING = frozenset(("$ref", "$dynamicRef", "additionalProperties", "allOf", "anyOf", "dependentSchemas", "if",
                         "oneOf"))  # fmt: skip
_TRIED = 100
"""Values of one enum that are compared with the argument's type."""
_TYPES: Mapping[str, str] = {"array": "an array", "object": "an object", "null": "null", "integer": "an integer"}


def faults(
    document: Any, overloads: Sequence[signatures.Overload], uri: str = "", documents: Mapping[str, Any] = _NO_DOCUMENTS
) -> list[str]:
    """Why no call can pass the schema, or a part of it, and what of it would not be checked.

    uri: the base of its references. documents: uri -> document, all that it may refer to.
    """
    if document is False:
        return ["the schema is false, so no call can pass it"]
    if not isinstance(document, dict):
        return []
    accepted = frozenset[str]().union(*(o.accepted for o in overloads))
    found = list(_misplaced(document, accepted))
    for reference, each in _reached(document, uri, documents):
        found += _mistyped(each, accepted if each is document else (), f"{reference!r}: " if reference else "")
    if "object" not in (_types(document) or {"object"}):
        found.append("the schema must describe an object: the arguments by name")
    if overloads:
        found += _unknown_names(document, accepted)
        found += _shut_out(document, overloads)
        found += _wrong_types(document, overloads)
        found += _wrong_values(document, overloads)
    if document.get("not") in ({}, True):
        found.append(f"the schema refuses everything (not: {document['not']}), so no call can pass it")
    found += _crossed_bounds(document)
    return found


def warnings(document: Any) -> list[str]:
    """What is allowed, but does nothing."""
    if document is True or (isinstance(document, dict) and not any(map(_narrows, document, document.values()))):
        return ["the schema narrows nothing: did you forget properties?"]
    return []


def _narrows(keyword: str, value: Any) -> bool:
    if keyword in ("enum", "not"):
        return True
    return keyword in _CHECKING and keyword != "type" and not (value is True or value in ({}, []))


def _required(document: Mapping[str, Any]) -> list[str]:
    return document.get("required") or []


def _properties(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document.get("properties") or {}


def _unknown_names(document: Mapping[str, Any], accepted: Collection[str]) -> Iterator[str]:
    takes = f"the function takes {', '.join(sorted(accepted)) or 'no arguments'}"
    for name in dict.fromkeys([*_properties(document), *_required(document)]):
        if name not in accepted:
            yield f"the schema names {name!r}, but {takes}"


def _shut_out(document: Mapping[str, Any], overloads: Sequence[signatures.Overload]) -> Iterator[str]:
    """Names that must be given and may not be."""
    properties = _properties(document)
    refused = {name for name, schema in properties.items() if schema is False}
    closing = next((word for word in _CLOSING if document.get(word) is False), None)
    closed = closing is not None and not document.get("patternProperties")
    if closing == "unevaluatedProperties" and not _EVALUATING.isdisjoint(document):
        closed = False  # what these describe is allowed too

    def is_out(name: str) -> bool:
        return name in refused or (closed and name not in properties)

    def remedy(name: str) -> str:
        if name in refused:
            return "its own schema is false"
        return f"describe {name!r} in properties, or remove {closing}: false"

    for name in _required(document):
        if is_out(name):
            yield f"the schema requires {name!r} but does not allow it, so no call can pass: {remedy(name)}"
    out = [{name for name in overload.required if is_out(name)} for overload in overloads]
    if all(out):
        for name in sorted(frozenset[str]().union(*out).difference(_required(document))):
            words = f"the function requires {name!r} but the schema does not allow it"
            yield f"{words}, so no call can pass: {remedy(name)}"


def _wrong_types(document: Mapping[str, Any], overloads: Sequence[signatures.Overload]) -> Iterator[str]:
    for name, schema in sorted(_properties(document).items()):
        taking = [o for o in overloads if name in o.accepted]
        asked = _types(schema)
        offered = [_types(o.schema["properties"][name]) for o in taking]
        if asked and taking and all(offer and not (asked & offer) for offer in offered):
            shown = sorted(asked - {"integer"} if "number" in asked else asked)
            wanted = " or ".join(_TYPES.get(each, f"a {each}") for each in shown)
            is_a = " or ".join(dict.fromkeys(a.type.name for o in taking for a in o.routine.inputs if a.name == name))
            yield f"the schema requires {name} to be {wanted}, but the argument is {is_a}"


def _wrong_values(document: Mapping[str, Any], overloads: Sequence[signatures.Overload]) -> Iterator[str]:
    """Arguments for which the schema lists only values that their types refuse."""
    for name, schema in sorted(_properties(document).items()):
        taking = [o for o in overloads if name in o.accepted]
        if not isinstance(schema, dict) or not taking:
            continue
        listed = [schema["const"]] if "const" in schema else schema.get("enum")
        if listed == []:
            yield f"enum of {name} lists no value, so no call can pass it"
        elif listed and len(listed) <= _TRIED and not any(o.takes_value(name, v) for o in taking for v in listed):
            is_a = " or ".join(dict.fromkeys(a.type.name for o in taking for a in o.routine.inputs if a.name == name))
            yield f"every value that the schema lists for {name} is refused: the argument is {is_a}"


def _crossed_bounds(document: Mapping[str, Any]) -> Iterator[str]:
    places = {"": document, **{f" at /properties/{name}": schema for name, schema in _properties(document).items()}}
    for place, schema in places.items():
        for low, high in _BOUNDS if isinstance(schema, dict) else ():
            if low in schema and high in schema and schema[low] > schema[high]:
                yield f"{low} {schema[low]} is more than {high} {schema[high]}{place}, so nothing can pass"


def _misplaced(document: Mapping[str, Any], accepted: Collection[str]) -> Iterator[str]:
    """Arguments that are described where keywords are expected."""
    for word, value in document.items():
        if word in accepted and isinstance(value, dict) and word not in _CHECKING and word not in _OTHERS:
            yield f"{word!r} is beside properties, not in it, and would not be checked: move it into properties"


def _mistyped(document: Any, accepted: Collection[str], prefix: str) -> Iterator[str]:
    """Words where keywords are expected, that are nearly one. accepted: those of its root that are arguments."""
    for path, schema in _subschemas(document):
        for word in schema:
            if word in _CHECKING or word in _OTHERS or word.startswith("x-") or (not path and word in accepted):
                continue
            at = errors.pointer(path) or "its root"
            if word in _OLDER:
                words = f"keyword {word!r} at {at} is of an older draft and would not be checked"
                yield f"{prefix}{words}; write {_OLDER[word]}"
            elif keyword := suggestions.near(word, _TYPED, cutoff=0.77, limit=len(_TYPED)):
                yield f"{prefix}unknown keyword {word!r} at {at} would not be checked; did you mean {keyword}?"


def _reached(document: Any, uri: str, documents: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The document, and each that it refers to, with the reference that leads there."""
    seen = {uri}
    waiting = [("", uri, document)]
    while waiting:
        reference, base, each = waiting.pop(0)
        yield reference, each
        for _, schema in _subschemas(each):
            reference = schema.get("$ref", "")
            target = urllib.parse.urldefrag(urllib.parse.urljoin(base, reference)).url
            if target in documents and target not in seen:
                seen.add(target)
                waiting.append((reference, target, documents[target]))


def _subschemas(document: Any) -> Iterator[tuple[list[str | int], Mapping[str, Any]]]:
    """Each schema inside a schema, itself included, with the way to it."""
    waiting: list[tuple[list[str | int], Any]] = [([], document)]
    while waiting:
        path, schema = waiting.pop(0)
        if not isinstance(schema, dict):
            continue
        yield path, schema
        for keyword, value in schema.items():
            if keyword in _MAP and isinstance(value, dict):
                waiting += [([*path, keyword, name], inner) for name, inner in value.items()]
            elif keyword in _LIST and isinstance(value, list):
                waiting += [([*path, keyword, index], inner) for index, inner in enumerate(value)]
            elif keyword in _SCHEMA:
                waiting.append(([*path, keyword], value))


def _types(schema: Any) -> set[str]:
    """The JSON types that a schema's own `type` allows; the empty set where it does not say."""
    if not isinstance(schema, dict) or "type" not in schema:
        return set()
    types = schema["type"]
    found = {types} if isinstance(types, str) else set(types)
    return found | {"integer"} if "number" in found else found
