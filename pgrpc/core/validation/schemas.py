"""JSON Schema: compiled once, then every fault of a value in words a caller can act on.

Owns compiling: what of a schema is usable, and references among the documents given (never the network, never a
file); and checking: quickly where a value surely fits, by jsonschema where not. Must not know PostgreSQL, nor where a
document came from.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from itertools import islice
from typing import Any

import jsonschema
import jsonschema.validators
import referencing.exceptions
import referencing.jsonschema
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError

from pgrpc.core.validation import fast_validator, fast_validator_rs, jsonschema_dialect, patterns
from pgrpc.core.wire import errors, jsontext


class Unusable(Exception):
    """A schema that cannot be used. `faults`: everything wrong with it, in words."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Compiled:
    """A schema that values can be checked against. `accepts(value)`: whether a value surely fits, at once."""

    def __init__(self, validator: Any, specification: Any, acceptor: fast_validator.Acceptor | None) -> None:
        self._validator = validator
        self._specification = specification
        self._acceptor = acceptor
        self.accepts: fast_validator.Check = acceptor.accepts if acceptor is not None else fast_validator.never

    def whole(self, value: Any) -> Iterator[errors.Fault]:
        """Everything wrong with a value, as jsonschema alone says it."""
        return map(_fault, self._validator.iter_errors(value))

    def narrowed(self, value: Any) -> Iterator[errors.Fault]:
        """The same faults, for which jsonschema sees only the parts of the value that do not surely fit."""
        if self._acceptor is None:
            yield from self.whole(value)
        else:
            for doubt in self._acceptor.doubts(value):
                resolver = doubt.resolver.in_subresource(self._specification.create_resource(doubt.schema))
                for error in self._validator.descend(doubt.value, doubt.schema, resolver=resolver):
                    yield _fault(error, doubt.path)


def compile(schema: Any, uri: str = "", documents: Mapping[str, Any] | None = None) -> Compiled:
    """A schema whose numbers are int or Decimal, to check values against.

    uri: the base of its relative references. documents: uri -> document, all that it may refer to.
    Raises Unusable: not a schema, a reference that leads nowhere, a format that would not be checked, a pattern that
    cannot be matched in linear time, and all of that in what it refers to.
    """
    dialect = _dialect(schema, Draft202012Validator)
    specification = referencing.jsonschema.specification_with(dialect.META_SCHEMA["$schema"])
    plain = {name: _plain(document, dialect) for name, document in {**(documents or {}), uri: schema}.items()}
    registry: Any = referencing.Registry()
    try:
        for name, document in plain.items():
            # What is no schema has no parts: it can be named, to hear what is wrong with it.
            usable = _invalid(document, dialect) is None
            make = specification.create_resource if usable else referencing.Resource.opaque
            registry = registry.with_resource(name, make(document))
        registry = registry.crawl()
        parts: dict[int, dict[str, Any]] = {}
        faults = list(_faults(plain[uri], registry.resolver(uri), dialect, specification, parts, ""))
        keywords = frozenset[str]().union(*parts.values())
        if {"unevaluatedProperties", "patternProperties"} <= keywords:
            # jsonschema itself would match these, with Python's regular expressions.
            faults.append("unevaluatedProperties and patternProperties together cannot be matched in linear time")
        if faults:
            raise Unusable(faults)
        # By reference where it has a base, so that its own relative references are resolved against that.
        root = {"$ref": uri} if uri else plain[uri]
        ours = jsonschema_dialect.exact(dialect)
        validator = ours(root, registry=registry, format_checker=ours.FORMAT_CHECKER)
        acceptor = None
        if dialect in _ACCEPTED and not keywords & _DYNAMIC:
            own = specification.create_resource(plain[uri])
            resolver = registry.resolver(uri) if uri else registry.resolver_with_root(own)
            acceptor = fast_validator.Acceptor(_bare(plain[uri]), resolver, jsonschema_dialect.rules(dialect))
        compiled = Compiled(validator, specification, acceptor)
        check_whole(compiled, {})
        if dialect is Draft202012Validator and not keywords <= fast_validator.KEYWORDS:
            compiled.accepts = fast_validator_rs.acceptor(plain[uri], parts.values()) or compiled.accepts
    except RecursionError as error:
        raise Unusable(["it refers to itself without end, or is nested too deep"]) from error
    return compiled


_ACCEPTED = (
    jsonschema.Draft6Validator, jsonschema.Draft7Validator, jsonschema.Draft201909Validator, Draft202012Validator,
)  # fmt: skip
_DYNAMIC = frozenset(("$dynamicRef", "$recursiveRef"))


def _bare(document: Any) -> Any:
    """Without the names that are the registry's matter."""
    if not isinstance(document, dict):
        return document
    return {keyword: value for keyword, value in document.items() if keyword not in ("$id", "$schema")}


def _dialect(schema: Any, default: Any) -> Any:
    named = isinstance(schema, dict) and isinstance(schema.get("$schema"), str)
    return jsonschema.validators.validator_for(schema, default=default) if named else default


def _plain(document: Any, dialect: Any) -> Any:
    """Without a `$schema` that says what is known: jsonschema would take it for a change of dialect, away from ours."""
    said = isinstance(document, dict) and isinstance(document.get("$schema"), str)
    if said and _dialect(document, dialect) is dialect:
        return {keyword: value for keyword, value in document.items() if keyword != "$schema"}
    return document


def _faults(
    schema: Any, resolver: Any, dialect: Any, specification: Any, seen: dict[int, dict[str, Any]], via: str
) -> Iterator[str]:
    """All that keeps a schema, and what it refers to, from being used. `via`: the reference that led to it."""
    named = f"{via!r}: " if via else ""
    if _dialect(schema, dialect) is not dialect:
        yield f"{named}it is of another dialect than the schema that refers to it"
        return
    invalid = _invalid(schema, dialect)
    if invalid is not None:
        yield named + invalid
        return
    for part, base in _parts(specification.create_resource(schema), resolver, seen):
        name = part.get("format")
        if isinstance(name, str) and name not in jsonschema_dialect.formats(dialect).checkers:
            yield f"{named}unknown format {name!r}: it would not be checked"
        for pattern in [*([part["pattern"]] if "pattern" in part else ()), *part.get("patternProperties", ())]:
            try:
                patterns.compile(pattern)
            except patterns.Unmatchable as error:
                yield f"{named}pattern {pattern!r} cannot be matched in linear time: {error}"
        for keyword in ("$ref", "$dynamicRef"):
            if isinstance(reference := part.get(keyword), str):
                try:
                    target = base.lookup(reference)
                except referencing.exceptions.Unresolvable:
                    yield f"{named}cannot resolve {keyword} {reference!r}"
                    continue
                if id(target.contents) not in seen:
                    yield from _faults(target.contents, target.resolver, dialect, specification, seen, reference)


def _invalid(schema: Any, dialect: Any) -> str | None:
    # Patterns are RE2's to judge.
    formats = FormatChecker(())
    formats.checkers = {name: found for name, found in dialect.FORMAT_CHECKER.checkers.items() if name != "regex"}
    try:
        dialect.check_schema(schema, format_checker=formats)
    except SchemaError as error:
        return f"not a valid schema at {_at(error)}: {_words(error)}"
    return None


def _parts(resource: Any, resolver: Any, seen: dict[int, dict[str, Any]]) -> list[tuple[dict[str, Any], Any]]:
    """A schema and all its subschemas that were not seen yet, each with what resolves its references."""
    found = []
    waiting = [(resource, resolver)]
    while waiting:
        resource, resolver = waiting.pop(0)
        if isinstance(resource.contents, dict) and id(resource.contents) not in seen:
            seen[id(resource.contents)] = resource.contents
            found.append((resource.contents, resolver))
            waiting += [(inner, resolver.in_subresource(inner)) for inner in resource.subresources()]
    return found


def check(compiled: Compiled, value: Any) -> list[errors.Fault]:
    """Everything wrong with the value, at most errors.MAX_FAULTS; [] where it fits."""
    return [] if compiled.accepts(value) else _within_bounds(compiled.narrowed(value))


def together() -> AbstractContextManager[None]:
    """Within, all values that are checked may together take as long as one may alone."""
    return jsonschema_dialect.shared()


def check_whole(compiled: Compiled, value: Any) -> list[errors.Fault]:
    """The same by jsonschema alone. Slow: it is what tests compare `check` with."""
    return _within_bounds(compiled.whole(value))


def _within_bounds(faults: Iterable[errors.Fault]) -> list[errors.Fault]:
    found: list[errors.Fault] = []
    jsonschema_dialect.begin()
    try:
        found.extend(islice(faults, errors.MAX_FAULTS))
    except jsonschema_dialect.TooMuchWork:
        # What was found by then is reason enough.
        return found or [errors.Fault("", "work", "takes too long to be checked against the schema")]
    return found


def _fault(error: ValidationError, at: fast_validator.Path = ()) -> errors.Fault:
    return errors.Fault(errors.pointer([*at, *error.absolute_path]), _rule(error), _words(error))


def _rule(error: ValidationError | SchemaError) -> str:
    return str(error.validator or "not")  # the schema `false` is short for {"not": {}}


def _at(error: ValidationError | SchemaError) -> str:
    return errors.pointer(list(error.absolute_path)) or "its root"


def _words(error: ValidationError | SchemaError) -> str:
    """The rule in words. Never the value: it may be long, or secret."""
    rule = _rule(error)
    write = _WORDS.get(rule)
    return write(error.validator_value, error.instance) if write else f"does not fit the schema's {rule}"


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case Decimal():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
    return "null"


def _names(types: str | list[str]) -> str:
    return types if isinstance(types, str) else " or ".join(types)


def _listed(values: list[Any]) -> str:
    shown = ", ".join(v if isinstance(v, str) else jsontext.dump(v) for v in values[:12])
    return shown + (", ..." if len(values) > 12 else "")


_WORDS: Mapping[str, Callable[[Any, Any], str]] = {
    "required": lambda *_: "is missing",
    "additionalProperties": lambda *_: "is not expected here",
    "type": lambda rule, value: f"must be {_names(rule)}, not {_kind(value)}",
    "enum": lambda rule, _: f"must be one of: {_listed(rule)}",
    "const": lambda rule, _: f"must be {_listed([rule])}",
    "minimum": lambda rule, _: f"must be at least {rule}",
    "maximum": lambda rule, _: f"must be at most {rule}",
    "exclusiveMinimum": lambda rule, _: f"must be more than {rule}",
    "exclusiveMaximum": lambda rule, _: f"must be less than {rule}",
    "multipleOf": lambda rule, _: f"must be a multiple of {rule}",
    "minLength": lambda rule, _: f"must have at least {rule} characters",
    "maxLength": lambda rule, _: f"must have at most {rule} characters",
    "pattern": lambda rule, _: f"must match the pattern {rule}",
    "format": lambda rule, _: f"must be a valid {rule}",
    "minItems": lambda rule, _: f"must have at least {rule} elements",
    "maxItems": lambda rule, _: f"must have at most {rule} elements",
    "uniqueItems": lambda *_: "must not have equal elements",
    "minProperties": lambda rule, _: f"must have at least {rule} members",
    "maxProperties": lambda rule, _: f"must have at most {rule} members",
    "anyOf": lambda *_: "fits none of the forms allowed",
    "oneOf": lambda *_: "must fit exactly one of the forms allowed",
    "not": lambda *_: "is of a form that is not allowed",
}
