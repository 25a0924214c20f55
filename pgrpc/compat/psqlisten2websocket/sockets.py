"""psqlisten2websocket: /ws, the events of one channel for everyone, and the last one for whoever joins.

Owns what it does otherwise than our own /listen. Must not know the other dialects, nor where its settings come from.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from pgrpc import config, observe
from pgrpc.core.channels import hub, rules
from pgrpc.core.channels.notification import Notification
from pgrpc.core.identity import identity
from pgrpc.core.wire import jsontext
from pgrpc.web import context
from pgrpc.web.sockets import encoders, relay

_AGAIN = 0.2
"""Seconds until LISTEN is asked for again, where it could not be had."""


def routes(shared: context.Context, dialect: config.Psqlisten2websocket) -> list[tuple[Any, ...]]:
    last = Last(shared, dialect.channel)
    last.follow()
    return [(rf"{re.escape(shared.server.base_path)}ws", Socket, {"shared": shared, "last": last})]


class Last:
    """A subscriber that keeps the newest event, and the kind that it and all sockets have in common.

    It is forgotten where events may have been lost: it may not be the newest any more.
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
        """Subscribe, and try again until it is done; from then on the hub keeps the subscription."""
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


class Socket(relay.ListenSocket):
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
        """A request that is no WebSocket handshake is answered as gorilla/websocket does."""
        status = self.get_status()
        if status in (400, 405, 426):
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            chunk = "method not allowed\n" if status == 405 else f"{self._reason}\n"
        return super().finish(chunk)
