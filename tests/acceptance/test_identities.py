"""Who may call and hear what, as identities come and go: real sockets, tokens, roles and row security."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import jwt
import psycopg2
import pytest
import websockets

from pgrpc.demo import embedded
from tests.support import pgrpc_server, served_sql, ws_client
from tests.support.databases import Database

SECRET = "a-Secret-of-the-tests-that-no-log-may-hold"
LOGIN = "coming_login"
SQL = """
create role coming_login login noinherit password 'coming-Password-9';
create role coming_anon nologin;
create role coming_user nologin;
create role coming_admin nologin;
grant coming_anon, coming_user, coming_admin to coming_login;

create function whoami() returns text stable language sql as $$
    select current_user || ' ' || coalesce(current_setting('request.jwt.claims')::json ->> 'sub', 'nobody')
$$;
create function whoami_later() returns text language plpgsql as $$
begin
    perform pg_advisory_lock(1);
    return whoami();
end $$;
create function admin_only() returns int language sql as 'select 1';
create function seldom() returns int language sql as 'select 1';

-- A channel is heard by those whom row security shows its row.
create table permit (channel text, sub text);
alter table permit enable row level security;
create policy own on permit using (sub = current_setting('request.jwt.claims')::json ->> 'sub');
grant select on permit to coming_user;
create function may_listen(channel text) returns boolean stable language plpgsql as $$
begin
    if current_setting('request.jwt.claims')::json ->> 'sub' = 'slow' then
        perform pg_advisory_xact_lock_shared(1);
    end if;
    if channel = 'room.raise' then
        raise 'a Message that clients must not see';
    elsif channel = 'room.null' then
        return null;
    end if;
    return exists (select from permit where permit.channel = may_listen.channel);
end $$;
insert into permit select 'room.' || i, 'ann' from generate_series(1, 128) i;
insert into permit values ('room.1', 'bob');
grant execute on function may_listen to coming_user;
"""
ROLES = "coming_login, coming_anon, coming_user, coming_admin"
SURFACE = """
functions:
  whoami:
  whoami_later:
  admin_only: {roles: [coming_admin]}
  seldom: {rate: 2/min}
channels:
  news:
  "user.{sub}":
  "user.{sub}.*":
  "team.{app_metadata.team}.**":
  members: {roles: [coming_user]}
  "room.*": {roles: [coming_user], authorize: may_listen}
limits: {calls_in_flight: 4, handshake_timeout: 4s}
"""


@pytest.fixture(scope="module")
def database(embedded_postgres: embedded.Server) -> Iterator[Database]:
    with served_sql.database(embedded_postgres, SQL, roles=ROLES) as made:
        yield made


class Place:
    """A server, and the tokens that were made for it."""

    def __init__(self, server: pgrpc_server.Server) -> None:
        self.server = server
        self.tokens: list[str] = []

    def token(self, sub: Any = "ann", role: str = "coming_user", lasts: float = 600, **claims: Any) -> str:
        said = {"sub": sub, "role": role, "exp": time.time() + lasts, **claims}
        # Put together without PyJWT's own checks, which would not let a strange subject pass.
        self.tokens.append(jwt.api_jws.encode(json.dumps(said).encode(), SECRET))
        return self.tokens[-1]

    def client(self, token: str | None = None) -> ws_client.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return ws_client.Client(self.server.address(), additional_headers=headers)

    def listen(self, channel: str, token: str) -> websockets.connect:
        return websockets.connect(
            self.server.address(f"listen/{channel}"), additional_headers={"Authorization": f"Bearer {token}"}
        )


@contextmanager
def guarded(folder: Path, database: Database, auth: str = "", rest: str = SURFACE) -> Iterator[Place]:
    """Afterwards the log is searched for every token, and for the secrets."""
    dsn = database.server.dsn(database.dsn.rpartition("/")[2], LOGIN, "coming-Password-9")
    auth = f"auth: {{secret: {SECRET}, leeway: 1ms, {auth}}}\n"
    with pgrpc_server.serving(folder, dsn, f"{auth}{rest}") as server:
        place = Place(server)
        yield place
    for secret in (SECRET, "coming-Password-9", "a Message that", *place.tokens):
        assert secret not in server.log


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[Place]:
    with guarded(tmp_path_factory.mktemp("anonymous"), database, "anonymous_role: coming_anon") as made:
        yield made


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[Place]:
    """Nobody is anonymous here."""
    with guarded(tmp_path_factory.mktemp("strict"), database) as made:
        yield made


def oks(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "ok")


async def code(client: ws_client.Client, method: str, *params: Any) -> int:
    reply = await client.request(method, list(params))
    error: int = reply["error"]["code"]
    return error


@contextmanager
def locked(database: Database) -> Iterator[Callable[[], None]]:
    """Whoever asks for the lock waits until what is given is called."""
    with closing(psycopg2.connect(database.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(1)")
        yield lambda: cursor.execute("select pg_advisory_unlock(1)")


def wait_for_lock(database: Database) -> None:
    waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event = 'advisory'"
    deadline = time.monotonic() + ws_client.PATIENCE
    while not database.execute(waiting):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def publish(database: Database, count: int) -> None:
    """On two channels, one after the other, slowly enough for something to happen meanwhile."""
    with closing(psycopg2.connect(database.dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for i in range(count):
            cursor.execute("select pg_notify('news', %s), pg_notify('room.1', %s)", (str(i), str(i)))
            time.sleep(0.003)


# Logging in


async def test_logging_in_on_the_open_socket_again_and_again(place: Place) -> None:
    async with place.client() as client:
        assert await client.call("whoami") == "coming_anon nobody"
        assert await client.call("rpc.login", token=place.token("ann")) is True
        assert await client.call("whoami") == "coming_user ann"
        assert await client.call("rpc.login", place.token("bob", "coming_admin")) is True
        assert await client.call("whoami") == "coming_admin bob"


@pytest.mark.parametrize("token", ["wrong", "expired", "role"])
async def test_a_login_that_fails_leaves_the_client_who_it_was(place: Place, token: str) -> None:
    bad = {"wrong": "x.y.z", "expired": place.token(lasts=-5), "role": place.token(role="coming_login")}[token]
    async with place.client(place.token("ann")) as client:
        before = len(place.server.log)
        reply = await client.request("rpc.login", {"token": bad})
        assert reply["error"]["code"] == -32004
        assert bad not in json.dumps(reply)
        assert await client.call("whoami") == "coming_user ann"
        if token == "wrong":
            place.server.wait_for("refused 127.0.0.1: the token", after=before)


async def test_nobody_logs_in_where_nobody_has_an_identity(database: Database, tmp_path: Path) -> None:
    with pgrpc_server.serving(tmp_path, database.dsn, "functions: {admin_only: }\n") as server:
        async with ws_client.Client(server.address()) as client:
            assert await code(client, "rpc.login", "x") == -32601
            assert await client.call("admin_only") == 1


async def test_a_call_keeps_the_identity_that_it_was_made_with(place: Place, database: Database) -> None:
    with locked(database) as unlock:
        async with place.client(place.token("ann")) as client:
            running = asyncio.create_task(client.call("whoami_later"))
            await asyncio.to_thread(wait_for_lock, database)
            assert await client.call("rpc.login", place.token("bob")) is True
            assert await client.call("whoami") == "coming_user bob"
            unlock()
            assert await running == "coming_user ann"


async def test_what_the_new_identity_may_hear_stays_without_a_hole_or_a_double(
    place: Place, database: Database
) -> None:
    async with place.client(place.token("ann")) as client:
        assert await client.call("rpc.on", "news", "user.ann", "members", "room.1") == oks(
            "news", "user.ann", "members", "room.1"
        )
        publishing = asyncio.create_task(asyncio.to_thread(publish, database, 300))
        ended: list[Any] = []
        numbers: dict[str, list[int]] = {"news": [], "room.1": []}
        logins = 0
        while not all(seen and seen[-1] == 299 for seen in numbers.values()):
            if logins < 6:
                assert await client.call("rpc.login", place.token("bob" if logins % 2 == 0 else "ann")) is True
                if logins == 0:
                    told = [client.events.get_nowait() for _ in range(client.events.qsize())]
                    ended = [event["params"] for event in told if event["method"] == "rpc.ended"]
                    for event in told:
                        client.events.put_nowait(event)
                logins += 1
            event = await client.event()
            if event["method"] in numbers:
                numbers[event["method"]].append(int(event["params"]["payload"]))
        await publishing
        assert ended == [{"channels": ["user.ann"], "reason": "not allowed"}], "told before the login is answered"
        assert numbers == {"news": list(range(300)), "room.1": list(range(300))}
        assert await client.call("rpc.off", "user.ann", "members") == {"user.ann": "not subscribed", "members": "ok"}


async def test_what_the_function_does_not_allow_any_more_ends(place: Place, database: Database) -> None:
    async with place.client(place.token("eve")) as client:
        database.execute("insert into permit values ('room.7', 'eve'), ('room.8', 'eve')")
        assert await client.call("rpc.on", "room.7", "room.8") == oks("room.7", "room.8")
        database.execute("delete from permit where channel = 'room.7' and sub = 'eve'")
        assert await client.call("rpc.login", place.token("eve")) is True
        event = client.events.get_nowait()
        assert (event["method"], event["params"]["channels"]) == ("rpc.ended", ["room.7"])
        assert await client.call("rpc.on", "room.8") == oks("room.8")


# The end of an identity


async def test_the_end_is_announced_and_then_the_client_is_anonymous_unless_it_has_renewed(place: Place) -> None:
    token = place.token("ann", lasts=8)
    async with place.client(token) as client, place.client(token) as other:
        for each in (client, other):
            assert await each.call("whoami") == "coming_user ann"
            assert await each.call("rpc.on", "news", "members", "room.1") == oks("news", "members", "room.1")
            event = await each.event()
            assert event["method"] == "rpc.expiring"
            assert 0 <= event["params"]["expires_in"] <= 8
        assert await other.call("rpc.login", place.token("ann")) is True
        event = await client.event()
        assert event["method"] == "rpc.ended"
        assert event["params"] == {"channels": ["members", "room.1"], "reason": "not allowed"}
        assert await client.call("whoami") == "coming_anon nobody"
        assert await client.call("rpc.on", "news") == oks("news")
        assert await other.call("whoami") == "coming_user ann"
        assert await other.call("rpc.on", "members", "room.1") == oks("members", "room.1")
        assert other.events.empty()


async def test_what_ends_where_nobody_is_anonymous(strict: Place, place: Place, database: Database) -> None:
    """All at once, for each takes its time."""
    token = strict.token("ann", lasts=8)
    async with (
        strict.client(token) as client,
        strict.client() as nobody,
        strict.client() as late,
        strict.listen("news", token) as relay,
        place.listen("members", token) as members,
        place.listen("news", token) as everybodys,
    ):
        assert await client.call("whoami") == "coming_user ann"
        assert await code(nobody, "whoami") == -32004
        assert await code(late, "nope") == -32004
        assert await code(late, "rpc.on", "news") == -32004
        assert await late.call("rpc.login", strict.token("bob")) is True
        assert await late.call("whoami") == "coming_user bob"
        assert [await each.closed() for each in (client, nobody)] == [4401, 4401]
        for socket in (relay, members):
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(socket.recv(), ws_client.PATIENCE)
            assert socket.close_code == 4401
        database.execute("notify news, 'still here'")
        assert await asyncio.wait_for(everybodys.recv(), ws_client.PATIENCE) == "still here"
        assert await late.call("rpc.on", "news") == oks("news")


# Roles and claims


async def test_roles_of_functions(place: Place) -> None:
    async with place.client(place.token("ann")) as client:
        reply = await client.request("admin_only", ["not looked at"])
        assert reply["error"] == {"code": -32003, "message": "Not allowed"}
        assert await code(client, "nope") == -32601
    async with place.client(place.token("root", "coming_admin")) as client:
        assert await client.call("admin_only") == 1


@pytest.mark.parametrize(
    ("claims", "heard"),
    [
        ({"sub": "ann"}, ["user.ann", "user.ann.x"]),
        ({"sub": "a"}, []),
        ({"sub": "*"}, []),
        ({"sub": "**"}, []),
        ({"sub": "ann.x"}, []),
        ({"sub": ""}, []),
        ({"sub": "ann\n"}, []),
        ({"sub": "[a-z]+"}, []),
        ({"sub": "{sub}"}, []),
        ({"sub": ["ann"]}, []),
        ({"sub": {"ann": 1}}, []),
        ({"sub": None}, []),
        ({"sub": True}, []),
        ({"sub": 7}, ["user.7"]),
        ({"sub": "ann" * 1900}, []),
        ({"sub": "x", "app_metadata": {"team": "red"}}, ["team.red.a", "team.red.a.b"]),
        ({"sub": "x", "app_metadata": {"team": "*"}}, []),
        ({"sub": "x", "app_metadata": "red"}, []),
        ({"sub": "x", "app_metadata.team": "red"}, []),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_claims_in_names(place: Place, claims: dict[str, Any], heard: list[str]) -> None:
    names = ["user.ann", "user.ann.x", "user.ann.x.y", "user.bob", "user.7", "user.", "user..x", "user.True",
             "user.None", "team.red.a", "team.red.a.b", "team..a", "team.blue.a"]  # fmt: skip
    async with place.client(place.token(**claims)) as client:
        answer = await client.call("rpc.on", *names)
        assert [name for name in names if answer[name] == "ok"] == heard
        assert {answer[name] for name in names if answer[name] != "ok"} <= {"not allowed", "not listed"}


@pytest.mark.parametrize(
    ("method", "param", "reason"),
    [
        ("admin_only", [], "its roles do not include coming_user"),
        (
            "rpc.on",
            ["room.raise"],
            "channel 'room.raise' refused to 127.0.0.1: may_listen, authorize of 'room.*', failed: P0001",
        ),
        (
            "rpc.on",
            ["user.bob"],
            "channel 'user.bob' refused to 127.0.0.1: the token has another value for a claim in 'user.{sub}'",
        ),
    ],
    ids=["role", "function", "claim"],
)
async def test_the_reason_is_in_the_log_and_not_in_the_answer(
    database: Database, tmp_path: Path, method: str, param: Any, reason: str
) -> None:
    with guarded(tmp_path, database) as place:
        async with place.client(place.token("ann")) as client:
            reply = json.dumps(await client.request(method, param))
            assert "not allowed" in reply.lower()
            assert "may_listen" not in reply
            assert "coming" not in reply
        place.server.wait_for(re.escape(reason))


# Asking the database


async def test_only_a_yes_is_a_yes(place: Place) -> None:
    async with place.client(place.token("bob")) as client:
        names = ["room.1", "room.2", "room.null", "room.raise"]
        assert await client.call("rpc.on", *names) == {
            "room.1": "ok",
            "room.2": "not allowed",
            "room.null": "not allowed",
            "room.raise": "not allowed",
        }


async def test_questions_about_many_channels_hold_up_nobody(place: Place) -> None:
    names = [f"room.{i}" for i in range(1, 129)]
    async with place.client(place.token("ann")) as client, place.client(place.token("bob")) as other:
        asking = [asyncio.create_task(client.call("rpc.on", *names)) for _ in range(3)]
        for _ in range(20):
            assert await other.call("whoami") == "coming_user bob"
        for each in asking:
            assert await each == oks(*names)
        assert await client.call("rpc.login", place.token("ann")) is True
        assert client.events.empty()


async def test_a_client_cannot_put_off_being_asked_about(place: Place, database: Database) -> None:
    async with place.client(place.token("ann")) as client:
        assert await client.call("rpc.on", "room.2") == oks("room.2")
        with locked(database) as unlock:
            running = [asyncio.create_task(client.call("whoami_later")) for _ in range(4)]
            await asyncio.to_thread(wait_for_lock, database)
            assert await client.call("rpc.login", place.token("bob")) is True
            assert client.events.get_nowait()["params"] == {"channels": ["room.2"], "reason": "not allowed"}
            unlock()
            assert await asyncio.gather(*running) == ["coming_user ann"] * 4


async def test_a_question_does_not_queue_behind_the_clients_own_calls(database: Database, tmp_path: Path) -> None:
    with guarded(tmp_path, database, rest=f"database: {{dsn: '${{TEST_DSN}}', pool_size: 1}}\n{SURFACE}") as place:
        async with place.client(place.token("ann")) as client:
            assert await client.call("rpc.on", "room.2") == oks("room.2")
            with locked(database) as unlock:
                running = [asyncio.create_task(client.call("whoami_later")) for _ in range(4)]
                await asyncio.to_thread(wait_for_lock, database)
                renewing = asyncio.create_task(client.call("rpc.login", place.token("bob")))
                running[-1].add_done_callback(lambda _: renewing.cancel())
                assert await code(client, "nope") == -32601, "so the login has been read"
                unlock()
                assert await renewing is True
                await asyncio.gather(*running)


async def test_what_is_asked_for_again_and_again_is_bounded(place: Place, database: Database) -> None:
    names = [f"room.{i}" for i in range(1, 129)]
    with locked(database) as unlock:
        async with place.client(place.token("slow")) as client:
            asking = [asyncio.create_task(client.request("rpc.on", names)) for _ in range(11)]
            assert (await asking[-1])["error"]["code"] == -32006
            assert await client.call("whoami") == "coming_user slow"
            unlock()
            assert {tuple((await each)["result"].values()) for each in asking[:-1]} == {("not allowed",) * 128}


async def test_the_raw_relay_is_under_the_same_rules(place: Place, database: Database) -> None:
    ann = place.token("ann")
    async with place.listen("room.1", ann) as one, place.listen("user.ann", ann) as other:
        database.execute("notify \"room.1\", 'x'; notify \"user.ann\", 'y'")
        assert await asyncio.wait_for(one.recv(), ws_client.PATIENCE) == "x"
        assert await asyncio.wait_for(other.recv(), ws_client.PATIENCE) == "y"
    for channel, token in [
        ("user.bob", ann),
        ("room.2", place.token("bob")),
        ("room.1", place.token("ann", "coming_admin")),
    ]:
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with place.listen(channel, token):
                pass
        assert caught.value.response.status_code == 403
        assert caught.value.response.body == f"requested channel '{channel}' is not allowed".encode()


# Rates


async def test_rates_are_of_the_subject_over_all_its_sockets(place: Place) -> None:
    async with (
        place.client(place.token("sam")) as one,
        place.client(place.token("sam")) as two,
        place.client(place.token("tim")) as other,
    ):
        assert await one.call("seldom") == await two.call("seldom") == 1
        reply = await two.request("seldom")
        assert reply["error"]["code"] == -32005
        assert 0 < reply["error"]["data"]["retry_after"] <= 30
        assert await other.call("seldom") == 1
        assert await one.call("whoami") == "coming_user sam"


async def test_rates_of_one_address_and_one_identity(database: Database, tmp_path: Path) -> None:
    rates = """
limits:
  rates:
    address: {logins: 6/min}  # the tokens of the three handshakes count
    identity: {calls: 2/min, subscriptions: 2/min}
functions: {whoami: }
channels: {"*": }
"""
    with guarded(tmp_path, database, "anonymous_role: coming_anon", rates) as place:
        async with place.client(place.token("ann")) as client, place.client(place.token("bob")) as other:
            assert [await client.call("whoami") for _ in range(2)] == ["coming_user ann"] * 2
            assert await code(client, "whoami") == -32005
            assert await other.call("whoami") == "coming_user bob"
            assert await client.call("rpc.on", "a", "b") == oks("a", "b")
            assert await code(client, "rpc.on", "c") == -32005
            assert await client.call("rpc.off", "a") == oks("a")
            with pytest.raises(websockets.InvalidStatus) as caught:
                async with place.listen("c", place.token("ann")):
                    pass
            assert caught.value.response.status_code == 429
            assert int(caught.value.response.headers["Retry-After"]) > 0
            assert [await each.call("rpc.login", place.token("eve")) for each in (client, other, client)] == [True] * 3
            assert await code(other, "rpc.login", place.token("eve")) == -32005
