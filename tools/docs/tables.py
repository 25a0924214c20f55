"""The tables of docs/reference/configuration.md: the keys of each section, and the kinds of values.

Owns how a key's type and default are written there.
"""

import re
from collections.abc import Iterator
from typing import Any

from pgrpc.config import convert, schema, yamltext
from tools.docs import config_schema

_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "mapping",
    "array": "list",
}


def keys(section: str) -> str:
    """The keys of one definition of the schema, those of mappings inside it too."""
    rule = config_schema.document()["$defs"][section]
    return "\n".join(("| key | type | default | meaning |", "|---|---|---|---|", *_rows(rule, "")))


def kinds() -> str:
    """How the kinds of values are written, each by the name that it has in the other tables."""
    found = {name: rule for name, rule in schema.DOCUMENT["$defs"].items() if _is_kind(name)}
    rows = (f"| {_lower(rule['title'])} | {_cell(rule['description'])} |" for rule in found.values())
    return "\n".join(("| kind | how it is written |", "|---|---|", *rows))


def _is_kind(name: str) -> bool:
    return name in convert.KINDS or name == "file"


def _rows(rule: schema.Schema, prefix: str) -> Iterator[str]:
    for name, inner in rule.get("properties", {}).items():
        resolved = schema.resolve(inner)
        default = "required" if name in rule.get("required", ()) else _default(resolved)
        cells = (f"`{prefix}{name}`", type_of(inner), default, _cell(_meaning(resolved)))
        yield f"| {' | '.join(cells)} |"
        yield from _rows(resolved, f"{prefix}{name}.")


def _meaning(rule: schema.Schema) -> str:
    example = next(iter(rule.get("examples", ())), None)
    shown = "" if example is None else yamltext.value(example)
    return str(rule["description"]) + (f" Example: `{shown}`." if shown and shown not in rule["description"] else "")


def type_of(rule: schema.Schema) -> str:
    """In words: "duration", "whole number, 1 to 256", "list (origin)"."""
    kind, resolved = schema.kind(rule), schema.resolve(rule)
    if kind is not None and _is_kind(kind):
        return _lower(schema.definition(kind)["title"])
    if "enum" in resolved:
        return ", ".join(f"`{value}`" for value in resolved["enum"])
    names = [
        _TYPES[name] + (f" ({type_of(resolved['items'])})" if name == "array" else "")
        for name in schema.types(resolved)
    ]
    return " or ".join(sorted(names, key=lambda name: name == "mapping")) + _bounds(resolved)


def _bounds(rule: schema.Schema) -> str:
    low, high = rule.get("minimum"), rule.get("maximum")
    if low is None and high is None:
        return ""
    return f", {low} to {high}" if high is not None else f", from {low}"


def _default(rule: schema.Schema) -> str:
    """A mapping that is not there is as one without keys."""
    default: Any = rule.get("default", schema.off(rule))
    return "empty" if default is None or default == {} or default == "" else f"`{yamltext.value(default)}`"


def _cell(words: str) -> str:
    return words.replace("|", r"\|")


def _lower(title: str) -> str:
    """But for what is written in capitals, such as "URL path"."""
    return title[0].lower() + title[1:] if re.match("[A-Z][a-z]", title) else title
