"""JSON-RPC 2.0 (https://www.jsonrpc.org/specification): text <-> typed messages.

Owns the shape of requests and replies; nothing else in pgrpc knows it. Must not know any method,
nor what a result is: results come as JSON text and are spliced in untouched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pgrpc.core.wire import errors, jsontext

Id = str | int | Decimal | None
Params = list[Any] | dict[str, Any]


@dataclass(slots=True)
class Request:
    """A request object. `id` is the JSON source text of its id, echoed as it came; None marks a notification.

    `key` is the same id as a value: what `$/cancelRequest` names it by.
    """

    method: str
    params: Params
    id: str | None
    key: Id = None


@dataclass(slots=True)
class Invalid:
    """What stood where a request should: answered with `error`, and its id where it has a legal one."""

    error: errors.RpcError
    id: str = "null"


Message = Request | Invalid


def parse(data: str | bytes, limit: int) -> Message | list[Message]:
    """One message, or the list of a batch's members. limit: how many members a batch may have.

    Raises ParseError (not JSON, not UTF-8) and InvalidRequest (a batch that is empty or too long), which are answered
    with id null.
    """
    try:
        text = data if isinstance(data, str) else str(data, "utf-8")
        value = jsontext.parse(text)
    except jsontext.TooDeep as error:
        raise errors.ParseError(f"Parse error: {error}") from None
    except ValueError:  # UnicodeDecodeError is one
        raise errors.ParseError from None
    if not isinstance(value, list):
        return _message(value, text)
    if not value:
        raise errors.InvalidRequest("Invalid Request: the batch is empty")
    if len(value) > limit:
        raise errors.InvalidRequest(f"Invalid Request: the batch has {len(value)} members, the limit is {limit}")
    if any(isinstance(item, dict) and _spelling(item.get("id"), text) is None for item in value):
        return [_message(item, source) for item, source in zip(value, jsontext.elements(text), strict=True)]
    return [_message(item, text) for item in value]


def _message(value: Any, text: str) -> Message:
    """The message of a parsed value; `text` holds its source, alone unless every id has one spelling only."""
    if not isinstance(value, dict):
        return Invalid(errors.InvalidRequest("Invalid Request: not an object"))
    identifier: str | None = None
    key = None
    if "id" in value:
        key = value["id"]
        if isinstance(key, bool) or not (key is None or isinstance(key, str | int | Decimal)):
            return Invalid(errors.InvalidRequest("Invalid Request: id must be a string, a number or null"))
        identifier = _spelling(key, text) or jsontext.member(text, "id")
    fault = _fault(value)
    if fault is not None:
        return Invalid(errors.InvalidRequest(f"Invalid Request: {fault}"), identifier or "null")
    return Request(value["method"], value.get("params", []), identifier, key)


def _fault(value: dict[str, Any]) -> str | None:
    if value.get("jsonrpc") != "2.0":
        return 'jsonrpc must be "2.0"'
    if not isinstance(value.get("method"), str):
        return "method must be a string"
    if not isinstance(value.get("params", []), list | dict):
        return "params must be an array or an object"
    return None


def _spelling(key: Any, text: str) -> str | None:
    """The source text of an id that JSON can spell in one way only; None where the source must be looked up.

    Nearly every id is such a one. -0 is another spelling of 0, escapes are other spellings of characters.
    """
    if key is None:
        return "null"
    if type(key) is int and key != 0:
        return str(key)
    if type(key) is str and "\\" not in text:
        return f'"{key}"'
    return None


def result(identifier: str, text: str) -> str:
    """A reply that holds a result, given as JSON text."""
    return f'{{"jsonrpc":"2.0","result":{text},"id":{identifier}}}'


def error(identifier: str, fault: errors.RpcError) -> str:
    """A reply that holds an error."""
    return f'{{"jsonrpc":"2.0","error":{error_object(fault)},"id":{identifier}}}'


def error_object(fault: errors.RpcError) -> str:
    """An error as such: `code`, `message` and, where it helps, `data`."""
    body: dict[str, Any] = {"code": fault.code, "message": fault.message}
    if fault.data is not None:
        body["data"] = fault.data
    return jsontext.dump(body)


def notification(method: str, params: str) -> str:
    """A notification from the server; `params` is JSON text."""
    return f'{{"jsonrpc":"2.0","method":{jsontext.dump(method)},"params":{params}}}'


def batch(replies: Sequence[str]) -> str:
    """The answer to a batch: its replies in one array."""
    return "[" + ",".join(replies) + "]"
