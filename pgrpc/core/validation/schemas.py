"""JSON Schema: compiled once, then every fault of a value in words a caller can act on.

Owns compiling: what of a schema is usable, and references among the documents given (never the network, never a
file); and checking: at once where a value surely fits, in full where not. Must not know PostgreSQL, nor where a
document came from.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

import referencing.exceptions
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError

from pgrpc.core.validation import budget, fast_validator, formats, full_validator, patterns, schema_advice
from pgrpc.core.wire import errors, jsontext


class Unusable(Exception):
    """A schema that cannot be used. `faults`: everything wrong with it, in words."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Compiled:
    """A schema that values can be checked against. `accepts(value)`: whether a value surely fits, at once."""

    def __init__(
        self, schema: Any, resolver: Any, known: patterns.Patterns, fast: fast_validator.FastValidator | None
    ) -> None:
        self._schema = schema
        self._resolver = resolver
        self._patterns = known
        self._fast = fast
        self.accepts: fast_validator.Check = fast_validator.never if fast is None else fast.accepts

    def whole(self, value: Any, spending: budget.Budget) -> Iterator[errors.Fault]:
        """Every fault of a value, by the full validator alone."""
        found = full_validator.Validator(spending, self._patterns).errors(value, self._schema, self._resolver)
        return (_fault(error) for error in found)

    def narrowed(self, value: Any, spending: budget.Budget) -> Iterator[errors.Fault]:
        """The same faults; the full validator sees only the parts of the value that do not surely fit."""
        if self._fast is None:
            yield from self.whole(value, spending)
        else:
            validator = full_validator.Validator(spending, self._patterns)
            for part in self._fast.unsure(value):
                for error in validator.errors(part.value, part.schema, part.resolver):
                    yield _fault(error, part.path)


def compile(schema: Any, uri: str = "", documents: Mapping[str, Any] | None = None) -> Compiled:
    """A schema whose numbers are int or Decimal, to check values against.

    uri: the base of its relative references. documents: uri -> document, all that it may refer to.
    Raises Unusable: not a schema, another draft, a reference that leads nowhere, a format that would not be checked, a
    pattern that cannot be matched in linear time, and all of that in what it refers to.
    """
    plain = {name: _plain(document) for name, document in {**(documents or {}), uri: schema}.items()}
    try:
        registry = _registry(plain)
        resolver = registry.resolver(uri)
        known = patterns.Patterns()
        parts: dict[int, dict[str, Any]] = {}
        faults = list(_faults(plain[uri], resolver, known, parts, ""))
        if faults:
            raise Unusable(faults)
        bare = _bare(plain[uri])
        keywords = frozenset[str]().union(*parts.values())
        if not uri:
            resolver = registry.resolver_with_root(_SPECIFICATION.create_resource(plain[uri]))
        making = fast_validator.Making(known)
        fast = None if "$dynamicRef" in keywords else fast_validator.FastValidator(bare, resolver, making)
        compiled = Compiled(bare, resolver, known, fast)
        check_whole(compiled, {})
    except RecursionError as error:
        raise Unusable(["it refers to itself without end, or is nested too deep"]) from error
    return compiled


_SPECIFICATION = full_validator.SPECIFICATION
_DRAFT = str(Draft202012Validator.META_SCHEMA["$schema"])
_META_FORMATS = FormatChecker(("uri", "uri-reference"))  # all of the meta-schema's but "regex": patterns are RE2's


def _registry(documents: Mapping[str, Any]) -> Any:
    registry: Any = referencing.Registry()
    for name, document in documents.items():
        # What is no schema has no parts: it can be named, so that what is wrong with it is said.
        make = _SPECIFICATION.create_resource if _invalid(document) is None else referencing.Resource.opaque
        registry = registry.with_resource(name, make(document))
    return registry.crawl()


def _bare(document: Any) -> Any:
    """Without the name that is the registry's matter."""
    if not isinstance(document, dict):
        return document
    return {keyword: value for keyword, value in document.items() if keyword != "$id"}


def _plain(document: Any) -> Any:
    """Without a `$schema` that says what is known."""
    if not isinstance(document, dict) or not isinstance(document.get("$schema"), str) or _other_draft(document):
        return document
    return {keyword: value for keyword, value in document.items() if keyword != "$schema"}


def _other_draft(schema: Any) -> str | None:
    named = schema.get("$schema") if isinstance(schema, dict) else None
    if not isinstance(named, str) or named.rstrip("#") == _DRAFT:
        return None
    return f'"$schema" is {named}, but only draft 2020-12 is supported: write {_DRAFT}, or leave it out'


def _faults(
    schema: Any, resolver: Any, compiled: patterns.Patterns, seen: dict[int, dict[str, Any]], via: str
) -> Iterator[str]:
    """All that keeps a schema, and what it refers to, from being used. `via`: the reference that led to it."""
    named = f"{via!r}: " if via else ""
    invalid = _invalid(schema)
    if invalid is not None:
        yield named + invalid
        return
    for part, base in _parts(_SPECIFICATION.create_resource(schema), resolver, seen):
        if (words := _other_draft(part)) is not None:
            yield named + words
        name = part.get("format")
        if name is not None and name not in formats.CHECKS:
            known = sorted(formats.CHECKS)
            words = f"unknown format {name!r}: it would not be checked; write a pattern, or one of {', '.join(known)}"
            yield named + words + schema_advice.near(name, known)
        for pattern in [*([part["pattern"]] if "pattern" in part else ()), *part.get("patternProperties", ())]:
            try:
                compiled.compile(pattern)
            except patterns.Unmatchable as error:
                yield f"{named}pattern {pattern!r} cannot be matched in linear time: {error}"
        for keyword in ("$ref", "$dynamicRef"):
            if (reference := part.get(keyword)) is not None:
                try:
                    target = base.lookup(reference)
                except referencing.exceptions.Unresolvable:
                    yield f"{named}cannot resolve {keyword} {reference!r}"
                    continue
                if id(target.contents) not in seen:
                    yield from _faults(target.contents, target.resolver, compiled, seen, reference)


def _invalid(schema: Any) -> str | None:
    """Why it is no schema of draft 2020-12; None where it is one."""
    if (words := _other_draft(schema)) is not None:
        return words
    try:
        Draft202012Validator.check_schema(schema, format_checker=_META_FORMATS)
    except SchemaError as error:
        cause = schema_advice.cause(error)
        words = _words(_rule(cause), cause.validator_value, cause.instance)
        return f"not a valid schema at {_at(cause)}: {words}{schema_advice.advice(cause)}"
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


def check(compiled: Compiled, value: Any, spending: budget.Budget | None = None) -> list[errors.Fault]:
    """Everything wrong with the value, at most errors.MAX_FAULTS; [] where it fits."""
    if compiled.accepts(value):
        return []
    spending = spending or budget.Budget()
    return _within_bounds(compiled.narrowed(value, spending), spending)


def check_whole(compiled: Compiled, value: Any, spending: budget.Budget | None = None) -> list[errors.Fault]:
    """The same by the full validator alone: it is what tests compare `check` with."""
    spending = spending or budget.Budget()
    return _within_bounds(compiled.whole(value, spending), spending)


def _within_bounds(faults: Iterable[errors.Fault], spending: budget.Budget) -> list[errors.Fault]:
    found: list[errors.Fault] = []
    spending.start()
    try:
        found.extend(islice(faults, errors.MAX_FAULTS))
    except budget.TooMuchWork:
        # What was found by then is reason enough.
        return found or [errors.Fault("", "work", "takes too long to be checked against the schema")]
    return found


def _fault(error: full_validator.Error, at: fast_validator.Path = ()) -> errors.Fault:
    return errors.Fault(
        errors.pointer([*at, *error.place()]), error.rule, _words(error.rule, error.argument, error.value)
    )


def _rule(error: SchemaError | ValidationError) -> str:
    return str(error.validator or "not")  # the schema `false` is short for {"not": {}}


def _at(error: SchemaError | ValidationError) -> str:
    return errors.pointer(list(error.absolute_path)) or "its root"


def _words(rule: str, argument: Any, value: Any) -> str:
    """The rule in words. Never the value: it may be long, or secret."""
    write = _WORDS.get(rule)
    return write(argument, value) if write else f"does not fit the schema's {rule}"


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
