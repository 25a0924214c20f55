"""The texts of an event, for each kind of client."""

import json
from typing import Any

import pytest

from pgrpc.core.channels import events, rules
from pgrpc.core.channels.notification import Notification


def received(payload: str, channel: str = "a", how: rules.Payload = "auto") -> Any:
    text = events.jsonrpc(channel, rules.Rule(channel, how))(Notification(channel, payload))
    assert text is not None
    return json.loads(text)


@pytest.mark.parametrize(
    ("how", "payload", "arrives"),
    [
        ("auto", '{"x": [1]}', {"x": [1]}),
        ("auto", "null", "null"),
        ("text", "{}", "{}"),
        ("json", "null", None),
        ("json", 'no "JSON"\n', 'no "JSON"\n'),
        ("auto", "", ""),
        ("auto", "x" * 8000, "x" * 8000),
    ],
)
def test_payloads(how: rules.Payload, payload: str, arrives: Any) -> None:
    params = {"channel": "a", "payload": arrives}
    assert received(payload, how=how) == {"jsonrpc": "2.0", "method": "a", "params": params}
    assert events.raw("a", rules.Rule("a", how))(Notification("a", payload)) == payload


def test_names_are_escaped() -> None:
    name = 'a"\\é'
    assert received("x", name) == {"jsonrpc": "2.0", "method": name, "params": {"channel": name, "payload": "x"}}
