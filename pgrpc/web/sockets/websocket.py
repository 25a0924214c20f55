"""The base class of all WebSockets: handshake, keep-alive and close.

Owns the life of a connection. Must not know who is admitted (admission does), nor what a client may request.
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
    """A client's connection, and a subscriber of the hub."""

    kind: hub.Kind
    door: ClassVar[admission.Door]
    ping_data = b""
    """The payload of a ping, which the client sends back (RFC 6455 section 5.5.2)."""

    # With these attributes beside Tornado's, a handler's dictionary would exceed the 30 keys that Python shares among
    # the instances of a class: 1.4 kB for each connection.
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
        """The client is admitted. client: its identity; None if it must log in first."""
        raise NotImplementedError

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Never the subprotocol that contains the token."""
        return bearer.SUBPROTOCOL if bearer.SUBPROTOCOL in subprotocols else None

    def refuse(self, refused: admission.Refused) -> None:
        """Answer the handshake with this refusal instead of the upgrade."""
        self.set_status(refused.status)
        for name, value in refused.headers.items():
            self.set_header(name, value)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(refused.text)

    def open(self, *args: str, **kwargs: str) -> None:
        protocol = self.ws_connection
        assert isinstance(protocol, frame_reader.Protocol)
        if self._gone:  # it closed while LISTEN was in flight, which Tornado reports only once
            return
        self.set_nodelay(True)
        self.shared.sockets.add(self)
        self.shared.no_sockets.clear()
        self.outbox.open(protocol.stream)
        if self._ended is not None:  # `end` was called before the handshake was done
            self.close(*self._ended)

    def on_finish(self) -> None:
        if self.get_status() != 101:  # otherwise the WebSocket is only beginning
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
        """The subject of the client's identity."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        return str(self.request.remote_ip)

    @property
    def deliver(self) -> hub.Deliver:
        return self.outbox.event  # directly, without a method around it, because of thousands of clients per event

    def on_pong(self, data: bytes) -> None:
        self._alive = True

    def check_alive(self) -> bool:
        # A client that is receiving a long reply cannot answer a ping before its end: progress counts too.
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
        """Close the connection with this code and reason; nothing is sent after that."""
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
        """The frame that reports dropped events of these channels; b"" if the protocol has none."""
        raise NotImplementedError

    def too_slow(self) -> None:
        self.shared.observe(observe.SlowClient(self.address, self.outbox.events))
        self.end(errors.CloseCode.TOO_SLOW, "too slow: the client has too many unread events")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")

    def log_exception(self, *args: Any) -> None:
        error = args[1]
        if isinstance(error, Exception) and not isinstance(error, WebSocketClosedError | HTTPError):
            self.shared.observe(observe.Bug("a socket", error))
