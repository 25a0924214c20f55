"""The formats of JSON Schema that are checked, each in a time that is bounded.

Owns which formats there are, and how much of a text each looks at. Must not know schemas.
"""

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import Draft202012Validator

QUICK = frozenset(("date", "date-time", "time", "uuid", "email", "idn-email", "hostname", "ipv4", "ipv6"))
"""Those that take less than 0.2 us for each character."""

_LONGEST = 8192
_LONGEST_REGEX = 1024
"""How many characters are looked at; a longer text has no format. At that length none takes more than 4 ms."""


def _is_regex(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing that a client sends is written to standard error
        return re.compile(text) is not None


def _bounded(check: Callable[[Any], Any], longest: int) -> Callable[[str], bool]:
    def conforms(text: str) -> bool:
        if len(text) > longest:
            return False
        try:
            return bool(check(text))
        except (ValueError, OverflowError, RecursionError, re.error):
            # More kinds than jsonschema expects, as of a repetition of 5,000 digits in a regex.
            return False

    return conforms


_CHECKERS = Draft202012Validator.FORMAT_CHECKER.checkers
CHECKS: Mapping[str, Callable[[str], bool]] = {
    **{name: _bounded(_CHECKERS[name][0], _LONGEST) for name in (*sorted(QUICK), "uri", "uri-reference")},
    "regex": _bounded(_is_regex, _LONGEST_REGEX),
}
"""Name -> whether a text conforms. Which ones, and why no others: docs/decisions/0013-formats-without-iri.md."""


def work(name: str, text: str) -> int:
    """The microseconds that a check takes at most, roughly."""
    if name == "regex":
        return 2 + min(len(text), _LONGEST_REGEX) * 3
    return 2 + min(len(text), _LONGEST) // 4
