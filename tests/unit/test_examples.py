"""What the folders of examples/ have in common: each is complete, listed, and safe to copy."""

import re
from pathlib import Path

import pytest

from pgrpc import config

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/config.yaml"))
CLIENT = (EXAMPLES / "chat" / "public" / "pgrpc.js").read_text()


def named(folder: Path) -> str:
    return folder.name


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
class TestFolder:
    def test_has_all_that_the_demo_needs_and_is_listed(self, folder: Path) -> None:
        loaded = config.load(folder / "config.yaml", {"DATABASE_URL": "postgresql://h/d", "JWT_SECRET": "x" * 32})
        assert loaded.server.static == folder / "public"
        assert (folder / f"{folder.name}.sql").read_text()
        assert (folder / "public" / "index.html").read_text()
        assert f"`make demo EXAMPLE={folder.name}`" in (folder / "README.md").read_text()
        assert f"({folder.name}/README.md)" in (EXAMPLES / "README.md").read_text()

    def test_has_the_same_client_as_the_others(self, folder: Path) -> None:
        assert (folder / "public" / "pgrpc.js").read_text() == CLIENT

    def test_puts_no_text_in_as_html_and_loads_nothing_from_elsewhere(self, folder: Path) -> None:
        for path in (folder / "public").iterdir():
            text = path.read_text()
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), path
            addresses = set(re.findall(r"https?://[^\s'\"]+", text)) - {"http://www.w3.org/2000/svg"}
            assert not addresses, path
        assert "Content-Security-Policy" in (folder / "public" / "index.html").read_text()


def test_there_are_examples() -> None:
    assert {"auction", "chat", "map", "people", "private"} <= {folder.name for folder in FOLDERS}
