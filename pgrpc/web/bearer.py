"""Reads the token of a request, and writes the challenge of a refusal.

Owns the four places for a token: the header Authorization (RFC 6750 section 2.1); a subprotocol, because browsers
cannot set headers on a WebSocket; a cookie; and, if the file allows it, the query. Must not know what is in a token,
nor which origins are allowed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tornado.httputil import HTTPServerRequest

from pgrpc import config
from pgrpc.core.wire import errors

SUBPROTOCOL = "pgrpc"
_IN_SUBPROTOCOL = "bearer."
_HEADER_LENGTH = 1024
"""Characters of a header in `request.headers`: they are sent with every call."""


class CookieFromElsewhere(Exception):
    """A cookie is accepted only from pages of a listed origin, because browsers send it with those of any site."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a kind of handler looks for a token, beside the header Authorization."""

    subprotocol: bool = False
    cookie: bool = False
    query: bool = False


def token(request: HTTPServerRequest, auth: config.Auth, places: Places, listed: Callable[[str], bool]) -> str | None:
    """The token of a request; None if it has none. listed: whether an origin is one of server.allowed_origins.

    Raises errors.Unauthenticated if there are several different ones, CookieFromElsewhere.
    """
    tokens = {*_authorization(request)}
    if places.subprotocol:
        tokens.update(_subprotocols(request))
    if places.query and auth.query_parameter is not None:
        tokens.update(value.decode("latin-1") for value in request.query_arguments.get(auth.query_parameter, ()))
    if places.cookie and auth.cookie is not None and (cookies := {*_cookies(request, auth.cookie)}):
        if not listed(request.headers.get("Origin", "")):
            raise CookieFromElsewhere
        tokens |= cookies
    if len(tokens) > 1:
        raise errors.Unauthenticated("the request has more than one token: send one")
    return tokens.pop() if tokens else None


def _authorization(request: HTTPServerRequest) -> Iterator[str]:
    for value in request.headers.get_list("Authorization"):
        scheme, _, rest = value.partition(" ")
        if scheme.lower() == "bearer":
            yield rest.strip()


def _subprotocols(request: HTTPServerRequest) -> Iterator[str]:
    for value in request.headers.get_list("Sec-WebSocket-Protocol"):
        for name in map(str.strip, value.split(",")):
            if name.startswith(_IN_SUBPROTOCOL):
                yield name.removeprefix(_IN_SUBPROTOCOL)


def _cookies(request: HTTPServerRequest, wanted: str) -> Iterator[str]:
    """All cookies of that name: another host of the same domain can add one (RFC 6265 section 8.6)."""
    for header in request.headers.get_list("Cookie"):
        for pair in header.split(";"):
            name, _, value = pair.partition("=")
            if name.strip() == wanted:
                yield value.strip().strip('"')


def challenge(reason: str | None) -> str:
    """The header WWW-Authenticate (RFC 6750 section 3). reason: None if the request had no token."""
    error = "" if reason is None else f', error="invalid_token", error_description="{reason}"'
    return f'Bearer realm="pgrpc"{error}'


def settings(request: HTTPServerRequest, names: tuple[str, ...]) -> Mapping[str, str]:
    """The setting request.headers, as in PostgREST: a JSON object. names: in lower case. x-real-ip: the client's."""
    headers = {name: request.headers[name][:_HEADER_LENGTH] for name in names if name in request.headers}
    return {"request.headers": json.dumps({**headers, "x-real-ip": str(request.remote_ip)})}
