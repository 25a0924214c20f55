"""Every error that clients can receive: its code, its message, and whether to retry.

Owns the error codes (JSON-RPC 2.0 section 5.1 and our own range) and the WebSocket close codes (RFC 6455 section 7.4).
Must not know who raises them, nor how they are written as JSON.

    RpcError
    ├── ParseError          -32700   not JSON
    ├── InvalidRequest      -32600   JSON, but not a request
    ├── MethodNotFound      -32601   not listed
    ├── InvalidParams       -32602   the parameters do not match the signature or the schema
    ├── InternalError       -32603   a bug in pgrpc
    ├── DatabaseRefused     -32000   PostgreSQL or the function raised an error
    ├── Unavailable         -32001   the database is unavailable, or the queue is full; retry
    ├── Timeout             -32002   statement_timeout
    ├── Forbidden           -32003   listed, but not for this client
    ├── Unauthenticated     -32004   no identity, or an expired one
    ├── RateLimited         -32005   too many requests; retry
    ├── LimitReached        -32006   a limit of this connection
    └── Cancelled           -32800   by $/cancelRequest
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Self, TypeVar

_Place = TypeVar("_Place")

MAX_FAULTS = 20
"""How many faults in the parameters of one call are reported."""


class CloseCode(IntEnum):
    """WebSocket close codes that the server sends. Never 1000: clients would not reconnect."""

    TOO_BIG = 1009
    INTERNAL = 1011
    RESTARTING = 1012
    OVERLOADED = 1013
    UNAUTHENTICATED = 4401
    TOO_SLOW = 4408


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the parameters of a call.

    path: JSON Pointer (RFC 6901) into `params`; "" is `params` itself.
    rule: the JSON Schema keyword that was violated, or "postgresql" if the database found the fault.
    """

    path: str
    rule: str
    message: str


def pointer(parts: Sequence[str | int]) -> str:
    """The JSON Pointer (RFC 6901) of a path: ["a", 0, "b/c"] -> "/a/0/b~1c"."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


class RpcError(Exception):
    """An error object of JSON-RPC 2.0: `code`, `message` and, for some errors, `data` (plain JSON values).

    retryable: whether the same request may succeed later. default: the message without one of its own.
    """

    code: ClassVar[int]
    retryable: ClassVar[bool] = False
    default: ClassVar[str]

    def __init__(self, message: str | None = None, data: Any = None) -> None:
        super().__init__(message or self.default)
        self.message = message or self.default
        self.data = data


class ParseError(RpcError):
    code = -32700
    default = "Parse error"


class InvalidRequest(RpcError):
    code = -32600
    default = "Invalid Request"


class MethodNotFound(RpcError):
    # The same message whether or not the database has such a function: an error must not reveal what exists.
    code = -32601
    default = "Method not found"


class InvalidParams(RpcError):
    """`data`: list of {path, rule, message}, at most MAX_FAULTS."""

    code = -32602
    default = "Invalid params"

    def __init__(self, faults: Sequence[Fault], count: int | None = None) -> None:
        """count: how many faults there are, if `faults` are only the first of them."""
        count = len(faults) if count is None else count
        first = f"{faults[0].path or 'params'}: {faults[0].message}"
        others = f" (and {count - 1} more)" if count > 1 else ""
        super().__init__(
            f"{self.default}: {first}{others}",
            [{"path": f.path, "rule": f.rule, "message": f.message} for f in faults[:MAX_FAULTS]],
        )

    @classmethod
    def at(cls, places: Sequence[_Place], fault: Callable[[_Place], Fault]) -> Self:
        """The same fault at each of these places. Only those reported are made: a message can have 30,000 places."""
        return cls([fault(place) for place in places[:MAX_FAULTS]], len(places))


class InternalError(RpcError):
    code = -32603
    default = "Internal error"


class DatabaseRefused(RpcError):
    """`data`: {sqlstate, message, constraint?, detail?, hint?}, each from PostgreSQL's own fields."""

    code = -32000
    default = "The database refused the call"

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(fields.get("message"), dict(fields))


class Unavailable(RpcError):
    """`data`: {retry_after: seconds}; or {fate: "unknown"} if the call may have taken effect: do not just repeat it."""

    code = -32001
    retryable = True
    default = "The database is unavailable; try again"

    def __init__(self, message: str | None = None, *, retry_after: float | None = 1) -> None:
        super().__init__(message, {"fate": "unknown"} if retry_after is None else {"retry_after": retry_after})


class Timeout(RpcError):
    """`data`: {timeout: seconds, sqlstate}."""

    code = -32002
    default = "The call took too long and was cancelled"

    def __init__(self, timeout: float) -> None:
        super().__init__(None, {"timeout": timeout, "sqlstate": "57014"})


class Forbidden(RpcError):
    """`data`: None, or {sqlstate, message} where PostgreSQL denied it."""

    code = -32003
    default = "Not allowed"


class Unauthenticated(RpcError):
    code = -32004
    default = "Not authenticated"


class RateLimited(RpcError):
    """`data`: {retry_after: seconds}."""

    code = -32005
    retryable = True
    default = "Too many requests"

    def __init__(self, retry_after: float) -> None:
        super().__init__(None, {"retry_after": retry_after})


class LimitReached(RpcError):
    """`data`: {limit: the number}."""

    code = -32006
    retryable = True
    default = "A limit of this connection is reached"

    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message, {"limit": limit})


class Cancelled(RpcError):
    code = -32800
    default = "Cancelled"
