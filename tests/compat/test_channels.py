"""A dialect's own list of channels: which names it allows, and which of its patterns our own clients can have."""

import re

import pytest

from pgrpc.compat import channels
from pgrpc.core.channels import rules
from pgrpc.core.identity import identity

NAMES = ["error", "open", "rpc.gap", "$/x", "room.*", "a b", "é" * 31]


def allowed(patterns: channels.Patterns, name: str) -> bool:
    return isinstance(patterns.rule(name, identity.NOBODY), rules.Rule)


def test_the_first_pattern_that_matches_counts() -> None:
    patterns = channels.Patterns([("a?", re.compile("a.")), ("ab", re.compile("ab")), ("é", re.compile("é"))])
    assert patterns.rule("ab", identity.NOBODY) == rules.Rule("a?")
    assert patterns.rule("é", identity.NOBODY) == rules.Rule("é")
    assert patterns.rule("abc", identity.NOBODY) == rules.Refusal("not listed", "not listed in the file")


def test_names_have_no_other_meaning() -> None:
    patterns = channels.Patterns([("*", re.compile(".*", re.DOTALL))], ["control"])
    assert [name for name in NAMES if not allowed(patterns, name)] == []
    assert patterns.rule("control", identity.NOBODY) == rules.Refusal("this name is reserved")
    for name in ("", "a\0", "a\ud800", "a" * 64):
        assert patterns.rule(name, identity.NOBODY) == rules.Refusal(rules.postgresql_fault(name) or "")


@pytest.mark.parametrize("name", NAMES)
def test_names_that_postgresql_can_have(name: str) -> None:
    assert rules.postgresql_fault(name) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("people", "people"),
        ("room.**", "room.**"),
        ("a{b}", "a{{b}}"),
        ("a?[b]\\", "a?[b]\\"),
        ("x" * 60 + "{*", "x" * 60 + "{{*"),
        ("error", None),
        ("rpc.x", None),
        ("rpc.**", None),
        ("$/x", None),
        ("", None),
        ("x" * 64, None),
        ("a\0", None),
    ],
)
def test_what_our_own_clients_can_have(name: str, expected: str | None) -> None:
    assert channels.native(name) == expected
    if expected is not None:
        native = rules.Channels([rules.Entry(expected)])
        assert isinstance(native.rule(name.replace("*", "a"), identity.NOBODY), rules.Rule)
