"""Claims of a token (RFC 7519 section 4) in channel names: `user.{sub}`, `org.{app_metadata.org}.*`.

Owns how a claim is written between braces, and which of its values can be part of a channel name. Must not know globs
or rules.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Path = tuple[str, ...]
"""The keys that lead to a claim."""

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_KEY = r'(?:[^."]+|"[^"]+")'
_PATH = re.compile(rf"{_KEY}(?:\.{_KEY})*")


class Malformed(ValueError):
    """A channel name with wrong braces; str() says why and what to do."""


def path(text: str) -> Path:
    """The path in `app_metadata.org`; a key that contains a dot is in double quotes. Raises Malformed."""
    if not _PATH.fullmatch(text):
        raise Malformed(f"{{{text}}} is not a claim: write {{sub}} or {{app_metadata.org}}, or {{{{ for a brace")
    return tuple(quoted or plain for quoted, plain in re.findall(r'"([^"]+)"|([^."]+)', text))


def lookup(claims: Mapping[str, Any], at: Sequence[str]) -> Any:
    """The claim at a path of keys; None if there is none."""
    value: Any = claims
    for name in at:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def split(name: str) -> tuple[list[str], list[Path]]:
    """A channel name -> its literal texts and the claims between them; `{{` and `}}` are braces. Raises Malformed."""
    texts, found = [""], []
    for match in _PART.finditer(name):
        whole = match[0]
        if match[1] is not None:
            found.append(path(match[1]))
            texts.append("")
        elif whole in ("{", "}"):
            raise Malformed(f"unmatched {whole}: write {whole * 2} for a brace")
        else:
            texts[-1] += whole[0] if whole in ("{{", "}}") else whole
    return texts, found


def text(claims: Mapping[str, Any], at: Path) -> str | None:
    """A claim as part of a channel name: text, or an integer in digits; None if it cannot be part of one.

    A token must not bring in special characters: with `user.{sub}.*` the subject `a.b` would receive the channels of
    `a`. So the value must not be empty, nor contain a dot, a star or NUL.
    """
    value = lookup(claims, at)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value or any(mark in value for mark in ".*\0"):
        return None
    return value
