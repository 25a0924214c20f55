import json
from collections.abc import Sequence
from typing import Any

import pytest

from pgrpc.compat.postgresql2websocket import sql_session
from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.limits.settings import Limits
from pgrpc.core.session import effects
from pgrpc.core.wire import errors
from tests.support import samples
from tests.support.samples import argument, routine

ADD = samples.function(routine(argument("a"), argument("b")))
SERIES = samples.function(routine(argument("n"), returns_set=True))


def make(waiting: int = 3, **limits: Any) -> sql_session.SqlSession:
    functions = samples.functions({"add": ADD, "series": SERIES})
    limits = {"calls_in_flight": waiting, **limits}
    return sql_session.SqlSession(functions, rules.Channels([]), Limits(**limits))


@pytest.fixture
def client() -> sql_session.SqlSession:
    return make()


def executed(done: Sequence[effects.Effect]) -> effects.Execute:
    (effect,) = done
    assert isinstance(effect, effects.Execute)
    return effect


def refused(done: Sequence[effects.Effect]) -> dict[str, Any]:
    (effect,) = done
    assert isinstance(effect, effects.Send)
    frame = json.loads(effect.text)
    assert list(frame) == ["error"]
    error: dict[str, Any] = frame["error"]
    return error


def rows(effect: effects.Effect) -> list[str]:
    assert isinstance(effect, sql_session.SendRows)
    return list(effect.rows)


def test_a_statement_is_a_call_and_its_rows(client: sql_session.SqlSession) -> None:
    execute = executed(client.receive("select add(1, 2);"))
    assert (execute.call.names, execute.call.arguments) == (("a", "b"), ("1", "2"))
    (answer,) = client.complete(execute.ticket, "3")
    assert rows(answer) == ['{"add": 3}']
    assert client.sent() == []
    execute = executed(client.receive(b"select * from series(n => '2')"))
    (answer,) = client.complete(execute.ticket, "[1, 2]")
    assert rows(answer) == ['{"series": 1}', '{"series": 2}']


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("select add(1, 2", -32700),
        (b"select add(1, \xff)", -32700),
        ("drop table people", -32600),
        ("select secret()", -32601),
        ("select add(1)", -32602),
        ("select add('one', 2)", -32602),
    ],
)
def test_what_is_refused_is_answered_with_an_error(client: sql_session.SqlSession, text: Any, code: int) -> None:
    assert refused(client.receive(text))["code"] == code
    executed(client.receive("select add(1, 2)"))


def test_an_error_is_that_of_json_rpc(client: sql_session.SqlSession) -> None:
    assert refused(client.receive("select add(1, 'x')")) == {
        "code": -32602,
        "message": "Invalid params: /1: must be integer or null, not a string",
        "data": [{"path": "/1", "rule": "type", "message": "must be integer or null, not a string"}],
    }


def test_a_failed_call_is_answered_with_its_error(client: sql_session.SqlSession) -> None:
    execute = executed(client.receive("select add(1, 2)"))
    error = refused(client.fail(execute.ticket, errors.DatabaseRefused({"sqlstate": "22003", "message": "too large"})))
    assert error == {"code": -32000, "message": "too large", "data": {"sqlstate": "22003", "message": "too large"}}
    executed(client.receive("select add(1, 2)"))


def test_a_function_that_is_not_known_yet_is_unavailable() -> None:
    functions = samples.functions({})
    functions = type(functions)(["add"])
    made = sql_session.SqlSession(functions, rules.Channels([]), Limits())
    assert refused(made.receive("select add(1)"))["code"] == -32001


# Order


def test_statements_are_answered_one_after_the_other(client: sql_session.SqlSession) -> None:
    first = executed(client.receive("select add(1, 1)"))
    assert client.receive("select add(2, 2)") == []
    assert client.receive("drop table people") == []  # its refusal comes when it is its turn
    answer, *rest = client.complete(first.ticket, "2")
    assert (rows(answer), rest) == (['{"add": 2}'], [])
    second = executed(client.sent())
    assert second.call.arguments == ("2", "2")
    answer, *rest = client.complete(second.ticket, "4")
    assert (rows(answer), rest) == (['{"add": 4}'], [])
    assert refused(client.sent())["code"] == -32600


def test_after_a_failure_the_next_one_begins(client: sql_session.SqlSession) -> None:
    first = executed(client.receive("select add(1, 1)"))
    client.receive("select add(2, 2)")
    failure, *rest = client.fail(first.ticket, errors.Timeout(1))
    assert refused([failure])["code"] == -32002
    assert executed(rest).call.arguments == ("2", "2")


def test_it_is_full_when_as_many_wait_as_may() -> None:
    client = make(waiting=2)
    first = executed(client.receive("select add(1, 1)"))
    client.receive("select add(2, 2)")
    assert not client.is_full
    client.receive("select add(3, 3)")
    assert client.is_full
    client.complete(first.ticket, "2")
    assert client.is_full
    client.sent()
    assert not client.is_full


def test_a_client_that_is_gone_has_its_call_cancelled_and_nothing_else_begins(client: sql_session.SqlSession) -> None:
    running = executed(client.receive("select add(1, 1)"))
    client.receive("select add(2, 2)")
    assert client.close() == [effects.Cancel(running.ticket)]
    (failure,) = client.fail(running.ticket, errors.Cancelled())
    assert isinstance(failure, effects.Send)


# Limits


def test_calls_a_second_are_counted_as_they_come() -> None:
    client = make(calls_per_second=1)
    first = executed(client.receive("select add(1, 1)", 10.0))
    client.receive("select add(2, 2)", 10.5)
    client.complete(first.ticket, "2")
    assert refused(client.sent()) == {"code": -32005, "message": "Too many requests", "data": {"retry_after": 0.5}}


def test_a_result_that_is_nested_too_deep_to_be_cut_is_an_error(client: sql_session.SqlSession) -> None:
    execute = executed(client.receive("select series(1)"))
    (answer,) = client.complete(execute.ticket, "[1, " + "[" * 100_000 + "]" * 100_000 + "]")
    first, second = rows(answer)
    assert first == '{"series": 1}'
    assert json.loads(second)["error"]["data"] == {"sqlstate": "54001", "message": "the result is nested too deeply"}


def test_a_client_that_may_not_call_a_function_is_refused_and_that_is_logged() -> None:
    access = {"add": catalog.Access(frozenset({"web"}))}
    functions = catalog.Catalog(["add"], {"add": ADD}, access)
    made = sql_session.SqlSession(functions, rules.Channels([]), Limits(), samples.somebody("anon"))
    denied, send = made.receive("select add(1, 2)")
    assert denied == effects.Denied("method 'add'", "its roles do not include anon")
    assert refused([send])["code"] == -32003


def test_a_question_about_the_channel_is_none_of_the_statements() -> None:
    functions = samples.functions({"add": ADD})
    functions.predicates = {"ask": samples.function(routine(argument("channel", samples.TEXT)))}
    listed = rules.Channels([rules.Entry("c", authorize="ask"), rules.Entry("d", authorize="ask")])
    made = sql_session.SqlSession(functions, listed, Limits())
    tickets = effects.Ticket(), effects.Ticket()
    one, other = (executed(made.subscribe(t, [name], 0.0)) for t, name in zip(tickets, "cd", strict=True))
    statement = executed(made.receive("select add(1, 2)"))
    assert [type(effect) for effect in made.complete(one.ticket, "true")] == [effects.Subscribe]
    assert [type(effect) for effect in made.fail(other.ticket, errors.Timeout(1))] == [
        effects.Denied,
        effects.Subscribed,
    ]
    assert [type(effect) for effect in made.complete(statement.ticket, "3")] == [sql_session.SendRows]


def test_a_refused_channel_is_not_answered_as_a_statement() -> None:
    made = sql_session.SqlSession(samples.functions({"add": ADD}), rules.Channels([rules.Entry("c")]), Limits(), None)
    (refusal,) = made.subscribe(effects.Ticket(), ["c"], 0.0)
    assert isinstance(refusal, effects.Refuse)
    assert isinstance(refusal.error, errors.Unauthenticated)
