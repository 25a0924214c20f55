"""Patterns of channel names: what they match.

Owns their two special characters: `*` stands for any characters but a dot, `**` for any. Every text is a pattern; one
without a star matches itself. Must not know what is named.
"""

import re


def is_pattern(text: str) -> bool:
    """Whether the text may match other names than itself."""
    return "*" in text


def compile(glob: str) -> re.Pattern[str]:
    """For `fullmatch`."""
    return re.compile(expression(glob), re.DOTALL)


def expression(glob: str) -> str:
    """As part of a regular expression, with re.DOTALL."""
    parts = re.split(r"(\*+)", glob)  # text and stars in turn
    return "".join(re.escape(p) if i % 2 == 0 else "[^.]*" if p == "*" else ".*" for i, p in enumerate(parts))
