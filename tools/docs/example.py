"""config.yaml.example: every key with its description above it, and its default as its value.

Owns the layout of that file. Sections and keys that may not stand there without further keys are comments.
"""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pgrpc.config import schema, yamltext
from tools.docs import config_schema

WIDTH = 118

HEADER = """\
# yaml-language-server: $schema=schemas/config.schema.json
#
# Every key that pgrpc knows. Copy this file to config.yaml, set DATABASE_URL, and check it:
#     python server.py check --config config.yaml
#
# The values shown are the defaults, except for dsn, secret, and the entries of functions and channels.
# In a block that is a comment, remove the first "# " of each line to use it.
# Text values may contain ${VAR}, ${VAR:-default} and ${file:PATH} (relative to this file); $$ is a literal $."""


def text() -> str:
    blocks = [[*HEADER.splitlines(), *_units()]]
    document = config_schema.document()
    for name, rule in document["properties"].items():
        block = list(_key(name, rule))
        optional = name in document["required"] or schema.may_be_empty(schema.resolve(rule))
        blocks.append(block if optional else _commented(block))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _units() -> Iterator[str]:
    for name in ("duration", "size", "rate"):
        rule = schema.definition(name)
        yield from _comment(f"{rule['title']}s: {rule['description']}")


def _keys(rule: schema.Schema, given: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a mapping: those given, the others as their defaults are."""
    for name, inner in rule.get("properties", {}).items():
        yield from _key(name, inner, given.get(name, ...))


def _key(name: str, rule: schema.Schema, given: Any = ...) -> Iterator[str]:
    rule = schema.resolve(rule)
    example = next(iter(rule.get("examples", ())), None)
    shown = rule.get("default", schema.off(rule)) if given is ... else given
    if shown is None and "default" not in rule and not schema.may_be_empty(rule):
        shown = example
    inside = _inside(rule, example or {})
    is_shown = shown == example or bool(inside)
    yield from _comment(
        rule["description"] + ("" if example is None or is_shown else f" Example: {yamltext.value(example)}")
    )
    if shown is False and inside:
        yield from (f"{name}: false", *_commented([f"{name}:", *_indented(inside)]))
    elif inside:
        is_empty = shown is None and "default" in rule
        yield from (f"{name}:", *_indented(_commented(inside) if is_empty else inside))
    else:
        yield f"{name}: {yamltext.value(shown, inside=False)}".rstrip()


def _inside(rule: schema.Schema, given: Mapping[str, Any]) -> list[str]:
    """What is below a key that has keys, or entries that have."""
    entry = rule.get("additionalProperties")
    if not isinstance(entry, Mapping):
        by_default = rule.get("default") == {}
        return list(_keys(rule, {} if by_default else given)) if "properties" in rule else []
    lines: list[str] = []
    for name, keys in given.items():
        lines.append(f"{yamltext.key(name)}:")
        lines += [] if keys is None else _indented(list(_keys(schema.resolve(entry), keys)))
    return lines


def _comment(words: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(words.replace("`", ""), WIDTH - 8, break_on_hyphens=False)]


def _commented(lines: list[str]) -> list[str]:
    return [f"# {line}" for line in lines]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
