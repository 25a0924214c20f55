"""The JSON Schema of the configuration file: the source of every key's type, default, unit and description.

Owns where the document is found, and how its references are followed. Must not know what is done with a value.
"""

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

Schema = Mapping[str, Any]


def _read() -> Any:
    package = resources.files("pgrpc")
    for folder in ("schemas", "../schemas"):  # in a wheel; in a checkout
        path = package.joinpath(folder, "config.schema.json")
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    raise RuntimeError("config.schema.json is missing from this installation of pgrpc")


DOCUMENT: Schema = _read()


def document(dialects: Mapping[str, Any]) -> Schema:
    """The schema with these sections under `dialects`: name -> JSON Schema.

    A section may say of keys that were once elsewhere what to write instead: `removedFrom`, definition -> key -> words.
    """
    definitions = {**DOCUMENT["$defs"]}
    section = definitions["dialects"] = {**definitions["dialects"], "properties": dialects}
    for rule in dialects.values():
        for name, keys in rule.get("removedFrom", {}).items():
            removed = definitions[name].get("removedProperties", {})
            definitions[name] = {**definitions[name], "removedProperties": {**removed, **keys}}
    # Not by reference: a reference leads into DOCUMENT, and the sections need not be those of DOCUMENT.
    return {**DOCUMENT, "properties": {**DOCUMENT["properties"], "dialects": section}, "$defs": definitions}


def definition(name: str) -> Schema:
    """One of the schema's `$defs`."""
    found: Schema = DOCUMENT["$defs"][name]
    return found


def at(rule: Schema, place: Iterable[str | int]) -> Schema:
    """The schema of the value at a place inside a value of `rule`, with what stands beside its reference."""
    for part in place:
        found = resolve(rule)
        others = found.get("items" if isinstance(part, int) else "additionalProperties") or {}
        rule = found.get("properties", {}).get(part, others)
    return rule


def kind(rule: Schema) -> str | None:
    """The definition that a schema refers to, such as "duration"; None where it refers to none."""
    reference = _alternative(rule).get("$ref")
    return None if reference is None else str(reference).rpartition("/")[2]


def resolve(rule: Schema) -> Schema:
    """The same schema without a reference: the keywords of the definition, then those beside the reference.

    `anyOf` is taken as "the first of these, or nothing": there is no other use of it.
    """
    name = kind(rule)
    found: dict[str, Any] = {} if name is None else {**resolve(definition(name))}
    if "anyOf" in rule and name is None:
        found |= _alternative(rule)
    return found | {keyword: value for keyword, value in rule.items() if keyword not in ("$ref", "anyOf")}


def may_be_empty(rule: Schema) -> bool:
    """Whether a key may stand there with nothing after it."""
    return any("null" in _types(option) for option in (rule, *rule.get("anyOf", ())))


def types(rule: Schema) -> tuple[str, ...]:
    """The types that a resolved schema takes, `null` aside; none where it lists its values instead."""
    return tuple(name for name in _types(rule) if name != "null")


def off(rule: Schema) -> bool | None:
    """False for what is a mapping, or true or false: it is off where it is not named. None for anything else."""
    return False if {"object", "boolean"} <= {*types(rule)} else None


def _types(rule: Schema) -> tuple[str, ...]:
    given = rule.get("type", ())
    return (given,) if isinstance(given, str) else tuple(given)


def _alternative(rule: Schema) -> Schema:
    first: Schema = rule.get("anyOf", (rule,))[0]
    return first
