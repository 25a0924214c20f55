"""Which file has which generated text.

A file is generated as a whole, or between markers: `<!-- generated: NAME -->` and `<!-- end -->`. Must not know how any
text is made.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.docs import config_schema, example, modules, tables

ROOT = Path(__file__).parents[2]
EXAMPLE = Path("config.yaml.example")
SCHEMA = Path("schemas/config.schema.json")
PAGES = (Path("docs/reference/configuration.md"), Path("docs/explanation/architecture.md"))

_PARTS: Mapping[str, Callable[[str], str]] = {
    "keys of": tables.keys,
    "kinds of values": lambda _: tables.kinds(),
    "modules": lambda _: modules.tree(ROOT / "pgrpc"),
}
"""The first words between the markers -> what makes the text, of the word that follows."""

_MARKED = re.compile(r"(<!-- generated: (?P<part>[a-z ]+?)(?: `(?P<word>\w+)`)? -->\n).*?(<!-- end -->)", re.DOTALL)


def generated() -> Mapping[Path, str]:
    """Each file, as it should be; paths from the root of the checkout."""
    pages = {path: filled((ROOT / path).read_text("utf-8")) for path in PAGES}
    return {SCHEMA: config_schema.text(), EXAMPLE: example.text(), **pages}


def filled(page: str) -> str:
    """A page with what is between its markers made again."""
    return _MARKED.sub(lambda match: f"{match[1]}{_PARTS[match['part']](match['word'] or '')}\n{match[4]}", page)


def stale() -> list[Path]:
    """The files that are not as they should be."""
    return [path for path, text in generated().items() if (ROOT / path).read_text("utf-8") != text]


def write() -> list[Path]:
    """The files that were not as they should be, and are now."""
    found = stale()
    for path, text in generated().items():
        if path in found:
            (ROOT / path).write_text(text, "utf-8")
    return found
