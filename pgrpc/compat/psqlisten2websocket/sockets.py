"""psqlisten2websocket: /ws, the notifications of one channel for every client, the newest one first on connecting.

Owns how it differs from our own /listen. Must not know where its settings come from.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from pgrpc import observe
from pgrpc.compat import dialect
from pgrpc.compat.psqlisten2websocket import section
from pgrpc.core.channels import hub, rules
from pgrpc.core.channels.notification import Notification
from pgrpc.core.identity import identity
from pgrpc.core.wire import jsontext
from pgrpc.web import context
from pgrpc.web.sockets import encoders, relay

_AGAIN = 0.2
"""Seconds until LISTEN is tried again, where it failed."""


def routes(shared: context.Context, value: section.Psqlisten2websocket) -> dialect.Routes:
    last = Last(shared, value.channel)
    last.follow()
    route = (rf"{re.escape(shared.server.base_path)}ws", Socket, {"shared": shared, "last": last})
    return dialect.Routes(before=(route,))


class Last:
    """A subscriber that keeps the newest notification, and the kind that it shares with all sockets.

    Where notifications may have been lost it forgets it: it may not be the newest any more.
    """

    def __init__(self, shared: context.Context, channel: str) -> None:
        self.channel = channel
        self.frame = b""
        self._shared = shared
        self._following = False
        self.kind = encoders.framed(lambda name, rule: self._indented)

    def _indented(self, notification: Notification) -> str | None:
        try:
            return jsontext.indent(notification.payload)
        except ValueError:
            self._shared.observe(observe.NotJson(self.channel, "/ws"))
            return None

    def follow(self) -> None:
        """Subscribe, and try again until that has worked; from then on the hub keeps the subscription."""
        rule = self._shared.channels.raw.rule(self.channel, identity.NOBODY)
        if not self._following and isinstance(rule, rules.Rule):
            self._following = True
            self._shared.hub.subscribe(self, {self.channel: rule}, self._answer)

    def _answer(self, results: dict[str, str]) -> None:
        if results[self.channel] == "ok":
            self._shared.hub.activate(self, (self.channel,))
        else:
            self._following = False
            asyncio.get_running_loop().call_later(_AGAIN, self.follow)

    def deliver(self, run: hub.Run) -> None:
        self.frame = run.last

    def gap(self, names: Sequence[str], reason: str) -> None:
        self.frame = b""


class Socket(relay.RelaySocket):
    def initialize(self, shared: context.Context, last: Last | None = None) -> None:
        super().initialize(shared)
        assert last is not None
        self._last = last
        self.kind = last.kind

    def allowed(self) -> rules.Allowed:
        return self.shared.channels.raw

    async def get(self, *args: Any, **kwargs: Any) -> None:
        await super().get(self._last.channel)

    def refusal(self, words: str) -> str:
        return words

    def activated(self, channels: Sequence[str]) -> None:
        self._last.follow()
        if self._last.frame:
            self.outbox.reply(self._last.frame)

    def finish(self, chunk: Any = None) -> Any:
        """Answer a request that is not a WebSocket handshake as gorilla/websocket does."""
        status = self.get_status()
        if status in (400, 405, 426):
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            chunk = "method not allowed\n" if status == 405 else f"{self._reason}\n"
        return super().finish(chunk)
