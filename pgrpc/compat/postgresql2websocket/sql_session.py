"""One client that sends SQL: a statement in, effects out, a frame for each row.

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
class SendRows(effects.Effect):
    """Texts for the client, each a message, made while they are sent; then tell `sent`."""

    rows: Iterator[str]


@dataclass(slots=True)
class HasRoom(effects.Effect):
    """The session is not full any more."""


@dataclass(slots=True)
class _Statement:
    """The one that is in flight. routine: None while it begins."""

    ticket: effects.Ticket
    query: sql_call.Query
    routine: routines.Routine | None = None


class SqlSession(session.Session):
    """At most `calls_in_flight` statements wait for the one that runs; `is_full`: do not read more."""

    __slots__ = ("_limit", "_queue", "_statement")

    def __init__(
        self, functions: catalog.Catalog, allowed: rules.Allowed, limits: settings.Limits, *client: Any, **more: Any
    ) -> None:
        super().__init__(functions, allowed, limits, *client, **more)
        self._limit = limits.calls_in_flight
        self._statement: _Statement | None = None
        self._queue: deque[tuple[str | bytes, float]] = deque()

    @property
    def is_full(self) -> bool:
        return len(self._queue) >= self._limit

    def receive(self, data: str | bytes, now: float = 0.0) -> list[effects.Effect]:
        """What one statement of the client leads to. now: seconds of a steady clock, for limits of rate."""
        self._queue.append((data, now))
        return self._next()

    def sent(self) -> list[effects.Effect]:
        """The rows of the answer are sent."""
        self._statement = None
        return self._next()

    def close(self) -> list[effects.Effect]:
        """The client has disconnected: what must be cancelled."""
        self._queue.clear()
        return super().close()

    def _next(self) -> list[effects.Effect]:
        """Start the next statement that can run; refuse those before it that cannot."""
        asked: list[effects.Effect] = []
        was_full = self.is_full
        while self._statement is None and self._queue:
            asked += self._begin(*self._queue.popleft())
        return [*asked, HasRoom()] if was_full and not self.is_full else asked

    def _begin(self, data: str | bytes, now: float) -> list[effects.Effect]:
        try:
            query = sql_call.read(data if isinstance(data, str) else str(data, "utf-8"))
            function = self._catalog.functions.get(query.method)
            params = query.params if function is None else sql_constants.typed(function, query.params)
        except UnicodeDecodeError:
            return [effects.Send(_error(errors.ParseError()))]
        except errors.RpcError as error:
            return [effects.Send(_error(error))]
        self._statement = statement = _Statement(effects.Ticket(), query)
        asked = self.call(statement.ticket, query.method, params, now)
        for effect in asked:
            if isinstance(effect, effects.Execute):
                statement.routine = effect.call.routine
        return asked

    # Answers

    def _reply(self, ticket: effects.Ticket, text: str) -> list[effects.Effect]:
        assert self._statement is not None
        assert self._statement.routine is not None
        return [SendRows(_rows(self._statement.query, self._statement.routine, text))]

    def _refuse(self, ticket: effects.Ticket, error: errors.RpcError) -> list[effects.Effect]:
        statement = self._statement
        if statement is None or ticket is not statement.ticket:
            return super()._refuse(ticket, error)  # the channel's
        self._statement = None
        refused: list[effects.Effect] = [effects.Send(_error(error))]
        return refused if statement.routine is None else [*refused, *self._next()]


def _rows(query: sql_call.Query, routine: routines.Routine, text: str) -> Iterator[str]:
    try:
        yield from sql_rows.rows(routine, text, query.column, query.spread)
    except RecursionError:
        yield _error(errors.DatabaseRefused({"sqlstate": "54001", "message": "the result is nested too deeply"}))


def _error(error: errors.RpcError) -> str:
    return f'{{"error": {jsonrpc.error_object(error)}}}'
