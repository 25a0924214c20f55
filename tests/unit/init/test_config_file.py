"""The text that `pgrpc init` writes: YAML whatever the names are, and the same names when it is read."""

import re
from pathlib import Path

import pytest

from pgrpc import config
from pgrpc.init import config_file, surface

NAMES = [
    "plain",
    "on",
    "null",
    "12",
    "two words",
    "a: b # c",
    "new\nline",
    "ünï",
    "it's",
    'say "hi"',
    "\\",
    "\x7f",
    "$$",
    "- x",
]


def read(text: str, folder: Path) -> config.Config:
    """With every entry taken."""
    head, rest = text.split("\nfunctions:\n")
    (folder / "public").mkdir()
    (folder / "config.yaml").write_text(head + "\nfunctions:\n" + re.sub(r"^  # ", "  ", rest, flags=re.MULTILINE))
    return config.load(folder / "config.yaml", {"DATABASE_URL": "postgresql://h/d"})


def test_names_stay_what_they_are(tmp_path: Path) -> None:
    functions = [surface.Function(name, f'"{name}"', [f"{name}()"], f"{name}\nmore") for name in NAMES]
    loaded = read(config_file.text(surface.Surface("d: #\n", "r\n", functions, NAMES)), tmp_path)
    assert [(f.method, f.function) for f in loaded.functions] == [(name, f'"{name}"') for name in NAMES]
    assert [c.name for c in loaded.channels] == NAMES


def test_what_cannot_be_called_is_no_entry(tmp_path: Path) -> None:
    functions = [surface.Function("f", "s.f", ["f()"], None, "it returns trigger"), surface.Function("g", "g", ["g()"])]
    text = config_file.text(surface.Surface("d", "r", functions, []))
    assert "  ## s.f: it returns trigger\n" in text
    assert [f.method for f in read(text, tmp_path).functions] == ["g"]


@pytest.mark.parametrize("found", [None, surface.Surface("d", "r", [], [])])
def test_an_example_where_there_is_nothing(found: surface.Surface | None, tmp_path: Path) -> None:
    loaded = read(config_file.text(found), tmp_path)
    assert [f.method for f in loaded.functions] == ["add"]
    assert [c.name for c in loaded.channels] == ["people"]
