"""/listen/{channel}: one channel, each payload verbatim as a text frame.

Owns the raw relay. Must not know JSON-RPC. A raw client cannot be told anything, so what it must know is told before
the upgrade (refusals; the upgrade itself means that LISTEN is in effect) or by closing (a gap: 1012, come again).
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from pgrpc.core import channels, errors, hub
from pgrpc.web import socket

_PATIENCE = 5.0
"""Seconds that LISTEN may take before the handshake is given up."""


class ListenSocket(socket.Socket):
    form: hub.Form = staticmethod(hub.verbatim)
    token_in_address = True

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        # Tornado would answer 400 with its own words; the channel's rules refuse what is not UTF-8.
        return value.decode("utf-8", "surrogateescape")

    def rule(self, name: str) -> channels.Rule | str:
        """The rule of the channel, or what follows its name in the refusal."""
        rule = self.shared.channels.rule(name)
        if isinstance(rule, str):
            return "is not allowed" if rule == "not allowed" else f"is refused: {rule}"
        return rule

    async def get(self, *args: Any, **kwargs: Any) -> None:
        name: str = args[0]
        rule = self.rule(name)
        if isinstance(rule, str):
            shown = name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
            self._refuse(403, f"requested channel '{shown}' {rule}")
            return
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            await super().get(*args, **kwargs)  # which refuses it; nothing has been done for it yet
            return
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def answer(results: dict[str, str]) -> None:
            if not answered.done():
                answered.set_result(results[name])
                # At once, so that no event is missed; the outbox keeps them until the handshake is done.
                self.activate(name)

        try:
            self.shared.hub.subscribe(self, {name: rule}, answer)
            try:
                async with asyncio.timeout(_PATIENCE):
                    result = await answered
            except TimeoutError:
                result = "unavailable: the database does not answer"
            if result == "ok":
                if self.refuse_if_stopping():  # which may have begun while LISTEN was on its way
                    return
                await super().get(*args, **kwargs)  # returns when the socket is closed
            else:
                self.set_header("Retry-After", "1")
                self._refuse(503, result)
        finally:
            self.shared.hub.unsubscribe(self, (name,))

    def activate(self, name: str) -> None:
        """LISTEN is in effect: events flow from now on."""
        self.shared.hub.activate(self, (name,))

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        """A listener's words are ignored, but for the life they show."""
        self._alive = True
        return None

    def gap(self, names: Sequence[str], reason: str) -> None:
        if self.shared.server.relay_on_gap == "close":
            self.end(errors.CloseCode.RESTARTING, "events may have been lost; connect again and re-read")

    def gap_frame(self, names: list[str]) -> bytes:
        self.gap(names, "")
        return b""

    def _refuse(self, status: int, reason: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(reason)
