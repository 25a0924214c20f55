"""The errors of the wire: their codes, what they carry, and what a client may try again."""

from typing import Any

import pytest

from pgrpc.core.wire import errors

INVALID = errors.InvalidParams([errors.Fault("/a", "type", "must be integer")])
DENIED = errors.DatabaseRefused({"sqlstate": "P0001", "message": "too low"})


@pytest.mark.parametrize(
    ("error", "code", "retryable", "data"),
    [
        pytest.param(errors.ParseError(), -32700, False, None, id="ParseError"),
        pytest.param(errors.InvalidRequest(), -32600, False, None, id="InvalidRequest"),
        pytest.param(errors.MethodNotFound(), -32601, False, None, id="MethodNotFound"),
        pytest.param(
            INVALID, -32602, False, [{"path": "/a", "rule": "type", "message": "must be integer"}], id="InvalidParams"
        ),
        pytest.param(errors.InternalError(), -32603, False, None, id="InternalError"),
        pytest.param(DENIED, -32000, False, {"sqlstate": "P0001", "message": "too low"}, id="DatabaseRefused"),
        pytest.param(errors.Unavailable(), -32001, True, {"retry_after": 1}, id="Unavailable"),
        pytest.param(errors.Timeout(2.5), -32002, False, {"timeout": 2.5, "sqlstate": "57014"}, id="Timeout"),
        pytest.param(errors.Forbidden(), -32003, False, None, id="Forbidden"),
        pytest.param(errors.Unauthenticated(), -32004, False, None, id="Unauthenticated"),
        pytest.param(errors.RateLimited(0.25), -32005, True, {"retry_after": 0.25}, id="RateLimited"),
        pytest.param(errors.LimitReached("full", 32), -32006, True, {"limit": 32}, id="LimitReached"),
        pytest.param(errors.Cancelled(), -32800, False, None, id="Cancelled"),
    ],
)
def test_error(error: errors.RpcError, code: int, retryable: bool, data: Any) -> None:
    assert (error.code, error.retryable, error.data) == (code, retryable, data)
    assert error.message
    assert str(error) == error.message


def test_every_code_is_of_one_error_only() -> None:
    codes = [kind.code for kind in errors.RpcError.__subclasses__()]
    assert len(codes) == len(set(codes)) == 13


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(errors.Forbidden("not you", {"sqlstate": "42501"}), "not you", id="given"),
        pytest.param(errors.Forbidden(""), "Not allowed", id="empty"),
        pytest.param(DENIED, "too low", id="PostgreSQL's own"),
        pytest.param(
            errors.DatabaseRefused({"sqlstate": "XX000"}), "The database refused the call", id="none from PostgreSQL"
        ),
        pytest.param(errors.Unavailable("queue full", retry_after=3), "queue full", id="Unavailable"),
        pytest.param(errors.LimitReached("full", 32), "full", id="LimitReached"),
        pytest.param(INVALID, "Invalid params: /a: must be integer", id="one fault"),
        pytest.param(
            errors.InvalidParams([errors.Fault("", "oneOf", "fits none")]),
            "Invalid params: params: fits none",
            id="a fault of params as a whole",
        ),
        pytest.param(
            errors.InvalidParams([errors.Fault("/a", "type", "x"), errors.Fault("/b", "type", "y")]),
            "Invalid params: /a: x (and 1 more)",
            id="two faults",
        ),
    ],
)
def test_message(error: errors.RpcError, message: str) -> None:
    assert error.message == message


def test_data_given_is_kept() -> None:
    assert errors.Forbidden("no", {"sqlstate": "42501"}).data == {"sqlstate": "42501"}
    assert errors.Unavailable(retry_after=3).data == {"retry_after": 3}
    assert errors.Unavailable("lost", retry_after=None).data == {"fate": "unknown"}


def test_at_most_twenty_faults_are_listed() -> None:
    error = errors.InvalidParams([errors.Fault(f"/{i}", "type", "x") for i in range(25)])
    assert [fault["path"] for fault in error.data] == [f"/{i}" for i in range(20)]
    assert "(and 24 more)" in error.message


def test_only_faults_that_are_listed_are_made() -> None:
    made: list[int] = []

    def fault(index: int) -> errors.Fault:
        made.append(index)
        return errors.Fault(f"/{index}", "type", "x")

    error = errors.InvalidParams.at(range(2, 30_000), fault)
    assert made == list(range(2, 22))
    assert [each["path"] for each in error.data] == [f"/{i}" for i in made]
    assert error.message == "Invalid params: /2: x (and 29997 more)"


def test_the_fields_of_postgresql_are_copied() -> None:
    fields = {"message": "no"}
    error = errors.DatabaseRefused(fields)
    fields["message"] = "changed"
    assert error.data == {"message": "no"}


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        pytest.param([], "", id="the whole"),
        pytest.param(["a", 0, "b"], "/a/0/b", id="names and indexes"),
        pytest.param(["b/c"], "/b~1c", id="slash"),
        pytest.param(["m~n"], "/m~0n", id="tilde"),
        pytest.param(["~1"], "/~01", id="what looks escaped"),
        pytest.param([""], "/", id="the empty name"),
    ],
)
def test_pointer(parts: list[str | int], text: str) -> None:
    """RFC 6901, section 5."""
    assert errors.pointer(parts) == text


def test_no_close_code_says_do_not_come_back() -> None:
    assert {code.name: int(code) for code in errors.CloseCode} == {
        "TOO_BIG": 1009,
        "INTERNAL": 1011,
        "RESTARTING": 1012,
        "OVERLOADED": 1013,
        "UNAUTHENTICATED": 4401,
        "TOO_SLOW": 4408,
    }
