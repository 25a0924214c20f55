"""/listen/{channel}: one channel, each payload verbatim as a text frame.

Owns the raw relay. Must not know JSON-RPC. A raw client cannot be told anything, so what it must know is told before
the upgrade (refusals; the upgrade itself means that LISTEN is in effect) or by closing (a gap: 1012, come again).
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Sequence
from typing import Any

from pgrpc.core.channels import hub, rules
from pgrpc.core.identity import identity
from pgrpc.core.session import effects
from pgrpc.core.wire import errors
from pgrpc.web import context
from pgrpc.web.sockets import rpc_socket

_PATIENCE = 5.0
"""Seconds that `authorize` and LISTEN may take together before the handshake is given up."""


class ListenSocket(rpc_socket.SessionSocket):
    form: hub.Form = staticmethod(hub.verbatim)
    token_in_address = True
    verbatim = False
    """Whether a name is a name and nothing else to these clients: channels.fault."""

    def initialize(self, shared: context.Context) -> None:
        super().initialize(shared)
        self._listened: asyncio.Future[effects.Listened] | None = None

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        # Tornado would answer 400 with its own words; the channel's rules refuse what is not UTF-8.
        return value.decode("utf-8", "surrogateescape")

    def refusal(self, words: str) -> str:
        """What follows the channel's name in the refusal."""
        return "is not allowed" if words == rules.NOT_ALLOWED else f"is refused: {words}"

    async def get(self, *args: Any, **kwargs: Any) -> None:
        name: str = args[0]
        client = self.session.client or identity.NOBODY
        rule = self.allowed().rule(name, client, verbatim=self.verbatim)
        if isinstance(rule, rules.Refusal):
            if rule.reason:
                self._perform([effects.Denied(f"channel {name!r}", rule.reason)])
            self._refuse_channel(name, rule.words)
            return
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            await super().get(*args, **kwargs)  # which refuses it; nothing has been done for it yet
            return
        try:
            self.begin()
            found = await self._listen(name)
            if self._gone:
                return
            if found.result == "ok":
                if self.refuse_if_stopping():  # which may have begun while LISTEN was on its way
                    return
                await super().get(*args, **kwargs)  # returns when the socket is closed
            elif found.refused:
                self._refuse_channel(name, found.result)
            else:
                self.set_header("Retry-After", "1")
                self.refuse(503, found.result)
        except errors.Unauthenticated as error:  # it has expired this very moment
            self.refuse(401, error.message)
        except errors.RateLimited as error:
            self.set_header("Retry-After", str(math.ceil(error.data["retry_after"])))
            self.refuse(429, error.message)
        finally:
            self._leave()

    async def _listen(self, name: str) -> effects.Listened:
        """Raises Unauthenticated, RateLimited."""
        self._listened = asyncio.get_running_loop().create_future()
        self.shared.joining.add(self)
        try:
            self._perform(self.session.listen(name, time.monotonic(), verbatim=self.verbatim))
            async with asyncio.timeout(_PATIENCE):
                return await self._listened
        except TimeoutError:
            return effects.Listened("unavailable: the database does not answer", refused=False)
        finally:
            self.shared.joining.discard(self)

    def end(self, code: errors.CloseCode, reason: str) -> None:
        super().end(code, reason)
        self._tell(effects.Listened(reason, refused=True))

    def on_close(self) -> None:
        super().on_close()
        self._tell(effects.Listened("the client has gone", refused=False))

    def _tell(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Listened():
                # Events flow at once, so that none is missed; the outbox keeps them until the handshake is done.
                if self._listened is not None and not self._listened.done():
                    self._listened.set_result(effect)
            case effects.Ended():
                self.end(errors.CloseCode.UNAUTHENTICATED, "this channel may not be heard any more")

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

    def _refuse_channel(self, name: str, words: str) -> None:
        shown = name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
        self.refuse(403, f"requested channel '{shown}' {self.refusal(words)}")
