"""schemas/config.schema.json: what it says of `dialects` is generated, so that editors find all keys in one file.

Owns that part: each `section.schema.json` of pgrpc/compat is copied into it. All else in the file is written by hand.
"""

import json

from pgrpc.compat import registry
from pgrpc.config import schema


def document() -> schema.Schema:
    """The schema with the dialects that there are, whichever the file has."""
    return schema.document({name: dialect.schema for name, dialect in registry.dialects().items()})


def text() -> str:
    definitions = {**schema.DOCUMENT["$defs"], "dialects": document()["$defs"]["dialects"]}
    return json.dumps({**schema.DOCUMENT, "$defs": definitions}, indent=2, ensure_ascii=False) + "\n"
