"""Claims of a token (RFC 7519 section 4) in the names of channels: `user.{sub}`, `org.{app_metadata.org}.*`.

Owns how a claim is named between braces, and which of its values can be part of a name. Must not know globs, rules,
nor who asks.
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
    """A name whose braces are wrong; str() says why and what to do."""


def path(text: str) -> Path:
    """`app_metadata.org`; a key with a dot in it stands in double quotes. Raises Malformed."""
    if not _PATH.fullmatch(text):
        raise Malformed(f"{{{text}}} names no claim: write it like {{sub}} or {{app_metadata.org}}, {{{{ for a brace")
    return tuple(quoted or plain for quoted, plain in re.findall(r'"([^"]+)"|([^."]+)', text))


def lookup(claims: Mapping[str, Any], at: Sequence[str]) -> Any:
    """The claim that a path of names leads to; None where there is none."""
    found: Any = claims
    for name in at:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def split(name: str) -> tuple[list[str], list[Path]]:
    """A name as texts and the claims between them; `{{` and `}}` are braces. Raises Malformed."""
    texts, found = [""], []
    for match in _PART.finditer(name):
        whole = match[0]
        if match[1] is not None:
            found.append(path(match[1]))
            texts.append("")
        elif whole in ("{", "}"):
            raise Malformed(f"a {whole} stands alone: write {whole * 2} for a brace")
        else:
            texts[-1] += whole[0] if whole in ("{{", "}}") else whole
    return texts, found


def text(claims: Mapping[str, Any], at: Path) -> str | None:
    """A claim as a part of a channel's name: text, or a whole number in digits; None where it cannot be one.

    Nothing that means something in names or globs may come from a token: with `user.{sub}.*` the subject `a.b` would
    receive what belongs to `a`. So a claim that is empty, or has a dot, a star or NUL in it, is part of no name.
    """
    value = lookup(claims, at)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value or any(mark in value for mark in ".*\0"):
        return None
    return value
