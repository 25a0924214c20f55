"""Channels: which names can be heard, by which rule, and how payloads travel."""

from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.channels import rules
from pgrpc.core.identity import claims, identity
from pgrpc.core.wire import jsontext
from tests.support.samples import somebody


def listed(*names: str) -> rules.Channels:
    return rules.Channels(rules.Entry(name) for name in names)


def asked(of: rules.Allowed, name: str, client: identity.Identity = identity.NOBODY) -> str | None:
    """What the client is told; None where it may hear the channel."""
    found = of.rule(name, client)
    return found.words if isinstance(found, rules.Refusal) else None


def rule_name(of: rules.Channels, name: str, client: identity.Identity = identity.NOBODY) -> str:
    found = of.rule(name, client)
    assert isinstance(found, rules.Rule)
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
            "a+(b)?[c]{{2}}^$|\\*", ["a+(b)?[c]{2}^$|\\", "a+(b)?[c]{2}^$|\\d"], ["aab", "a"], id="metacharacters"
        ),
        pytest.param("a.b", ["a.b"], ["axb", "a.b\n"], id="a dot is a dot"),
        pytest.param("a.*", ["a.b"], ["axb", "axbc"], id="a dot before a star"),
        pytest.param("é*", ["é😀"], ["e"], id="not ASCII"),
    ],
)
def test_names(entry: str, allowed: list[str], refused: list[str]) -> None:
    of = listed(entry)
    assert [name for name in allowed if asked(of, name)] == []
    assert [name for name in refused if asked(of, name) != "not listed"] == []


def test_nothing_listed_nothing_heard() -> None:
    assert asked(listed(), "a") == "not listed"


def test_exact_names_go_before_globs_and_globs_by_their_order() -> None:
    of = listed("room.**", "room.*", "room.7", "*.8")
    assert of.names == ("room.**", "room.*", "room.7", "*.8")
    assert rule_name(of, "room.7") == "room.7"
    assert rule_name(of, "room.8") == "room.**"
    assert rule_name(of, "hall.8") == "*.8"


def test_the_rule_is_that_of_the_entry() -> None:
    of = rules.Channels([rules.Entry("a", "json", "latest"), rules.Entry("b.*", "text", "drop_oldest")])
    assert of.rule("a", identity.NOBODY) == rules.Rule("a", "json", "latest")
    assert of.rule("b.1", identity.NOBODY) == rules.Rule("b.*", "text", "drop_oldest")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("", "a channel name cannot be empty", id="empty"),
        pytest.param("room.*", "this is a pattern; subscribe to exact names", id="a pattern"),
        pytest.param("**", "this is a pattern; subscribe to exact names", id="everything"),
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
    assert rules.fault(name) == reason
    assert asked(listed("**", "*", name), name) == reason


@pytest.mark.parametrize(
    "name", ["a", "a" * 63, "é" * 31, "rpc", "Rpc.x", "xrpc.", "$", "opened", "Open", "a b\n", '"; select 1'], ids=repr
)
def test_can_be_heard(name: str) -> None:
    assert rules.fault(name) is None
    assert rule_name(listed("**"), name) == "**"


@pytest.mark.parametrize("name", ["room.*", "**", "rpc.gap", "$/x", "open", "error"])
def test_a_name_that_is_nothing_else_to_the_client(name: str) -> None:
    assert rules.postgresql_fault(name) is None
    assert asked(listed("**").raw, name) is None
    for refused in ("", "a\0", "a\ud800", "a" * 64):
        assert asked(listed("**").raw, refused) == rules.fault(refused)


def test_which_entries_are_globs() -> None:
    of = listed("a?[b]", "c*")
    assert of.globs == {"c*"}
    assert [name for name in ("a?[b]", "c1") if asked(of, name)] == []
    assert asked(of, "axb") == "not listed"


# Claims in names


@pytest.mark.parametrize(
    ("entry", "claims", "heard", "refused"),
    [
        pytest.param(
            "user.{sub}", {"sub": "a"}, ["user.a"], ["user.b", "user.", "user.{sub}", "user.a.b", "user.aa"], id="claim"
        ),
        pytest.param(
            "user.{sub}.*", {"sub": "a"}, ["user.a.b", "user.a."], ["user.a", "user.a.b.x", "user.b.a"], id="star"
        ),
        pytest.param("user.{sub}.**", {"sub": "a"}, ["user.a.b.x"], ["user.b.a.x", "user.a", "user.aa.b"], id="stars"),
        pytest.param("{sub}", {"sub": "a|b(c)"}, ["a|b(c)"], ["a", "a|b(c", "ab"], id="marks of expressions"),
        pytest.param("u.{sub}", {"sub": "[^x]"}, ["u.[^x]"], ["u.a"], id="marks of other globs"),
        pytest.param("u.{sub}", {"sub": "\\1"}, ["u.\\1"], ["u.1"], id="a backslash"),
        pytest.param("u.{sub}", {"sub": "{role}", "role": "x"}, ["u.{role}"], ["u.x"], id="braces mean nothing"),
        pytest.param("u.{sub}", {"sub": 42}, ["u.42"], ["u.4"], id="a number"),
        pytest.param("u.{sub}0", {"sub": "a"}, ["u.a0"], ["u.a", "u.00"], id="a digit after it"),
        pytest.param("u.{sub}", {"sub": "a'b\n\"é"}, ["u.a'b\n\"é"], ["u.a"], id="quotes and newlines"),
        pytest.param("u.{sub}", {"sub": "a" * 8000}, [], ["u." + "a" * 61], id="longer than names"),
        pytest.param(
            "org.{app.org}.{sub}.*",
            {"app": {"org": "o"}, "sub": "s"},
            ["org.o.s.x"],
            ["org.s.o.x"],
            id="two, one nested",
        ),
        pytest.param('{"https://x.y/c".id}', {"https://x.y/c": {"id": "i"}}, ["i"], ["https://x.y/c"], id="quoted"),
        pytest.param("{sub}.{sub}", {"sub": "a"}, ["a.a"], ["a.b"], id="twice"),
        pytest.param("**.{sub}.**", {"sub": "a"}, ["x.a.y", "b.x.a.y"], ["x.b.y", ".aa."], id="between stars"),
        pytest.param("*{sub}", {"sub": "a"}, ["a", "ba"], ["ab", "b.a"], id="after a star"),
        pytest.param("{{sub}}.*", {"sub": "a"}, ["{sub}.x"], ["a.x"], id="braces"),
        pytest.param("a{{b}}", {}, ["a{b}"], ["a{{b}}", "ab"], id="braces in an exact name"),
    ],
)
def test_claims_in_names(entry: str, claims: dict[str, Any], heard: list[str], refused: list[str]) -> None:
    client = somebody(**claims)
    of = listed(entry)
    assert [name for name in heard if asked(of, name, client)] == []
    assert [name for name in refused if asked(of, name, client) is None] == []


WIDENING = ["", "*", "**", "a.b", ".", "a*", "\0", "a\0b", None, True, 1.5, Decimal("1"), [], ["a"], {}, {"a": "b"}]


@pytest.mark.parametrize("value", WIDENING, ids=repr)
@pytest.mark.parametrize("entry", ["user.{sub}", "user.{sub}.*", "user.{sub}.**", "{sub}", "**{sub}**"])
def test_a_claim_cannot_widen_a_rule(entry: str, value: Any) -> None:
    of = listed(entry)
    names = ["user", "user.", "user..", "user.a", "user.a.b", "user.a.b.x", "user.b", "a", "user.None", "user.1", "."]
    for client in (somebody(sub=value), somebody()):
        assert [name for name in names if asked(of, name, client) is None] == []


@pytest.mark.parametrize(
    ("name", "sub", "reason"),
    [
        ("user.a", "b", "the token has another value for a claim in 'user.{sub}'"),
        ("user.a", "b.c", "the token lacks a claim in 'user.{sub}', or its value cannot be part of a channel name"),
        ("user.a.b", "a", "not listed in the file"),
        ("other", "a", "not listed in the file"),
    ],
)
def test_the_log_is_told_which_claim_it_was(name: str, sub: str, reason: str) -> None:
    words = "not listed" if reason == "not listed in the file" else "not allowed"
    assert listed("user.{sub}").rule(name, somebody(sub=sub)) == rules.Refusal(words, reason)


def test_nobody_hears_what_is_meant_for_somebody_else() -> None:
    """Every subject against every name that is another's."""
    of = listed("user.{sub}", "user.{sub}.*", "team.{team.id}.**")
    subjects = ["a", "b", "ab", "a.b", "*", "a*", "", "1", "a\n", "A"]
    for subject in subjects:
        client = somebody(sub=subject, team={"id": subject})
        for other in subjects:
            if other != subject and claims.text({"sub": other}, ("sub",)):
                names = [f"user.{other}", f"user.{other}.x", f"team.{other}.x", f"team.{other}.x.y"]
                assert [name for name in names if asked(of, name, client) is None] == []


def test_entries_with_claims_count_in_the_order_of_the_file_after_exact_names() -> None:
    of = listed("user.{sub}", "user.*", "user.b")
    assert of.globs == {"user.{sub}", "user.*"}
    assert rule_name(of, "user.a", somebody(sub="a")) == "user.{sub}"
    assert rule_name(of, "user.a", somebody(sub="x")) == "user.*"
    assert rule_name(of, "user.b", somebody(sub="b")) == "user.b"


@pytest.mark.parametrize("entry", ["user.{", "user.}", "{}", "{a..b}", "{a}}", "{{a}", "{{{", "{.a}"])
def test_braces_that_are_wrong(entry: str) -> None:
    with pytest.raises(claims.Malformed):
        listed(entry)


# Roles


def test_roles() -> None:
    of = rules.Channels([rules.Entry("a", roles=("x", "y")), rules.Entry("b")])
    assert asked(of, "a", somebody("x")) is None
    assert asked(of, "b", somebody("z")) is None
    assert of.rule("a", somebody("z")) == rules.Refusal("not allowed", "the roles of 'a' do not include z")
    assert asked(of, "a") == "not allowed"


def test_the_first_entry_that_fits_decides_also_who_is_let_in() -> None:
    of = rules.Channels([rules.Entry("room.vip", roles=("x",)), rules.Entry("room.*")])
    assert asked(of, "room.vip", somebody("z")) == "not allowed"
    assert asked(of, "room.7", somebody("z")) is None


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
def test_payload(how: rules.Payload, as_it_is: list[str], as_text: list[str]) -> None:
    rule = rules.Rule("a", how)
    assert [payload for payload in as_it_is if rule.encode(payload) != payload] == []
    wrong = [
        payload
        for payload in as_text
        if rule.encode(payload) == payload or jsontext.parse(rule.encode(payload)) != payload
    ]
    assert wrong == []


def test_reserved_names() -> None:
    of = rules.Channels([rules.Entry("**")], ["control"])
    assert of.raw.reserved == {"control"}
    assert asked(of.raw, "control") == "this name is reserved"
    assert asked(of, "controls") is None
