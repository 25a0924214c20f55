"""Calls as roles of PostgreSQL, straight to the database room: no socket and no token is on the way.

Owns setting up the roles and the Database. Must not know what is called.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from pgrpc import config, observe
from pgrpc.check import resolve
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors
from pgrpc.demo import embedded
from pgrpc.postgres import connect, database, jobs
from tests.support import databases, served_sql

PATIENCE = 30.0
PASSWORD = "acting-Secret-3"
ROLES = ("acting_login", "acting_anon", "acting_user", "acting_admin")
LOGIN, ANON, USER, ADMIN = ROLES


@contextmanager
def prepared(postgres: embedded.Server, sql: str) -> Iterator[databases.Database]:
    """A database that holds what `sql` makes, in a cluster that has the roles; the others are granted to LOGIN.

    `dsn` is the superuser's.
    """
    admin = databases.Database(postgres.dsn(), postgres)
    admin.execute(
        f"create role {LOGIN} login noinherit password '{PASSWORD}'; create role {ANON}; create role {USER}; "
        f"create role {ADMIN}; grant {ANON}, {USER}, {ADMIN} to {LOGIN}"
    )
    try:
        with served_sql.database(postgres, sql) as made:
            yield made
    finally:
        admin.execute("".join(f"drop role if exists {role};" for role in ROLES))


def login_dsn(made: databases.Database) -> str:
    return made.server.dsn(made.dsn.rpartition("/")[2], LOGIN, PASSWORD)


def somebody(role: str | None, sub: str | None = None, **settings: str) -> identity.Identity:
    claims = {"role": role, "sub": sub}
    return identity.Identity(role, claims, {"request.jwt.claims": json.dumps(claims), **settings})


class Acting:
    """A Database that runs, and the functions that it knows."""

    def __init__(self, made: database.Database, fit: resolve.Resolved) -> None:
        self.made = made
        self.fit = fit

    def call(self, method: str, *params: Any) -> catalog.Call:
        return self.fit.functions[method].bind(list(params))

    def begin(
        self, caller: identity.Identity, method: str, *params: Any
    ) -> "tuple[jobs.Job, asyncio.Future[jobs.Result]]":
        done: asyncio.Future[jobs.Result] = asyncio.get_running_loop().create_future()
        return self.made.submit(self.call(method, *params), caller, caller, done.set_result), done

    async def outcome(self, caller: identity.Identity, method: str, *params: Any) -> jobs.Result:
        return await asyncio.wait_for(self.begin(caller, method, *params)[1], PATIENCE)

    async def run(self, caller: identity.Identity, method: str, *params: Any) -> Any:
        """The result. Raises errors.RpcError."""
        text = await self.outcome(caller, method, *params)
        if isinstance(text, errors.RpcError):
            raise text
        return json.loads(text)


def configured(dsn: str, functions: Mapping[str, Mapping[str, Any]], **auth: Any) -> config.Config:
    """functions: method -> its keys in the file."""
    return config.Config(
        Path("config.yaml"),
        config.Database(dsn),
        auth=config.Auth(**{"secret": "s" * 32, "anonymous_role": ANON, **auth}),
        functions=tuple(config.Function(method, **{"function": method, **keys}) for method, keys in functions.items()),
    )


@asynccontextmanager
async def acting(given: config.Config, *, pool_size: int = 1, dsn: str | None = None) -> AsyncIterator[Acting]:
    """dsn: another way to the same database."""
    connector = connect.Connector(given.database.dsn, PATIENCE)
    fit = await resolve.inspect(given, connector)
    up = asyncio.Event()
    seen: list[observe.Observation] = []

    def observer(observation: observe.Observation) -> None:
        seen.append(observation)
        if isinstance(observation, observe.DatabaseUp):
            up.set()

    made = database.Database(
        connector if dsn is None else connect.Connector(dsn, PATIENCE),
        observer,
        pool_size=pool_size,
        queue_size=1000,
        result_size=1 << 20,
        statement_timeout=given.database.statement_timeout,
    )
    made.learn(fit.roles, fit.hook)
    running = asyncio.create_task(made.run())
    try:
        await asyncio.wait_for(up.wait(), PATIENCE)
        yield Acting(made, fit)
        assert not running.done(), running
        assert not [each for each in seen if isinstance(each, observe.Bug)], seen
    finally:
        await made.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
