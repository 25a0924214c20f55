"""Claims in names: how they are written, and which values can stand there."""

from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.identity import claims


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sub", ("sub",)),
        ("app_metadata.org", ("app_metadata", "org")),
        ('"https://x.y/z".id', ("https://x.y/z", "id")),
        ('a."b.c"', ("a", "b.c")),
        (" a ", (" a ",)),
    ],
)
def test_paths(text: str, path: claims.Path) -> None:
    assert claims.path(text) == path


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", '"a', '""', 'a"b"', '"a"b'])
def test_no_paths(text: str) -> None:
    with pytest.raises(claims.Malformed, match="is not a claim"):
        claims.path(text)


@pytest.mark.parametrize(
    ("name", "texts", "paths"),
    [
        ("a", ["a"], []),
        ("", [""], []),
        ("{sub}", ["", ""], [("sub",)]),
        ("u.{a.b}.{c}*", ["u.", ".", "*"], [("a", "b"), ("c",)]),
        ("{{a}}", ["{a}"], []),
        ("{{{a}}}", ["{", "}"], [("a",)]),
    ],
)
def test_names(name: str, texts: list[str], paths: list[claims.Path]) -> None:
    assert claims.split(name) == (texts, paths)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a{b", "unmatched {: write {{ for a brace"),
        ("a}b", "unmatched }: write }} for a brace"),
        ("{}", "{} is not a claim: write {sub} or {app_metadata.org}, or {{ for a brace"),
    ],
)
def test_braces_that_are_wrong(name: str, words: str) -> None:
    with pytest.raises(claims.Malformed) as caught:
        claims.split(name)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ann", "ann"),
        ("é😀 '\"\n{}[]?\\", "é😀 '\"\n{}[]?\\"),
        (7, "7"),
        (-7, "-7"),
        ("", None),
        ("a.b", None),
        ("a*", None),
        ("a\0", None),
        (True, None),
        (None, None),
        (7.0, None),
        (Decimal("7"), None),
        (["ann"], None),
        ({"a": "b"}, None),
    ],
)
def test_what_can_be_part_of_a_name(value: Any, text: str | None) -> None:
    assert claims.text({"sub": value}, ("sub",)) == text
    assert claims.text({"a": {"b": value}}, ("a", "b")) == text


@pytest.mark.parametrize("given", [{}, {"a": "b"}, {"a": ["b"]}, {"a": {"c": "d"}}, {"a": {}}])
def test_what_is_not_there(given: dict[str, Any]) -> None:
    assert claims.text(given, ("a", "b")) is None
