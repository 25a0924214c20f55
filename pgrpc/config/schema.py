"""The configuration's own JSON Schema, as installed or as in a checkout.

Owns where the document is found. Must not know how it is applied.
"""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any


def _read() -> Any:
    package = resources.files("pgrpc")
    for folder in ("schemas", "../schemas"):  # in a wheel; in a checkout
        path = package.joinpath(folder, "config.schema.json")
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    raise RuntimeError("config.schema.json is missing from this installation of pgrpc")


DOCUMENT: Mapping[str, Any] = _read()


def document(dialects: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with these sections under `dialects`: name -> JSON Schema."""
    definitions = DOCUMENT["$defs"]
    section = {**definitions["dialects"], "properties": dialects}
    return {**DOCUMENT, "$defs": {**definitions, "dialects": section}}


def definition(name: str) -> Mapping[str, Any]:
    """One of the schema's `$defs`."""
    found: Mapping[str, Any] = DOCUMENT["$defs"][name]
    return found
