"""Text that PostgreSQL cannot store is found, with its place."""

from typing import Any

import pytest

from pgrpc.core.functions import storable


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", True), ("é😀", True), ("a\0", False), ("\ud800", False), ('{"a":"\\u0000"}', False), ("\\u0001", True)],
)
def test_is_storable(text: str, expected: bool) -> None:
    assert storable.is_storable(text) is expected


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ("a", []),
        (1, []),
        (None, []),
        ("\0", [""]),
        (["a", "\udfff", ["\0"]], ["/1", "/2/0"]),
        ({"a/b": "\0", "c": {"\ud800": 1}}, ["/a~1b", "/c"]),
    ],
)
def test_faults(value: Any, paths: list[str]) -> None:
    found = list(storable.faults(value, ""))
    assert [fault.path for fault in found] == paths
    assert {(fault.rule, fault.message) for fault in found} <= {
        ("postgresql", "holds a NUL or a lone surrogate, which PostgreSQL cannot store")
    }
