"""pg_eventserv's patterns of channel names: what they match.

Owns globs as POSIX shells have them for what is no path (IEEE Std 1003.1, 2.13): `*` stands for any characters, `?`
for one, `[...]` for one of a set; `\\` takes the next character as it is. Python's fnmatch differs: it has no classes
and no escapes, and negates by `!`.
"""

import re
from collections.abc import Callable, Mapping

_CLASSES: Mapping[str, str] = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": r" \t\n\r\f\v",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
"""The character classes of the POSIX locale."""


class Malformed(ValueError):
    """Text that is not a pattern; str() says why, in words."""


def is_pattern(text: str) -> bool:
    """Whether the text may match other names than itself."""
    return any(special in text for special in "*?[\\")


def compile(glob: str) -> re.Pattern[str]:
    """For `fullmatch`. Raises Malformed."""
    return re.compile(_Reader(glob).expression(), re.DOTALL)


class _Reader:
    """Reads a glob from left to right.

    Everything between two stars has a fixed length, so the first place where it matches is as good as any other: a
    star takes as little as it can and never backtracks (an atomic group), which bounds the work by the length of the
    name times the length of the glob.
    """

    def __init__(self, glob: str) -> None:
        self._glob = glob
        self._at = 0

    def expression(self) -> str:
        """A regular expression."""
        first, *others = self._segments()
        if not others:
            return first
        *middle, last = others
        return first + "".join(f"(?>.*?{segment})" for segment in middle) + f".*{last}"

    def _segments(self) -> list[str]:
        """What stands between the stars."""
        read: Mapping[str, Callable[[], str]] = {"?": lambda: ".", "[": self._bracket, "\\": self._escaped}
        segments = [""]
        while self._at < len(self._glob):
            character = self._next()
            if character == "*":
                segments.append("")
            else:
                segments[-1] += read[character]() if character in read else re.escape(character)
        # Of several stars in a row one is enough.
        return [segments[0], *filter(None, segments[1:-1]), *segments[1:][-1:]]

    def _bracket(self) -> str:
        negated = self._glob[self._at : self._at + 1] == "^"
        self._at += negated
        start, inside = self._at, ""
        while (character := self._next("a [ without its ]")) != "]":
            if character == "[":
                inside += self._class()
                continue
            low = self._escaped() if character == "\\" else re.escape(character)
            high = self._range_end()
            if high is None:
                inside += low
            elif low[-1] <= high[-1]:  # otherwise no character is in the range
                inside += f"{low}-{high}"
        if inside:
            return f"[{'^' * negated}{inside}]"
        if negated:
            return "."
        if self._at - start == 1:
            raise Malformed("[] holds nothing: write the characters that it stands for, and \\] for a ]")
        return "(?!)"

    def _range_end(self) -> str | None:
        """The end of a range, such as the z of a-z; a - before the ] is itself."""
        if self._glob[self._at : self._at + 1] != "-" or self._glob[self._at + 1 : self._at + 2] in ("", "]"):
            return None
        self._at += 1
        character = self._next()
        return self._escaped() if character == "\\" else re.escape(character)

    def _class(self) -> str:
        match = re.compile(r":([a-z]+):\]").match(self._glob, self._at)
        if match is None or match[1] not in _CLASSES:
            known = ", ".join(f"[:{name}:]" for name in _CLASSES)
            raise Malformed(f"a [ inside [...] begins a class, one of {known}; write \\[ for a [")
        self._at = match.end()
        return _CLASSES[match[1]]

    def _escaped(self) -> str:
        return re.escape(self._next("a \\ at the end, with nothing to take as it is"))

    def _next(self, otherwise: str = "") -> str:
        if self._at == len(self._glob):
            raise Malformed(otherwise)
        self._at += 1
        return self._glob[self._at - 1]
