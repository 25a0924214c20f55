"""Globs for channel names -> regular expressions.

Owns the two wildcards: `*` matches any characters except a dot, `**` matches any characters. A text without a star
matches only itself. Must not know what the names are for.
"""

import re


def is_pattern(text: str) -> bool:
    """Whether the text can match names other than itself."""
    return "*" in text


def compile(glob: str) -> re.Pattern[str]:
    """The expression to use with `fullmatch`."""
    return re.compile(expression(glob), re.DOTALL)


def expression(glob: str) -> str:
    """The glob as part of a regular expression, to compile with re.DOTALL."""
    parts = re.split(r"(\*+)", glob)  # alternately text and stars
    return "".join(re.escape(p) if i % 2 == 0 else "[^.]*" if p == "*" else ".*" for i, p in enumerate(parts))
