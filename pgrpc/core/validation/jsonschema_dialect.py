"""JSON Schema's dialects as they are here: exact numbers, faults that point at the member, and an end to all work.

Owns the changes to jsonschema's own classes, and how much work one value may cost: the event loop waits meanwhile,
and some schemas make work that doubles with every level of a value. Must not know where a schema came from.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import Any

import jsonschema.validators
from jsonschema import FormatChecker
from jsonschema.exceptions import ValidationError

from pgrpc.core.validation import fast_validator, patterns

WORK = 40_000
"""What one value may cost. A unit is about a microsecond: docs/decisions/0011-validation-is-bounded.md."""

QUICK_FORMATS = frozenset(("date", "date-time", "time", "uuid", "email", "idn-email", "hostname", "ipv4", "ipv6"))
"""Formats that take less than 0.2 us for each character."""
_SLOW_FORMATS = {"regex": 3, "uri-template": 1, "duration": 1, "relative-json-pointer": 1}
"""Formats that take more than 0.3 us for each character, and how much at worst."""


class TooMuchWork(Exception):
    """A value has cost more than WORK."""


class _Work:
    """How much the value at hand may still cost. One for all: a value is judged without a pause, in one thread."""

    left = 0
    shared = False

    def spend(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise TooMuchWork


_work = _Work()


def begin() -> None:
    """Before each value: it may cost WORK."""
    if not _work.shared:
        _work.left = WORK


@contextmanager
def shared() -> Iterator[None]:
    """Within, all values together may cost WORK."""
    begin()
    _work.shared = True
    try:
        yield
    finally:
        _work.shared = False


@cache
def exact(dialect: Any) -> Any:
    """The dialect as it is here. Its errors have no messages: those of jsonschema show values."""
    rules = {name: rule for name, rule in _KEYWORDS.items() if name in dialect.VALIDATORS}  # draft 3 has others
    for name in dialect.VALIDATORS.keys() & _CHARGES.keys():
        rules[name] = _charged(rules.get(name, dialect.VALIDATORS[name]), _CHARGES[name])
    checker = dialect.TYPE_CHECKER.redefine("integer", _is_integer)
    extend: Any = jsonschema.validators.extend
    ours = extend(dialect, rules, type_checker=checker, format_checker=formats(dialect))
    ours.descend = _counted(ours.descend)
    ours.iter_errors = _counted(ours.iter_errors)
    return ours


@cache
def formats(dialect: Any) -> FormatChecker:
    """The dialect's formats, each in a time that is bounded."""
    ours = FormatChecker(())
    ours.checkers = {
        name: (_bounded(name, *found), ())
        for name, found in dialect.FORMAT_CHECKER.checkers.items()
        if name not in ("iri", "iri-reference")  # where their parser is installed: it takes 300 us for a character
    }
    ours.checkers["regex"] = (_bounded("regex", _is_regex, re.error), ())
    return ours


@cache
def rules(dialect: Any) -> fast_validator.Rules:
    """What an acceptor has to ask."""
    return fast_validator.Rules(QUICK_FORMATS, formats(dialect).conforms, _is_quickly_multiple)


# Work


def _counted(method: Any) -> Any:
    """Of each schema that a part of a value is held against, and each error found."""

    def counted(self: Any, instance: Any, *arguments: Any, **named: Any) -> Iterator[ValidationError]:
        schema = arguments[0] if arguments else named.get("schema", self.schema)
        if isinstance(schema, dict):
            _work.spend(4 + len(schema) + (4 if "$ref" in schema else 0))
        for error in method(self, instance, *arguments, **named):
            _work.spend(4 + len(error.message) // 64)  # it shows the whole value
            error.message = ""
            yield error

    return counted


def _charged(rule: Any, charge: Callable[[Any, Any], int]) -> Any:
    def charged(validator: Any, argument: Any, value: Any, schema: Any) -> Any:
        _work.spend(charge(argument, value))
        return rule(validator, argument, value, schema)

    return charged


def _each_name(argument: Any, value: Any) -> int:
    return len(argument) // 16 if isinstance(value, dict) and isinstance(argument, dict | list) else 0


def _each_pair(argument: Any, value: Any) -> int:
    return len(value) ** 2 // 32 if isinstance(value, dict | list) else 0


def _each_character(argument: Any, value: Any) -> int:
    if not isinstance(value, str):
        return 0
    length = min(len(value), _longest(argument))
    return 2 + length * _SLOW_FORMATS[argument] if argument in _SLOW_FORMATS else 2 + length // 4


# What jsonschema does for each of them without asking `descend`.
_CHARGES: Mapping[str, Callable[[Any, Any], int]] = {
    **dict.fromkeys(("properties", "required", "dependentRequired", "dependentSchemas", "dependencies"), _each_name),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), _each_pair),
    "enum": lambda argument, value: len(argument) // 2,
    "format": _each_character,
    "additionalProperties": lambda argument, value: len(value) // 2 if isinstance(value, dict) else 0,
}


# Formats


def _longest(name: str) -> int:
    """How many characters are looked at. At that length none takes more than 8 ms."""
    return 1024 if name in ("regex", "uri-template") else 8192


def _bounded(name: str, check: Callable[[Any], Any], raises: Any) -> Callable[[object], bool]:
    longest = _longest(name)
    # Beyond what jsonschema expects: a repetition of 5,000 digits in a regex, "²" where it looks for a digit.
    expected = (*(raises if isinstance(raises, tuple) else (raises,)), ValueError, OverflowError, RecursionError)

    def fits(value: object) -> bool:
        if not isinstance(value, str):
            return True
        if len(value) > longest:
            return False
        try:
            return bool(check(value))
        except expected:
            return False

    return fits


def _is_regex(value: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing that a client sends is written to standard error
        return re.compile(value) is not None


# Keywords


def _is_integer(_: Any, value: Any) -> bool:
    if isinstance(value, Decimal):  # 1.0 is an integer
        return value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


def _multiple_of(_: Any, divisor: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return
    if isinstance(value, Decimal):
        _work.spend(len(value.as_tuple().digits) ** 2 // 20_000)
    if not is_multiple(value, divisor):  # jsonschema itself would divide by a float
        yield ValidationError("")


def is_multiple(value: int | Decimal, divisor: Any) -> bool:
    """Exact whatever the number of digits, and quick whatever the exponents: 1e999999999 is never written out."""
    if isinstance(value, int) and isinstance(divisor, int):
        return value % divisor == 0
    whole, digits, exponent = _written(Decimal(value))
    by, _, by_exponent = _written(Decimal(divisor))
    shift = exponent - by_exponent
    if shift >= 0:
        return whole * pow(10, shift, by) % by == 0
    return whole == 0 or (-shift <= digits and whole % (by * 10**-shift) == 0)


def _is_quickly_multiple(value: int | Decimal, divisor: Any) -> bool:
    return (isinstance(value, int) or len(value.as_tuple().digits) < 1000) and is_multiple(value, divisor)


def _written(number: Decimal) -> tuple[int, int, int]:
    """The digits as one number, how many they are, and the exponent of ten."""
    _, digits, exponent = number.as_tuple()
    # Not by way of a text: int() refuses one of more than 4,300 digits.
    return int(Decimal((0, digits, 0))), len(digits), int(exponent)  # no letters: JSON has no infinity and no NaN


def _required(_: Any, names: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        yield from (ValidationError("", path=[name]) for name in names if name not in value)


def _pattern(_: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _matches(pattern, value):
        yield ValidationError("")


def _matches(pattern: str, text: str) -> bool:
    compiled = patterns.compile(pattern)
    _work.spend(compiled.work(text))
    return compiled.matches(text)


def _pattern_properties(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for pattern, inner in rule.items():
            for name, item in value.items():
                if _matches(pattern, name):
                    yield from validator.descend(item, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, dict) or rule is True:
        return
    known = schema.get("properties", {})
    matching = schema.get("patternProperties", {})
    for name, item in value.items():
        if name not in known and not any(_matches(pattern, name) for pattern in matching):
            if rule is False:
                yield ValidationError("", path=[name])
            else:
                yield from validator.descend(item, rule, path=name)


def _unique_items(_: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(value, list) and len(set(_key(value))) < len(value):
        yield ValidationError("")


def _key(value: Any) -> Any:
    """The same for what JSON Schema calls equal, and only for that. Where jsonschema compares each with each, these
    are found by their hashes; those of numbers are of their digits, since of numbers clients can choose equal ones."""
    match value:
        case list():
            _work.spend(1 + 2 * len(value))
            return tuple(map(_key, value))
        case dict():
            _work.spend(1 + 2 * len(value))
            return frozenset((name, _key(item)) for name, item in value.items())
        case int() | Decimal() if not isinstance(value, bool):
            digits, _, exponent = f"{Decimal(value):E}".partition("E")
            shortest = digits.rstrip("0").rstrip(".") if "." in digits else digits
            return (shortest + "E" + exponent if value else "0").encode()  # bytes: never equal to a string
    return value


_KEYWORDS: Mapping[str, Any] = {
    "multipleOf": _multiple_of,
    "divisibleBy": _multiple_of,
    "required": _required,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}
