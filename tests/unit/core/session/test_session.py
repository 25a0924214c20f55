"""One client's protocol: what each message leads to, what a client may have at one time, and in which order."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from pgrpc.core.channels import hub, rules
from pgrpc.core.channels.notification import Notification
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.limits import ratelimit
from pgrpc.core.limits.settings import Limits
from pgrpc.core.session import effects, rpc_session, session
from pgrpc.core.wire import errors
from tests.support import samples
from tests.support.samples import argument, routine, somebody

ADD = routine(argument("a"), argument("b"))


def make(**limits: Any) -> rpc_session.RpcSession:
    functions = samples.functions({"add": samples.function(ADD), "sub": samples.function(ADD)})
    return rpc_session.RpcSession(
        functions, rules.Channels([rules.Entry("people"), rules.Entry("room.*")]), Limits(**limits)
    )


@pytest.fixture
def client() -> rpc_session.RpcSession:
    return make()


def request(method: str = "add", params: Any = (1, 2), **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params} | more


def receive(client: rpc_session.RpcSession, *messages: Any) -> list[effects.Effect]:
    """One message, or a batch of several."""
    return client.receive(json.dumps(messages[0] if len(messages) == 1 else messages))


def sent(done: Sequence[effects.Effect]) -> Any:
    """What the one Send among the effects says."""
    (text,) = [effect.text for effect in done if isinstance(effect, effects.Send)]
    return json.loads(text)


def result(done: Sequence[effects.Effect]) -> Any:
    return sent(done)["result"]


def code(done: Sequence[effects.Effect]) -> tuple[int, Any]:
    reply = sent(done)
    return (reply["error"]["code"], reply["id"])


def executed(done: Sequence[effects.Effect]) -> list[effects.Ticket]:
    return [effect.ticket for effect in done if isinstance(effect, effects.Execute)]


def on(client: rpc_session.RpcSession, *names: str, identifier: int = 1) -> effects.Ticket:
    (wanted,) = receive(client, request("rpc.on", list(names), id=identifier))
    assert isinstance(wanted, effects.Subscribe)
    return wanted.ticket


def subscribe(client: rpc_session.RpcSession, *names: str) -> list[effects.Effect]:
    return client.subscribed(on(client, *names), dict.fromkeys(names, "ok"))


# Calls


def test_a_call(client: rpc_session.RpcSession) -> None:
    (execute,) = client.receive('{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1.50}')
    assert isinstance(execute, effects.Execute)
    assert execute.call.routine is ADD
    assert execute.call.arguments == ("1", "2")
    assert client.in_flight == 1
    assert client.complete(execute.ticket, "3") == [effects.Send('{"jsonrpc":"2.0","result":3,"id":1.50}')]
    assert client.in_flight == 0


def test_calls_are_answered_in_the_order_in_which_they_finish(client: rpc_session.RpcSession) -> None:
    (one,) = executed(receive(client, request(id=1)))
    (other,) = executed(receive(client, request(id="1")))
    assert sent(client.complete(other, "3"))["id"] == "1"
    assert sent(client.complete(one, "3"))["id"] == 1


def test_an_id_may_be_used_twice_at_a_time(client: rpc_session.RpcSession) -> None:
    (one,) = executed(receive(client, request(id=1)))
    (other,) = executed(receive(client, request(id=1)))
    assert result(client.complete(other, '"second"')) == "second"
    assert result(client.complete(one, '"first"')) == "first"


def test_a_call_that_fails(client: rpc_session.RpcSession) -> None:
    (ticket,) = executed(receive(client, request(id=7)))
    assert code(client.fail(ticket, errors.Timeout(2))) == (-32002, 7)
    assert client.in_flight == 0


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param("{", (-32700, None), id="no JSON"),
        pytest.param(b"\xff", (-32700, None), id="no UTF-8"),
        pytest.param("[" * 100_000, (-32700, None), id="nested too deep"),
        pytest.param("[]", (-32600, None), id="empty batch"),
        pytest.param("1", (-32600, None), id="no object"),
        pytest.param('{"jsonrpc":"2.0","method":"add","params":null,"id":7}', (-32600, 7), id="params are null"),
        pytest.param('{"jsonrpc":"2.0","method":"mul","id":7}', (-32601, 7), id="not listed"),
        pytest.param('{"jsonrpc":"2.0","method":"rpc.x","id":7}', (-32601, 7), id="unknown rpc method"),
        pytest.param('{"jsonrpc":"2.0","method":"rpc.gap","id":7}', (-32601, 7), id="what only the server sends"),
        pytest.param('{"jsonrpc":"2.0","method":"RPC.ON","id":7}', (-32601, 7), id="another case"),
        pytest.param('{"jsonrpc":"2.0","method":"$/x","id":7}', (-32601, 7), id="unknown $ method"),
        pytest.param('{"jsonrpc":"2.0","method":"people","id":7}', (-32601, 7), id="a channel is no method"),
        pytest.param('{"jsonrpc":"2.0","method":"add","params":["x",1],"id":7}', (-32602, 7), id="params do not fit"),
        pytest.param(
            '{"jsonrpc":"2.0","method":"add","params":%s,"id":7}' % ("[" * 250 + "]" * 250), (-32602, 7), id="deep"
        ),
        pytest.param(b'{"jsonrpc":"2.0","method":"mul","id":null}', (-32601, None), id="an id of null is answered"),
    ],
)  # fmt: skip
def test_refused(client: rpc_session.RpcSession, data: str | bytes, expected: tuple[int, Any]) -> None:
    done = client.receive(data)
    assert len(done) == 1
    assert code(done) == expected
    assert client.in_flight == 0


@pytest.mark.parametrize("method", ["add", "mul", "rpc.x", "$/x", "rpc.on", "rpc.off", "$/cancelRequest"])
@pytest.mark.parametrize("params", [[], ["x"], {}, {"channels": 1}, {"id": 1}], ids=repr)
def test_a_notification_is_never_answered(client: rpc_session.RpcSession, method: str, params: Any) -> None:
    for message in ([request(method, params)], [request(method, params)] * 2):
        assert [effect for effect in receive(client, *message) if isinstance(effect, effects.Send)] == []


def test_a_call_without_id_is_made_but_not_answered(client: rpc_session.RpcSession) -> None:
    (one,) = executed(receive(client, request()))
    (other,) = executed(receive(client, request()))
    assert client.complete(one, "3") == []
    assert client.fail(other, errors.Timeout(2)) == []
    assert client.in_flight == 0


def test_a_method_whose_function_is_not_known_yet() -> None:
    functions = catalog.Catalog(["add"])
    client = rpc_session.RpcSession(functions, rules.Channels([]), Limits())
    assert code(receive(client, request(id=7))) == (-32001, 7)


# Batches


def test_a_batch_is_answered_once_when_its_last_member_is(client: rpc_session.RpcSession) -> None:
    done = receive(client, request(id=1), request("mul", id=2), request(), 7, request("sub", id=3))
    one, note, other = executed(done)
    assert len(done) == 3
    assert client.complete(other, "-1") == []
    assert client.complete(one, "3") == []
    replies = sent(client.complete(note, "3"))
    assert [reply["id"] for reply in replies] == [2, None, 3, 1]
    assert [reply.get("result") for reply in replies] == [None, None, -1, 3]


def test_a_batch_of_faults_is_answered_at_once(client: rpc_session.RpcSession) -> None:
    done = client.receive("[1,2]")
    assert [reply["error"]["code"] for reply in sent(done)] == [-32600, -32600]
    assert len(done) == 1


def test_a_batch_of_one_is_answered_by_a_batch_of_one(client: rpc_session.RpcSession) -> None:
    (ticket,) = executed(client.receive(json.dumps([request(id=1)])))
    assert sent(client.complete(ticket, "3")) == [{"jsonrpc": "2.0", "result": 3, "id": 1}]


def test_a_batch_of_notifications_is_not_answered(client: rpc_session.RpcSession) -> None:
    one, other = executed(receive(client, request(), request()))
    assert client.complete(one, "3") == []
    assert client.complete(other, "3") == []


def test_batches_do_not_mix(client: rpc_session.RpcSession) -> None:
    one = executed(receive(client, request(id=1), request(id=2)))
    other = executed(receive(client, request(id=3), request(id=4)))
    assert client.complete(one[0], "3") == client.complete(other[0], "3") == []
    assert [reply["id"] for reply in sent(client.complete(other[1], "3"))] == [3, 4]
    assert [reply["id"] for reply in sent(client.complete(one[1], "3"))] == [1, 2]


def test_a_batch_may_take_as_long_to_be_checked_as_a_message_alone() -> None:
    slow = samples.function(
        samples.routine(samples.argument("a", samples.TEXTS)),
        narrowed={"properties": {"a": {"items": {"format": "regex"}}}},
    )
    client = rpc_session.RpcSession(samples.functions({"slow": slow}), rules.Channels([]), Limits())
    call = request("slow", [["a" * 1000] * 10], id=1)
    assert executed(receive(client, call))
    with_others = receive(client, *[call] * 20)
    assert 1 <= len(executed(with_others)) < 20
    assert executed(receive(client, call))


def test_a_batch_has_a_limit() -> None:
    client = make(batch=3)
    assert len(executed(receive(client, *[request(id=i) for i in range(3)]))) == 3
    done = receive(client, *[request(id=i) for i in range(4)])
    assert len(done) == 1
    assert code(done) == (-32600, None)
    assert "4 members, the limit is 3" in sent(done)["error"]["message"]


# Limits


def test_one_call_too_many_is_refused_and_the_next_one_after_an_end_is_not(client: rpc_session.RpcSession) -> None:
    tickets = [executed(receive(client, request(id=i)))[0] for i in range(32)]
    done = receive(client, request(id=32))
    assert code(done) == (-32006, 32)
    assert sent(done)["error"]["data"] == {"limit": 32}
    assert receive(client, request()) == []  # a notification
    assert client.in_flight == 32
    client.fail(tickets[5], errors.Timeout(2))
    assert len(executed(receive(client, request(id=33)))) == 1


def test_members_of_a_batch_wait_their_turn_in_order() -> None:
    client = make(calls_in_flight=2)
    first = executed(receive(client, *[request(id=i) for i in range(5)]))
    assert [ticket.id for ticket in first] == ["0", "1"]
    assert code(receive(client, request(id=9))) == (-32006, 9)
    (third,) = executed(client.complete(first[1], "3"))
    (fourth,) = executed(client.fail(third, errors.Timeout(2)))
    (fifth,) = executed(client.complete(first[0], "3"))
    assert [ticket.id for ticket in (third, fourth, fifth)] == ["2", "3", "4"]
    assert client.in_flight == 2
    assert client.complete(fifth, "3") == []
    assert [reply["id"] for reply in sent(client.complete(fourth, "3"))] == [1, 2, 0, 4, 3]


def test_a_single_call_does_not_overtake_what_waits() -> None:
    client = make(calls_in_flight=1)
    (first,) = executed(receive(client, request(id=1), request(id=2)))
    (second,) = executed(client.complete(first, "3"))
    assert second.id == "2"
    assert code(receive(client, request(id=3))) == (-32006, 3)


def test_what_waits_is_bounded() -> None:
    client = make(calls_in_flight=1, batch=3)
    receive(client, request(id=0))
    assert receive(client, *[request(id=i) for i in range(1, 4)]) == []
    done = receive(client, request(id=4), request(id=5))
    assert [reply["error"]["code"] for reply in sent(done)] == [-32006, -32006]


def test_the_129th_subscription(client: rpc_session.RpcSession) -> None:
    subscribe(client, *[f"room.{i}" for i in range(128)])
    done = receive(client, request("rpc.on", ["room.128", "room.0", "people", "x"], id=1))
    too_many = "this connection has reached its limit of 128 subscriptions"
    assert result(done) == {"room.128": too_many, "room.0": "ok", "people": too_many, "x": "not listed"}
    receive(client, request("rpc.off", ["room.0"], id=2))
    on(client, "people")


def test_subscriptions_that_are_waited_for_count() -> None:
    client = make(subscriptions=2)
    (wanted,) = receive(client, request("rpc.on", ["room.1", "room.2", "room.3"], id=1))
    assert isinstance(wanted, effects.Subscribe)
    assert list(wanted.rules) == ["room.1", "room.2"]
    assert result(receive(client, request("rpc.on", ["room.4"], id=2))) == {
        "room.4": "this connection has reached its limit of 2 subscriptions"
    }
    done = client.subscribed(wanted.ticket, {"room.1": "no", "room.2": "ok"})
    assert "limit" in result(done)["room.3"]
    on(client, "room.4")  # the one that was refused does not count


def test_a_channel_counts_once_however_often_it_is_asked_for() -> None:
    client = make(subscriptions=2)
    on(client, "room.1", "room.2")
    on(client, "room.2", "room.1", "room.1")


def test_calls_a_second() -> None:
    client = make(calls_per_second=2)
    text = json.dumps(request(id=1))
    assert len(executed(client.receive(text, 10.0) + client.receive(text, 10.0))) == 2
    done = client.receive(text, 10.0)
    assert code(done) == (-32005, 1)
    assert sent(done)["error"]["data"] == {"retry_after": 0.5}
    assert len(executed(client.receive(text, 10.5))) == 1


def test_members_of_a_batch_count_too() -> None:
    client = make(calls_per_second=2)
    done = client.receive(json.dumps([request("mul", id=i) for i in range(3)]), 10.0)
    assert [reply["error"]["code"] for reply in sent(done)] == [-32601, -32601, -32005]


@pytest.mark.parametrize("method", ["rpc.off", "$/cancelRequest"])
def test_what_gives_something_back_is_heard_beyond_the_rate(method: str) -> None:
    client = make(calls_per_second=1)
    assert executed(client.receive(json.dumps(request(id=1)), 10.0))
    params: Any = {"id": 1} if method == "$/cancelRequest" else ["people"]
    assert "error" not in sent(client.receive(json.dumps(request(method, params, id=2)), 10.0)[-1:])


# Cancelling


def cancel(key: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": key}}


def test_a_call_that_runs_is_cancelled_and_still_ends(client: rpc_session.RpcSession) -> None:
    (ticket,) = executed(receive(client, request(id=7)))
    assert receive(client, cancel(7)) == [effects.Cancel(ticket)]
    assert client.in_flight == 1
    assert code(client.fail(ticket, errors.Cancelled())) == (-32800, 7)


def test_every_call_of_that_id_is_cancelled_and_no_other(client: rpc_session.RpcSession) -> None:
    tickets = [executed(receive(client, request(id=key)))[0] for key in (7, "7", 7, 8, None)]
    receive(client, request())  # a notification cannot be named
    assert receive(client, cancel(7)) == [effects.Cancel(tickets[0]), effects.Cancel(tickets[2])]
    assert receive(client, cancel("7")) == [effects.Cancel(tickets[1])]
    assert receive(client, cancel(None)) == [effects.Cancel(tickets[4])]


@pytest.mark.parametrize("key", ["9", '"7"', "7.0", "7e0", "true", "[7]", "{}", "null", "-7"])
def test_another_id_cancels_nothing(client: rpc_session.RpcSession, key: str) -> None:
    receive(client, request(id=7))
    receive(client, request(id=1))
    assert client.receive(f'{{"jsonrpc":"2.0","method":"$/cancelRequest","params":{{"id":{key}}}}}') == []


@pytest.mark.parametrize(("given", "named"), [("1.5", "1.5"), ("1.50", "1.5"), ('"\\u0041"', '"A"'), ("-0", "0")])
def test_ids_are_compared_by_value(client: rpc_session.RpcSession, given: str, named: str) -> None:
    (ticket,) = executed(client.receive(f'{{"jsonrpc":"2.0","method":"add","params":[1,2],"id":{given}}}'))
    done = client.receive(f'{{"jsonrpc":"2.0","method":"$/cancelRequest","params":{{"id":{named}}}}}')
    assert done == [effects.Cancel(ticket)]


def test_a_call_that_has_ended_is_not_cancelled(client: rpc_session.RpcSession) -> None:
    assert receive(client, cancel(7)) == []
    (ticket,) = executed(receive(client, request(id=7)))
    client.complete(ticket, "3")
    assert receive(client, cancel(7)) == []


def test_a_call_that_waits_is_answered_and_never_made() -> None:
    client = make(calls_in_flight=1)
    (first,) = executed(receive(client, request(id=1), request(id=2), request(id=3)))
    assert receive(client, cancel(2)) == []  # its batch is not complete yet
    (third,) = executed(client.complete(first, "3"))
    assert third.id == "3"
    replies = sent(client.complete(third, "3"))
    assert [(reply["id"], reply.get("error", {}).get("code")) for reply in replies] == [
        (2, -32800),
        (1, None),
        (3, None),
    ]


def test_cancelling_the_last_that_is_open_answers_the_batch() -> None:
    client = make(calls_in_flight=1)
    receive(client, request(id=0))
    receive(client, request(id=1), request("mul", id=2))
    replies = sent(receive(client, cancel(1)))
    assert [reply["error"]["code"] for reply in replies] == [-32601, -32800]


def test_cancelling_in_the_batch_itself(client: rpc_session.RpcSession) -> None:
    execute, cancelled = receive(client, request(id=1), cancel(1))
    assert isinstance(execute, effects.Execute)
    assert cancelled == effects.Cancel(execute.ticket)


def test_cancelling_as_a_request_is_answered(client: rpc_session.RpcSession) -> None:
    (ticket,) = executed(receive(client, request(id=7)))
    done = receive(client, cancel(7) | {"id": 8})
    assert done[0] == effects.Cancel(ticket)
    assert sent(done) == {"jsonrpc": "2.0", "result": True, "id": 8}


@pytest.mark.parametrize("params", [[], [7], {}, {"ID": 7}], ids=repr)
def test_what_to_cancel_is_missing(client: rpc_session.RpcSession, params: Any) -> None:
    done = receive(client, request("$/cancelRequest", params, id=8))
    assert code(done) == (-32602, 8)
    assert sent(done)["error"]["data"] == [{"path": "/id", "rule": "required", "message": "is missing"}]


# Channels


@pytest.mark.parametrize("params", [["people", "room.7"], {"channels": ["people", "room.7"]}], ids=["array", "object"])
def test_subscribing(client: rpc_session.RpcSession, params: Any) -> None:
    (wanted,) = receive(client, request("rpc.on", params, id=1))
    assert isinstance(wanted, effects.Subscribe)
    assert wanted.rules == {"people": rules.Rule("people"), "room.7": rules.Rule("room.*")}
    send, activate = client.subscribed(wanted.ticket, {"people": "ok", "room.7": "ok"})
    assert result([send]) == {"people": "ok", "room.7": "ok"}
    assert activate == effects.Activate(["people", "room.7"])


def test_a_reason_for_each_channel_in_the_order_asked(client: rpc_session.RpcSession) -> None:
    names = ["secret", "room.1", "room.*", "people", "rpc.x", "room.1", "", "a" * 64]
    denied, wanted = receive(client, request("rpc.on", names, id=1))
    assert denied == effects.Denied("channel 'secret'", "not listed in the file")
    assert isinstance(wanted, effects.Subscribe)
    assert list(wanted.rules) == ["room.1", "people"]
    send, activate = client.subscribed(wanted.ticket, {"room.1": "unavailable", "people": "ok"})
    assert list(result([send]).items()) == [
        ("secret", "not listed"),
        ("room.1", "unavailable"),
        ("room.*", "this is a pattern; subscribe to exact names"),
        ("people", "ok"),
        ("rpc.x", "this name is reserved"),
        ("", "a channel name cannot be empty"),
        ("a" * 64, "the name has 64 bytes; PostgreSQL's limit is 63"),
    ]
    assert activate == effects.Activate(["people"])


@pytest.mark.parametrize("names", [[], ["secret"], ["secret", "secret"]], ids=repr)
def test_nothing_to_wait_for(client: rpc_session.RpcSession, names: list[str]) -> None:
    *denied, send = receive(client, request("rpc.on", names, id=1))
    assert len(denied) == len(set(names))
    assert result([send]) == dict.fromkeys(names, "not listed")


def test_what_was_refused_is_not_subscribed(client: rpc_session.RpcSession) -> None:
    assert client.subscribed(on(client, "people"), {"people": "no"}) != []
    assert result(receive(client, request("rpc.off", ["people"], id=1))) == {"people": "not subscribed"}
    on(client, "people")


def test_subscribed_already(client: rpc_session.RpcSession) -> None:
    subscribe(client, "people")
    done = receive(client, request("rpc.on", ["people"], id=1))
    assert len(done) == 1
    assert result(done) == {"people": "ok"}


def test_asked_for_again_while_it_is_waited_for(client: rpc_session.RpcSession) -> None:
    one, other = on(client, "people"), on(client, "people", identifier=2)
    assert client.subscribed(one, {"people": "ok"})[1:] == [effects.Activate(["people"])]
    assert sent(client.subscribed(other, {"people": "ok"}))["id"] == 2


def test_a_notification_subscribes_without_an_answer(client: rpc_session.RpcSession) -> None:
    (wanted,) = receive(client, request("rpc.on", ["people"]))
    assert isinstance(wanted, effects.Subscribe)
    assert client.subscribed(wanted.ticket, {"people": "ok"}) == [effects.Activate(["people"])]


@pytest.mark.parametrize("params", [["people", "x", "people"], {"channels": ["people", "x"]}], ids=["array", "object"])
def test_unsubscribing(client: rpc_session.RpcSession, params: Any) -> None:
    subscribe(client, "people", "room.1")
    gone, send = receive(client, request("rpc.off", params, id=1))
    assert gone == effects.Unsubscribe(["people"])
    assert result([send]) == {"people": "ok", "x": "not subscribed"}
    assert result(receive(client, request("rpc.off", ["people", "room.*"], id=1))) == {
        "people": "not subscribed",
        "room.*": "not subscribed",
    }
    on(client, "people")


def test_unsubscribing_before_anything_was_subscribed(client: rpc_session.RpcSession) -> None:
    done = receive(client, request("rpc.off", ["people"], id=1))
    assert len(done) == 1
    assert result(done) == {"people": "not subscribed"}


def test_unsubscribing_what_is_waited_for(client: rpc_session.RpcSession) -> None:
    one, other = on(client, "people", "room.1"), on(client, "people", identifier=2)
    gone, send = receive(client, request("rpc.off", ["people"], id=3))
    assert gone == effects.Unsubscribe(["people"])
    assert result([send]) == {"people": "ok"}
    words = "unsubscribed before it took effect"
    assert result(client.subscribed(other, {"people": words})) == {"people": words}
    done = client.subscribed(one, {"people": words, "room.1": "ok"})
    assert result(done) == {"people": words, "room.1": "ok"}
    assert done[1] == effects.Activate(["room.1"])


def test_unsubscribing_what_takes_effect_all_the_same(client: rpc_session.RpcSession) -> None:
    """In a batch both come before either is performed: the "ok" of the first must not outlive the second."""
    wanted, gone = receive(client, request("rpc.on", ["people"], id=1), request("rpc.off", ["people"], id=2))
    assert isinstance(wanted, effects.Subscribe)
    assert gone == effects.Unsubscribe(["people"])
    done = client.subscribed(wanted.ticket, {"people": "ok"})
    assert not [effect for effect in done if isinstance(effect, effects.Activate)]
    on(client, "people")  # not answered "ok" as if it were subscribed: nobody would send its events


def test_events_flow_only_after_the_reply_of_the_batch(client: rpc_session.RpcSession) -> None:
    wanted, execute = receive(client, request("rpc.on", ["people", "room.1"], id=1), request(id=2))
    assert isinstance(wanted, effects.Subscribe)
    assert isinstance(execute, effects.Execute)
    assert client.subscribed(wanted.ticket, {"people": "ok", "room.1": "no"}) == []
    send, activate = client.complete(execute.ticket, "3")
    assert [reply["id"] for reply in sent([send])] == [1, 2]
    assert activate == effects.Activate(["people"])


@pytest.mark.parametrize("method", ["rpc.on", "rpc.off"])
@pytest.mark.parametrize(
    ("params", "faults"),
    [
        pytest.param({}, [("/channels", "required")], id="no channels"),
        pytest.param({"channels": "people"}, [("/channels", "type")], id="channels is a string"),
        pytest.param({"channels": None}, [("/channels", "type")], id="channels is null"),
        pytest.param({"channels": ["people", 1, None]}, [("/channels/1", "type"), ("/channels/2", "type")], id="kinds"),
        pytest.param([["people"]], [("/0", "type")], id="an array too many"),
        pytest.param(
            {"channels": [], "a/b": 1, "x": 2}, [("/a~1b", "additionalProperties"), ("/x", "additionalProperties")],
            id="unknown options",
        ),
    ],
)  # fmt: skip
def test_params_that_do_not_fit(client: rpc_session.RpcSession, method: str, params: Any, faults: list[Any]) -> None:
    done = receive(client, request(method, params, id=7))
    assert len(done) == 1
    assert code(done) == (-32602, 7)
    assert [(fault["path"], fault["rule"]) for fault in sent(done)["error"]["data"]] == faults


# Who the client is

ANN, BOB = somebody("web", expires=1000.0, sub="ann"), somebody("web", expires=2000.0, sub="bob")
ANON = somebody("anon")
TERMS = identity.LoginPolicy(warn_before=60, timeout=10)
LISTED = [
    rules.Entry("people"),
    rules.Entry("user.{sub}"),
    rules.Entry("shut", roles=("web",)),
    rules.Entry("room.*", authorize="may_listen"),
]


def identified(client: identity.Identity | None = ANN, **limits: Any) -> rpc_session.RpcSession:
    """A session where clients have identities; it began at 0."""
    both = frozenset({"web"})
    access = {"sub": catalog.Access(both), "slow": catalog.Access(rate=ratelimit.Rate(1))}
    known = {name: samples.function(ADD) for name in ("add", "sub", "slow")}
    functions = catalog.Catalog(known, known, access)
    functions.predicates = {"may_listen": samples.function(routine(argument("channel", samples.TEXT)))}
    made = rpc_session.RpcSession(
        functions,
        rules.Channels(LISTED),
        Limits(**limits),
        client,
        address="10.0.0.1",
        rates=ratelimit.Rates(),
        policy=TERMS,
    )
    made.begin(0.0)
    return made


def logging_in(client: rpc_session.RpcSession, token: str = "t") -> effects.Ticket:
    (login,) = receive(client, request("rpc.login", {"token": token}, id="in"))
    assert isinstance(login, effects.Login)
    assert login.token == token
    return login.ticket


def questions(done: Sequence[effects.Effect]) -> list[effects.Ticket]:
    return [effect.ticket for effect in done if isinstance(effect, effects.Execute) and effect.ticket.id is None]


def hearing(client: rpc_session.RpcSession, *names: str) -> None:
    """Subscribed to these, all questions answered by yes."""
    done = receive(client, request("rpc.on", list(names), id=1))
    for question in questions(done):
        done = client.complete(question, "true")
    (wanted,) = [effect for effect in done if isinstance(effect, effects.Subscribe)]
    assert result(client.subscribed(wanted.ticket, dict.fromkeys(wanted.rules, "ok"))) == dict.fromkeys(names, "ok")


def test_a_call_is_made_as_whoever_the_client_was_when_it_came() -> None:
    client = identified(calls_in_flight=1)
    first, _ = client.receive(json.dumps([request(id=1), request(id=2)])), logging_in(client)
    (one,) = first
    assert isinstance(one, effects.Execute)
    assert one.caller is ANN
    client.logged_in(logging_ticket(client), BOB, 0.0)
    assert client.client is BOB
    (two,) = client.complete(one.ticket, "3")
    assert isinstance(two, effects.Execute)
    assert two.caller is ANN
    client.complete(two.ticket, "3")
    (three,) = receive(client, request(id=3))
    assert isinstance(three, effects.Execute)
    assert three.caller is BOB


def logging_ticket(client: rpc_session.RpcSession) -> effects.Ticket:
    """Of the login that is on its way."""
    login = client._login._login
    assert login is not None
    return login.ticket


def test_roles() -> None:
    client = identified(ANON)
    denied, *done = receive(client, request("sub", ["not", "looked at"], id=7))
    assert denied == effects.Denied("method 'sub'", "its roles do not include anon")
    assert code(done) == (-32003, 7)
    assert sent(done)["error"]["message"] == "Not allowed"
    assert executed(receive(identified(ANN), request("sub", id=7)))


def test_what_is_not_listed_is_not_found_whatever_the_role() -> None:
    assert code(receive(identified(ANON), request("mul", id=7))) == (-32601, 7)


def test_before_a_login_nothing_is_taken() -> None:
    client = identified(None)
    for method, params in (("add", [1, 2]), ("mul", []), ("rpc.on", ["people"])):
        assert code(receive(client, request(method, params, id=7))) == (-32004, 7)
    assert result(receive(client, request("rpc.off", ["people"], id=7))) == {"people": "not subscribed"}
    assert code(receive(client, request("rpc.on", ["people"], id=8))) == (-32004, 8)
    assert result(client.logged_in(logging_in(client), ANN, 0.0)) is True
    assert executed(receive(client, request(id=7)))


def test_a_login_that_fails() -> None:
    client = identified()
    done = client.fail(logging_in(client), errors.Unauthenticated("the token expired 5 s ago"))
    assert code(done) == (-32004, "in")
    assert executed(receive(client, request(id=7)))
    logging_in(client)


@pytest.mark.parametrize("params", [{}, {"token": 1}, [], ["a", "b"]], ids=repr)
def test_a_login_without_a_token(params: Any) -> None:
    assert code(receive(identified(), request("rpc.login", params, id=7))) == (-32602, 7)


def test_nobody_logs_in_where_nobody_has_an_identity(client: rpc_session.RpcSession) -> None:
    assert client.begin(0.0) == client.tick(1e12) == []
    done = receive(client, request("rpc.login", ["t"], id=7))
    assert code(done) == (-32601, 7)
    assert "this server accepts no tokens" in sent(done)["error"]["message"]


def test_one_login_at_a_time() -> None:
    client = identified()
    logging_in(client)
    assert code(receive(client, request("rpc.login", ["t"], id=7))) == (-32006, 7)


def test_a_login_ends_what_the_new_one_may_not_hear_before_it_is_answered() -> None:
    client = identified()
    hearing(client, "people", "user.ann", "shut")
    done = client.logged_in(logging_in(client), BOB, 0.0)
    assert [effect for effect in done if not isinstance(effect, effects.SetTimer | effects.Denied)] == [
        effects.Unsubscribe(["user.ann"]),
        effects.SubscriptionsEnded(["user.ann"], "not allowed"),
        effects.Send('{"jsonrpc":"2.0","result":true,"id":"in"}'),
    ]
    assert result(receive(client, request("rpc.on", ["people", "shut"], id=2))) == {"people": "ok", "shut": "ok"}


def test_a_login_is_answered_when_the_last_question_is() -> None:
    client = identified()
    hearing(client, "room.1", "room.2")
    done = client.logged_in(logging_in(client), BOB, 0.0)
    one, other = questions(done)
    assert client.complete(one, "true") == []
    done = client.fail(other, errors.DatabaseRefused({"sqlstate": "P0001"}))
    assert done[1:] == [
        effects.Unsubscribe(["room.2"]),
        effects.SubscriptionsEnded(["room.2"], "not allowed"),
        effects.Send('{"jsonrpc":"2.0","result":true,"id":"in"}'),
    ]


def test_questions_wait_for_each_other_and_not_for_the_clients_calls() -> None:
    client = identified(calls_in_flight=2)
    calls = [executed(receive(client, request(id=key))) for key in (7, 8)]
    done = receive(client, request("rpc.on", ["room.1", "room.2", "room.3"], id=1))
    first, second = questions(done)
    assert code(receive(client, request(id=9))) == (-32006, 9)
    (third,) = questions(client.complete(first, "true"))
    assert questions(client.complete(second, "true")) == []
    (wanted,) = client.complete(third, "false")[1:]
    assert isinstance(wanted, effects.Subscribe)
    assert list(wanted.rules) == ["room.1", "room.2"]
    assert [result(client.complete(call, "3")) for (call,) in calls] == [3, 3]


def test_questions_end_with_the_connection() -> None:
    client = identified()
    (question,) = questions(receive(client, request("rpc.on", ["room.1"], id=1)))
    assert client.close() == [effects.Cancel(question), effects.Unsubscribe(["room.1"])]
    assert client.fail(question, errors.Cancelled()) == []


def test_channels_on_their_way_are_bounded() -> None:
    client = identified(subscriptions=1)
    asked = [questions(receive(client, request("rpc.on", ["room.1"], id=key)))[0] for key in range(10)]
    done = receive(client, request("rpc.on", ["room.1"], id=10))
    assert sent(done)["error"]["data"] == {"limit": 10}
    client.complete(asked[0], "false")
    assert questions(receive(client, request("rpc.on", ["room.1"], id=11)))


def test_the_end_of_an_identity_with_an_anonymous_role() -> None:
    client = identified()
    hearing(client, "people", "shut")
    assert client.tick(940.0) == [effects.Expiring(60), effects.SetTimer(1000.0)]
    (login,) = client.tick(1000.0)
    assert isinstance(login, effects.Login)
    assert login.token is None
    assert code(receive(client, request(id=7))) == (-32004, 7)
    done = client.logged_in(login.ticket, ANON, 1000.0)
    assert done[1:] == [effects.Unsubscribe(["shut"]), effects.SubscriptionsEnded(["shut"], "not allowed")]
    (execute,) = receive(client, request(id=8))
    assert isinstance(execute, effects.Execute)
    assert execute.caller is ANON


def test_the_end_of_an_identity_without_an_anonymous_role() -> None:
    client = identified()
    (login,) = client.tick(1000.0)
    assert isinstance(login, effects.Login)
    (close,) = client.fail(login.ticket, errors.Unauthenticated("a token is required"))
    assert isinstance(close, effects.Close)
    assert close.code == errors.CloseCode.UNAUTHENTICATED


def test_a_call_that_waits_when_its_identity_ends_is_made() -> None:
    client = identified(calls_in_flight=1)
    (one,) = executed(receive(client, request(id=1), request(id=2)))
    client.tick(1000.0)
    (two,) = client.complete(one, "3")
    assert isinstance(two, effects.Execute)
    assert two.caller is ANN


def test_after_the_end_a_login_is_told_to_nobody() -> None:
    client = identified()
    hearing(client, "people")
    ticket = logging_in(client)
    client.close()
    assert client.logged_in(ticket, BOB, 0.0) == []
    assert client.close() == []
    assert client.subscribed(ticket, {"people": "ok"}) == []


def test_after_the_end_the_answer_to_a_question_leads_nowhere() -> None:
    client = identified()
    (question,) = questions(receive(client, request("rpc.on", ["room.1"], id=1)))
    assert client.close() == [effects.Cancel(question), effects.Unsubscribe(["room.1"])]
    assert client.complete(question, "true") == []


# Rates


def limited(**rates: ratelimit.Rate) -> dict[tuple[str, str], ratelimit.Rate]:
    """address_calls=... and the like."""
    return {(name.partition("_")[0], name.partition("_")[2]): rate for name, rate in rates.items()}


def pair(one: identity.Identity, other: identity.Identity, **rates: ratelimit.Rate) -> list[rpc_session.RpcSession]:
    """Two connections from one address, which share what they have asked."""
    shared = ratelimit.Rates()
    functions = samples.functions({"add": samples.function(ADD)})
    limits = Limits(rates=limited(**rates))
    listed = rules.Channels([rules.Entry("people")])
    return [
        rpc_session.RpcSession(functions, listed, limits, client, address="10.0.0.1", rates=shared, policy=TERMS)
        for client in (one, other)
    ]


def asking(client: rpc_session.RpcSession, method: str, params: Any) -> int | None:
    """The code of the refusal, or None."""
    done = client.receive(json.dumps(request(method, params, id=1)), 10.0)
    told = [json.loads(effect.text) for effect in done if isinstance(effect, effects.Send)]
    return told[0].get("error", {}).get("code") if told else None


ASKED = [("add", [1, 2], "calls"), ("rpc.on", ["people"], "subscriptions"), ("rpc.login", ["t"], "logins")]


@pytest.mark.parametrize(("method", "params", "kind"), ASKED, ids=[kind for *_, kind in ASKED])
def test_rates_of_one_identity(method: str, params: Any, kind: str) -> None:
    one, other = pair(ANN, ANN, **{f"identity_{kind}": ratelimit.Rate(1)})
    assert asking(one, method, params) is None
    assert asking(other, method, params) == -32005
    one, other = pair(ANN, BOB, **{f"identity_{kind}": ratelimit.Rate(1)})
    assert asking(one, method, params) is None
    assert asking(other, method, params) is None
    for others_method, others_params, _ in (ask for ask in ASKED if ask[2] != kind):
        assert asking(one, others_method, others_params) is None


def test_who_has_no_subject_is_one_with_all_others_of_the_address() -> None:
    one, other = pair(ANON, somebody("web"), identity_calls=ratelimit.Rate(1))
    assert asking(one, "add", [1, 2]) is None
    assert asking(other, "add", [1, 2]) == -32005


def test_a_subject_that_is_called_like_an_address_is_another() -> None:
    one, other = pair(ANON, somebody("web", sub="10.0.0.1"), identity_calls=ratelimit.Rate(1))
    assert asking(one, "add", [1, 2]) is None
    assert asking(other, "add", [1, 2]) is None


def test_rates_of_one_address() -> None:
    one, other = pair(ANN, BOB, address_calls=ratelimit.Rate(1))
    assert asking(one, "add", [1, 2]) is None
    assert asking(other, "add", [1, 2]) == -32005


def test_each_channel_counts_and_one_that_is_told_to_wait_is_told_how_long() -> None:
    client = identified(rates=limited(identity_subscriptions=ratelimit.Rate(3, 60)))
    text = json.dumps(request("rpc.on", ["a", "b"], id=1))
    assert "result" in sent(client.receive(text, 10.0))
    assert sent(client.receive(text, 10.0))["error"]["data"] == {"retry_after": 20.0}
    assert "result" in sent(client.receive(json.dumps(request("rpc.on", ["a"], id=1)), 10.0))
    assert code(client.receive(json.dumps(request("rpc.on", ["a"], id=2)), 10.0)) == (-32005, 2)


def test_the_rate_of_a_function() -> None:
    client = identified()
    text = json.dumps(request("slow", id=1))
    assert executed(client.receive(text, 10.0))
    assert code(client.receive(text, 10.0)) == (-32005, 1)
    assert executed(client.receive(json.dumps(request("add", id=2)), 10.0))
    assert executed(client.receive(text, 11.0))


# The end


def test_closing_a_connection_that_did_nothing(client: rpc_session.RpcSession) -> None:
    assert client.close() == []


def test_closing_gives_everything_back() -> None:
    client = make(calls_in_flight=2)
    subscribe(client, "people")
    on(client, "room.1")
    one, other = executed(receive(client, *[request(id=i) for i in range(4)]))
    *cancelled, gone = client.close()
    assert cancelled == [effects.Cancel(one), effects.Cancel(other)]
    assert gone == effects.Unsubscribe(["people", "room.1"])
    # What waited is not begun any more; what ran still ends.
    assert executed(client.fail(one, errors.Cancelled())) == []
    assert executed(client.complete(other, "3")) == []
    assert client.in_flight == 0


def test_an_idle_session_has_no_dictionary(client: rpc_session.RpcSession) -> None:
    assert not hasattr(client, "__dict__")


# With the hub: what a client hears is what it was told


class Shell:
    """Performs a session's effects with a hub, as a socket does. `log` has the texts and the events, in order."""

    kind = staticmethod(lambda name, rule: lambda notification: b"event")

    def __init__(self, of: hub.Hub) -> None:
        self.hub = of
        self.session = make()
        self.log: list[Any] = []

    def receive(self, *messages: Any) -> None:
        self.perform(receive(self.session, *messages))

    def perform(self, asked: list[effects.Effect]) -> None:
        for effect in asked:
            match effect:
                case effects.Send(text):
                    self.log.append(json.loads(text))
                case effects.Subscribe(ticket, channels):
                    self.hub.subscribe(self, channels, partial(self.subscribed, ticket))
                case effects.Activate(names):
                    self.hub.activate(self, names)
                case effects.Unsubscribe(names):
                    self.hub.unsubscribe(self, names)

    def subscribed(self, ticket: effects.Ticket, results: dict[str, str]) -> None:
        self.perform(self.session.subscribed(ticket, results))

    def deliver(self, run: hub.Run) -> None:
        self.log.append(run.channel)

    def gap(self, channels: Sequence[str], reason: str) -> None:
        self.log.append((list(channels), reason))


@pytest.mark.parametrize("heard_already", [False, True], ids=["new", "heard already"])
@pytest.mark.parametrize(
    ("methods", "hears"),
    [
        (["rpc.on"], True),
        (["rpc.on", "rpc.off"], False),
        (["rpc.on", "rpc.off", "rpc.on"], True),
        (["rpc.on", "rpc.on"], True),
        (["rpc.on", "rpc.on", "rpc.off"], False),
        (["rpc.off", "rpc.on"], True),
    ],
    ids=["on", "on off", "on off on", "on on", "on on off", "off on"],
)
@pytest.mark.parametrize("batch", [False, True], ids=["one by one", "batch"])
def test_what_is_heard_in_the_end(methods: list[str], hears: bool, batch: bool, heard_already: bool) -> None:
    world = hub.Hub(lambda name: None, lambda name: None)
    if heard_already:
        other = Shell(world)
        other.receive(request("rpc.on", ["people"], id=0))
        world.listen_active(["people"])
    shell = Shell(world)
    messages = [request(method, ["people"], id=i) for i, method in enumerate(methods)]
    if batch:
        shell.perform(shell.session.receive(json.dumps(messages)))
    else:
        for message in messages:
            shell.receive(message)
    world.listen_active(["people"])
    replies = len(shell.log)
    world.publish([Notification("people", "x")])
    assert replies == (1 if batch else len(methods))
    assert shell.log[replies:] == (["people"] if hears else [])
    shell.receive(request("rpc.off", ["people"], id=9))
    assert shell.log[-1]["result"] == {"people": "ok" if hears else "not subscribed"}


# Who


def test_of_nobody_nothing_is_taken() -> None:
    functions = samples.functions({"add": samples.function(ADD)})
    nobody = rpc_session.RpcSession(functions, rules.Channels([rules.Entry("people")]), Limits(), None)
    assert nobody.client is None
    assert code(receive(nobody, request(id=1))) == (-32004, 1)
    assert code(receive(nobody, request("rpc.on", ["people"], id=2))) == (-32004, 2)
    assert code(receive(nobody, request("unknown", id=3))) == (-32004, 3)
    assert nobody.close() == []


# Another protocol, which writes its answers itself


def other(client: identity.Identity | None = ANN, **limits: Any) -> session.Session:
    functions = samples.functions({"add": samples.function(ADD)})
    functions.predicates = {"may_listen": samples.function(routine(argument("channel", samples.TEXT)))}
    return session.Session(functions, rules.Channels(LISTED), Limits(**limits), client)


def refusal(done: Sequence[effects.Effect], ticket: effects.Ticket) -> type[errors.RpcError]:
    (refused,) = [effect for effect in done if isinstance(effect, effects.Refuse)]
    assert refused.ticket is ticket
    return type(refused.error)


def test_a_call_of_another_protocol_is_under_the_same_limits() -> None:
    client = other(calls_in_flight=1, calls_per_second=2)
    ticket, second = effects.Ticket(), effects.Ticket()
    (execute,) = client.call(ticket, "add", [1, 2], 0.0)
    assert isinstance(execute, effects.Execute)
    assert execute.ticket is ticket
    assert refusal(client.call(second, "add", [1, 2], 0.0), second) is errors.LimitReached
    assert refusal(client.call(second, "add", [1, 2], 0.0), second) is errors.RateLimited
    assert client.complete(ticket, "3") == [effects.Reply(ticket, "3")]
    assert refusal(client.call(second, "secret", [], 1.0), second) is errors.MethodNotFound


def test_a_call_of_another_protocol_that_fails() -> None:
    client = other()
    ticket = effects.Ticket()
    client.call(ticket, "add", [1, 2], 0.0)
    assert refusal(client.fail(ticket, errors.Unavailable()), ticket) is errors.Unavailable


def test_nobody_calls_in_another_protocol_either() -> None:
    ticket = effects.Ticket()
    assert refusal(other(None).call(ticket, "add", [1, 2], 0.0), ticket) is errors.Unauthenticated


def test_a_channel_for_another_protocol() -> None:
    client = other()
    ticket = effects.Ticket()
    (wanted,) = client.subscribe(ticket, ["user.ann"], 0.0)
    assert isinstance(wanted, effects.Subscribe)
    assert client.subscribed(wanted.ticket, {"user.ann": "ok"}) == [
        effects.Subscribed(ticket, {"user.ann": "ok"}),
        effects.Activate(["user.ann"]),
    ]
    assert client.close() == [effects.Unsubscribe(["user.ann"])]


def test_channels_that_another_protocol_does_not_get() -> None:
    client = other()
    ticket = effects.Ticket()
    assert client.subscribe(ticket, ["user.bob"], 0.0)[1:] == [effects.Subscribed(ticket, {"user.bob": "not allowed"})]
    refused = client.subscribe(ticket, ["error"], 0.0)
    assert refused == [effects.Subscribed(ticket, {"error": "this name is reserved"})]
    (wanted,) = client.subscribe(ticket, ["people"], 0.0)
    assert isinstance(wanted, effects.Subscribe)
    assert client.subscribed(wanted.ticket, {"people": "away"}) == [effects.Subscribed(ticket, {"people": "away"})]
    (question,) = questions(client.subscribe(ticket, ["room.1"], 0.0))
    assert client.complete(question, "false")[1:] == [effects.Subscribed(ticket, {"room.1": "not allowed"})]
    assert refusal(other(None).subscribe(ticket, ["people"], 0.0), ticket) is errors.Unauthenticated
