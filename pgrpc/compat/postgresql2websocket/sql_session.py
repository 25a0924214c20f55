"""One client that sends SQL: text in -> effects out, a frame for each row.

Owns the order: statements are answered one after the other, since an answer does not say which statement it belongs
to. Everything else is as in any session: identity, access, limits. Must not know sockets, the database or the grammar.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pgrpc.compat.postgresql2websocket import sql_call, sql_constants, sql_rows
from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog, routines
from pgrpc.core.limits import settings
from pgrpc.core.session import effects, session
from pgrpc.core.wire import errors, jsonrpc


@dataclass(slots=True)
class _Running:
    ticket: effects.Ticket
    query: sql_call.Query
    routine: routines.Routine


class SqlSession(session.Session):
    """At most `calls_in_flight` statements wait for the one that runs; `is_full`: do not read more."""

    __slots__ = ("_limit", "_queue", "_statement")

    def __init__(
        self, functions: catalog.Catalog, listed: rules.Channels, limits: settings.Limits, *client: Any, **more: Any
    ) -> None:
        super().__init__(functions, listed, limits, *client, **more)
        self._limit = limits.calls_in_flight
        self._statement: _Running | None = None
        self._queue: deque[tuple[str | bytes, float]] = deque()

    @property
    def is_full(self) -> bool:
        return len(self._queue) >= self._limit

    def receive(self, data: str | bytes, now: float = 0.0) -> list[effects.Effect]:
        """What one statement of the client leads to. now: seconds of a steady clock, for limits of rate."""
        self._queue.append((data, now))
        return self._next()

    def complete(self, ticket: effects.Ticket, text: str) -> list[effects.Effect]:
        """The call has returned this JSON text."""
        if self._statement is None or ticket is not self._statement.ticket:
            return super().complete(ticket, text)
        return [effects.SendRows(_rows(self._statement, text)), *super().complete(ticket, text)]

    def sent(self) -> list[effects.Effect]:
        """The rows of the answer are on their way."""
        self._statement = None
        return self._next()

    def fail(self, ticket: effects.Ticket, error: errors.RpcError) -> list[effects.Effect]:
        """The call has failed."""
        if self._statement is None or ticket is not self._statement.ticket:
            return super().fail(ticket, error)
        self._statement = None
        return [effects.Send(_error(error)), *super().fail(ticket, error), *self._next()]

    def close(self) -> list[effects.Effect]:
        """The client has disconnected: what must be cancelled."""
        self._queue.clear()
        return super().close()

    def _next(self) -> list[effects.Effect]:
        """Start the next statement that can run; refuse those before it that cannot."""
        asked: list[effects.Effect] = []
        while self._statement is None and self._queue:
            try:
                asked += self._begin(*self._queue.popleft())
            except errors.RpcError as error:
                asked += [*session.denial(error), effects.Send(_error(error))]
        return asked

    def _begin(self, data: str | bytes, now: float) -> list[effects.Effect]:
        try:
            query = sql_call.read(data if isinstance(data, str) else str(data, "utf-8"))
        except UnicodeDecodeError as error:
            raise errors.ParseError from error
        function = self._catalog.functions.get(query.method)
        params = query.params if function is None else sql_constants.typed(function, query.params)
        ticket = effects.Ticket(None, None, None)
        asked = self.call(ticket, query.method, params, now)
        (routine,) = (effect.call.routine for effect in asked if isinstance(effect, effects.Execute))
        self._statement = _Running(ticket, query, routine)
        return asked


def _rows(answered: _Running, text: str) -> Iterator[str]:
    try:
        yield from sql_rows.rows(answered.routine, text, answered.query.column, answered.query.spread)
    except RecursionError:
        yield _error(errors.DatabaseRefused({"sqlstate": "54001", "message": "the result is nested too deeply"}))


def _error(error: errors.RpcError) -> str:
    return f'{{"error": {jsonrpc.error_object(error)}}}'
