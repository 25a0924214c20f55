"""What the pages name exists: files and headings behind links, keys of the configuration, commands, modules."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgrpc.cli import commands

PROJECT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(PROJECT)
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/**/*.md")
    for page in PROJECT.glob(pattern)
)
SCHEMA = json.loads((PROJECT / "schemas" / "config.schema.json").read_text())
SECTIONS = "|".join(SCHEMA["properties"])


def _prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", (PROJECT / page).read_text(), flags=re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings, and those that are written out."""
    headings = re.findall(r"^#+ (.*)$", _prose(page), re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)"', _prose(page)))


def _keys(schema: dict[str, Any]) -> Iterator[str]:
    """Every key's name, and every `section.key` on the way to it."""
    if "$ref" in schema:
        yield from _keys(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    for part in (*schema.get("anyOf", []), *schema.get("oneOf", []), schema.get("additionalProperties")):
        if isinstance(part, dict):
            yield from _keys(part)
    for name, of in schema.get("properties", {}).items():
        yield name
        for below in _keys(of):
            yield f"{name}.{below}"


KEYS = set(_keys(SCHEMA))
EXAMPLES = set(re.findall(r'"(auth\.[a-z_]+)"', json.dumps(SCHEMA)))
"""Functions of SQL in a schema that has the name of a section."""


@pytest.mark.parametrize("page", PAGES, ids=str)
class TestPage:
    def test_links_lead_somewhere(self, page: Path) -> None:
        broken = []
        for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
            path, _, anchor = link.partition("#")
            target = (PROJECT / page.parent / path).resolve() if path else PROJECT / page
            if not link.startswith(("http:", "https:")) and (
                not target.exists() or (anchor and anchor not in _anchors(target))
            ):
                broken.append(link)
        assert broken == []

    def test_keys_of_the_configuration_exist(self, page: Path) -> None:
        named = re.findall(rf"`((?:{SECTIONS})(?:\.[a-z_]+)+)(?:: [^`]*)?`", _prose(page))
        assert [
            key for key in named if key not in KEYS | EXAMPLES and not key.endswith((".md", ".yaml", ".sql", ".py"))
        ] == []

    def test_commands_exist(self, page: Path) -> None:
        text = (PROJECT / page).read_text()
        named = set(re.findall(r"(?:\bserver\.py|\$ pgrpc|`pgrpc) ([a-z][a-z_0-9]+)", text))
        mistyped = set(re.findall(r"unknown command ([a-z]+)", text))
        assert named <= {"help", *commands.ALL} | mistyped
        targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
        assert set(re.findall(r"(?:\$ |`)make ([a-z]+)", text)) <= targets

    def test_modules_exist(self, page: Path) -> None:
        groups = "|".join(path.name for path in sorted((PROJECT / "pgrpc").iterdir()) if path.is_dir())
        named = re.findall(rf"`(?:pgrpc/)?((?:{groups})/[a-z_0-9/]+)(?:\.py)?`", _prose(page))
        paths = {name: PROJECT / "pgrpc" / name for name in named}
        assert [name for name, at in paths.items() if not at.is_dir() and not at.with_suffix(".py").is_file()] == []


def test_the_readme_has_no_link_that_breaks_on_an_index_page() -> None:
    assert re.findall(r"\]\((?!https?://)[^)]*\)", (PROJECT / "README.md").read_text()) == []
