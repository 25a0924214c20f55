"""What `make docs` writes is what is there, and is complete."""

from pathlib import Path

import pytest

from pgrpc.config import schema
from tools.docs import example, modules, pages, tables


def test_what_is_generated_is_current() -> None:
    assert pages.stale() == [], "run make docs"


@pytest.mark.parametrize("section", ["database", "server", "auth", "limits", "function", "channel", "dialects"])
def test_the_reference_has_every_key(section: str) -> None:
    page = (pages.ROOT / "docs/reference/configuration.md").read_text()
    table = page.partition(f"<!-- generated: keys of `{section}` -->\n")[2].partition("<!-- end -->")[0]
    for key in schema.definition(section)["properties"]:
        assert f"\n| `{key}` | " in table


def test_every_page_that_is_generated_in_part_has_its_markers() -> None:
    for path in pages.PAGES:
        assert pages.filled((pages.ROOT / path).read_text()).count("<!-- generated: ") > 0


def test_only_what_is_between_the_markers_changes() -> None:
    page = "a\n<!-- generated: kinds of values -->\nold\n<!-- end -->\nb\n"
    made = pages.filled(page)
    assert made.startswith("a\n<!-- generated: kinds of values -->\n| kind | ")
    assert made.endswith(" |\n<!-- end -->\nb\n")
    assert pages.filled(made) == made


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"type": "integer", "minimum": 1}, "whole number, from 1"),
        ({"type": ["integer", "null"], "minimum": 0, "maximum": 9}, "whole number, 0 to 9"),
        ({"type": "integer"}, "whole number"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"type": ["object", "boolean", "null"]}, "`true` or `false` or mapping"),
        ({"type": ["string", "array"], "items": {"type": "string"}}, "text or list (text)"),
        ({"anyOf": [{"$ref": "#/$defs/duration"}, {"type": "null"}], "title": "Timeout"}, "duration"),
        ({"type": "array", "items": {"$ref": "#/$defs/origin"}}, "list (origin)"),
        ({"$ref": "#/$defs/base_path"}, "URL path"),
    ],
)
def test_types_in_words(rule: schema.Schema, words: str) -> None:
    assert tables.type_of(rule) == words


def test_lines_of_the_example_fit() -> None:
    assert max(map(len, example.text().splitlines())) <= 120


def test_modules_by_package_with_their_first_lines(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "__init__.py").write_text('"""The root."""\n')
    (tmp_path / "b.py").write_text('"""What b is.\n\nMore.\n"""\n')
    (tmp_path / "inner/__init__.py").write_text('"""What is inside."""\n')
    (tmp_path / "inner/a.py").write_text("x = 1\n")
    assert [line.split() for line in modules.tree(tmp_path).splitlines()] == [
        ["```"],
        ["b", "What", "b", "is"],
        ["inner/", "What", "is", "inside"],
        ["a"],
        ["```"],
    ]
