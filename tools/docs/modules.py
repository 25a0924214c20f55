"""The tree of pgrpc's modules, each with the first line of its docstring.

Owns the layout of that list in docs/explanation/architecture.md.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

_COLUMN = 30


def tree(package: Path) -> str:
    return "\n".join(("```", *_lines(package, 0), "```"))


def _lines(package: Path, depth: int) -> Iterator[str]:
    """Modules before packages."""
    for path in sorted(package.glob("*.py")):
        if path.stem != "__init__":
            yield _line(path.stem, first_line(path), depth)
    for path in sorted(package.glob("*/__init__.py")):
        yield _line(f"{path.parent.name}/", first_line(path), depth)
        yield from _lines(path.parent, depth + 1)


def _line(name: str, words: str, depth: int) -> str:
    return f"{'  ' * depth + name:{_COLUMN}}{words}".rstrip()


def first_line(module: Path) -> str:
    """Of its docstring, without the dot at its end."""
    words = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
    return words.partition("\n")[0].removesuffix(".")
