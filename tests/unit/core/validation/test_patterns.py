"""The patterns of schemas: what ECMA-262 says of them, and never longer than the text."""

import random
import subprocess
import sys
import time

import pytest

from pgrpc.core.validation import patterns


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        pytest.param("b", ["b", "abc"], ["", "a"], id="anywhere"),
        pytest.param("^a$", ["a"], ["a\n", "\na", "b\na"], id="the very beginning and end"),
        pytest.param(r"^\d\w\s$", ["1_ "], ["٣a ", "1é ", "1a\u00a0"], id="ASCII classes"),
        pytest.param(r"^\p{L}+$", ["Zoë"], ["Zo3"], id="letters"),
        pytest.param("^.$", ["é", "😀", "\ud800", "\udfff"], ["", "ab", "\n", "\ud800\udfff"], id="a character"),
        pytest.param("^[^a]b$", ["\ud800b"], ["ab", "\ud800"], id="beside a lone surrogate"),
        pytest.param(r"^\u00e9\u20AC$", ["é€"], ["e€", "u00e9u20AC"], id="code points"),
        pytest.param(r"^[\u00e0-\u00ff]$", ["é"], ["e"], id="code points in a class"),
        pytest.param(r"^\ud83d\ude00$", ["😀"], ["\ud83d"], id="a pair of surrogates"),
        pytest.param(r"^\\u0041$", ["\\u0041"], ["A", "\\A"], id="a backslash before a u"),
        pytest.param("^[é€]$", ["é", "€"], ["x", "?"], id="not ASCII"),
        pytest.param(r"^\/\-$", ["/-"], ["\\/-"], id="escapes that need not be"),
        pytest.param("\0", ["\0"], ["0"], id="NUL"),
    ],
)
def test_matches(pattern: str, good: list[str], bad: list[str]) -> None:
    compiled = patterns.compile(pattern)
    assert [text for text in good if not compiled.matches(text)] == []
    assert [text for text in bad if compiled.matches(text)] == []


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(?=a)", "invalid perl operator: (?="),
        ("(?<!a)b", "invalid perl operator: (?<!"),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("(", "missing ): ("),
        ("[é", "missing ]: [é"),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("\ud800", "it holds a lone surrogate"),
    ],
)
def test_what_takes_more_than_linear_time_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(patterns.Unmatchable) as caught:
        patterns.compile(pattern)
    assert str(caught.value) == words


def test_nothing_is_written_to_standard_error() -> None:
    program = "from pgrpc.core.validation import patterns as p\ntry: p.compile('(?=a)')\nexcept p.Unmatchable: pass"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stderr == b""


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(x+x+)+y", "(.*)(.*)(.*)(.*)(.*)x", "([a-z]+.)+[A-Z]"])
def test_no_text_takes_long(pattern: str) -> None:
    """Python's `re` takes seconds for 30 characters."""
    compiled = patterns.compile(pattern)
    begin = time.process_time()
    compiled.matches("a" * 65536 + "!")
    assert time.process_time() - begin < 0.25
    assert compiled.work("a" * 65536) < 1000


def test_a_count_that_makes_many_states_is_known_to_take_long() -> None:
    text = "".join(random.Random(1).choices("ab", k=65536))
    assert patterns.compile("[ab]*a[ab]{200}b").work(text) > 200_000
    assert patterns.compile(r"^\p{L}+$").work("a" * 65536) < 1000
    assert patterns.compile(r"^[^@\s]+@[^@\s]+\.[a-z]{2,24}$").work("someone@example.org") < 50


def test_the_patterns_of_a_schema_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make = patterns.compile
    monkeypatch.setattr(patterns, "compile", lambda pattern: made.append(pattern) or make(pattern))  # type: ignore[func-returns-value]
    one, other = patterns.Patterns(), patterns.Patterns()
    assert one.compile("a") is one.compile("a")
    assert made == ["a"]
    assert other.compile("a").matches("a")
    assert made == ["a", "a"]
    with pytest.raises(patterns.Unmatchable):
        one.compile("(?=a)")


def test_size_of_what_bytes_cannot_say() -> None:
    assert patterns.compile(r"\x{20ac}{3}").size < 50
