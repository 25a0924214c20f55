"""One client that writes SQL: text in -> effects out, a frame for each row.

Owns the order: a client's statements are answered one after the other, since nothing in an answer says whose it is.
Every call goes through the `session.Session` that it is given, under the limits of that. Must not know sockets or the
database, nor what SQL looks like.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pgrpc.core import catalog, effects, errors, jsonrpc, routines, session, sqlcall, sqlconstants, sqlrows


@dataclass(slots=True)
class _Running:
    query: sqlcall.Query
    routine: routines.Routine


class SqlSession:
    """waiting: how many statements may wait for the one that runs; `is_full` says when no more should be read."""

    __slots__ = ("_catalog", "_limit", "_running", "_session", "_waiting")

    def __init__(self, calls: session.Session, functions: catalog.Catalog, waiting: int) -> None:
        self._session = calls
        self._catalog = functions
        self._limit = waiting
        self._running: _Running | None = None
        self._waiting: deque[tuple[str | bytes, float]] = deque()

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self._limit

    def receive(self, data: str | bytes, now: float = 0.0) -> list[effects.Effect]:
        """What one statement of the client leads to. now: seconds of a steady clock, for limits of rate."""
        self._waiting.append((data, now))
        return self._next()

    def complete(self, ticket: effects.Ticket, text: str) -> list[effects.Effect]:
        """The call has returned this JSON text."""
        assert self._running is not None
        return [effects.SendRows(_rows(self._running, text)), *self._session.complete(ticket, text)]

    def sent(self) -> list[effects.Effect]:
        """The rows of the answer are on their way."""
        self._running = None
        return self._next()

    def fail(self, ticket: effects.Ticket, error: errors.RpcError) -> list[effects.Effect]:
        """The call has failed."""
        self._running = None
        return [effects.Send(_error(error)), *self._session.fail(ticket, error), *self._next()]

    def close(self) -> list[effects.Effect]:
        """The client is gone: what must be cancelled."""
        self._waiting.clear()
        return self._session.close()

    def _next(self) -> list[effects.Effect]:
        """The next statement that can run, and a refusal for each before it that cannot."""
        asked: list[effects.Effect] = []
        while self._running is None and self._waiting:
            try:
                asked += self._start(*self._waiting.popleft())
            except errors.RpcError as error:
                asked.append(effects.Send(_error(error)))
        return asked

    def _start(self, data: str | bytes, now: float) -> list[effects.Effect]:
        try:
            query = sqlcall.read(data if isinstance(data, str) else str(data, "utf-8"))
        except UnicodeDecodeError as error:
            raise errors.ParseError from error
        function = self._catalog.functions.get(query.method)
        params = query.params if function is None else sqlconstants.fitted(function, query.params)
        asked = self._session.call(effects.Ticket(None, None, None), query.method, params, now)
        (routine,) = (effect.call.routine for effect in asked if isinstance(effect, effects.Execute))
        self._running = _Running(query, routine)
        return asked


def _rows(answered: _Running, text: str) -> Iterator[str]:
    try:
        yield from sqlrows.rows(answered.routine, text, answered.query.column, answered.query.spread)
    except RecursionError:
        yield _error(errors.DatabaseRefused({"sqlstate": "54001", "message": "the result is nested too deep"}))


def _error(error: errors.RpcError) -> str:
    return f'{{"error": {jsonrpc.error_object(error)}}}'
