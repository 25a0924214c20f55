"""The keywords of JSON Schema that are about a value itself: its type, its bounds, its form.

Owns what each means, and what it costs. Must not know how a value was reached, nor the words of a fault.
"""

from collections.abc import Callable, Mapping, Sized
from typing import Any

from pgrpc.core.validation import budget, exact, formats

Assertion = Callable[[budget.Budget, Any, Any], bool]

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "integer": exact.is_integer,
    "number": exact.is_number,
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _type(_: budget.Budget, names: str | list[str], value: Any) -> bool:
    return any(_TYPES[name](value) for name in ([names] if isinstance(names, str) else names))


def _enum(spending: budget.Budget, values: list[Any], value: Any) -> bool:
    spending.spend(len(values) // 2)
    return any(exact.equal(each, value) for each in values)


def _number(holds: Callable[[Any, Any], bool]) -> Assertion:
    return lambda _, limit, value: not exact.is_number(value) or holds(value, limit)


def _size(kind: type[Sized], holds: Callable[[int, Any], bool]) -> Assertion:
    return lambda _, limit, value: not isinstance(value, kind) or holds(len(value), limit)


def _multiple_of(spending: budget.Budget, divisor: Any, value: Any) -> bool:
    if not exact.is_number(value):
        return True
    spending.spend(exact.digits(value) ** 2 // 20_000)
    return exact.is_multiple(value, divisor)


def _format(spending: budget.Budget, name: str, value: Any) -> bool:
    if not isinstance(value, str):
        return True
    spending.spend(formats.work(name, value))
    return formats.CHECKS[name](value)


def _at_least(value: Any, limit: Any) -> bool:
    return bool(value >= limit)


def _at_most(value: Any, limit: Any) -> bool:
    return bool(value <= limit)


ASSERTIONS: Mapping[str, Assertion] = {
    "type": _type,
    "enum": _enum,
    "const": lambda _, only, value: exact.equal(only, value),
    "minimum": _number(_at_least),
    "maximum": _number(_at_most),
    "exclusiveMinimum": _number(lambda value, limit: bool(value > limit)),
    "exclusiveMaximum": _number(lambda value, limit: bool(value < limit)),
    "multipleOf": _multiple_of,
    "minLength": _size(str, _at_least),
    "maxLength": _size(str, _at_most),
    "format": _format,
    "minItems": _size(list, _at_least),
    "maxItems": _size(list, _at_most),
    "uniqueItems": lambda spending, wanted, value: (
        not wanted or not isinstance(value, list) or exact.are_unique(value, spending)
    ),
    "minProperties": _size(dict, _at_least),
    "maxProperties": _size(dict, _at_most),
}
