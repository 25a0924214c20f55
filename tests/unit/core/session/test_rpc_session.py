"""A JSON-RPC client: which method a message is, and how it is answered; what it may have is in test_session."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from pgrpc.core.channels import rules
from pgrpc.core.identity import identity
from pgrpc.core.limits.settings import Limits
from pgrpc.core.session import effects, rpc_session
from tests.support import samples
from tests.support.samples import argument, routine, somebody

POLICY = identity.LoginPolicy(warn_before=60, timeout=10)


@pytest.fixture
def client() -> rpc_session.RpcSession:
    functions = samples.functions({"add": samples.function(routine(argument("a"), argument("b")))})
    listed = rules.Channels([rules.Entry("people")])
    return rpc_session.RpcSession(functions, listed, Limits(batch=3), somebody("web"), policy=POLICY)


def receive(client: rpc_session.RpcSession, message: Any) -> list[effects.Effect]:
    return client.receive(json.dumps(message))


def request(method: str, params: Any, **identifier: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params, **identifier}


def sent(done: Sequence[effects.Effect]) -> Any:
    (text,) = [effect.text for effect in done if isinstance(effect, effects.Send)]
    return json.loads(text)


def test_a_call_and_its_reply(client: rpc_session.RpcSession) -> None:
    (execute,) = receive(client, request("add", [1, 2], id=7))
    assert isinstance(execute, effects.Execute)
    assert sent(client.complete(execute.ticket, "3")) == {"jsonrpc": "2.0", "result": 3, "id": 7}


def test_a_call_without_an_id_is_not_answered(client: rpc_session.RpcSession) -> None:
    (execute,) = receive(client, request("add", [1, 2]))
    assert isinstance(execute, effects.Execute)
    assert client.complete(execute.ticket, "3") == []
    assert receive(client, request("secret", [])) == []


@pytest.mark.parametrize(
    ("message", "code", "identifier"),
    [
        ("{", -32700, None),
        (json.dumps({"jsonrpc": "1.0", "method": "add", "id": 1}), -32600, 1),
        (json.dumps([request("add", [1, 2], id=n) for n in range(4)]), -32600, None),
        (json.dumps(request("secret", [], id=2)), -32601, 2),
        (json.dumps(request("rpc.on", {}, id=3)), -32602, 3),
    ],
    ids=["not JSON", "not a request", "too large a batch", "not listed", "params of rpc.on"],
)
def test_refusals(client: rpc_session.RpcSession, message: str, code: int, identifier: Any) -> None:
    answer = sent(client.receive(message))
    assert (answer["error"]["code"], answer["id"]) == (code, identifier)


def test_a_batch_is_answered_as_a_whole_and_its_events_flow_after_it(client: rpc_session.RpcSession) -> None:
    batch = [request("add", [1, 2], id=1), request("rpc.on", ["people"], id=2), request("add", [3, 4])]
    first, subscribe, last = receive(client, batch)
    assert isinstance(first, effects.Execute)
    assert isinstance(subscribe, effects.Subscribe)
    assert isinstance(last, effects.Execute)
    assert client.complete(last.ticket, "7") == []
    assert client.subscribed(subscribe.ticket, {"people": "ok"}) == []
    done = client.complete(first.ticket, "3")
    assert [(reply["id"], reply["result"]) for reply in sent(done)] == [(2, {"people": "ok"}), (1, 3)]
    assert done[-1] == effects.Activate(["people"])


def test_how_many_channels_a_message_may_name(client: rpc_session.RpcSession) -> None:
    names = [f"n{i}" for i in range(1280)]  # ten times limits.subscriptions
    for method in ("rpc.on", "rpc.off"):
        assert len(sent(receive(client, request(method, names, id=1)))["result"]) == 1280
        (fault,) = sent(receive(client, request(method, [*names, "n1280"], id=1)))["error"]["data"]
        assert fault["rule"] == "maxItems"
        assert fault["message"] == "too many channels: a message can name 1280 at most; send several messages"


def test_how_many_channels_a_batch_may_name(client: rpc_session.RpcSession) -> None:
    names = [f"n{i}" for i in range(700)]
    first, second, third = sent(receive(client, [request("rpc.on", names[:n], id=n) for n in (700, 600, 580)]))
    assert len(first["result"]) == 700
    assert second["error"]["data"][0]["rule"] == "maxItems"
    assert len(third["result"]) == 580  # the one that was refused does not count


def test_a_batch_of_notifications_is_not_answered(client: rpc_session.RpcSession) -> None:
    (execute,) = receive(client, [request("add", [1, 2])])
    assert isinstance(execute, effects.Execute)
    assert client.complete(execute.ticket, "3") == []


def test_channels(client: rpc_session.RpcSession) -> None:
    assert sent(receive(client, request("rpc.off", ["people"], id=1)))["result"] == {"people": "not subscribed"}
    (subscribe,) = receive(client, request("rpc.on", ["people"]))
    assert isinstance(subscribe, effects.Subscribe)
    assert client.subscribed(subscribe.ticket, {"people": "ok"}) == [effects.Activate(["people"])]
    unsubscribe, send = receive(client, request("rpc.off", ["people"], id=2))
    assert unsubscribe == effects.Unsubscribe(["people"])
    assert sent([send])["result"] == {"people": "ok"}


def test_cancelling_and_logging_in(client: rpc_session.RpcSession) -> None:
    (execute,) = receive(client, request("add", [1, 2], id=1))
    assert isinstance(execute, effects.Execute)
    assert receive(client, request("$/cancelRequest", {"id": 1})) == [effects.Cancel(execute.ticket)]
    (login,) = receive(client, request("rpc.login", ["a token"], id=2))
    assert isinstance(login, effects.Login)
    assert sent(client.logged_in(login.ticket, somebody("web"), 0.0)) == {"jsonrpc": "2.0", "result": True, "id": 2}
