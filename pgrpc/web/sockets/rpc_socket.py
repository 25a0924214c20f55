"""The JSON-RPC WebSocket at /rpc.

Owns which effects become notifications of the server (rpc.gap, rpc.ended, rpc.expiring). Must not know their causes.
"""

import time
from collections.abc import Sequence

from pgrpc import observe
from pgrpc.core.session import effects, rpc_session
from pgrpc.core.wire import rpc_methods, ws_frames
from pgrpc.web import admission, bearer
from pgrpc.web.sockets import encoders, session_socket


class RpcSocket(session_socket.SessionSocket):
    kind = staticmethod(encoders.JSONRPC)
    door = admission.Door(bearer.Places(subprotocol=True, cookie=True), token_later=True)
    make = rpc_session.RpcSession
    session: rpc_session.RpcSession

    def open(self, *args: str, **kwargs: str) -> None:
        super().open(*args, **kwargs)
        if not self._gone:
            self.performer.begin()

    def receive(self, message: str | bytes) -> list[effects.Effect]:
        return self.session.receive(message, time.monotonic())

    def inform(self, effect: effects.Effect) -> None:
        match effect:
            case effects.SubscriptionsEnded(channels, reason):
                self.outbox.reply(ws_frames.text(rpc_methods.ended(channels, reason)))
            case effects.Expiring(seconds):
                self.outbox.reply(ws_frames.text(rpc_methods.expiring(seconds)))

    def gap(self, channels: Sequence[str], reason: str) -> None:
        self.outbox.reply(ws_frames.text(rpc_methods.gap(channels, reason)))

    def gap_frame(self, channels: list[str]) -> bytes:
        self.shared.observe(observe.EventsDropped(self.address, channels))
        return ws_frames.text(rpc_methods.gap(channels, "this client was too slow: events were dropped"))
