"""Numbers and equality as JSON Schema means them: exact, whatever the digits, and quick, whatever the exponents.

Owns what is equal (1 and 1.0 are, 1 and true are not), what is an integer and what is a multiple. Numbers are int or
Decimal. Must not know schemas.
"""

from decimal import Decimal
from typing import Any

from pgrpc.core.validation import budget


def is_number(value: Any) -> bool:
    return type(value) is int or type(value) is Decimal


def is_integer(value: Any) -> bool:
    """1.0 is one, true is none."""
    return type(value) is int or (type(value) is Decimal and bool(value == value.to_integral_value()))


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(map(equal, one.values(), map(other.__getitem__, one)))
    return bool(one == other)


def are_unique(values: list[Any], spending: budget.Budget) -> bool:
    """By their hashes, where comparing each with each would take long."""
    return len(set(_key(values, spending))) == len(values)


def _key(value: Any, spending: budget.Budget) -> Any:
    """The same for what is equal, and only for that. Of numbers the digits are hashed: clients can choose numbers whose
    own hashes are the same."""
    match value:
        case list():
            spending.spend(1 + 2 * len(value))
            return tuple([_key(item, spending) for item in value])
        case dict():
            spending.spend(1 + 2 * len(value))
            return frozenset([(name, _key(item, spending)) for name, item in value.items()])
        case int() | Decimal() if not isinstance(value, bool):
            digits, _, exponent = f"{Decimal(value):E}".partition("E")
            shortest = digits.rstrip("0").rstrip(".") if "." in digits else digits
            return (shortest + "E" + exponent if value else "0").encode()  # bytes: never equal to a string
    return value


def is_multiple(value: int | Decimal, divisor: int | Decimal) -> bool:
    """1e999999999 is never written out."""
    if isinstance(value, int) and isinstance(divisor, int):
        return value % divisor == 0
    whole, digits, exponent = _written(Decimal(value))
    by, _, by_exponent = _written(Decimal(divisor))
    shift = exponent - by_exponent
    if shift >= 0:
        return whole * pow(10, shift, by) % by == 0
    return whole == 0 or (-shift <= digits and whole % (by * 10**-shift) == 0)


def digits(value: int | Decimal) -> int:
    """How many digits the division has to read; an integer's is quick for all that JSON text may hold."""
    return 0 if isinstance(value, int) else len(value.as_tuple().digits)


def _written(number: Decimal) -> tuple[int, int, int]:
    """The digits as one number, how many they are, and the exponent of ten."""
    _, digits, exponent = number.as_tuple()
    # Not by way of a text: int() refuses one of more than 4,300 digits.
    return int(Decimal((0, digits, 0))), len(digits), int(exponent)  # no letters: JSON has no infinity and no NaN
