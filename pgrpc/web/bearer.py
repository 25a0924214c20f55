"""Where a request carries its token, and what a refusal says of it.

Owns the four places: the header Authorization (RFC 6750 section 2.1); a subprotocol, since browsers cannot set headers
on a WebSocket; a cookie; and, where the file allows it, the query. Must not know what a token is, nor who may connect.
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
"""Characters of a header that functions are given: it goes with every call."""


class CookieFromElsewhere(Exception):
    """A cookie speaks only for pages that the file lists: a browser sends it whoever made the page."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a kind of handler looks for a token, beside the header Authorization."""

    subprotocol: bool = False
    cookie: bool = False
    query: bool = False


def token(request: HTTPServerRequest, auth: config.Auth, places: Places, listed: Callable[[str], bool]) -> str | None:
    """The token of a request; None where it has none. listed: whether an origin is one of server.allowed_origins.

    Raises errors.Unauthenticated where there is more than one, CookieFromElsewhere.
    """
    found = {*_authorization(request)}
    if places.subprotocol:
        found.update(_subprotocols(request))
    if places.query and auth.query_parameter is not None:
        found.update(value.decode("latin-1") for value in request.query_arguments.get(auth.query_parameter, ()))
    if places.cookie and auth.cookie is not None and (cookies := {*_cookies(request, auth.cookie)}):
        if not listed(request.headers.get("Origin", "")):
            raise CookieFromElsewhere
        found |= cookies
    if len(found) > 1:
        raise errors.Unauthenticated("the request has more than one token: send one")
    return found.pop() if found else None


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
    """All of that name: a neighbouring host can add one to those of the page's own (RFC 6265 section 8.6)."""
    for header in request.headers.get_list("Cookie"):
        for pair in header.split(";"):
            name, _, value = pair.partition("=")
            if name.strip() == wanted:
                yield value.strip().strip('"')


def challenge(reason: str | None) -> str:
    """WWW-Authenticate (RFC 6750 section 3). reason: None where there was no token."""
    error = "" if reason is None else f', error="invalid_token", error_description="{reason}"'
    return f'Bearer realm="pgrpc"{error}'


def settings(request: HTTPServerRequest, names: tuple[str, ...]) -> Mapping[str, str]:
    """request.headers, as PostgREST has it: a JSON object of lower-case names. x-real-ip is the client's address."""
    found = {name: request.headers[name][:_HEADER_LENGTH] for name in names if name in request.headers}
    return {"request.headers": json.dumps({**found, "x-real-ip": str(request.remote_ip)})}
