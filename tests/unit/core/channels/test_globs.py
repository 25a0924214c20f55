"""Globs: what each matches."""

import pytest

from pgrpc.core.channels import globs


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        pytest.param("room", ["room"], ["Room", "room.", "xroom"], id="itself"),
        pytest.param("room.*", ["room.7", "room.", "room.\n"], ["room.7.8", "room"], id="star"),
        pytest.param("room.**", ["room.7", "room.7.8", "room.\n"], ["room"], id="two stars"),
        pytest.param("*.***", ["a.", "a.b.c"], ["a"], id="more stars are two"),
        pytest.param("a?[b]\\", ["a?[b]\\"], ["axb"], id="all else is itself"),
    ],
)
def test_what_a_glob_matches(glob: str, matching: list[str], others: list[str]) -> None:
    pattern = globs.compile(glob)
    assert [name for name in matching + others if pattern.fullmatch(name)] == matching


@pytest.mark.parametrize(
    ("text", "expected"), [("a", False), ("a*", True), ("**", True), ("a?[b]\\", False), ("", False)]
)
def test_is_pattern(text: str, expected: bool) -> None:
    assert globs.is_pattern(text) == expected
