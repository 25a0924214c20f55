"""The protocol's own methods, `rpc.*` and `$/*`: reads their params, and writes the server's notifications.

Owns the shape of these params, in both directions. Must not know what these methods do.
"""

from collections.abc import Sequence
from typing import Any

from pgrpc.core.wire import errors, jsonrpc, jsontext


def channels(params: jsonrpc.Params, most: int, named: int = 0) -> list[str]:
    """The channels of rpc.on and rpc.off: ["a", "b"] or {"channels": ["a", "b"]}. Raises InvalidParams.

    most: how many channels a message may name. named: how many it has named before.
    """
    at = ""
    names: Any = params
    if isinstance(params, dict):
        at = "/channels"
        names = _only(params, "channels")
    if not isinstance(names, list):
        raise errors.InvalidParams([errors.Fault(at, "type", "must be array")])
    if named + len(names) > most:
        words = f"too many channels: a message can name {most} at most; send several messages"
        raise errors.InvalidParams([errors.Fault(at, "maxItems", words)])
    wrong = [i for i, name in enumerate(names) if not isinstance(name, str)]
    if wrong:
        raise errors.InvalidParams.at(wrong, lambda i: errors.Fault(f"{at}/{i}", "type", "must be string"))
    return names


def token(params: jsonrpc.Params) -> str:
    """The token of rpc.login: {"token": "..."} or ["..."]. Raises InvalidParams."""
    at = "/token"
    if isinstance(params, list):
        if len(params) != 1:
            raise errors.InvalidParams([errors.Fault("", "maxItems", "must be the token alone")])
        at, params = "/0", {"token": params[0]}
    value = _only(params, "token")
    if not isinstance(value, str):
        raise errors.InvalidParams([errors.Fault(at, "type", "must be string")])
    return value


def identifier(params: jsonrpc.Params) -> Any:
    """The id of $/cancelRequest. Raises InvalidParams."""
    if not isinstance(params, dict) or "id" not in params:
        raise errors.InvalidParams([errors.Fault("/id", "required", "is missing")])
    return params["id"]


def gap(names: Sequence[str], reason: str) -> str:
    """The notification that events of these channels may have been lost."""
    return jsonrpc.notification("rpc.gap", jsontext.dump({"channels": list(names), "reason": reason}))


def ended(names: Sequence[str], reason: str) -> str:
    """The notification that a client no longer receives these channels."""
    return jsonrpc.notification("rpc.ended", jsontext.dump({"channels": list(names), "reason": reason}))


def expiring(seconds: int) -> str:
    """The notification that a client's identity expires soon. seconds: until then."""
    return jsonrpc.notification("rpc.expiring", jsontext.dump({"expires_in": seconds}))


def _only(params: dict[str, Any], name: str) -> Any:
    """The only parameter. Raises InvalidParams if it is missing, or there are others."""
    if name not in params:
        raise errors.InvalidParams([errors.Fault(f"/{name}", "required", "is missing")])
    unknown = [other for other in params if other != name]
    if unknown:
        raise errors.InvalidParams.at(
            unknown, lambda other: errors.Fault(errors.pointer([other]), "additionalProperties", "unknown parameter")
        )
    return params[name]
