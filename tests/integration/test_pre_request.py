"""auth.pre_request: a function that comes before each call, as its role, in its transaction."""

from collections.abc import Iterator
from typing import Any

import pytest

from pgrpc.check import resolve
from pgrpc.core.wire import errors
from pgrpc.demo import embedded
from tests.support import databases, role_calls
from tests.support.role_calls import ADMIN, ANON, USER, somebody

SQL = (
    f"""
create schema app;
create schema "od%d\\";
grant usage on schema app, "od%d\\" to {ANON}, {USER}, {ADMIN};
create sequence app.checks;
create sequence app.runs;
grant usage, select on sequence app.checks, app.runs to public;
create function app.check() returns json language plpgsql as $$
declare claims json := current_setting('request.jwt.claims')::json;
begin
    perform nextval('app.checks'), set_config('my.checked', current_user, true);
    perform set_config('my.kept', claims ->> 'sub', false);
    if claims ->> 'sub' = 'banned' then raise sqlstate 'PT402' using message = 'pay', detail = 'first'; end if;
    if claims ->> 'sub' = 'odd' then raise sqlstate '22023' using message = 'odd'; end if;
    if claims ->> 'sub' = 'slow' then perform pg_sleep(60); end if;
    return claims;
end$$;
create function "od%d\\"."chec%%k"""
    + '""'
    + """"() returns void language sql as 'select';
create function app.run(a int default 0) returns json language sql volatile
    as $$select json_build_array(nextval('app.runs') > 0, current_setting('my.checked', true))$$;
create function app.kept(a int default 0) returns text language sql stable
    as $$select current_setting('my.checked', true)$$;
create procedure app.work(out checked text, out kept text) language plpgsql as $$
begin
    perform nextval('app.runs');
    checked := current_setting('my.checked', true); kept := current_setting('my.kept', true);
end$$;
create function app.counts() returns json language sql volatile security definer set search_path = pg_catalog, pg_temp
    as $$select json_build_array((select last_value from app.checks), (select last_value from app.runs))$$;
create function app.few() returns int language sql as 'select 1';
revoke execute on function app.few() from public;
grant execute on function app.few() to """
    + USER
    + """;
create function app.takes(a int) returns int language sql as 'select 1';
create procedure app.procedure() language sql as '';
"""
)
FUNCTIONS: dict[str, dict[str, Any]] = {name: {"function": f"app.{name}"} for name in ("run", "work")}
FUNCTIONS["kept"] = {"function": "app.kept", "reset": False}

ANN, BANNED, ODD = somebody(USER, "ann"), somebody(USER, "banned"), somebody(USER, "odd")


@pytest.fixture(scope="module")
def made(embedded_postgres: embedded.Server) -> Iterator[databases.Database]:
    with role_calls.prepared(embedded_postgres, SQL) as database:
        yield database


def counts(made: databases.Database) -> list[int]:
    found = made.execute("select app.counts()")[0][0]
    assert isinstance(found, list)
    return found


async def test_before_each_call_once(made: databases.Database) -> None:
    async with role_calls.acting(
        role_calls.configured(role_calls.login_dsn(made), FUNCTIONS, pre_request="app.check")
    ) as calls:
        await calls.run(ANN, "run")
        for turn in range(1, 6):
            checks, runs = counts(made)
            assert await calls.run(ANN, "kept") == USER  # the second one prepares, and is made after that
            assert await calls.run(somebody(ADMIN, "boss"), "run", turn) == [True, ADMIN]
            assert counts(made) == [checks + 2, runs + 1]


async def test_what_it_raises_refuses_the_call(made: databases.Database) -> None:
    async with role_calls.acting(
        role_calls.configured(role_calls.login_dsn(made), FUNCTIONS, pre_request="app.check")
    ) as calls:
        await calls.run(ANN, "run")
        runs = counts(made)[1]
        for method in ("run", "kept", "kept", "kept", "work"):
            with pytest.raises(errors.DatabaseRefused) as caught:
                await calls.run(BANNED, method)
            assert caught.value.data == {"sqlstate": "PT402", "message": "pay", "detail": "first"}
        for method, params in (("run", [1]), ("kept", [1]), ("work", [])):
            with pytest.raises(errors.DatabaseRefused) as caught:
                await calls.run(ODD, method, *params)
            assert caught.value.data["sqlstate"] == "22023", "which a conversion could raise as well"
        assert counts(made)[1] == runs
        assert await calls.run(ANN, "kept") == USER


async def test_a_procedure_has_it_in_a_transaction_of_its_own(made: databases.Database) -> None:
    async with role_calls.acting(
        role_calls.configured(role_calls.login_dsn(made), FUNCTIONS, pre_request="app.check")
    ) as calls:
        assert await calls.run(ANN, "work") == {"checked": "", "kept": "ann"}


async def test_its_time_is_bounded(made: databases.Database) -> None:
    given = role_calls.configured(
        role_calls.login_dsn(made), {"run": FUNCTIONS["run"] | {"timeout": 0.2}}, pre_request="app.check"
    )
    async with role_calls.acting(given) as calls:
        with pytest.raises(errors.Timeout):
            await calls.run(somebody(USER, "slow"), "run")


async def test_any_name(made: databases.Database) -> None:
    name = r'''"od%d\"."chec%%k"""'''
    async with role_calls.acting(
        role_calls.configured(role_calls.login_dsn(made), FUNCTIONS, pre_request=name)
    ) as calls:
        for method in ("run", "kept", "kept", "kept"):
            await calls.run(ANN, method, 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "app.few",
            "acting_admin and acting_anon lack EXECUTE on function app.few(): "
            "GRANT EXECUTE ON FUNCTION app.few() TO acting_admin, acting_anon;",
        ),
        ("app.takes", "no function app.takes() without arguments; found app.takes(integer)"),
        ("app.procedure", "no function app.procedure() without arguments"),
        ("app.nothing", "no function app.nothing() without arguments"),
        ("a b c", "is not a function name"),
    ],
)
async def test_what_it_cannot_be(made: databases.Database, name: str, words: str) -> None:
    with pytest.raises(resolve.ConfigMismatch) as caught:
        async with role_calls.acting(role_calls.configured(role_calls.login_dsn(made), FUNCTIONS, pre_request=name)):
            pass
    ((place, told),) = caught.value.faults
    assert place == ("auth", "pre_request")
    assert words in told
