"""The patterns of JSON Schemas, matched by RE2 in a time that grows with the text only: nothing backtracks.

Owns what a pattern means here: what ECMA-262 says, as far as RE2 has it (https://github.com/google/re2/wiki/Syntax).
`$` is the very end, and `\\d`, `\\w` and `\\s` know ASCII only. Must not know schemas.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False  # RE2 would write to standard error by itself
_IN_BYTES = re2.Options()
_IN_BYTES.log_errors = False
_IN_BYTES.encoding = re2.Options.Encoding.LATIN1

# An escaped character is taken as a whole, so that a backslash before the `u` is not mistaken for its own.
_ESCAPED = re.compile(r"((?:\\u[0-9A-Fa-f]{4})+)|\\.", re.DOTALL)
_NOT_ASCII = re.compile(b"[\x80-\xff]+")
_LONE = re.compile("[\ud800-\udfff]")


_SMALL = 30
"""Up to this size a text of 64 KiB takes 45 ms at worst, and nearly always less than one."""


class Unmatchable(Exception):
    """A pattern that RE2 cannot match. The words are its own."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """matches: whether a text matches somewhere. size: how many states RE2 may have to follow at once, where a count
    as in `[ab]*a[ab]{200}` makes many of them.

    A lone surrogate in a text, which UTF-8 cannot hold, counts as U+FFFD.
    """

    matches: Callable[[str], bool]
    size: int

    def work(self, text: str) -> int:
        """The microseconds that it takes, roughly, at worst."""
        return 2 + len(text) * (self.size if self.size > _SMALL else 0) // 50 + len(text) // 256


def compile(pattern: str) -> Pattern:
    """Raises Unmatchable: look-around, back-references, what is no pattern at all."""
    try:
        translated = _ESCAPED.sub(_code_points, pattern)
        re2.compile(translated, _OPTIONS)
    except re2.error as error:
        raise Unmatchable(error.args[0].decode("utf-8", "replace")) from error
    except UnicodeEncodeError as error:
        raise Unmatchable("it holds a lone surrogate") from error
    # A set of one pattern: 1.2 us where `search`, which finds places and groups too, takes 6.5.
    only: Any = re2.Set.SearchSet(_OPTIONS)
    only.Add(translated)
    only.Compile()
    match = only.Match

    def matches(text: str) -> bool:
        try:
            return match(text) is not None
        except UnicodeEncodeError:
            return match(_LONE.sub("\ufffd", text)) is not None

    return Pattern(matches, _size(translated))


class Patterns:
    """The patterns of one schema, each compiled once: that takes some 50 us, a match only one."""

    def __init__(self) -> None:
        self._compiled: dict[str, Pattern] = {}

    def compile(self, pattern: str) -> Pattern:
        """Raises Unmatchable."""
        found = self._compiled.get(pattern)
        if found is None:
            found = self._compiled[pattern] = compile(pattern)
        return found


def _size(pattern: str) -> int:
    """Counted in characters, not in the bytes of UTF-8: \\p{L} has 1,200 of these, but no text leads to many."""
    try:
        size: int = re2.compile(_NOT_ASCII.sub(b"x", pattern.encode()), _IN_BYTES).programsize
    except re2.error:  # \x{20ac}
        size = re2.compile(pattern, _OPTIONS).programsize
    return size


def _code_points(found: "re.Match[str]") -> str:
    r"""\u00e9 as RE2 writes it: \x{e9}. Two of them may be one character: a pair of surrogates."""
    if found[1] is None:
        return found[0]
    return "".join(f"\\x{{{ord(character):x}}}" for character in json.loads(f'"{found[1]}"'))
