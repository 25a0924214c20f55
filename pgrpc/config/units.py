"""Durations and sizes: `500ms`, `10s`, `64KiB`, or a plain number of seconds or bytes.

Owns what each unit is worth. Grammar and bounds are the schema's ($defs duration and size), so that an editor
and the server cannot differ. Must not know which key a value belongs to.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pgrpc.config import schema

SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

_NAMES = {"Duration": " seconds", "Size": " bytes"}  # by the title of the definition


def seconds(value: str | float) -> float:
    """Of a value that fits the schema's type and pattern. Raises ValueError with words where it is out of bounds."""
    rule = schema.definition("duration")
    if isinstance(value, str):
        number, unit = _parts(rule, value)
        value = float(Decimal(number) * SECONDS[unit])
    return float(_bounded(rule, value))


def size(value: str | float) -> int:
    """Of a value that fits the schema's type and pattern. Raises ValueError with words where it is out of bounds."""
    rule = schema.definition("size")
    if isinstance(value, str):
        number, unit = _parts(rule, value)
        value = int(number) * BYTES[unit]
    return int(_bounded(rule, value))


def _parts(rule: Mapping[str, Any], text: str) -> tuple[str, str]:
    match = re.fullmatch(rule["pattern"], text)
    if match is None:
        raise ValueError(rule["patternErrorMessage"])
    return match[1], match[2]


def _bounded(rule: Mapping[str, Any], value: float) -> float:
    if words := bounds_fault(rule, value):
        raise ValueError(words)
    return value


def bounds_fault(rule: Mapping[str, Any], value: float) -> str | None:
    """Why a number is outside a rule's minimum and maximum, in words; None where it is not."""
    unit = _NAMES.get(rule.get("title", ""), "")
    if "minimum" in rule and value < rule["minimum"]:
        return f"must be at least {rule['minimum']}{unit}"
    if "maximum" in rule and value > rule["maximum"]:
        return f"must be at most {rule['maximum']}{unit}"
    return None
