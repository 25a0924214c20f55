"""A value as the file has it -> the value that pgrpc works with, by the value's JSON Schema.

Owns what each kind of value (a definition of the schema that a `$ref` names, such as "duration") is made into. A new
key needs nothing here; a new kind needs a line in `KINDS`. Must not know any key.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pgrpc.config import faults, model, network, schema, units
from pgrpc.core.identity import claims

KINDS: Mapping[str, Callable[[Any, schema.Schema], Any]] = {
    "duration": units.seconds,
    "size": units.size,
    "rate": units.rate,
    "origin": lambda text, _: network.origin(text),
    "host_name": lambda text, _: network.host_name(text),
    "network": lambda text, _: network.network(text),
    "base_path": lambda text, _: network.base_path(text),
    "header_name": lambda text, _: text.lower(),
    "claim_path": lambda text, _: claims.path(text),
}
"""Kind -> function of a value that fits its schema, and of that schema. Raises ValueError with what is wrong."""


class Converter:
    """Converts values that fit their schemas. folder: what relative file names start at."""

    def __init__(self, folder: Path, found: faults.Faults) -> None:
        self._folder = Path(os.path.abspath(folder))
        self._faults = found

    def convert(self, rule: schema.Schema, value: Any, place: model.Place) -> Any:
        """Mappings become dicts of their keys, lists tuples, integers int, and so on by `KINDS`.

        None where there is nothing, or where the value is faulty, which is reported at `place`.
        """
        kind, rule = schema.kind(rule), schema.resolve(rule)
        if value is None:
            return {} if rule.get("default") == {} else None
        try:
            if kind == "file":
                return self._file(value)
            if kind is not None and kind in KINDS:
                return KINDS[kind](value, rule)
        except ValueError as error:
            self._faults.reject(place, str(error))
            return None
        return self._plain(rule, value, place)

    def _plain(self, rule: schema.Schema, value: Any, place: model.Place) -> Any:
        match value:
            case dict():
                return self._mapping(rule, value, place)
            case list():
                made = ((*place, index) for index in range(len(value)))
                items = [self.convert(rule.get("items", {}), item, at) for item, at in zip(value, made, strict=True)]
                return tuple(item for item in items if item is not None)
            case str() if "array" in schema.types(rule):
                return self._plain(rule, [value], place)
            case float() if "integer" in schema.types(rule):
                return int(value)  # JSON Schema takes 10.0 for an integer, Python does not
        return value

    def _mapping(self, rule: schema.Schema, value: Mapping[str, Any], place: model.Place) -> dict[str, Any]:
        """Without the keys that are faulty: their defaults stand in, so that the rest can still be checked."""
        keys, others = rule.get("properties", {}), rule.get("additionalProperties") or {}
        made = {key: self.convert(keys.get(key, others), inner, (*place, key)) for key, inner in value.items()}
        return {key: inner for key, inner in made.items() if not self._faults.has((*place, key))}

    def _file(self, text: str) -> Path:
        if "-----BEGIN" in text:
            raise ValueError("must be the name of a file, not its content")
        return self._folder / text
