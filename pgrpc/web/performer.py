"""Performs the effects of a session: runs calls, subscribes, logs in, sets timers.

Owns the performing of core/session/effects, for any kind of connection. Nothing here waits for the database: the result
of a call comes to a callback. Must not know the protocol, nor how bytes are sent: each Client does.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from pgrpc import observe
from pgrpc.core.channels import hub
from pgrpc.core.identity import identity
from pgrpc.core.session import effects, session
from pgrpc.core.wire import errors
from pgrpc.web import context

_MAX_SLEEP = 30.0
"""Seconds after which a timer reads the clock again: it may have been set, or the machine suspended."""

_LOGIN_TIMEOUT = 10.0
"""Seconds that a login may take, as keys may have to be fetched."""


class Client(hub.Subscriber, Protocol):
    """The connection that a session belongs to. Its methods must not raise."""

    @property
    def address(self) -> str: ...
    def send(self, text: str, *, more: bool) -> None:
        """Send a text of the session's protocol. more: others may follow in this turn of the loop."""

    def inform(self, effect: effects.Effect) -> None:
        """Handle an effect that each kind of client reports in its own way, or not at all."""

    def activated(self, channels: Sequence[str]) -> None:
        """The events of these channels are sent from now on."""

    def end(self, code: errors.CloseCode, reason: str) -> None: ...
    async def authenticate(self, token: str | None) -> identity.Identity:
        """Raises errors.Unauthenticated, errors.Unavailable."""


class Performer:
    """of: the session. client: its connection."""

    # An idle connection must cost little memory: collections are created on first use.
    __slots__ = ("_client", "_in_flight", "_login", "_queue", "_session", "_shared", "_timer", "_timer_at")

    def __init__(self, shared: context.Context, of: session.Session, client: Client) -> None:
        self._shared = shared
        self._session = of
        self._client = client
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._login: asyncio.Task[None] | None = None
        self._in_flight: dict[effects.Ticket, Any] | None = None  # ticket -> handle for cancelling
        self._queue: deque[effects.Effect] | None = None  # while effects are being performed: those that are left

    def begin(self) -> None:
        """The connection is open, and the client authenticated if it must be."""
        self.perform(self._session.begin(time.time()))

    def close(self) -> None:
        """Cancel and release everything of the client; may be called again."""
        if self._timer is not None:
            self._timer.cancel()
        if self._login is not None:
            self._login.cancel()
        self._timer = self._timer_at = self._login = None
        self.perform(self._session.close())

    def perform(self, wanted: list[effects.Effect]) -> None:
        """Perform each effect, and before the next one those that it causes at once: in a long batch a refusal starts
        the next call, which may be refused too. A loop, because recursion depth is limited.
        """
        if self._queue is not None:
            self._queue.extendleft(reversed(wanted))
            return
        self._queue = deque(wanted)
        try:
            while self._queue:
                self._perform_one(self._queue.popleft())
        finally:
            self._queue = None

    def _perform_one(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Send():
                self._client.send(effect.text, more=bool(self._in_flight))
            case effects.Execute():
                self._execute(effect)
            case effects.Cancel(ticket):
                if self._in_flight is not None and ticket in self._in_flight:
                    self._shared.cancel(self._in_flight[ticket])
            case effects.Subscribe(ticket, rules):
                self._shared.hub.subscribe(self._client, rules, partial(self._subscribed, ticket))
            case effects.Activate(channels):
                self._shared.hub.activate(self._client, channels)
                self._client.activated(channels)
            case effects.Unsubscribe(channels):
                self._shared.hub.unsubscribe(self._client, channels)
            case effects.Login():
                self._login = asyncio.create_task(self._log_in(effect), name="login")
            case effects.SetTimer(at):
                self._timer_at = at
                self._set_timer()
            case effects.Close(code, reason):
                self._client.end(code, reason)
            case effects.Denied(what, reason):
                self._shared.observe(observe.Denied(self._client.address, what, reason))
            case _:
                self._client.inform(effect)

    # Calls and subscriptions

    def _execute(self, effect: effects.Execute) -> None:
        if self._in_flight is None:
            self._in_flight = {}
        ticket = effect.ticket
        self._in_flight[ticket] = None
        handle = self._shared.submit(effect.call, effect.caller, effect.fair_key, partial(self._returned, ticket))
        if ticket in self._in_flight:  # otherwise it has returned already
            self._in_flight[ticket] = handle

    def _returned(self, ticket: effects.Ticket, result: str | errors.RpcError) -> None:
        if self._in_flight is not None:
            self._in_flight.pop(ticket, None)
        if isinstance(result, str):
            self.perform(self._session.complete(ticket, result))
        else:
            self.perform(self._session.fail(ticket, result))

    def _subscribed(self, ticket: effects.Ticket, results: dict[str, str]) -> None:
        self.perform(self._session.subscribed(ticket, results))

    # Who the client is

    async def _log_in(self, login: effects.Login) -> None:
        """Nobody awaits this task, so every error is reported: as the login's result, or as our bug."""
        try:
            try:
                async with asyncio.timeout(_LOGIN_TIMEOUT):
                    client = await self._client.authenticate(login.token)
            except TimeoutError:
                self._login_failed(login, errors.Unavailable("the token could not be verified in time; try again"))
            except errors.RpcError as error:
                self._login_failed(login, error)
            else:
                self.perform(self._session.logged_in(login.ticket, client, time.time()))
        except Exception as error:
            self.bug(error)

    def _login_failed(self, login: effects.Login, error: errors.RpcError) -> None:
        if login.token is not None:
            self._shared.observe(observe.TokenRefused(self._client.address, error.message))
        self.perform(self._session.fail(login.ticket, error))

    # Time

    def check_time(self) -> None:
        """Call this before acting as the client: its timer may be late, and an expired identity must not be used."""
        if self._timer_at is not None and time.time() >= self._timer_at:
            self._time_has_passed()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        assert self._timer_at is not None
        pause = min(max(0.0, self._timer_at - time.time()), _MAX_SLEEP)
        self._timer = asyncio.get_running_loop().call_later(pause, self._time_has_passed)

    def _time_has_passed(self) -> None:
        if self._timer_at is None:
            return
        now = time.time()
        if now < self._timer_at:
            self._set_timer()
            return
        self._timer_at = None
        self.perform(self._session.tick(now))

    def bug(self, error: Exception) -> None:
        self._shared.observe(observe.Bug("a session", error))
        self._client.end(errors.CloseCode.INTERNAL, "internal error")
