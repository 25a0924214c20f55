"""Values as PostgreSQL is given them, and what it cannot store."""

from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.functions import argument_text


@pytest.mark.parametrize(
    ("value", "text"), [(None, None), ("a", "a"), (Decimal("1.0"), "1.0"), (True, "true"), ([1], "[1]")]
)
def test_text(value: Any, text: str | None) -> None:
    assert argument_text.text(value) == text


@pytest.mark.parametrize(("text", "expected"), [("é", True), ("\0", False), ("\\u0000", False), ("\ud800", False)])
def test_is_storable(text: str, expected: bool) -> None:
    assert argument_text.is_storable(text) is expected


def test_faults() -> None:
    value = {"a": ["\0", 1, "ok"], "b/": {"\udfff": None}, "c": "\ud800"}
    assert [(fault.path, fault.rule) for fault in argument_text.faults(value)] == [
        ("/a/0", "postgresql"),
        ("/b~1", "postgresql"),
        ("/c", "postgresql"),
    ]


def test_faults_inside_and_after_arrays() -> None:
    value = [[["\0", []], {}, {"\0": ["\0"]}], "\0"]
    assert [fault.path for fault in argument_text.faults(value)] == ["/0/0/0", "/0/2", "/0/2/\0/0", "/1"]
    assert [fault.path for fault in argument_text.faults("\0")] == [""]
