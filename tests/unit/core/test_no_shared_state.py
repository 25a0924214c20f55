"""Nothing in core is shared by what is made of it: no caches and no collections that can change, of a whole module."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[3] / "pgrpc" / "core"
CACHES = ("cache", "lru_cache")
MUTABLE = ("list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict", "ChainMap")
READ_ONLY = ("Mapping", "Sequence", "Set", "Collection")
"""Declared as one of these it cannot be changed: mypy refuses that."""


def _called(node: ast.expr) -> str:
    """The last name of what is called: lru_cache of functools.lru_cache(maxsize=1)."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_mutable(value: ast.expr) -> bool:
    literals = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    return isinstance(value, literals) or (isinstance(value, ast.Call) and _called(value) in MUTABLE)


def shared(source: str) -> Iterator[str]:
    """What in a module outlives all that is made of it, and can change."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (f"{node.name}: @{_called(d)}" for d in node.decorator_list if _called(d) in CACHES)
        elif isinstance(node, ast.Call) and _called(node) in CACHES:
            yield f"line {node.lineno}: {_called(node)}"
        elif isinstance(node, ast.Global):
            yield f"global {', '.join(node.names)}"
    bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    for statement in (statement for body in bodies for statement in body):
        if isinstance(statement, ast.AnnAssign):
            declared = statement.annotation
            name = declared.value if isinstance(declared, ast.Subscript) else declared
            is_declared = _called(name) in READ_ONLY
            targets: list[ast.expr] = [statement.target]
        elif isinstance(statement, ast.Assign):
            is_declared, targets = False, statement.targets
        else:
            continue
        if statement.value is not None and _is_mutable(statement.value) and not is_declared:
            yield ", ".join(ast.unparse(target) for target in targets)


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_core_has_none(path: Path) -> None:
    assert list(shared(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("@lru_cache(maxsize=1)\ndef f(): ...", ["f: @lru_cache", "line 1: lru_cache"]),
        ("class A:\n  @functools.cache\n  def f(self): ...", ["f: @cache"]),
        ("f = lru_cache(f)", ["line 1: lru_cache"]),
        ("def f():\n  global a, b", ["global a, b"]),
        ("a = []", ["a"]),
        ("a: dict[str, int] = {}", ["a"]),
        ("a = b = collections.deque()", ["a, b"]),
        ("class A:\n  a = {x for x in y}", ["a"]),
        ("a: Mapping[str, int] = {}\nb: int\nc = ()\nd = list[int]\ndef f():\n  e = []", []),
    ],
)
def test_what_is_found(source: str, expected: list[str]) -> None:
    assert list(shared(source)) == expected
