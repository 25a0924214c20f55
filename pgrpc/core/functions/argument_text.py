"""The values of arguments as the text that PostgreSQL is given, and which texts it cannot store.

Owns NUL and lone surrogates, which JSON has and PostgreSQL has not. Must not know calls.
"""

from collections.abc import Iterable
from typing import Any

from pgrpc.core.wire import errors, jsontext


def text(value: Any) -> str | None:
    """Of one argument; None is NULL."""
    return value if value is None or isinstance(value, str) else jsontext.dump(value)


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can store it, as it is or as JSON. It has no NUL and no lone surrogates, escaped or not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text and "\\u0000" not in text


def faults(value: Any, path: str = "") -> Iterable[errors.Fault]:
    """Where a value has a text that PostgreSQL cannot store."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            yield errors.Fault(path, "postgresql", "contains a NUL or a lone surrogate, which PostgreSQL cannot store")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from faults(item, f"{path}/{index}")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from faults(name, path)
            yield from faults(item, path + errors.pointer([name]))
