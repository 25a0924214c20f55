"""Text that PostgreSQL cannot store: the character NUL, and half a character.

Owns how such text is found in the values of a call. Must not know what a call is.
"""

from collections.abc import Iterable
from typing import Any

from pgrpc.core.wire import errors


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can surely hold it, as it is or as JSON: it has no character NUL and no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text and "\\u0000" not in text


def faults(value: Any, path: str) -> Iterable[errors.Fault]:
    """Every text in a value that PostgreSQL cannot hold. path: where the value is."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            yield errors.Fault(path, "postgresql", "holds a NUL or a lone surrogate, which PostgreSQL cannot store")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from faults(item, f"{path}/{index}")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from faults(name, path)
            yield from faults(item, path + errors.pointer([name]))
