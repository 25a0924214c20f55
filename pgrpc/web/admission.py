"""Decides which requests are served: proxies, host name, stopping, origin, connection limits, token; in this order.

Owns the order, and the text, status and headers of each refusal. A request and what its handler accepts go in, and are
not changed; an Admitted or a Refused comes out. Every handler uses it. Must not know the handlers, nor what a client
does once admitted.
"""

import ipaddress
import math
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tornado.httputil import HTTPServerRequest

from pgrpc import config, observe
from pgrpc.core.identity import identity
from pgrpc.core.limits import quota, ratelimit, settings
from pgrpc.core.network import forwarding, origins
from pgrpc.core.wire import errors
from pgrpc.web import bearer

Authenticate = Callable[[str | None], Awaitable[identity.Identity]]
"""A token, or None -> the client's identity. Raises errors.Unauthenticated, errors.Unavailable."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a kind of handler accepts.

    token: where it looks for a token, beside the header Authorization. token_later: a client without a token is
    admitted, and may log in later.
    """

    token: bearer.Places = field(default_factory=bearer.Places)
    token_later: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """client: its identity; None if it must log in first."""

    client: identity.Identity | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer instead: a status, one line of plain text, headers."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class Admission:
    """listening: the server's sockets. auth, authenticate: both None if clients need no token.

    rates: the buckets of `limits.rates`. is_stopping: if True, no request is admitted any more.
    """

    def __init__(
        self,
        server: config.Server,
        limits: settings.Limits,
        listening: Iterable[socket.socket],
        observer: observe.Observer,
        *,
        rates: ratelimit.Buckets,
        auth: config.Auth | None = None,
        authenticate: Authenticate | None = None,
    ) -> None:
        self._limits = limits
        self._observe = observer
        self.rates = rates
        self._auth = auth
        self._authenticate = authenticate
        self.is_stopping = False
        self._origins = origins.Origins(server.allowed_origins)
        self._proxies = forwarding.Proxies(server.trusted_proxies)
        addresses = [each.getsockname() for each in listening]
        local = all(ipaddress.ip_address(address[0]).is_loopback for address in addresses)
        self._hosts = origins.Hosts(server.allowed_hosts, [address[1] for address in addresses] if local else ())

    def client(self, request: HTTPServerRequest) -> forwarding.Client:
        """The first step for every request: the client's address, and its scheme if a proxy says it."""
        return self._proxies.client(str(request.remote_ip), request.headers)

    def host(self, request: HTTPServerRequest) -> Refused | None:
        """The second step for every request: refuse other servers' host names (421: RFC 9110 section 15.5.20)."""
        host = request.headers.get("Host", "")
        if self._hosts.allows(host):
            return None
        self._observe(observe.HostRefused(str(request.remote_ip), host))
        return Refused(421, "this host name is not listed in server.allowed_hosts\n")

    async def admit(self, request: HTTPServerRequest, door: Door, held: quota.Quota) -> Admitted | Refused:
        """The other steps, for a client that stays connected: `held` counts the connection until it is released."""
        refused = self.stopping() or self._origin(request)
        if refused is not None:
            return refused
        if reason := held.acquire(self._limits, rate_limit_key(request)):
            return self._overloaded(reason)
        return await self.identify(request, door)

    async def identify(self, request: HTTPServerRequest, door: Door) -> Admitted | Refused:
        """Authenticate the client by its token."""
        if (auth := self._auth) is None:
            return Admitted(identity.NOBODY)
        token = None
        try:
            token = bearer.token(request, auth, door.token, self._origins.lists)
            if token is None and auth.anonymous_role is None and door.token_later:
                return Admitted(None)
            if token is not None and (wait := self._too_many_logins(request)):
                return self._overloaded("too many logins from this address", 429, math.ceil(wait))
            client = await self.authenticate(request, token)
        except bearer.CookieFromElsewhere:
            words = "the token is in a cookie, but the origin of this page is not listed in server.allowed_origins"
            return self._unauthenticated(request, words, 403)
        except errors.Unauthenticated as error:
            challenge = {"WWW-Authenticate": bearer.challenge(error.message if token else None)}
            return self._unauthenticated(request, error.message, 401, challenge)
        except errors.Unavailable as error:
            return self._unauthenticated(request, error.message, 503, {"Retry-After": "1"})
        return self.stopping() or Admitted(client)

    async def authenticate(self, request: HTTPServerRequest, token: str | None) -> identity.Identity:
        """The identity of this token, or of none, with settings from the request.

        Raises errors.Unauthenticated, errors.Unavailable.
        """
        assert self._auth is not None
        assert self._authenticate is not None
        client = await self._authenticate(token)
        return client.with_settings(bearer.settings(request, self._auth.headers))

    def stopping(self) -> Refused | None:
        return self._overloaded("the server is stopping") if self.is_stopping else None

    def _origin(self, request: HTTPServerRequest) -> Refused | None:
        """Refuse pages of other origins. A request without an Origin header does not come from a page."""
        headers = request.headers
        origin = headers.get("Origin")
        if origin is None or self._origins.allows(
            origin,
            host=headers.get("Host", ""),
            scheme=request.protocol,
            fetch_site=headers.get("Sec-Fetch-Site"),
        ):
            return None
        self._observe(observe.OriginRefused(str(request.remote_ip), origin))
        return Refused(403, "this page's origin is not listed in server.allowed_origins\n")

    def _too_many_logins(self, request: HTTPServerRequest) -> float:
        """The seconds until this address may send another token, which counts as a login, like rpc.login; 0: now."""
        rate = self._limits.rates.get(("address", "logins"))
        key = ("address", "logins", ("address", rate_limit_key(request)))
        return 0 if rate is None else self.rates.take(key, rate, time.monotonic())

    def _unauthenticated(
        self, request: HTTPServerRequest, reason: str, status: int, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Refused:
        self._observe(observe.TokenRefused(str(request.remote_ip), reason))
        return Refused(status, f"{reason}\n", headers)

    def _overloaded(self, reason: str, status: int = 503, retry_after: int = 10) -> Refused:
        self._observe(observe.Overloaded(reason))
        return Refused(status, f"{reason}; try again later\n", {"Retry-After": str(retry_after)})


def rate_limit_key(request: HTTPServerRequest) -> str:
    """The key of the client's address for limits per address."""
    return forwarding.rate_limit_key(str(request.remote_ip))
