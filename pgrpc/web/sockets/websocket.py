"""WebSockets: what all of them have in common.

Owns the handshake, a connection's life and its end. Must not know who may come in (admission does), nor what a client
may ask for.
"""

import contextlib
from collections.abc import Sequence
from typing import Any, ClassVar

from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler, WebSocketProtocol

from pgrpc import observe
from pgrpc.core.channels import hub
from pgrpc.core.identity import identity
from pgrpc.core.limits import quota
from pgrpc.core.wire import errors
from pgrpc.web import admission, bearer, context
from pgrpc.web.sockets import frame_reader, outbox


class Socket(WebSocketHandler):
    """A client's connection, a subscriber of the hub."""

    kind: hub.Kind
    door: ClassVar[admission.Door]
    ping_data = b""
    """What a ping carries; the client sends it back (RFC 6455 section 5.5.2)."""

    # An idle connection must cost little. With these beside Tornado's the dictionary of a handler would outgrow what
    # Python shares among those of a class (30 keys): 1.4 kB of each connection.
    __slots__ = (
        "_alive", "_ended", "_gone", "_progress", "_quota", "_silent", "outbox", "shared",
    )  # fmt: skip

    def initialize(self, shared: context.Context) -> None:
        self.shared = shared
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

    async def prepare(self) -> None:
        """Before the upgrade."""
        outcome = await self.shared.admission.admit(self.request, self.door, self._quota)
        if isinstance(outcome, admission.Refused):
            self.refuse(outcome)
        else:
            self.admitted(outcome.client)

    def admitted(self, client: identity.Identity | None) -> None:
        """It is known who the client is. None: it must log in first."""
        raise NotImplementedError

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Never the one that holds the token."""
        return bearer.SUBPROTOCOL if bearer.SUBPROTOCOL in subprotocols else None

    def refuse(self, refused: admission.Refused) -> None:
        """Answer the handshake with this instead of the upgrade."""
        self.set_status(refused.status)
        for name, value in refused.headers.items():
            self.set_header(name, value)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(refused.text)

    def open(self, *args: str, **kwargs: str) -> None:
        protocol = self.ws_connection
        assert isinstance(protocol, frame_reader.Protocol)
        if self._gone:  # it left while LISTEN was in flight, and Tornado reports that only once
            return
        self.set_nodelay(True)
        self.shared.sockets.add(self)
        self.shared.no_sockets.clear()
        self.outbox.open(protocol.stream)
        if self._ended is not None:  # before the handshake was done: it could not be closed then
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
    def subject(self) -> str | None:
        """Of the client's identity."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        return str(self.request.remote_ip)

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
        """What tells the client that events of these channels were dropped; b"" where nothing can."""
        raise NotImplementedError

    def too_slow(self) -> None:
        self.shared.observe(observe.SlowClient(self.address, self.outbox.events))
        self.end(errors.CloseCode.TOO_SLOW, "too slow: too many events wait that the client has not read")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")

    def log_exception(self, *args: Any) -> None:
        error = args[1]
        if isinstance(error, Exception) and not isinstance(error, WebSocketClosedError | HTTPError):
            self.shared.observe(observe.Bug("a socket", error))
