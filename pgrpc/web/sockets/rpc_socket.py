"""WebSockets with a session: what it asks for is performed here; and the JSON-RPC one.

Owns the performing of effects: calls, subscriptions, logins, time. Must not know the protocol (core/session does), nor
PostgreSQL. Nothing here waits for the database: a call's answer comes to a callback.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

from pgrpc import config, observe
from pgrpc.core.channels import hub, rules
from pgrpc.core.session import effects, session
from pgrpc.core.wire import errors, jsonrpc, rpc_methods, ws_frames
from pgrpc.web import context
from pgrpc.web.sockets import websocket

_LOOK = 30.0
"""Seconds at most until the clock is looked at again: it may be set, and a machine may sleep."""

_PATIENCE = 10.0
"""Seconds that a login may take: keys may have to be fetched."""


class SessionSocket(websocket.Socket):
    """A client whose session says what is to be done."""

    make: type[session.Session] = session.Session
    """What a session is made by."""
    # See socket.Socket.
    __slots__ = ("_asked", "_jobs", "_login", "_timer", "_wake_at", "session")

    def initialize(self, shared: context.Context) -> None:
        super().initialize(shared)
        self.session = self._session()
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at: float | None = None
        self._login: asyncio.Task[None] | None = None
        self._jobs: dict[effects.Ticket, Any] | None = None
        self._asked: deque[effects.Effect] | None = None  # while effects are performed: those that are still to be

    def _session(self) -> session.Session:
        """Made once at first, and again when it is known who the client is."""
        shared = self.shared
        return self.make(
            shared.catalog,
            self.allowed(),
            shared.limits,
            self.identity,
            address=self.customer,
            rates=shared.rates,
            terms=shared.terms,
        )

    def allowed(self) -> rules.Channels:
        """The channels that clients may receive."""
        return self.shared.channels

    async def _identify(self, auth: config.Auth | None) -> None:
        await super()._identify(auth)
        self.session = self._session()

    def begin(self) -> None:
        """The client is there, and who it is is known."""
        self._perform(self.session.begin(time.time()))

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        if self._wake_at is not None and time.time() >= self._wake_at:
            self.look_at_clock()  # a timer may be late, and what has ended must not be used
        if self._ended is not None:
            return None
        try:
            self._perform(self.session.receive(message, time.monotonic()))
        except Exception as error:  # whatever the client sent, this is our bug
            self.outbox.reply(ws_frames.text(jsonrpc.error("null", errors.InternalError())))
            self._bug(error)
            return None
        if self.outbox.replies > self.shared.limits.result_size:
            return self.outbox.drained()  # a client that does not read its replies is not read from
        self._alive = True
        return None

    def end(self, code: errors.CloseCode, reason: str) -> None:
        super().end(code, reason)
        self._leave()  # now, and not only when the client has answered

    def on_close(self) -> None:
        super().on_close()
        self._leave()

    def _leave(self) -> None:
        """Cancel and give back what the client has; again at will."""
        if self._timer is not None:
            self._timer.cancel()
        if self._login is not None:
            self._login.cancel()
        self._timer = self._wake_at = self._login = None
        self._perform(self.session.close())

    def _perform(self, asked: list[effects.Effect]) -> None:
        """Each effect, and before the next one whatever it leads to at once: of a long batch a refusal starts the next
        call, which is refused as well. A loop, because recursion has an end.
        """
        if self._asked is not None:
            self._asked.extendleft(reversed(asked))
            return
        self._asked = deque(asked)
        try:
            while self._asked:
                self._perform_one(self._asked.popleft())
        finally:
            self._asked = None

    def _perform_one(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Send():
                self.outbox.reply(ws_frames.text(effect.text), more=bool(self._jobs))
            case effects.Execute():
                self._run(effect)
            case effects.Cancel(ticket):
                if self._jobs is not None and ticket in self._jobs:
                    self.shared.cancel(self._jobs[ticket])
            case effects.Subscribe(ticket, rules):
                self.shared.hub.subscribe(self, rules, partial(self._subscribed, ticket))
            case effects.Activate(channels):
                self.activate(channels)
            case effects.Unsubscribe(channels):
                self.shared.hub.unsubscribe(self, channels)
            case effects.Login():
                self._login = asyncio.create_task(self._log_in(effect), name="login")
            case effects.Wake(at):
                self._wake_at = at
                self._set_timer()
            case effects.Close(code, reason):
                self.end(code, reason)
            case effects.Denied(what, reason):
                self.shared.observe(observe.Denied(str(self.request.remote_ip), what, reason))
            case _:
                self._tell(effect)

    def _tell(self, effect: effects.Effect) -> None:
        """What each kind of client is told in its own way, or not at all."""

    def _run(self, effect: effects.Execute) -> None:
        if self._jobs is None:
            self._jobs = {}
        ticket = effect.ticket
        self._jobs[ticket] = None
        turn = self.session if isinstance(effect, effects.Ask) else self
        job = self.shared.submit(effect.call, effect.caller, turn, partial(self._returned, ticket))
        if ticket in self._jobs:  # otherwise it was answered at once
            self._jobs[ticket] = job

    def activate(self, channels: Sequence[str]) -> None:
        """LISTEN is in effect, and the client has been told: events flow from now on."""
        self.shared.hub.activate(self, channels)

    def _returned(self, ticket: effects.Ticket, result: str | errors.RpcError) -> None:
        if self._jobs is not None:
            self._jobs.pop(ticket, None)
        if isinstance(result, str):
            self._perform(self.session.complete(ticket, result))
        else:
            self._perform(self.session.fail(ticket, result))

    def _subscribed(self, ticket: effects.Ticket, results: dict[str, str]) -> None:
        self._perform(self.session.subscribed(ticket, results))

    # Who the client is

    async def _log_in(self, login: effects.Login) -> None:
        """Nobody awaits this: whatever goes wrong is told, or is our bug."""
        try:
            try:
                async with asyncio.timeout(_PATIENCE):
                    found = await self.authenticate(login.token)
            except TimeoutError:
                self._login_failed(login, errors.Unavailable("the token could not be checked in time; try again"))
            except errors.RpcError as error:
                self._login_failed(login, error)
            else:
                self._perform(self.session.logged_in(login.ticket, found, time.time()))
            self.identity = self.session.client
        except Exception as error:
            self._bug(error)

    def _login_failed(self, login: effects.Login, error: errors.RpcError) -> None:
        if login.token is not None:
            self.shared.observe(observe.TokenRefused(str(self.request.remote_ip), error.message))
        self._perform(self.session.fail(login.ticket, error))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        assert self._wake_at is not None
        pause = min(max(0.0, self._wake_at - time.time()), _LOOK)
        self._timer = asyncio.get_running_loop().call_later(pause, self.look_at_clock)

    def look_at_clock(self) -> None:
        """Do what time has brought."""
        if self._wake_at is None:
            return
        now = time.time()
        if now < self._wake_at:
            self._set_timer()
            return
        self._wake_at = None
        self._perform(self.session.tick(now))
        self.identity = self.session.client

    def _bug(self, error: Exception) -> None:
        self.shared.observe(observe.Bug("a session", error))
        self.end(errors.CloseCode.INTERNAL, "internal error")


class RpcSocket(SessionSocket):
    """JSON-RPC 2.0."""

    form = staticmethod(hub.event)
    token_later = True

    def open(self, *args: str, **kwargs: str) -> None:
        super().open(*args, **kwargs)
        if not self._gone:
            self.begin()

    def gap(self, channels: Sequence[str], reason: str) -> None:
        self.outbox.reply(ws_frames.text(hub.gap(channels, reason)))

    def gap_frame(self, channels: list[str]) -> bytes:
        self.shared.observe(observe.EventsDropped(str(self.request.remote_ip), channels))
        return ws_frames.text(hub.gap(channels, "this client was too slow: events were dropped"))

    def _tell(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Ended(channels, reason):
                self.outbox.reply(ws_frames.text(rpc_methods.ended(channels, reason)))
            case effects.Expiring(seconds):
                self.outbox.reply(ws_frames.text(rpc_methods.expiring(seconds)))
