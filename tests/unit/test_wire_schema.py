"""schemas/wire.schema.json describes what the core really takes and sends."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pgrpc.core.channels import rules
from pgrpc.core.limits.settings import Limits
from pgrpc.core.session import rpc_session
from pgrpc.core.wire import errors, jsonrpc, rpc_methods
from tests.support import samples

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "schemas" / "wire.schema.json").read_text(encoding="utf-8"))


def fits(value: Any, part: str) -> bool:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return bool(jsonschema.Draft202012Validator({**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{part}"}]}).is_valid(value))


ERRORS = [
    errors.ParseError(),
    errors.InvalidRequest(),
    errors.MethodNotFound(),
    errors.InvalidParams([errors.Fault("/a", "type", "must be integer")]),
    errors.InternalError(),
    errors.DatabaseRefused({"sqlstate": "P0001", "message": "no"}),
    errors.Unavailable(),
    errors.Unavailable(retry_after=None),
    errors.Timeout(2),
    errors.Forbidden(),
    errors.Unauthenticated(),
    errors.RateLimited(0.5),
    errors.LimitReached("32 calls", 32),
    errors.Cancelled(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error(error: errors.RpcError) -> None:
    assert fits(json.loads(jsonrpc.error("7", error)), "fromServer")


def test_results_batches_and_notifications() -> None:
    reply = jsonrpc.result('"a"', "null")
    notices = (
        rpc_methods.gap(["people"], "lost"),
        rpc_methods.ended(["people"], "not allowed"),
        rpc_methods.expiring(60),
    )
    for text in (reply, jsonrpc.batch([reply, reply]), *notices):
        assert fits(json.loads(text), "fromServer")
    event = jsonrpc.notification("people", '{"channel":"people","payload":{"pk":1}}')
    assert fits(json.loads(event), "event")


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": 1},
        {"jsonrpc": "2.0", "method": "add", "params": {"a": 1}},
        [{"jsonrpc": "2.0", "method": "rpc.on", "params": ["people"], "id": None}],
        {"jsonrpc": "1.0", "method": "add", "id": 1},
        {"jsonrpc": "2.0", "method": 1, "id": 1},
        {"jsonrpc": "2.0", "method": "add", "params": "x", "id": 1},
        [],
        [1],
        5,
    ],
    ids=json.dumps,
)
def test_what_is_no_request_here_is_refused_there(message: Any) -> None:
    client = rpc_session.RpcSession(samples.functions({}), rules.Channels([]), Limits())
    text = json.dumps(client.receive(json.dumps(message)), default=lambda effect: getattr(effect, "text", None))
    assert ("-32600" not in text) == fits(message, "fromClient")
