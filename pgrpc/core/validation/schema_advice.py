"""What to write instead, where a JSON Schema is not valid: "did you mean integer?".

Owns which of several reasons is the one to report, and the advice for mistakes that are common, such as those of older
drafts. Must not know where a schema came from.
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from jsonschema.exceptions import SchemaError, ValidationError

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_OTHER_NAMES: Mapping[str, str] = {
    "decimal": "number",
    "dict": "object",
    "double": "number",
    "float": "number",
    "list": "array",
    "map": "object",
    "nil": "null",
    "none": "null",
    "real": "number",
    "text": "string",
}
"""What other languages call the types."""
_BOUNDS = ("exclusiveMinimum", "exclusiveMaximum")
_SCHEMA = ("object", "boolean")
"""What a schema may be, as the draft lists it."""


def cause(error: SchemaError | ValidationError) -> SchemaError | ValidationError:
    """Of a value that may have one of several forms: what is wrong with it in the form that it was meant to have.

    `type` is the only keyword of that kind: one of the seven types, or a list of them.
    """
    close = [each for each in error.context if each.validator != "type"]
    return max(close, key=lambda each: (len(each.path), each.validator != "enum"), default=error)


def advice(error: SchemaError | ValidationError) -> str:
    """To be put after the words for the error; "" where these say it all."""
    value: Any = error.instance
    keyword = error.absolute_path[-1] if error.absolute_path else ""
    if error.validator == "enum":
        name = _type(value) if isinstance(value, str) else None
        return f"; did you mean {name}?" if name else ""
    match value:
        case str() if error.validator_value == [*_SCHEMA] and (name := _type(value)):
            return f': write {{"type": "{name}"}}'
        case list() if keyword == "items":
            return ": write a schema for each element under prefixItems"
        case bool() if keyword == "required":
            return ": list the names of the members that are required, beside properties"
        case bool() if keyword in _BOUNDS:
            return ": write the bound itself"
        case str() if error.validator_value == "array":
            return ": put it in brackets"
    return ""


def near(name: str, known: Collection[str]) -> str:
    """For a word that is nearly one that is known: `; did you mean date-time?`. "" for any other."""
    found = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.85)
    return f"; did you mean {found[0]}?" if found else ""


def _type(name: str) -> str | None:
    name = name.lower()
    return _OTHER_NAMES.get(name) or next(iter(difflib.get_close_matches(name, TYPES, n=1)), None)
