"""postgresql2websocket: /{channel} relays, and takes SQL text: `select add(1, 2);` is answered by `{"add": 3}`.

Owns the socket that does both, and how rows are sent. Must not know SQL: sql_session does.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Iterator

from pgrpc.compat import channels, dialect
from pgrpc.compat.postgresql2websocket import section, sql_session
from pgrpc.core.channels import globs, rules
from pgrpc.core.session import effects
from pgrpc.core.wire import ws_frames
from pgrpc.web import context, routing
from pgrpc.web.sockets import relay, session_socket

_SLICE = 64 * 1024
"""Bytes of rows that are encoded at once; then other clients get their turn."""


def routes(shared: context.Context, value: section.Postgresql2websocket) -> dialect.Routes:
    listed: rules.Allowed = shared.channels.raw
    if value.channels is not None:
        patterns = ((name, globs.compile(name)) for name in value.channels)
        listed = channels.Patterns(patterns, shared.channels.raw.reserved)
    path = routing.Upgrade(rf"{re.escape(shared.server.base_path)}([^/]+)")
    return dialect.Routes(after=((path, Channel, {"shared": shared, "listed": listed}),))


class Channel(relay.RelaySocket):
    make = sql_session.SqlSession
    session: sql_session.SqlSession

    def initialize(self, shared: context.Context, listed: rules.Allowed | None = None) -> None:
        assert listed is not None
        self._listed = listed
        super().initialize(shared)
        self._rows: Iterator[str] | None = None
        self._room: asyncio.Future[None] | None = None

    def allowed(self) -> rules.Allowed:
        return self._listed

    def refusal(self, words: str) -> str:
        return "is not allowed"

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        pause = session_socket.SessionSocket.on_message(self, message)
        return self._until_room(pause) if self.session.is_full else pause

    def receive(self, message: str | bytes) -> list[effects.Effect]:
        return self.session.receive(message, time.monotonic())

    async def _until_room(self, pause: Awaitable[None] | None) -> None:
        """Do not read from a client that asks faster than it is answered."""
        if pause is not None:
            await pause
        if self.session.is_full:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def check_alive(self) -> bool:
        if self._room is not None and not self._room.done():
            self._alive = True  # its pongs are not read either
        return super().check_alive()

    def on_close(self) -> None:
        super().on_close()
        self._rows = None
        self._make_room()

    def inform(self, effect: effects.Effect) -> None:
        match effect:
            case sql_session.SendRows(rows):
                self._rows = rows
                self._send_rows()
            case sql_session.HasRoom():
                self._make_room()
            case _:
                super().inform(effect)

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _send_rows(self) -> None:
        """Send a slice, and the next one when the client has taken it."""
        if self._ended is not None:
            return
        made = bytearray()
        for row in self._rows or ():
            made += ws_frames.text(row)
            if len(made) >= _SLICE:
                self.outbox.reply(bytes(made))
                self.outbox.drained().add_done_callback(lambda _: self._send_rows())
                return
        if made:
            self.outbox.reply(bytes(made))
        if self._rows is not None:
            self._rows = None
            self.performer.perform(self.session.sent())
