"""The params of the protocol's own methods."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pgrpc.core.wire import errors, jsonrpc, rpc_methods
from tests.support import samples


def faults(read: Callable[[jsonrpc.Params], Any], params: jsonrpc.Params) -> list[tuple[str, str]]:
    with pytest.raises(errors.InvalidParams) as caught:
        read(params)
    return [(fault["path"], fault["rule"]) for fault in caught.value.data]


@pytest.mark.parametrize("params", [["a", "b"], {"channels": ["a", "b"]}], ids=["array", "object"])
def test_names(params: jsonrpc.Params) -> None:
    assert rpc_methods.channels(params, 2) == ["a", "b"]


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
def test_no_names(params: jsonrpc.Params, expected: list[tuple[str, str]]) -> None:
    assert faults(lambda given: rpc_methods.channels(given, 3), params) == expected


@pytest.mark.parametrize(
    ("params", "path"), [(["a", 1, "c", "d"], ""), ({"channels": ["a", "b", "c", "d"]}, "/channels")]
)
def test_too_many_names(params: jsonrpc.Params, path: str) -> None:
    with pytest.raises(errors.InvalidParams) as caught:
        rpc_methods.channels(params, 3)
    words = "too many channels: a message can name 3 at most; send several messages"
    assert caught.value.data == [{"path": path, "rule": "maxItems", "message": words}]


def test_names_add_up_within_a_message() -> None:
    assert rpc_methods.channels(["c"], 3, 2) == ["c"]
    assert faults(lambda given: rpc_methods.channels(given, 3, 2), ["c", "d"]) == [("", "maxItems")]


@pytest.mark.parametrize(
    ("read", "first"),
    [
        (lambda params: rpc_methods.channels({**params, "channels": []}, 3), "/n0"),
        (lambda params: rpc_methods.token({**params, "token": "t"}), "/n0"),
        (lambda params: rpc_methods.channels(list(params.values()), 10_000), "/0"),
    ],
    ids=["rpc.on", "rpc.login", "not strings"],
)
def test_only_a_few_of_many_faults_are_made(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[dict[str, Any]], Any], first: str
) -> None:
    made = samples.faults_made(monkeypatch)
    with pytest.raises(errors.InvalidParams, match=r"\(and 4999 more\)$"):
        read({f"n{i}": i for i in range(5_000)})
    assert len(made) == errors.MAX_FAULTS
    assert made[0] == first


@pytest.mark.parametrize("params", [["t"], {"token": "t"}], ids=["array", "object"])
def test_token(params: jsonrpc.Params) -> None:
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
def test_no_token(params: jsonrpc.Params, expected: list[tuple[str, str]]) -> None:
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
