"""/listen/{channel}: relays one channel, each payload unchanged in a text frame.

Owns this protocol without messages: refusals come before the upgrade, the upgrade means that LISTEN is in effect, and a
gap closes the socket (1012: reconnect). Must not know JSON-RPC.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Sequence
from typing import Any

from pgrpc.core.channels import rules
from pgrpc.core.identity import identity
from pgrpc.core.session import effects, session
from pgrpc.core.wire import errors
from pgrpc.web import admission, bearer, context
from pgrpc.web.sockets import encoders, session_socket

_TIMEOUT = 5.0
"""Seconds that `authorize` and LISTEN may take together before the handshake is refused."""

Outcome = str | rules.Refusal | errors.RpcError
"""The result of the subscription: "ok", a temporary failure, a refusal for this client, or an error."""


class RelaySocket(session_socket.SessionSocket):
    kind = staticmethod(encoders.RAW)
    door = admission.Door(bearer.Places(subprotocol=True, cookie=True, query=True))
    make = session.Session

    def initialize(self, shared: context.Context) -> None:
        super().initialize(shared)
        self._outcome: asyncio.Future[Outcome] | None = None

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        # Tornado would answer 400 with its own text; the channel rules refuse what is not UTF-8.
        return value.decode("utf-8", "surrogateescape")

    def refusal(self, words: str) -> str:
        """The rest of a refusal, after the channel's name."""
        return f"is {words}" if words in (rules.NOT_ALLOWED, rules.NOT_LISTED) else f"is refused: {words}"

    async def get(self, *args: Any, **kwargs: Any) -> None:
        name: str = args[0]
        rule = self.allowed().rule(name, self.session.client or identity.NOBODY)
        if isinstance(rule, rules.Refusal):
            if rule.reason:
                self.performer.perform([effects.Denied(f"channel {name!r}", rule.reason)])
            self._refuse_channel(name, rule.words)
            return
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            await super().get(*args, **kwargs)  # answers 400; nothing has been started yet
            return
        try:
            self.performer.begin()
            outcome = await self._subscribe(name)
            if self._gone:
                return
            if outcome == "ok":
                if refused := self.shared.admission.stopping():  # it may have begun while LISTEN was in flight
                    self.refuse(refused)
                    return
                await super().get(*args, **kwargs)  # returns when the socket is closed
            else:
                self._refuse_outcome(name, outcome)
        finally:
            self.leave()

    async def _subscribe(self, name: str) -> Outcome:
        self._outcome = asyncio.get_running_loop().create_future()
        self.shared.joining.add(self)
        try:
            self.performer.perform(self.session.subscribe(effects.Ticket(), [name], time.monotonic()))
            async with asyncio.timeout(_TIMEOUT):
                return await self._outcome
        except TimeoutError:
            return "unavailable: the database does not answer"
        finally:
            self.shared.joining.discard(self)

    def _refuse_outcome(self, name: str, outcome: Outcome) -> None:
        match outcome:
            case errors.RateLimited():
                retry_after = str(math.ceil(outcome.data["retry_after"]))
                self.refuse(admission.Refused(429, outcome.message, {"Retry-After": retry_after}))
            case errors.Unauthenticated():  # the token has expired just now
                self.refuse(admission.Refused(401, outcome.message))
            case rules.Refusal(words):
                self._refuse_channel(name, words)
            case _:
                self.refuse(admission.Refused(503, str(outcome), {"Retry-After": "1"}))

    def _refuse_channel(self, name: str, words: str) -> None:
        shown = name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
        self.refuse(admission.Refused(403, f"requested channel '{shown}' {self.refusal(words)}"))

    def end(self, code: errors.CloseCode, reason: str) -> None:
        super().end(code, reason)
        self._settle(rules.Refusal(reason))  # before the upgrade: refuse the handshake

    def on_close(self) -> None:
        super().on_close()
        self._settle("the client has gone")

    def _settle(self, outcome: Outcome) -> None:
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(outcome)

    def inform(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Subscribed(_, results):
                # Events are sent from now on, so that none is missed; the outbox keeps them until the handshake ends.
                (result,) = results.values()
                self._settle(rules.Refusal(result) if result == rules.NOT_ALLOWED else result)
            case effects.Refuse(_, error):
                self._settle(error)
            case effects.SubscriptionsEnded():
                self.end(errors.CloseCode.UNAUTHENTICATED, "this channel is no longer allowed")

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        """Messages of the client are ignored, but count as a sign of life."""
        self._alive = True
        return None

    def gap(self, channels: Sequence[str], reason: str) -> None:
        if self.shared.server.relay_on_gap == "close":
            self.end(errors.CloseCode.RESTARTING, "events may have been lost; reconnect and read again")

    def gap_frame(self, channels: list[str]) -> bytes:
        self.gap(channels, "")
        return b""
