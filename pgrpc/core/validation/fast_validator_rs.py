"""Acceptance by jsonschema-rs, where it is installed (`pgrpc[fast]`): for the keywords that `accept` does not know.

Owns which schemas the two libraries agree about. Must not judge: it accepts only what the dialect accepts
(tests/unit/test_native.py compares them on schemas made at random). Why: docs/decisions/0010-who-accepts.md.
"""

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

from pgrpc.core.validation import fast_validator

_library: Any = importlib.import_module("jsonschema_rs") if importlib.util.find_spec("jsonschema_rs") else None

# Not those that other libraries decide: patterns are RE2's, formats are bounded here, and multiples of numbers with
# huge exponents are ours. Nor what names schemas: only references into the document itself are followed.
KEYWORDS = (fast_validator.KEYWORDS - {"pattern", "format", "multipleOf"}) | {
    "oneOf", "not", "uniqueItems", "contains", "minContains", "maxContains", "prefixItems", "propertyNames",
    "dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties",
}  # fmt: skip


def acceptor(schema: Any, parts: Iterable[dict[str, Any]]) -> fast_validator.Check | None:
    """What says of a value whether it surely fits a schema of draft 2020-12, or None. parts: it and its subschemas."""
    agreed = all(part.keys() <= KEYWORDS and part.get("$ref", "#").startswith("#") for part in parts)
    if _library is None or not agreed:
        return None
    try:
        is_valid = _library.Draft202012Validator(schema).is_valid
    except ValueError:
        return None

    def accepts(value: Any) -> bool:
        try:
            return is_valid(value) is True
        except ValueError:  # lone surrogates, or nested too deep
            return False

    return accepts
