"""Tokens, roles and row security from the socket to the table, many clients on two connections."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import websockets

from pgrpc.demo import embedded
from tests.support import databases, pgrpc_server, role_calls, ws_client
from tests.support.role_calls import ADMIN, ANON, LOGIN, USER

SECRET = "row-security-Secret-that-no-log-may-hold"
SQL = f"""
create schema app;
grant usage on schema app to {ANON}, {USER}, {ADMIN};
create function app.me() returns text language sql stable
    as $$select nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub'$$;
create table app.notes (owner text default app.me(), body text);
alter table app.notes enable row level security;
grant select, insert on app.notes to {USER};
grant select on app.notes to {ADMIN};
create policy own on app.notes to {USER} using (owner = app.me());
create policy everything on app.notes to {ADMIN} using (true);
create function app.notes() returns setof text language sql stable as 'select body from app.notes order by body';
create function app.write(body text) returns void language sql as 'insert into app.notes values (default, body)';
create function app.forge(owner text, body text) returns void language sql
    as 'insert into app.notes values (owner, body)';
create function app.may_listen(channel text) returns boolean language sql stable
    as $$select app.me() is not null and channel = 'notes.' || app.me()$$;
alter default privileges revoke execute on functions from public;
"""
REST = f"""
database: {{dsn: "${{TEST_DSN}}", pool_size: 2}}
auth: {{secret: {SECRET}, anonymous_role: {ANON}}}
functions:
  notes: {{function: app.notes, reset: false}}
  write: {{function: app.write, roles: [{USER}]}}
  forge: {{function: app.forge}}
channels:
  "notes.*": {{authorize: app.may_listen}}
"""


@pytest.fixture(scope="module")
def made(postgres: embedded.Server) -> Iterator[databases.Database]:
    with role_calls.prepared(postgres, SQL) as database:
        yield database


def client(server: pgrpc_server.Server, role: str | None = None, sub: str | None = None) -> ws_client.Client:
    if role is None:
        return ws_client.Client(server.address())
    token = jwt.encode({"role": role, "sub": sub, "exp": time.time() + 600}, SECRET, "HS256")
    return ws_client.Client(server.address(), additional_headers={"Authorization": f"Bearer {token}"})


async def test_everybody_sees_what_is_theirs(made: databases.Database, tmp_path: Path) -> None:
    with pgrpc_server.serving(tmp_path, role_calls.login_dsn(made), REST) as server:

        async def write_and_read(sub: str) -> None:
            async with client(server, USER, sub) as one:
                for number in range(8):
                    await one.call("write", f"{sub} {number}")
                    assert await one.call("notes") == [f"{sub} {n}" for n in range(number + 1)]
                with pytest.raises(ws_client.RpcError) as caught:
                    await one.call("forge", "somebody", "forged")
                assert (caught.value.code, caught.value.data["sqlstate"]) == (-32003, "42501")
                answer = await one.call("rpc.on", f"notes.{sub}", "notes.somebody")
                assert answer == {f"notes.{sub}": "ok", "notes.somebody": "not allowed"}

        async def read_in_vain() -> None:
            async with client(server) as anybody:
                for _ in range(8):
                    for method, params in (("notes", []), ("write", ["x"])):
                        assert (await anybody.request(method, params))["error"]["code"] == -32003
                assert await anybody.call("rpc.on", "notes.s0") == {"notes.s0": "not allowed"}

        await asyncio.gather(*(write_and_read(f"s{n}") for n in range(12)), *(read_in_vain() for _ in range(4)))
        async with client(server, ADMIN, "boss") as boss:
            assert len(await boss.call("notes")) == 12 * 8
        for secret in (SECRET, role_calls.PASSWORD, "eyJ"):
            assert secret not in server.log


async def test_roles_are_not_known_while_the_database_is_away(made: databases.Database, tmp_path: Path) -> None:
    made.execute(f"alter role {LOGIN} nologin")
    try:
        with pgrpc_server.serving(tmp_path, role_calls.login_dsn(made), REST, ready=False) as server:
            with pytest.raises(websockets.InvalidStatus) as caught:
                async with client(server, USER, "ann"):
                    pass
            assert caught.value.response.status_code == 503
            made.execute(f"alter role {LOGIN} login")
            await _admitted(server)
    finally:
        made.execute(f"alter role {LOGIN} login")


async def _admitted(server: pgrpc_server.Server) -> None:
    async with asyncio.timeout(ws_client.PATIENCE):
        while True:
            try:
                async with client(server, USER, "ann") as one:
                    assert isinstance(await one.call("notes"), list)
                    return
            except (websockets.InvalidStatus, ws_client.RpcError):
                await asyncio.sleep(0.1)
