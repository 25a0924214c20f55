"""Calls run as roles of PostgreSQL: grants, row security and settings of each hold, in one round trip."""

import json
import struct
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pgrpc.core.functions import roles
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors
from pgrpc.demo import embedded
from pgrpc.postgres import prologue
from tests.support import databases, pgbouncer, role_calls, samples
from tests.support.role_calls import ADMIN, ANON, LOGIN, USER, somebody
from tests.support.tcp_proxy import Proxy

SQL = f"""
create schema app;
grant usage on schema app to {ANON}, {USER}, {ADMIN};
create function app.claims() returns json language sql stable
    as $$select nullif(current_setting('request.jwt.claims', true), '')::json$$;
create table app.notes (owner text, body text);
insert into app.notes values ('ann', 'of ann'), ('bob', 'of bob');
alter table app.notes enable row level security;
grant select, insert on app.notes to {USER};
grant select on app.notes to {ADMIN};
create policy own on app.notes to {USER} using (owner = app.claims() ->> 'sub');
create policy everything on app.notes to {ADMIN} using (true);

create function app.who() returns json language sql stable
    as $$select json_build_array(current_user, session_user, app.claims() ->> 'sub')$$;
create function app.notes_sql() returns setof text language sql stable as 'select body from app.notes order by 1';
create function app.notes_plpgsql() returns setof text language plpgsql stable
    as $$begin return query select body from app.notes order by 1; end$$;
create function app.notes_definer() returns setof text language sql stable security definer
    set search_path = app, pg_temp as 'select body from app.notes order by 1';
create function app.note(body text) returns void language sql as $$insert into app.notes values ('bob', body)$$;

create function app.secret() returns text language sql immutable as $$select 'classified'$$;
revoke execute on function app.secret() from public;
grant execute on function app.secret() to {ADMIN};

create function app.tells() returns text language plpgsql stable as $$begin return app.secret(); end$$;

create sequence app.runs;
grant usage on sequence app.runs to public;
create function app.counted() returns int8 language sql volatile as $$select nextval('app.runs')$$;

create function app.settings(variadic names text[]) returns json language sql stable
    as 'select json_object_agg(name, current_setting(name, true)) from unnest(names) name';
create function app.volatile_settings(variadic names text[]) returns json language sql volatile
    as 'select json_object_agg(name, current_setting(name, true)) from unnest(names) name';
create function app.sleeps(seconds float8) returns void language sql volatile as 'select pg_sleep(seconds)';

create procedure app.travels(out before text, out committed text, out undone text, out claim text)
    language plpgsql as $$
begin
    before := current_user; commit;
    committed := current_user; rollback;
    undone := current_user; claim := current_setting('request.jwt.claims')::json ->> 'sub';
end$$;
"""
FUNCTIONS: dict[str, dict[str, Any]] = {
    name: {"function": f"app.{name}"}
    for name in (
        "who",
        "notes_definer",
        "note",
        "secret",
        "counted",
        "settings",
        "volatile_settings",
        "sleeps",
        "travels",
    )
}
KEPT = ("notes_sql", "notes_plpgsql", "who")
"""Kept prepared: nothing is cleared after them."""
FUNCTIONS |= {f"{name}_kept": {"function": f"app.{name}", "reset": False} for name in KEPT}
FUNCTIONS["tells"] = {"function": "app.tells"}
FUNCTIONS["patient"] = {"function": "app.sleeps", "timeout": 5.0}

ANN, BOB, BOSS, NOBODY = somebody(USER, "ann"), somebody(USER, "bob"), somebody(ADMIN, "ann"), somebody(ANON)


@pytest.fixture(scope="module")
def made(postgres: embedded.Server) -> Iterator[databases.Database]:
    with role_calls.prepared(postgres, SQL) as database:
        yield database


@pytest.fixture
def given(made: databases.Database) -> Any:
    return role_calls.configured(role_calls.login_dsn(made), FUNCTIONS)


async def test_as_whom(given: Any) -> None:
    async with role_calls.acting(given) as calls:
        assert calls.fit.token_roles == {ANON, USER, ADMIN}
        assert await calls.run(ANN, "who") == [USER, LOGIN, "ann"]
        assert await calls.run(NOBODY, "who") == [ANON, LOGIN, None]
        assert await calls.run(BOSS, "who") == [ADMIN, LOGIN, "ann"]


@pytest.mark.parametrize("method", ["notes_sql_kept", "notes_plpgsql_kept"])
async def test_row_security_of_each_on_one_connection(given: Any, method: str) -> None:
    async with role_calls.acting(given) as calls:
        for _ in range(8):  # PostgreSQL makes a plan for all parameters after five executions
            assert await calls.run(ANN, method) == ["of ann"]
            assert await calls.run(BOB, method) == ["of bob"]
            assert await calls.run(BOSS, method) == ["of ann", "of bob"]
            assert await calls.run(NOBODY, "who_kept") == [ANON, LOGIN, None]
            with pytest.raises(errors.Forbidden, match="permission denied for table notes"):
                await calls.run(NOBODY, method)


async def test_row_security_does_not_hold_in_what_its_owner_may(given: Any) -> None:
    async with role_calls.acting(given) as calls:
        assert await calls.run(NOBODY, "notes_definer") == ["of ann", "of bob"]


async def test_row_security_of_writes(given: Any) -> None:
    async with role_calls.acting(given) as calls:
        with pytest.raises(errors.Forbidden, match="row-level security"):
            await calls.run(ANN, "note", "forged")


async def test_a_plan_of_one_role_is_not_run_by_another(given: Any) -> None:
    """PostgreSQL looks at the grants of a function while planning, where it puts the function's body in its place."""
    async with role_calls.acting(given) as calls:
        for _ in range(10):
            assert await calls.run(BOSS, "secret") == "classified"
        for who in (ANN, NOBODY, BOSS, ANN):
            if who is BOSS:
                assert await calls.run(who, "secret") == "classified"
            else:
                with pytest.raises(errors.Forbidden, match="permission denied for function secret"):
                    await calls.run(who, "secret")


async def test_a_plan_inside_a_function_is_not_run_by_another(given: Any) -> None:
    async with role_calls.acting(given) as calls:
        for _ in range(10):
            assert await calls.run(BOSS, "tells") == "classified"
        with pytest.raises(errors.Forbidden, match="permission denied for function secret"):
            await calls.run(ANN, "tells")


def queries(sent: bytes) -> list[str]:
    """Of the messages that a client sent: those of the simple query protocol. Raises AssertionError for others.

    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """
    found = []
    while sent:
        kind, length = sent[:1], struct.unpack("!I", sent[1:5])[0]
        assert kind == b"Q", kind
        found.append(sent[5:length].decode())
        sent = sent[1 + length :]
    return found


async def test_one_round_trip(made: databases.Database, given: Any) -> None:
    dsn = role_calls.login_dsn(made)
    async with (
        Proxy(made.server.port) as proxy,
        role_calls.acting(given, dsn=f"{proxy.dsn(dsn)}?sslmode=disable&gssencmode=disable") as calls,
    ):
        for method, messages in (("who_kept", 1), ("who_kept", 2), ("who_kept", 1), ("who", 1)):
            before = len(proxy.sent)
            await calls.run(ANN, method)
            found = queries(bytes(proxy.sent[before:]))
            assert len(found) - ("discard temp" in found[-1]) == messages, found  # a second one prepares, once
            assert "set local role = E'acting_user'" in found[0]


@pgbouncer.needed
async def test_through_a_pooler(made: databases.Database, given: Any, tmp_path: Path) -> None:
    with pgbouncer.pgbouncer(role_calls.login_dsn(made), tmp_path) as pooled:
        async with role_calls.acting(given, pool_size=3, dsn=pooled) as calls:
            for who in (ANN, BOSS, NOBODY, BOB) * 3:
                assert await calls.run(who, "who_kept") == [who.role, LOGIN, who.subject]
                with pytest.raises(errors.DatabaseRefused, match="through a pooler"):
                    await calls.run(who, "travels")


async def test_procedures_stay_who_they_are_after_a_commit(given: Any) -> None:
    async with role_calls.acting(given) as calls:
        for who in (ANN, BOSS, ANN):
            expected = {"before": who.role, "committed": who.role, "undone": who.role, "claim": "ann"}
            assert await calls.run(who, "travels") == expected
            assert await calls.run(NOBODY, "who") == [ANON, LOGIN, None]


@pytest.mark.parametrize(
    ("away", "back"),
    [
        (f"revoke {USER} from {LOGIN}", f"grant {USER} to {LOGIN}"),
        (f"alter role {USER} rename to acting_gone", f"alter role acting_gone rename to {USER}"),
    ],
)
async def test_a_role_that_is_taken_away_meanwhile(made: databases.Database, given: Any, away: str, back: str) -> None:
    async with role_calls.acting(given) as calls:
        before = await calls.run(ANN, "counted")
        made.execute(away)
        try:
            for method, *params in (("counted",), ("settings", ["a"]), ("travels",)):
                with pytest.raises(errors.Forbidden) as caught:
                    await calls.run(ANN, method, *params)
                assert USER in caught.value.message
            assert await calls.run(BOSS, "counted") == before + 1, "nothing was run"
        finally:
            made.execute(back)


async def test_what_the_caller_is_told_is_no_sql(given: Any) -> None:
    odd = "it's \"x\\\n%s $1; 漢" + "y" * 8000
    async with role_calls.acting(given) as calls:
        who = somebody(USER, odd, **{"request.headers": json.dumps({"x": odd})})
        for _ in range(3):
            assert await calls.run(who, "who_kept") == [USER, LOGIN, odd]
        assert await calls.run(who, "travels") | {"claim": None} == {
            "before": USER, "committed": USER, "undone": USER, "claim": None
        }  # fmt: skip
        settings = await calls.run(who, "settings", "request.headers")
        assert json.loads(settings["request.headers"]) == {"x": odd}


@pytest.fixture
def altered(made: databases.Database) -> Iterator[Any]:
    """Run `alter role` statements, and take them back."""
    yield lambda text: made.execute("".join(f"alter role {line};" for line in text.splitlines() if line))
    name = made.dsn.rpartition("/")[2]
    made.execute(
        "".join(f"alter role {r} reset all; alter role {r} in database {name} reset all;" for r in role_calls.ROLES)
    )


async def test_timeouts(given: Any, altered: Any) -> None:
    altered(f"{ANON} set statement_timeout = '500ms'\n{LOGIN} set statement_timeout = '3s'")
    async with role_calls.acting(given) as calls:
        with pytest.raises(errors.Timeout) as caught:
            await calls.run(NOBODY, "sleeps", 10)
        assert caught.value.data["timeout"] == 0.5
        await calls.run(NOBODY, "patient", Decimal("0.7"))  # a function's own goes before its caller's
        await calls.run(ANN, "sleeps", Decimal("0.7"))
        assert await calls.run(ANN, "settings", "statement_timeout") == {"statement_timeout": "10s"}
        assert await calls.run(NOBODY, "settings", "statement_timeout") == {"statement_timeout": "500ms"}
        assert await calls.run(NOBODY, "who") == [ANON, LOGIN, None]


async def test_timeouts_as_postgresql_spells_them(given: Any, altered: Any) -> None:
    altered(f"{ANON} set statement_timeout = '1.5min'\n{USER} set statement_timeout = '0x3E8'")
    async with role_calls.acting(given) as calls:
        assert {name: role.timeout for name, role in calls.fit.roles.items()} == {ANON: 90.0, USER: 1.0, ADMIN: None}
    altered(f"{ANON} set statement_timeout = 90\n{USER} set statement_timeout = 0")
    async with role_calls.acting(given) as calls:
        assert {name: role.timeout for name, role in calls.fit.roles.items()} == {ANON: 0.09, USER: None, ADMIN: None}


SETTINGS = {
    "search_path": 'app, "$user", public',
    "work_mem": "1234kB",
    "my.own": "it's % \\ mine",
    "transaction_isolation": "repeatable read",
    "transaction_read_only": "on",
    "log_min_duration_statement": "-1",
}


async def test_settings_of_a_role(made: databases.Database, given: Any, altered: Any) -> None:
    name = made.dsn.rpartition("/")[2]
    altered(f"""
{USER} set search_path = app, "$user", public
{USER} set work_mem = '999kB'
{USER} in database {name} set work_mem = '1234kB'
{USER} set my.own = 'it''s % \\ mine'
{USER} set default_transaction_isolation = 'repeatable read'
{USER} set default_transaction_read_only = on
{USER} set log_min_duration_statement = 7
{USER} set role = {ADMIN}
{USER} set client_encoding = 'LATIN1'
{ADMIN} set work_mem = '777kB'
""")
    names = list(SETTINGS)
    async with role_calls.acting(given) as calls:
        for method in ("settings", "volatile_settings"):
            for _ in range(3):
                found = await calls.run(ANN, method, *names)
                assert found == SETTINGS
                assert (await calls.run(BOSS, method, *names))["work_mem"] == "777kB"
                others = await calls.run(NOBODY, method, *names)
                assert others["work_mem"] not in ("777kB", "1234kB", "999kB")
                assert (others["my.own"] or None, others["transaction_read_only"]) == (None, "off")
        assert await calls.run(ANN, "who") == [USER, LOGIN, "ann"]
        with pytest.raises(errors.DatabaseRefused, match="read-only transaction"):
            await calls.run(ANN, "note", "x")
        assert (await calls.run(ANN, "travels"))["committed"] == USER
        assert (await calls.run(NOBODY, "settings", "search_path"))["search_path"] != SETTINGS["search_path"]


def test_what_is_learnt_of_a_role_counts_from_then_on() -> None:
    """A call may come before the catalog has been read again."""
    made = prologue.Prologues(10.0)
    call = samples.function(samples.routine(), method="f").bind([])._replace(timeout=None)
    nobody, somebody = identity.NOBODY, identity.Identity(USER)
    before = made.of_transaction(call, somebody)
    assert "statement_timeout = 10000" in before
    made.learn({USER: roles.Role(USER, given={"work_mem": "8MB"}, timeout=2.0)}, None)
    after = made.of_transaction(call, somebody)
    assert "statement_timeout = 2000" in after
    assert "work_mem" in after
    assert made.of_transaction(call, somebody) == after
    assert made.of_transaction(call, nobody) != after
