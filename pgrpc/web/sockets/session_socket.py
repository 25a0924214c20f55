"""A WebSocket with a session: passes messages to the session, and performs its effects.

Owns this way, and backpressure: the server reads no more from a client that does not read its replies. Must not know
the protocol: the session does.
"""

from collections.abc import Awaitable, Sequence

from pgrpc.core.channels import rules
from pgrpc.core.identity import identity
from pgrpc.core.session import effects, session
from pgrpc.core.wire import errors, jsonrpc, ws_frames
from pgrpc.web import admission, performer
from pgrpc.web.sockets import websocket


class SessionSocket(websocket.Socket):
    """make: the class of the session."""

    make: type[session.Session]
    # See websocket.Socket.
    __slots__ = ("performer", "session")

    def admitted(self, client: identity.Identity | None) -> None:
        shared = self.shared
        self.session = self.make(
            shared.catalog,
            self.allowed(),
            shared.limits,
            client,
            address=admission.rate_limit_key(self.request),
            rates=shared.admission.rates,
            policy=shared.login_policy,
        )
        self.performer = performer.Performer(shared, self.session, self)

    def allowed(self) -> rules.Allowed:
        """The channels that clients of this kind may subscribe to."""
        return self.shared.channels

    @property
    def subject(self) -> str | None:
        """The subject of the client's identity."""
        client = self.session.client
        return None if client is None else client.subject

    async def authenticate(self, token: str | None) -> identity.Identity:
        return await self.shared.admission.authenticate(self.request, token)

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        self.performer.check_time()
        if self._ended is not None:
            return None
        try:
            self.performer.perform(self.receive(message))
        except Exception as error:  # whatever the client sent, this is our bug
            self.outbox.reply(ws_frames.text(jsonrpc.error("null", errors.InternalError())))
            self.performer.bug(error)
            return None
        if self.outbox.replies > self.shared.limits.result_size:
            return self.outbox.drained()  # backpressure
        self._alive = True
        return None

    def receive(self, message: str | bytes) -> list[effects.Effect]:
        """The effects of a message."""
        raise NotImplementedError

    def end(self, code: errors.CloseCode, reason: str) -> None:
        super().end(code, reason)
        self.leave()  # now, not when the client has answered the close frame

    def on_close(self) -> None:
        super().on_close()
        self.leave()

    def leave(self) -> None:
        """Cancel and release everything of the client; may be called again."""
        if hasattr(self, "performer"):  # otherwise it has gone before it was admitted
            self.performer.close()

    def send(self, text: str, *, more: bool) -> None:
        self.outbox.reply(ws_frames.text(text), more=more)

    def inform(self, effect: effects.Effect) -> None:
        pass

    def activated(self, channels: Sequence[str]) -> None:
        pass
