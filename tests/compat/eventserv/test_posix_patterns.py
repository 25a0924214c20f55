"""pg_eventserv's patterns: what each matches, and which are malformed."""

import string
from collections.abc import Callable

import pytest

from pgrpc.compat.eventserv import posix_patterns


def matched(glob: str, names: list[str]) -> list[str]:
    pattern = posix_patterns.compile(glob)
    return [name for name in names if pattern.fullmatch(name)]


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        pytest.param("people", ["people"], ["People", "people.1", "xpeople"], id="itself"),
        pytest.param("*", ["", "a", "a.b", "a\nb", "é"], [], id="star"),
        pytest.param("**", ["", "a.b"], [], id="two stars are one"),
        pytest.param("a**b***", ["ab", "a.b.c"], ["a", "ba"], id="several stars in a row"),
        pytest.param("room.*", ["room.", "room.7", "room.7.8"], ["room", "xroom.7"], id="a dot is a dot"),
        pytest.param("*.log", [".log", "a.log.log"], ["a.log.", "alog"], id="star first"),
        pytest.param("a*b*c", ["abc", "axbxc", "abbcc", "acbc"], ["ab", "acb", "abcx"], id="stars between"),
        pytest.param("*a*", ["a", "xax"], ["x"], id="stars around"),
        pytest.param("*ab*ab", ["abab", "aababab"], ["ab", "aba"], id="a star does not give back what it took"),
        pytest.param("a?", ["ab", "a.", "a😀", "a\n"], ["a", "abc"], id="question mark"),
        pytest.param("[abc]", ["a", "c"], ["d", "ab", ""], id="a set"),
        pytest.param("x[0-9a-f]", ["x0", "xf"], ["xg", "x"], id="ranges"),
        pytest.param("[^0-9]x", ["ax", "^x"], ["1x", "x"], id="negated"),
        pytest.param("[!a]", ["!", "a"], ["b"], id="an exclamation mark negates nothing"),
        pytest.param("[a^]", ["a", "^"], ["b"], id="a circumflex that is not first"),
        pytest.param("[a-]", ["a", "-"], ["b"], id="a minus at the end"),
        pytest.param("[+--]", ["+", ",", "-"], ["."], id="a range to a minus"),
        pytest.param("[z-a]", [], ["a", "m", "z", "-"], id="a range of nothing"),
        pytest.param("[z-a0]", ["0"], ["z"], id="a range of nothing, and a character"),
        pytest.param("[^]]", ["a]", "]]"], ["a", "]"], id="anything, and then a bracket"),
        pytest.param("[[:digit:]_][[:alpha:]]", ["1a", "_Z"], ["a1", "1é", "::"], id="classes"),
        pytest.param("[^[:space:]]", ["a"], [" ", "\n"], id="not of a class"),
        pytest.param("[[:punct:]]", list("!/:@[`{~-\\"), list("a0 "), id="punctuation"),
        pytest.param("\\*\\?\\[\\a", ["*?[a"], ["x?[a", "\\*\\?\\[\\a"], id="taken as they are"),
        pytest.param("[\\]\\-a]", ["]", "-", "a"], ["\\", "b"], id="taken as they are in a set"),
        pytest.param("[a-\\]]", [], ["a", "]"], id="a range whose end is taken as it is"),
        pytest.param("[\\!-\\/]", ["!", "-", "/"], ["0"], id="a range of such"),
        pytest.param("a+(b){2}|^$.", ["a+(b){2}|^$."], ["aab"], id="what regular expressions have"),
        pytest.param("[&&||~~.-]", list("&|~-."), ["a"], id="what regular expressions will have"),
    ],
)
def test_what_a_pattern_matches(glob: str, matching: list[str], others: list[str]) -> None:
    assert matched(glob, matching + others) == matching


@pytest.mark.parametrize("name", ["alnum", "blank", "cntrl", "graph", "lower", "print", "upper", "xdigit"])
def test_every_class_is_that_of_ascii(name: str) -> None:
    holds: dict[str, Callable[[str], bool]] = {
        "alnum": str.isalnum,
        "blank": lambda c: c in " \t",
        "cntrl": lambda c: c < " " or c == "\x7f",
        "graph": lambda c: " " < c < "\x7f",
        "lower": str.islower,
        "print": str.isprintable,
        "upper": str.isupper,
        "xdigit": lambda c: c in string.hexdigits,
    }
    ascii_ = [chr(code) for code in range(128)]
    assert matched(f"[[:{name}:]]", ascii_) == [c for c in ascii_ if holds[name](c)]


@pytest.mark.parametrize(
    ("glob", "words"),
    [
        ("[abc", "a \\[ without its \\]"),
        ("x[", "a \\[ without its \\]"),
        ("[^", "a \\[ without its \\]"),
        ("[a-", "a \\[ without its \\]"),
        ("[]", "holds nothing"),
        ("[]a]", "holds nothing"),
        ("[[:word:]]", r"one of \[:alnum:\], "),
        ("[[a]]", r"write \\\[ for a \["),
        ("[[.a.]]", r"write \\\[ for a \["),
        ("a\\", "at the end"),
        ("[\\", "at the end"),
    ],
)
def test_malformed(glob: str, words: str) -> None:
    with pytest.raises(posix_patterns.Malformed, match=words):
        posix_patterns.compile(glob)


def test_many_stars_cost_little() -> None:
    """Backtracking to each star would take years."""
    assert matched("*a" * 200 + "b", ["a" * 63]) == []
    assert matched("*a" * 63, ["a" * 63]) == ["a" * 63]


@pytest.mark.parametrize(
    ("text", "expected"), [("a", False), ("a*", True), ("a?", True), ("[a]", True), ("a\\", True), ("]^-", False)]
)
def test_is_pattern(text: str, expected: bool) -> None:
    assert posix_patterns.is_pattern(text) == expected
