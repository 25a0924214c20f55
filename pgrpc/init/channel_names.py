"""Which channels functions notify, guessed from their bodies.

Owns the patterns. Must not know where the bodies come from. A name that is computed is not found; one that stands for
something else may be.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
# pg_notify('people', ...), and functions of one's own around it: notify_json('room.' || id, ...), notify(tg_argv[0])
_CALL = re.compile(r"\w*notify\w*\s*\(\s*(?:'((?:[^']|'')+)'\s*(\|\|)?|tg_argv\s*\[\s*(\d+)\s*\])", re.IGNORECASE)
_COMMAND = re.compile(
    r"(?:^|;|\b(?:begin|then|else|loop)\b)\s*notify\s+"
    r'("(?:[^"]|"")+"|[^\W\d][\w$]*)\s*(?=[;,]|$)',
    re.IGNORECASE,
)
_UNUSABLE = re.compile(r"rpc\.|\$/|(?:open|close|error|max_reconnects_reached)$|.*(?:[\0*]|\$\{)", re.DOTALL)
_LONGEST = 63
"""Bytes: PostgreSQL refuses or cuts longer ones."""


@dataclass(frozen=True, slots=True)
class Body:
    """triggers: the arguments of each trigger that calls the function."""

    text: str
    triggers: Sequence[Sequence[str]] = ()


def guess(bodies: Iterable[Body]) -> list[str]:
    """Names and globs, as the key `channels` of the configuration has them."""
    found: set[str] = set()
    for body in bodies:
        text = _COMMENT.sub(" ", body.text)
        for literal, prefix, argument in _CALL.findall(text):
            if argument:
                names = [each[int(argument)] for each in body.triggers if int(argument) < len(each)]
            else:
                names = [literal.replace("''", "'")]
            found.update(f"{_escaped(name)}{'*' if prefix else ''}" for name in names if _is_usable(name))
        for name in _COMMAND.findall(text):
            plain = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
            if _is_usable(plain):
                found.add(_escaped(plain))
    return sorted(found)


def _is_usable(name: str) -> bool:
    return 0 < len(name.encode()) <= _LONGEST and not _UNUSABLE.match(name)


def _escaped(name: str) -> str:
    """A brace in the name of a channel is written twice."""
    return name.replace("{", "{{").replace("}", "}}")
