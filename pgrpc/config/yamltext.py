"""What a mapping of the file looks like, for whoever wrote something else: `{function: shop.list_orders}`.

Owns how values are written in one line of YAML. Must not know what was wrong.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from pgrpc.config import schema, yamltree


def mapping(rule: schema.Schema, written: Any) -> str:
    """A mapping of the schema, in one line; "" where the schema has no example.

    written: what stands in its place, or None where it may be secret. A text becomes the value of the key that takes
    it, the items of a list become keys.
    """
    keys = rule.get("properties", {})
    if isinstance(written, list) and not keys and all(_is_name(item) for item in written):
        return value(dict.fromkeys(written))
    if isinstance(written, str) and _is_name(written) and (name := _key_of(keys, written)):
        return value({name: written})
    examples = rule.get("examples", ())
    return value(examples[0]) if examples else ""


def value(given: Any, inside: bool = True) -> str:
    """In one line of YAML. inside: in brackets, where more texts need quotes."""
    match given:
        case None:
            return ""
        case Mapping():
            return f"{{{', '.join(f'{key(name)}: {value(inner)}' for name, inner in given.items())}}}"
        case list():
            return f"[{', '.join(map(value, given))}]"
        case str():
            return given if _needs_no_quotes(given, inside) else json.dumps(given, ensure_ascii=False)
    return json.dumps(given)


def key(given: Any) -> str:
    return value(str(given))


def _needs_no_quotes(text: str, inside: bool) -> bool:
    brackets = "" if inside else "{}"
    plain = re.fullmatch(rf"[\w./$~-][\w./$~:@+={brackets}-]*(?<!:)", text)
    return plain is not None and yamltree.plain(text) == text


def _is_name(item: Any) -> bool:
    """Of a function or channel, as far as it is safe to show."""
    return isinstance(item, str) and re.fullmatch(r"[\w.]{1,63}", item) is not None


def _key_of(keys: Mapping[str, Any], text: str) -> str | None:
    """The key that lists this value, or else the first one, if it takes any text."""
    for name, rule in keys.items():
        if text in schema.resolve(rule).get("enum", ()):
            return name
    first = next(iter(keys), None)
    return first if first is not None and "string" in schema.types(schema.resolve(keys[first])) else None
