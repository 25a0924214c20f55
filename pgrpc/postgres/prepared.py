"""A connection that calls are made on: what the server keeps prepared on it, and for whom it has planned.

Owns what is sent for a message: its text, or what was prepared for it. Must not know calls or pools.
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
    """What is sent at once. start: statements that come first. hook: those that come then, once for each `sql`.

    reusable: the server may keep `sql` prepared. role: the one that `start` has the rest run as.
    """

    sql: str
    parameters: Parameters = None
    start: str = ""
    hook: str = ""
    reusable: bool = False
    role: str | None = None


_MAX_PREPARED = 256
"""Statements kept prepared on one connection; beyond that they are sent as text."""


class Connection(connection.Connection):
    """is_session: whether it is one session of the server for as long as it lives; behind a pooler it need not be.

    may_prepare: whether statements are kept prepared.
    """

    def __init__(self, dsn: str, **parameters: Any) -> None:
        self.is_session = False
        self.may_prepare = False
        self._names = itertools.count()
        self._prepared: dict[str, str | None] = {}  # statement -> its name, None where it was sent once as text
        self._planned_for: str | bool | None = None  # the role that the server has planned for; False: several
        super().__init__(dsn, **parameters)

    def send(self, message: Message, done: Done) -> None:
        """`run` for a message that may be kept prepared: that saves PostgreSQL 20 of 45 us for a small call."""
        if message.start and message.role != self._planned_for:
            message, done = self._planning_anew(message, done)
        if message.reusable and self.may_prepare:
            name = self._prepared.get(message.sql)
            if name is not None:
                return self._execute(name, message, done)
            if message.sql in self._prepared:
                return self._prepare(message, done)
            if len(self._prepared) < _MAX_PREPARED:
                self._prepared[message.sql] = None  # a second time will show that preparing pays
        self.run(message.start + message.hook + message.sql, message.parameters, done)

    def _planning_anew(self, message: Message, done: Done) -> tuple[Message, Done]:
        """PostgreSQL looks at the grants of a function while planning, where it puts the function's body in its place.

        So a plan that was made for one role, of a statement or inside a function, would let another role run what it
        may not (https://www.postgresql.org/docs/current/sql-discard.html).
        """
        self._planned_for = False

        def planned(outcome: Outcome) -> None:
            if not isinstance(outcome, psycopg2.Error):  # else it may have ended before the plans were discarded
                self._planned_for = message.role
            done(outcome)

        return message._replace(start=f"discard plans; {message.start}"), planned

    def forget_prepared(self) -> None:
        """DEALLOCATE ALL was sent."""
        self._prepared.clear()

    def _prepare(self, message: Message, done: Done) -> None:
        # A new name each time: a PREPARE that was cancelled may have been carried out all the same.
        name = f"pgrpc_{next(self._names)}"

        def prepared(outcome: Outcome) -> None:
            if isinstance(outcome, psycopg2.Error):
                done(outcome)
                return
            self._prepared[message.sql] = name
            with self._told(done):
                self._execute(name, message, done)

        # From the driver's spelling to the server's own.
        places = itertools.count(1)
        body = re.sub("%([%s])", lambda found: "%" if found[1] == "%" else f"${next(places)}", message.sql)
        self.run(f"{message.start}prepare {name} as {body}", None, prepared)

    def _execute(self, name: str, message: Message, done: Done) -> None:
        def executed(outcome: Outcome) -> None:
            if isinstance(outcome, psycopg2.Error) and outcome.pgcode == "26000" and f'"{name}"' in str(outcome):
                # A function has deallocated it; nothing has run.
                self.may_prepare = False
                with self._told(done):
                    self.run(message.start + message.hook + message.sql, message.parameters, done)
            else:
                done(outcome)

        places = f"(%s{', %s' * (len(message.parameters) - 1)})" if message.parameters else ""
        self.run(f"{message.start}{message.hook}execute {name}{places}", message.parameters, executed)

    @contextlib.contextmanager
    def _told(self, done: Done) -> Iterator[None]:
        """What cannot be sent from within a callback is an outcome like any other."""
        try:
            yield
        except psycopg2.Error as error:
            done(error)

    async def check_session(self) -> None:
        """Find out whether it is one session of the server. Raises psycopg2.Error.

        A pooler tells clients a process id of its own; names prepared on one session mean nothing, or something
        else, on the next one that it lends.
        """
        rows = await self.fetch("select pg_catalog.pg_backend_pid()")
        self.is_session = self.may_prepare = rows[0][0] == str(self._conn.get_backend_pid())
