"""Quoted constants of SQL -> values of the types of a function's arguments.

Owns what a quoted constant means: in SQL '5' has no type of its own, so it is an integer where the function takes one
(https://www.postgresql.org/docs/current/typeconv-func.html). Must not know how the text was read.
"""

import re
from typing import Any

from pgrpc.core.functions import catalog, pgtypes
from pgrpc.core.wire import errors, jsonrpc, jsontext

_JSON = (114, 3802)
_NUMBERS = (*pgtypes.INTEGERS, pgtypes.NUMERIC, pgtypes.OID, 700, 701)
_BOOLEAN, _TIMESTAMPTZ = 16, 1184
_TRUTH = {word: True for word in ("true", "t", "yes", "y", "on", "1")}
_TRUTH |= {word: False for word in ("false", "f", "no", "n", "off", "0")}

_INSTANT = re.compile(
    r"\s*([0-9-]+)[ T]([0-9]{2}:[0-9]{2})(:[0-9.]+)?\s*(Z|[+-][0-9]{2})(?::?([0-9]{2}))?\s*", re.IGNORECASE
)
"""As PostgreSQL writes it: 2024-02-29 12:00:00.5+00."""


def typed(function: catalog.Function, params: jsonrpc.Params) -> jsonrpc.Params:
    """The parameters, with strings converted where the function takes JSON, a number, a boolean or a timestamptz.

    A string that cannot be converted stays a string, and so do all of them where several overloads match: binding
    them reports what is wrong. Raises InvalidParams where a json argument is not JSON, since there any string would do.
    """
    if isinstance(params, dict):
        forms = [form for form in function.overloads if form.takes(params)]
    else:
        forms = [form for form in function.overloads if form.takes_positional(len(params))]
    if len(forms) != 1:
        return params
    inputs = forms[0].routine.inputs
    if isinstance(params, dict):
        types = {argument.name: argument.type for argument in inputs}
        return {name: _read(value, types[name], errors.pointer([name])) for name, value in params.items()}
    of = [argument.type for argument in inputs]
    if forms[0].variadic is not None:
        last = of.pop()
        element = last.of or last
        of += [last if isinstance(value, list) else element for value in params[len(of) :]]
    return [_read(value, type_, f"/{place}") for place, (value, type_) in enumerate(zip(params, of, strict=False))]


def _read(value: Any, of: pgtypes.Type, path: str) -> Any:
    while of.kind == "domain" and of.of is not None:
        of = of.of
    if isinstance(value, list) and of.kind == "array" and of.of is not None:
        # An array has any number of dimensions, whatever its type says.
        return [_read(v, of if isinstance(v, list) else of.of, f"{path}/{i}") for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value
    if of.oid in _JSON:
        try:
            return jsontext.parse(value)
        except ValueError:
            raise errors.InvalidParams([errors.Fault(path, "postgresql", "is not valid JSON")]) from None
    if of.oid == _BOOLEAN:
        return _TRUTH.get(value.strip().lower(), value)
    if of.oid == _TIMESTAMPTZ:
        return _instant(value)
    return _number(value) if of.oid in _NUMBERS else value


def _instant(text: str) -> str:
    """In the format of RFC 3339, as JSON has it."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return text
    day, minute, second, zone, rest = match.groups()
    return f"{day}T{minute}{second or ':00'}{zone}" + ("" if zone in "Zz" else f":{rest or '00'}")


def _number(text: str) -> Any:
    try:
        value = jsontext.parse(text)
    except ValueError:
        return text
    return text if value is None or isinstance(value, bool | str | list | dict) else value
