"""The params of the protocol's own methods."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pgrpc.core.wire import errors, rpc_methods


def faults(read: Callable[[rpc_methods.Params], Any], params: rpc_methods.Params) -> list[tuple[str, str]]:
    with pytest.raises(errors.InvalidParams) as caught:
        read(params)
    return [(fault["path"], fault["rule"]) for fault in caught.value.data]


@pytest.mark.parametrize("params", [["a", "b"], {"channels": ["a", "b"]}], ids=["array", "object"])
def test_names(params: rpc_methods.Params) -> None:
    assert rpc_methods.channels(params) == ["a", "b"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [("/channels", "required")]),
        ({"channels": "a"}, [("/channels", "type")]),
        ({"channels": ["a", 1, None]}, [("/channels/1", "type"), ("/channels/2", "type")]),
        ([["a"]], [("/0", "type")]),
        ({"channels": [], "x": 1, "a/b": 2}, [("/x", "additionalProperties"), ("/a~1b", "additionalProperties")]),
    ],
)
def test_no_names(params: rpc_methods.Params, expected: list[tuple[str, str]]) -> None:
    assert faults(rpc_methods.channels, params) == expected


@pytest.mark.parametrize("params", [["t"], {"token": "t"}], ids=["array", "object"])
def test_token(params: rpc_methods.Params) -> None:
    assert rpc_methods.token(params) == "t"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ([], [("", "maxItems")]),
        (["secret", "secret"], [("", "maxItems")]),
        ([1], [("/0", "type")]),
        ({}, [("/token", "required")]),
        ({"token": None}, [("/token", "type")]),
        ({"token": "secret", "role": "secret"}, [("/role", "additionalProperties")]),
    ],
)
def test_no_token(params: rpc_methods.Params, expected: list[tuple[str, str]]) -> None:
    assert faults(rpc_methods.token, params) == expected


def test_identifier() -> None:
    assert rpc_methods.identifier({"id": None, "x": 1}) is None
    for params in ([7], {}, {"ID": 7}):
        assert faults(rpc_methods.identifier, params) == [("/id", "required")]


def test_notifications() -> None:
    assert json.loads(rpc_methods.ended(("a", "b"), "not allowed")) == {
        "jsonrpc": "2.0",
        "method": "rpc.ended",
        "params": {"channels": ["a", "b"], "reason": "not allowed"},
    }
    assert json.loads(rpc_methods.expiring(60)) == {
        "jsonrpc": "2.0",
        "method": "rpc.expiring",
        "params": {"expires_in": 60},
    }


def test_the_words_of_a_gap() -> None:
    assert json.loads(rpc_methods.gap(("a", 'b"'), "was away")) == {
        "jsonrpc": "2.0",
        "method": "rpc.gap",
        "params": {"channels": ["a", 'b"'], "reason": "was away"},
    }
