"""The values of arguments as the text that PostgreSQL is given, and which texts it cannot store.

Owns NUL and lone surrogates, which JSON has and PostgreSQL has not. Must not know calls.
"""

import re
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

from pgrpc.core.wire import errors, jsontext

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

_Place = tuple[Any, ...]
"""Where a value is: () is the whole, else (the place of its container, its name or index in that)."""


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


def faults(value: Any) -> Iterator[errors.Fault]:
    """Where a value has a text that PostgreSQL cannot store."""
    outer: list[Iterator[tuple[_Place, Any]]] = [iter([((), value)])]
    while outer:
        for place, item in outer[-1]:
            if isinstance(item, str):
                if _UNSTORABLE.search(item):
                    words = "contains a NUL or a lone surrogate, which PostgreSQL cannot store"
                    yield errors.Fault(_pointer(place), "postgresql", words)
            elif item and isinstance(item, list | dict):
                outer.append(_inside(place, item))
                break
        else:
            outer.pop()


def _inside(place: _Place, container: list[Any] | dict[str, Any]) -> Iterator[tuple[_Place, Any]]:
    """What is in an array or object, and where. The names of members are at the object's own place."""
    if isinstance(container, list):
        return zip(zip(repeat(place), range(len(container)), strict=False), container, strict=True)
    return chain.from_iterable(((place, name), ((place, name), member)) for name, member in container.items())


def _pointer(place: _Place) -> str:
    parts = []
    while place:
        place, part = place
        parts.append(part)
    return errors.pointer(parts[::-1])
