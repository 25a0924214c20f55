"""A JSON file -> its document, numbers exact, or every fault of its text with line and column.

Owns what of JSON is refused: what RFC 8259 leaves out (NaN) and what it only warns of (a key given twice).
Must not know what the document is for.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from pgrpc.config import model
from pgrpc.core.wire import jsontext

Fault = tuple[model.Position, str]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{},]|-?Infinity|NaN')


class Unreadable(Exception):
    """No file there, or none that can be read; in words."""


class Faulty(Exception):
    """Text that is not JSON as we take it. `faults`: each with its position."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(words for _, words in faults))
        self.faults = faults


def read(path: Path) -> Any:
    """Numbers are int or Decimal. Raises Unreadable or Faulty."""
    return parse(_bytes(path))


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise Unreadable("is not a file")
        return path.read_bytes()
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise Unreadable("a file name cannot hold the character NUL") from None


def parse(data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise Faulty([(_position(before, len(before)), "not UTF-8")]) from None
    try:
        jsontext.check_depth(text)
        # Constants are let through here: below they are found with their place.
        document = json.loads(text, parse_float=Decimal, parse_constant=str)
    except json.JSONDecodeError as error:
        raise Faulty([((error.lineno, error.colno), f"not JSON: {error.msg}")]) from None
    except jsontext.TooDeep as error:
        raise Faulty([((1, 1), str(error))]) from None
    except (ValueError, ArithmeticError):
        raise Faulty([((1, 1), "holds a number out of range")]) from None
    if faults := [(_position(text, index), words) for index, words in _refused(text)]:
        raise Faulty(faults)
    return document


def _refused(text: str) -> Iterator[tuple[int, str]]:
    """Index and words of each key given twice and each NaN or Infinity, in a text whose syntax is right."""
    around: list[set[str] | None] = []  # of each object around: the keys so far; None for an array
    awaits_key = False
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "{" | "[" as opening:
                around.append(set() if opening == "{" else None)
                awaits_key = opening == "{"
            case "}" | "]":
                around.pop()
                awaits_key = False
            case ",":
                awaits_key = around[-1] is not None
            case "NaN" | "Infinity" | "-Infinity" as constant:
                yield token.start(), f"{constant} is not JSON"
            case string:
                keys = around[-1] if awaits_key else None
                awaits_key = False
                if keys is None:
                    continue
                if (key := json.loads(string)) in keys:
                    yield token.start(), f"the key {string} is given twice"
                keys.add(key)


def _position(text: str, index: int) -> model.Position:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
