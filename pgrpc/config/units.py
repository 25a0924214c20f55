"""Texts with a unit: durations (`500ms`, `10s`), sizes (`64KiB`) and rates (`10/s`, `100/min`).

Owns what each unit is worth. Grammar and bounds are the schema's ($defs duration, size and rate), so that an editor
and the server cannot differ. Must not know which key a value belongs to.
"""

import re
from decimal import Decimal

from pgrpc.config import schema
from pgrpc.core.limits import ratelimit

SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
PERIODS = {"s": 1, "min": 60}


def seconds(value: str | float, rule: schema.Schema | None = None) -> float:
    """A duration, or a plain number of seconds. Raises ValueError with what is wrong.

    rule: the key's own schema, where it has bounds of its own.
    """
    rule = rule or schema.definition("duration")
    if isinstance(value, str):
        number, unit = _parts(rule, value)
        value = float(Decimal(number) * SECONDS[unit])
    return float(_bounded(rule, value))


def size(value: str | float, rule: schema.Schema | None = None) -> int:
    """Bytes. Raises ValueError with what is wrong."""
    rule = rule or schema.definition("size")
    if isinstance(value, str):
        number, unit = _parts(rule, value)
        value = int(number) * BYTES[unit]
    return int(_bounded(rule, value))


def rate(value: str, rule: schema.Schema | None = None) -> ratelimit.Rate:
    """So many in a second or a minute. Raises ValueError with what is wrong."""
    number, unit = _parts(rule or schema.definition("rate"), value)
    return ratelimit.Rate(int(number), PERIODS[unit])


def _parts(rule: schema.Schema, text: str) -> tuple[str, str]:
    match = re.fullmatch(rule["pattern"], text)
    if match is None:
        raise ValueError(rule["patternErrorMessage"])
    return match[1], match[2]


def _bounded(rule: schema.Schema, value: float) -> float:
    if words := bounds_fault(rule, value):
        raise ValueError(words)
    return value


def bounds_fault(rule: schema.Schema, value: float) -> str | None:
    """What is wrong with a number outside a schema's minimum and maximum; None where it is inside."""
    if "minimum" in rule and value < rule["minimum"]:
        return f"must be at least {_amount(rule, rule['minimum'])}"
    if "maximum" in rule and value > rule["maximum"]:
        return f"must be at most {_amount(rule, rule['maximum'])}"
    return None


def _amount(rule: schema.Schema, bound: float) -> str:
    """`unit` is a keyword of ours: the plural of what a plain number counts."""
    unit = rule.get("unit", "")
    return f"{bound} {unit.removesuffix('s') if bound == 1 else unit}".rstrip()
