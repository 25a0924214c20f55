"""A connection for calls: which statements are prepared on it, and for which role the server has planned.

Owns whether a message is sent as text or by EXECUTE of a prepared statement. Must not know calls or pools.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg2

from pgrpc.postgres import connection
from pgrpc.postgres.connection import Done, Outcome, Parameters


class Message(NamedTuple):
    """One message to the server. start: statements that come first. hook: those that come next, before each `sql`.

    reusable: `sql` may be kept as a prepared statement. role: the one that `start` sets for the rest.
    """

    sql: str
    parameters: Parameters = None
    start: str = ""
    hook: str = ""
    reusable: bool = False
    role: str | None = None


_MAX_PREPARED = 256
"""Prepared statements of one connection; beyond that, statements are sent as text."""


class Connection(connection.Connection):
    """is_session: whether it is one session of the server for its whole life; behind a pooler it may be several.

    may_prepare: whether to use prepared statements.
    """

    def __init__(self, dsn: str, **parameters: Any) -> None:
        self.is_session = False
        self.may_prepare = False
        self._names = itertools.count()
        self._prepared: dict[str, str | None] = {}  # statement -> its name; None after it was sent once as text
        self._planned_for: str | bool | None = None  # the role of the server's cached plans; False: several
        super().__init__(dsn, **parameters)

    def send(self, message: Message, done: Done) -> None:
        """`run` for a message that may be prepared, which saves PostgreSQL 20 of 45 us for a small call."""
        if message.start and message.role != self._planned_for:
            message, done = self._discarding_plans(message, done)
        if message.reusable and self.may_prepare:
            name = self._prepared.get(message.sql)
            if name is not None:
                return self._execute(name, message, done)
            if message.sql in self._prepared:
                return self._prepare(message, done)
            if len(self._prepared) < _MAX_PREPARED:
                self._prepared[message.sql] = None  # prepared when it is sent a second time
        self.run(message.start + message.hook + message.sql, message.parameters, done)

    def _discarding_plans(self, message: Message, done: Done) -> tuple[Message, Done]:
        """The message with DISCARD PLANS first, because PostgreSQL checks EXECUTE on an inlined function when planning.

        So a cached plan of one role, for a statement or inside a function, would let another role run what it has no
        grant for (https://www.postgresql.org/docs/current/sql-discard.html).
        """
        self._planned_for = False

        def planned(outcome: Outcome) -> None:
            if not isinstance(outcome, psycopg2.Error):  # an error may come before the plans were discarded
                self._planned_for = message.role
            done(outcome)

        return message._replace(start=f"discard plans; {message.start}"), planned

    def forget_prepared(self) -> None:
        """Call this after DEALLOCATE ALL."""
        self._prepared.clear()

    def _prepare(self, message: Message, done: Done) -> None:
        # A new name each time: a PREPARE that was cancelled may have taken effect nevertheless.
        name = f"pgrpc_{next(self._names)}"

        def prepared(outcome: Outcome) -> None:
            if isinstance(outcome, psycopg2.Error):
                done(outcome)
                return
            self._prepared[message.sql] = name
            with self._reporting_to(done):
                self._execute(name, message, done)

        # psycopg2's placeholders -> PostgreSQL's: %s -> $1, %% -> %.
        numbers = itertools.count(1)
        body = re.sub("%([%s])", lambda match: "%" if match[1] == "%" else f"${next(numbers)}", message.sql)
        self.run(f"{message.start}prepare {name} as {body}", None, prepared)

    def _execute(self, name: str, message: Message, done: Done) -> None:
        def executed(outcome: Outcome) -> None:
            if isinstance(outcome, psycopg2.Error) and outcome.pgcode == "26000" and f'"{name}"' in str(outcome):
                # No such prepared statement: a function has deallocated it. Nothing has run.
                self.may_prepare = False
                with self._reporting_to(done):
                    self.run(message.start + message.hook + message.sql, message.parameters, done)
            else:
                done(outcome)

        arguments = f"(%s{', %s' * (len(message.parameters) - 1)})" if message.parameters else ""
        self.run(f"{message.start}{message.hook}execute {name}{arguments}", message.parameters, executed)

    @contextlib.contextmanager
    def _reporting_to(self, done: Done) -> Iterator[None]:
        """Within a callback nobody catches an error of `run`: report it as the outcome."""
        try:
            yield
        except psycopg2.Error as error:
            done(error)

    async def check_session(self) -> None:
        """Find out whether this is one session of the server. Raises psycopg2.Error.

        A pooler gives clients a process id of its own. It may use another session for the next statement, on which the
        names of prepared statements do not exist or mean others.
        """
        rows = await self.fetch("select pg_catalog.pg_backend_pid()")
        self.is_session = self.may_prepare = rows[0][0] == str(self._conn.get_backend_pid())
