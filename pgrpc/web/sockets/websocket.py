"""WebSockets: what all of them have in common.

Owns the handshake, who the client is by then, its limits, its life and its end. Must not know what a client may ask
for.
"""

import contextlib
import math
from collections.abc import Awaitable, Sequence
from typing import Any

from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler, WebSocketProtocol

from pgrpc import config, observe
from pgrpc.core.channels import hub
from pgrpc.core.identity import identity
from pgrpc.core.limits import quota
from pgrpc.core.network import forwarding
from pgrpc.core.wire import errors
from pgrpc.web import bearer, context
from pgrpc.web.sockets import frame_reader, outbox


class Socket(WebSocketHandler):
    """A client's connection, a subscriber of the hub."""

    form: hub.Form
    ping_data = b""
    """What a ping carries; the client sends it back (RFC 6455 section 5.5.2)."""
    token_in_address = False
    """Whether the address may hold the token: only where clients have no other way."""
    token_later = False
    """Whether a client may come without a token and log in on the open socket."""

    # An idle connection must cost little. With these beside Tornado's the dictionary of a handler would outgrow what
    # Python shares among those of a class (30 keys): 1.4 kB of each connection.
    __slots__ = (
        "_alive",
        "_ended",
        "_gone",
        "_progress",
        "_quota",
        "_silent",
        "identity",
        "outbox",
        "shared",
    )  # fmt: skip

    def initialize(self, shared: context.Context) -> None:
        self.shared = shared
        self.identity: identity.Identity | None = None if shared.authenticate else identity.NOBODY
        """None: nobody yet."""
        self.outbox = outbox.Outbox(shared.limits.send_buffer, self)
        self._alive = True
        self._silent = 0.0
        self._progress = (0, 0)
        self._ended: tuple[errors.CloseCode, str] | None = None
        self._gone = False
        self._quota = quota.Quota(shared.counts)

    def set_default_headers(self) -> None:
        self.set_header("Server", "pgrpc")

    def check_origin(self, origin: str) -> bool:
        return True  # `prepare` has refused what may not connect

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        plain = super().get_websocket_protocol()
        return plain and frame_reader.Protocol(self, False, plain.params)  # type: ignore[attr-defined]

    def prepare(self) -> Awaitable[None] | None:
        """Before the upgrade: refuse what is over the limits of connections, and find out who it is."""
        if self.refuse_if_stopping() or self._refuse_origin():
            return None
        if reason := self._quota.acquire(self.shared.limits, self.customer):
            self._overloaded(reason)
            return None
        if self.shared.authenticate is None:
            return None
        return self._identify(self.shared.auth)

    async def _identify(self, auth: config.Auth | None) -> None:
        """Find out who the client is, or refuse it before the upgrade."""
        assert auth is not None
        token = None
        try:
            listed = self.shared.allowed_origins.lists
            token = bearer.token(self.request, auth, address=self.token_in_address, listed=listed)
            if token is None and auth.anonymous_role is None and self.token_later:
                return
            if token is not None and (wait := bearer.pace(self.shared, self.customer)):
                self._overloaded("this address logs in too often", 429, math.ceil(wait))
                return
            self.identity = await self.authenticate(token)
            self.refuse_if_stopping()
        except bearer.CookieFromElsewhere:
            self._refuse_identity(403, "a cookie speaks only for pages of server.allowed_origins, and this is none")
        except errors.Unauthenticated as error:
            self.set_header("WWW-Authenticate", bearer.challenge(error.message if token else None))
            self._refuse_identity(401, error.message)
        except errors.Unavailable as error:
            self.set_header("Retry-After", "1")
            self._refuse_identity(503, error.message)

    async def authenticate(self, token: str | None) -> identity.Identity:
        """Who has this token and is at the other end. Raises errors.Unauthenticated, errors.Unavailable."""
        assert self.shared.authenticate is not None
        assert self.shared.auth is not None
        found = await self.shared.authenticate(token)
        return found.having(bearer.settings(self.request, self.shared.auth.headers))

    def _refuse_identity(self, status: int, reason: str) -> None:
        self.shared.observe(observe.TokenRefused(str(self.request.remote_ip), reason))
        self.refuse(status, f"{reason}\n")

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Never the one that holds the token."""
        return bearer.SUBPROTOCOL if bearer.SUBPROTOCOL in subprotocols else None

    def _refuse_origin(self) -> bool:
        """Refuse pages that may not connect, before the upgrade. Who sends no origin is no browser."""
        headers = self.request.headers
        origin = headers.get("Origin")
        if origin is None or self.shared.allowed_origins.allows(
            origin,
            host=headers.get("Host", ""),
            scheme=self.request.protocol,
            fetch_site=headers.get("Sec-Fetch-Site"),
        ):
            return False
        self.shared.observe(observe.OriginRefused(str(self.request.remote_ip), origin))
        self.refuse(403, "pages of this origin may not connect; server.allowed_origins lists those that may\n")
        return True

    def refuse_if_stopping(self) -> bool:
        if self.shared.stopping:
            self._overloaded("the server is stopping")
        return self.shared.stopping

    def _overloaded(self, reason: str, status: int = 503, retry_after: int = 10) -> None:
        self.shared.observe(observe.Overloaded(reason))
        self.set_header("Retry-After", retry_after)
        self.refuse(status, f"{reason}; try again later\n")

    def refuse(self, status: int, text: str) -> None:
        """Answer the handshake with this instead of the upgrade."""
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(text)

    def open(self, *args: str, **kwargs: str) -> None:
        protocol = self.ws_connection
        assert isinstance(protocol, frame_reader.Protocol)
        if self._gone:  # it left while LISTEN was on its way, and Tornado tells of that only once
            return
        self.set_nodelay(True)
        self.shared.sockets.add(self)
        self.shared.no_sockets.clear()
        self.outbox.open(protocol.stream)
        if self._ended is not None:  # before the handshake was done: it could not be told then
            self.close(*self._ended)

    def on_finish(self) -> None:
        if self.get_status() != 101:  # otherwise it is only beginning
            self._quota.release()

    def on_close(self) -> None:
        self._gone = True
        self.outbox.close()
        self._quota.release()
        self.shared.sockets.discard(self)
        if not self.shared.sockets:
            self.shared.no_sockets.set()

    @property
    def deliver(self) -> hub.Deliver:
        return self.outbox.event  # and not a method of ours around it: there are thousands of clients to an event

    def on_pong(self, data: bytes) -> None:
        self._alive = True

    def check_alive(self) -> bool:
        # A client that is taking in a long reply cannot answer before it has it all: what it takes is a sign too.
        server = self.shared.server
        if self._alive or self.outbox.progress != self._progress:
            self._alive = False
            self._silent = 0.0
            self._progress = self.outbox.progress
        else:
            self._silent += server.ping_interval
        if not self._silent or self._silent < (server.ping_timeout or server.ping_interval):
            with contextlib.suppress(WebSocketClosedError):
                self.ping(self.ping_data)
            return True
        stream = self.ws_connection and self.ws_connection.stream
        if stream is not None:
            stream.close()
        return False

    @property
    def customer(self) -> str:
        """Whom its limits are counted for."""
        return forwarding.customer(str(self.request.remote_ip))

    @property
    def subject(self) -> str | None:
        return None if self.identity is None else self.identity.subject

    def end(self, code: errors.CloseCode, reason: str) -> None:
        """Close from our side; nothing is sent after that."""
        self.outbox.finish()
        self.outbox.close()
        self._ended = code, reason
        self.close(int(code), reason)

    def before_close(self) -> None:
        self.outbox.send_joined()
        self.outbox.close()

    def gap(self, channels: Sequence[str], reason: str) -> None:
        """Events on these channels may have been lost."""
        raise NotImplementedError

    def gap_frame(self, channels: list[str]) -> bytes:
        """What tells the client that events of these channels were dropped; b"" where it cannot be told."""
        raise NotImplementedError

    def too_slow(self) -> None:
        self.shared.observe(observe.SlowClient(str(self.request.remote_ip), self.outbox.events))
        self.end(errors.CloseCode.TOO_SLOW, "too slow: events are waiting that were not read")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")

    def log_exception(self, *args: Any) -> None:
        error = args[1]
        if isinstance(error, Exception) and not isinstance(error, WebSocketClosedError | HTTPError):
            self.shared.observe(observe.Bug("a socket", error))
