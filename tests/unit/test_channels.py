"""Channels: which names can be heard, by which rule, and how payloads travel."""

from dataclasses import dataclass

import pytest

from pgrpc.core import channels, globs, jsontext


@dataclass(frozen=True)
class Entry:
    name: str
    payload: channels.Payload = "auto"
    slow_consumer: channels.SlowConsumer = "close"
    glob: globs.Syntax = "dots"


def listed(*names: str) -> channels.Channels:
    return channels.Channels(Entry(name) for name in names)


def rule_name(of: channels.Channels, name: str) -> str:
    found = of.rule(name)
    assert isinstance(found, channels.Rule)
    return found.name


@pytest.mark.parametrize(
    ("entry", "allowed", "refused"),
    [
        pytest.param("people", ["people"], ["People", "people ", "people.1", "peopl"], id="exact"),
        pytest.param("room.*", ["room.7", "room.", "room.a b", "room.\n"], ["room", "room.7.8", "xroom.7"], id="star"),
        pytest.param("*", ["a", "people"], ["a.b", "."], id="star alone"),
        pytest.param("**", ["a", "a.b.c", ".", "a\n.b"], [], id="two stars alone"),
        pytest.param("room.**", ["room.7", "room.7.8", "room."], ["room"], id="two stars"),
        pytest.param("***", ["a.b"], [], id="three stars"),
        pytest.param("a*.b*.**c", ["a.b.c", "ax.by.z.c"], ["a.x.b.c", "a.b.", "a.bc"], id="several stars"),
        pytest.param("*x*", ["x", "axb", "xx"], ["a.x", "ab", "x.y"], id="stars around"),
        pytest.param(
            "a+(b)?[c]{2}^$|\\*", ["a+(b)?[c]{2}^$|\\", "a+(b)?[c]{2}^$|\\d"], ["aab", "a"], id="metacharacters"
        ),
        pytest.param("a.b", ["a.b"], ["axb", "a.b\n"], id="a dot is a dot"),
        pytest.param("a.*", ["a.b"], ["axb", "axbc"], id="a dot before a star"),
        pytest.param("é*", ["é😀"], ["e"], id="not ASCII"),
    ],
)
def test_names(entry: str, allowed: list[str], refused: list[str]) -> None:
    of = listed(entry)
    assert [name for name in allowed if not isinstance(of.rule(name), channels.Rule)] == []
    assert [name for name in refused if of.rule(name) != "not allowed"] == []


def test_nothing_listed_nothing_heard() -> None:
    assert listed().rule("a") == "not allowed"


def test_exact_names_go_before_globs_and_globs_by_their_order() -> None:
    of = listed("room.**", "room.*", "room.7", "*.8")
    assert of.names == ("room.**", "room.*", "room.7", "*.8")
    assert rule_name(of, "room.7") == "room.7"
    assert rule_name(of, "room.8") == "room.**"
    assert rule_name(of, "hall.8") == "*.8"


def test_the_rule_is_that_of_the_entry() -> None:
    of = channels.Channels([Entry("a", "json", "latest"), Entry("b.*", "text", "drop_oldest")])
    assert of.rule("a") == channels.Rule("a", "json", "latest")
    assert of.rule("b.1") == channels.Rule("b.*", "text", "drop_oldest")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("", "a channel name cannot be empty", id="empty"),
        pytest.param("room.*", "this is a pattern; ask for exact names", id="a pattern"),
        pytest.param("**", "this is a pattern; ask for exact names", id="everything"),
        *(
            pytest.param(name, "this name is reserved", id=name)
            for name in ("rpc.", "rpc.gap", "$/x", "open", "close", "error", "max_reconnects_reached")
        ),
        pytest.param("a\0", "a channel name cannot hold the character NUL", id="NUL"),
        pytest.param("a\ud800", "a channel name cannot hold a lone surrogate", id="lone surrogate"),
        pytest.param("a" * 64, "the name has 64 bytes; PostgreSQL's limit is 63", id="64 bytes"),
        pytest.param("é" * 32, "the name has 64 bytes; PostgreSQL's limit is 63", id="64 bytes of 32 characters"),
        pytest.param("😀" * 16, "the name has 64 bytes; PostgreSQL's limit is 63", id="64 bytes of 16 characters"),
    ],
)
def test_refused_whatever_is_listed(name: str, reason: str) -> None:
    assert channels.fault(name) == reason
    assert listed("**", "*", name).rule(name) == reason


@pytest.mark.parametrize(
    "name", ["a", "a" * 63, "é" * 31, "rpc", "Rpc.x", "xrpc.", "$", "opened", "Open", "a b\n", '"; select 1'], ids=repr
)
def test_can_be_heard(name: str) -> None:
    assert channels.fault(name) is None
    assert rule_name(listed("**"), name) == "**"


@pytest.mark.parametrize("name", ["room.*", "**", "rpc.gap", "$/x", "open", "error"])
def test_a_name_that_is_nothing_else_to_the_client(name: str) -> None:
    assert channels.fault(name, verbatim=True) is None
    assert isinstance(listed("**").rule(name, verbatim=True), channels.Rule)
    for refused in ("", "a\0", "a\ud800", "a" * 64):
        assert channels.fault(refused, verbatim=True) == channels.fault(refused)


def test_globs_of_each_dialect() -> None:
    of = channels.Channels([Entry("a?[b]"), Entry("c?", glob="posix"), Entry("d*"), Entry("e", glob="posix")])
    assert of.globs == {"c?", "d*"}
    assert [name for name in ("a?[b]", "c1", "d", "e") if not isinstance(of.rule(name), channels.Rule)] == []
    assert [name for name in ("axb", "c?x", "c") if of.rule(name) != "not allowed"] == []
    with pytest.raises(globs.Malformed):
        listed_posix("[")


def listed_posix(*names: str) -> channels.Channels:
    return channels.Channels(Entry(name, glob="posix") for name in names)


AS_IT_IS = [
    '{"a":1}', "[]", ' \t\r\n{"a": 1.50}\n', '{"a":1,"a":2}', '[1e400,"\\ud800"]', f"[{'9' * 5000}]", "[1,\n2]"
]  # fmt: skip
OTHER_JSON = ["null", "true", "1", "1.50", ' "a"', "-0"]
NO_JSON = [
    "", " ", "hello", "{", '{"a":NaN}', "[Infinity]", "[1,]", "{'a':1}", "{}{}", "\ufeff{}", '["\n"]', "\0", "\x0b[]",
    "[" * 100_000 + "]" * 100_000, '"', "é😀",
]  # fmt: skip


@pytest.mark.parametrize(
    ("how", "as_it_is", "as_text"),
    [
        pytest.param("auto", AS_IT_IS, OTHER_JSON + NO_JSON, id="auto"),
        pytest.param("text", [], AS_IT_IS + OTHER_JSON + NO_JSON, id="text"),
        pytest.param("json", AS_IT_IS + OTHER_JSON, NO_JSON, id="json"),
    ],
)
def test_payload(how: channels.Payload, as_it_is: list[str], as_text: list[str]) -> None:
    rule = channels.Rule("a", how)
    assert [payload for payload in as_it_is if rule.encode(payload) != payload] == []
    wrong = [
        payload
        for payload in as_text
        if rule.encode(payload) == payload or jsontext.parse(rule.encode(payload)) != payload
    ]
    assert wrong == []


def test_reserved_names() -> None:
    listed = channels.Channels([Entry("**")], ["control"])
    assert listed.rule("control") == "this name is reserved"
    assert isinstance(listed.rule("controls"), channels.Rule)
