"""postgresql2websocket's dialect, as its clients speak it: its walkthrough, its statements, and attacks on them."""

import asyncio
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import psycopg2
import psycopg2.extensions
import pytest
import websockets

from pgrpc.demo import embedded
from tests.support import served_sql
from tests.support.databases import Database
from tests.support.pgrpc_server import ROOT, Server, serving
from tests.support.sql_mutations import mutations
from tests.support.ws_client import PATIENCE, Client

SQL = """
create table canary (n int);
create table notes (t text);
create schema auction;
create type pair as (x int, y text);
create type mood as enum ('sad', 'fine');
create function add(a int, b int) returns int immutable language sql as $$ select a + b $$;
create function greet(name text default 'world', "Loud" boolean default false) returns text immutable language sql
    as $$ select case when "Loud" then upper(name) else name end $$;
create function "MiXed"(a int) returns int immutable language sql as $$ select a $$;
create function auction.place_bid(price numeric) returns numeric immutable language sql as $$ select price $$;
create function format(a text) returns text immutable language sql as $$ select a || '!' $$;
create function date_add(a date, days int) returns date immutable language sql as $$ select a + days $$;
create function wide(n numeric, i bigint, f float8) returns table (n numeric, i bigint, f float8) immutable language sql
    as $$ values (n, i, f) $$;
create function lost(d date, t timestamptz, n numeric, u uuid, i interval)
    returns table (d date, t timestamptz, n numeric, u uuid, i interval) immutable language sql
    as $$ values (d, t, n, u, i) $$;
create function series(n int) returns setof int immutable language sql as $$ select * from generate_series(1, n) $$;
create function numbered(t text[]) returns table (place bigint, word text) immutable language sql
    as $$ select ordinality, u from unnest(t) with ordinality u $$;
create function one_column() returns table (x int) immutable language sql as $$ values (1), (null) $$;
create function one_out(out x int) immutable language sql as $$ select 7 $$;
create function two_out(a int, out b int, out c text) immutable language sql as $$ select a, 'c' $$;
create function corner(x int) returns pair immutable language sql as $$ select row(x, 'é')::pair $$;
create function corners() returns setof pair immutable language sql
    as $$ values (row(1, 'a')::pair), (null), (row(null, '"')::pair) $$;
create function nothing() returns pair immutable language sql as $$ select null::pair $$;
create function mixed(m mood) returns mood immutable language sql as $$ select m $$;
create function keep(doc jsonb) returns jsonb immutable language sql as $$ select doc $$;
create function as_written(doc json) returns json immutable language sql as $$ select doc $$;
create function flag(b boolean) returns boolean immutable language sql as $$ select b $$;
create function total(variadic n int[]) returns bigint immutable language sql as $$ select sum(u) from unnest(n) u $$;
create function flat(m int[]) returns int[] immutable language sql as $$ select m $$;
create function quiet() returns void language sql as $$ insert into notes values ('quiet') $$;
create function note(t text) returns int language sql as $$ insert into notes values (t) returning 1 $$;
create function fails() returns int language plpgsql as $$ begin raise exception 'no' using detail = 'why'; end $$;
create function doze(s float8) returns text volatile language sql as $$ select 'awake' from pg_sleep(s) $$;
create function many(n int) returns table (a int, b text) immutable language sql
    as $$ select g, repeat('x', 100) from generate_series(1, n) g $$;
create function secret() returns int language sql as $$ insert into canary values (1) returning 1 $$;
"""
LISTED = """
  add: , greet: , "MiXed": {function: '"MiXed"'}, bid: {function: auction.place_bid}, auction.place_bid: ,
  format: {function: public.format}, date_add: {function: public.date_add}, wide: , lost: , series: , numbered: ,
  one_column: , one_out: , two_out: , corner: , corners: , nothing: , mixed: , keep: , as_written: , flag: , total: ,
  flat: , quiet: , note: , fails: , doze: , many:
"""
CONFIG = (
    f"functions: {{{LISTED}}}\nchannels: {{people: }}\n"
    "dialects: {postgresql2websocket: {channels: [people, Room 1, open]}}\n"
)

# The frames of each statement, to the byte.
ANSWERED: dict[str, list[str]] = {
    "select add(1, 2);": ['{"add": 3}'],
    " SELECT Add( -1 ,\n2 ) -- a sum": ['{"add": 1}'],
    "select * from add(1, 2)": ['{"add": 3}'],
    "select add(a => 1, b => 2)": ['{"add": 3}'],
    "select add(b := 1, a := -3)": ['{"add": -2}'],
    "select add('1', '2'::int)": ['{"add": 3}'],
    "select add(1::int, cast(2 as integer))": ['{"add": 3}'],
    "select add(null, 1)": ['{"add": null}'],
    "select greet()": ['{"greet": "world"}'],
    "select greet('it''s \"me\"')": ['{"greet": "it\'s \\"me\\""}'],
    r"select greet(E'\t\x41\u00e9')": ['{"greet": "\\tAé"}'],
    "select greet($$it's$$)": ['{"greet": "it\'s"}'],
    "select greet($x$$$ ; drop table canary; --$x$)": ['{"greet": "$$ ; drop table canary; --"}'],
    "select greet('a', true)": ['{"greet": "A"}'],
    "select greet(\"Loud\" => true, name => 'b')": ['{"greet": "B"}'],
    'select "MiXed"(1)': ['{"MiXed": 1}'],
    "select auction.place_bid(1.50)": ['{"place_bid": 1.50}'],
    "select * from Auction.Place_Bid('2.50'::numeric)": ['{"place_bid": 2.50}'],
    "select date_add('2024-02-28'::date, 1)": ['{"date_add": "2024-02-29"}'],
    "select date_add(date '2024-02-28', 1)": ['{"date_add": "2024-02-29"}'],
    "select * from wide(123456789012345678901234567890.12345678901234567890, 9223372036854775807, 1e3)":
        ['{"n": 123456789012345678901234567890.12345678901234567890, "i": 9223372036854775807, "f": 1000}'],
    "select * from lost('2024-02-29', '2024-02-29 12:00:00.5+00', .1, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '1 day')":
        ['{"d": "2024-02-29", "t": "2024-02-29T12:00:00.5+00:00", "n": 0.1, '
         '"u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "i": "1 day"}'],
    "select series(3)": ['{"series": 1}', '{"series": 2}', '{"series": 3}'],
    "select * from series(2)": ['{"series": 1}', '{"series": 2}'],
    "select series(0)": [],
    "select * from numbered(array['a', 'b'])": ['{"place": 1, "word": "a"}', '{"place": 2, "word": "b"}'],
    "select numbered(array['a'])": ['{"numbered": {"place":1,"word":"a"}}'],
    "select * from numbered(array[]::text[])": [],
    "select one_column()": ['{"one_column": 1}', '{"one_column": null}'],
    "select * from one_column()": ['{"x": 1}', '{"x": null}'],
    "select one_out()": ['{"one_out": 7}'],
    "select * from one_out()": ['{"x": 7}'],
    "select two_out(1)": ['{"two_out": {"b":1,"c":"c"}}'],
    "select * from two_out(1)": ['{"b": 1, "c": "c"}'],
    "select corner(1)": ['{"corner": {"x":1,"y":"é"}}'],
    "select * from corner(1)": ['{"x": 1, "y": "é"}'],
    "select corners()": ['{"corners": {"x":1,"y":"a"}}', '{"corners": null}', '{"corners": {"x":null,"y":"\\""}}'],
    "select * from corners()": ['{"x": 1, "y": "a"}', '{"x": null, "y": null}', '{"x": null, "y": "\\""}'],
    "select nothing()": ['{"nothing": null}'],
    "select * from nothing()": ['{"x": null, "y": null}'],
    "select mixed('sad')": ['{"mixed": "sad"}'],
    """select keep('{"a": [1.50, "b"]}')""": ['{"keep": {"a": [1.50, "b"]}}'],
    """select keep('"x"'::jsonb)""": ['{"keep": "x"}'],
    """select as_written('{"a" :1}')""": ['{"as_written": {"a":1}}'],
    "select flag('yes')": ['{"flag": true}'],
    "select total(1, '2', 3)": ['{"total": 6}'],
    "select flat(array[array[1, 2], array[3, null]])": ['{"flat": [[1,2],[3,null]]}'],
}  # fmt: skip

# What differs from what PostgreSQL itself would show; the rest of ANSWERED is compared with it.
OURS = {
    "select bid(1)": ['{"bid": 1}'],  # a method has the name that the configuration gives it
    "select format('a')": ['{"format": "a!"}'],  # PostgreSQL's own comes first in the search path
    "select quiet()": ['{"quiet": null}'],
}

ATTACKS = (
    "select secret()", "select * from secret()", "select public.secret()", 'select "secret"()', "select SECRET()",
    "select add(1, 2); select secret()", "select add(1, 2); insert into canary values (1)", "select secret(); --",
    "insert into canary values (1)", "drop table canary", "truncate notes", "delete from notes", "call secret()",
    "select note('x'), secret()", "select note('x') from secret()", "select * from note('x'), secret()",
    "select * from note('x') where secret() = 1", "select * from note('x') join secret() on true",
    "select * from note('x') cross join lateral secret()", "select * from rows from (note('x'), secret())",
    "select note('x') union select secret()", "select note('x') union all select secret()",
    "with x as (insert into canary values (1) returning 1) select note('x')",
    "with x as (select secret()) select note('x') from x", "select note((select secret()::text))",
    "select note(secret())", "select note(secret()::text)", "select note('x' || secret())", "select add(1, secret())",
    "select add(1, (select secret()))", "select add(a => 1, b => secret())", "select note(name => (table canary))",
    "select note(case when secret() = 1 then 'x' end)", "select note(coalesce(null, secret()::text))",
    "select flat(array[secret()])", "select flat(array(select secret()))", "select total(variadic array[secret()])",
    "select note('x') where secret() = 1", "select note('x') order by secret()", "select note('x') limit secret()",
    "select note('x') having secret() = 1", "select note('x') offset secret()", "select note('x') into stolen",
    "create table stolen as select note('x')", "select note('x') for update",
    "select note('x') over (order by secret())",
    "select note('x')::regclass", "select note('canary'::regclass)", "select note('secret()'::regprocedure::text)",
    "select note(cast('canary' as regclass))", "select note('canary'::regclass::text)",
    "select add('secret'::regproc, 1)",
    "select note('x\\'); select secret(); --')); select secret(); --", "select note(''; select secret(); --'')",
    "select note(E'x\\'); select secret(); --')); select secret()", "select note($$x$$); select secret(); --$$)",
    "select note($a$x$a$ || secret() || $a$x$a$)", "select/**/secret()", "select/*!secret()*/ secret()",
    "select add(1, 2) /*; */; select secret()", "select add(1, 2) --\n; select secret()",
    "/* x */ select secret() /* */",
    "select add(1,/*2);*/secret())", "select add(1, 2)\0; select secret()", "select\u00a0secret()",
    "\ufeffselect secret()",
    "select pg_sleep(10)", "select pg_read_file('/etc/passwd')", "select current_user", "select version()",
    "select set_config('role', 'postgres', false)", "select pg_catalog.format('x')", "select pg_catalog.now()",
    "select dblink('', 'select secret()')", "select query_to_xml('select secret()', true, true, '')",
    "select lo_import('/etc/passwd')", "select pg_notify('people', 'x')", "notify people, 'x'", "listen people",
    "copy (select secret()) to stdout", "copy canary from program 'true'", "do $$ begin perform secret(); end $$",
    "set role postgres", "set search_path = x", "begin", "commit", "rollback", "savepoint x",
    "prepare x as select secret()",
    "execute x", "explain analyze select secret()", "declare c cursor for select secret()", "lock canary", "vacuum",
    "create function add(a int, b int) returns int language sql as 'select 1'", "alter function secret() rename to add",
    "values (secret())", "table canary", "(select secret())", "select (secret())", "select row(secret())",
    "select exists (select secret())", "select (note('x')).*", "select (select secret())", "select -secret()",
    "select not secret()", "select all secret()", "select distinct secret()", "select array[secret()]",
    "select cast(secret() as int)", "select case when true then secret() end", "select secret() filter (where true)",
    "select {fn secret()}", "exec secret()", "select 1; select 2", ";;", "", " ", "add(1, 2)", "{}",
    '{"jsonrpc": "2.0"}',
)  # fmt: skip


@pytest.fixture(scope="module")
def database(embedded_postgres: embedded.Server) -> Iterator[Database]:
    with served_sql.database(embedded_postgres, SQL) as made:
        made.execute(f"alter database {made.dsn.rpartition('/')[2]} set timezone to utc")
        yield made


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("served"), database.dsn, CONFIG) as served:
        yield served


class Asking:
    """A client that sends text and reads frames."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection
        self._marks = 0

    async def frame(self) -> str:
        frame = await asyncio.wait_for(self.connection.recv(), PATIENCE)
        assert isinstance(frame, str)
        return frame

    async def ask(self, *texts: str | bytes) -> list[str]:
        """Every frame that these texts are answered with: all up to the answer of a call that nobody else makes."""
        self._marks += 1
        for text in (*texts, f"select add(1000000, {self._marks})"):
            await self.connection.send(text)
        last = f'{{"add": {1000000 + self._marks}}}'
        frames = []
        while (frame := await self.frame()) != last:
            frames.append(frame)
        return frames


@asynccontextmanager
async def asking(server: Server, path: str = "people") -> AsyncIterator[Asking]:
    options: Any = {"max_size": None, "compression": None, "open_timeout": PATIENCE}
    async with websockets.connect(server.address(path), **options) as connection:
        yield Asking(connection)


def code(frame: str) -> int:
    found = json.loads(frame)
    assert list(found) == ["error"]
    assert set(found["error"]) <= {"code", "message", "data"}
    number: int = found["error"]["code"]
    return number


# The walkthrough

TRIGGER = """
create table tbl_a (id int primary key, text text);
create function table_update_notify() returns trigger language plpgsql as $$
begin
    perform pg_notify('people', json_build_object('table', tg_table_name, 'type', tg_op,
        'row', row_to_json(case when tg_op = 'DELETE' then old else new end))::text);
    return null;
end $$;
create trigger tbl_a_notify after insert or update or delete on tbl_a for each row
    execute function table_update_notify();
"""


async def test_rows_that_change_arrive_as_the_trigger_wrote_them(server: Server, database: Database) -> None:
    database.execute(TRIGGER)
    async with asking(server) as one, asking(server) as other:
        database.execute("insert into tbl_a values (1, 'Hello world')")
        database.execute("update tbl_a set text = 'Bye' where id = 1")
        database.execute("delete from tbl_a")
        for client in (one, other):
            first = await client.frame()
            assert first == '{"table" : "tbl_a", "type" : "INSERT", "row" : {"id":1,"text":"Hello world"}}'
            assert json.loads(first)["row"]["text"] == "Hello world"
            assert json.loads(await client.frame())["type"] == "UPDATE"
            assert json.loads(await client.frame())["row"] == {"id": 1, "text": "Bye"}


async def test_each_channel_arrives_as_it_is_at_its_own_path(server: Server, database: Database) -> None:
    async with asking(server) as people, asking(server, "Room%201") as room, asking(server, "open") as reserved:
        for channel, payload in (
            ("Room 1", "not JSON"),
            ("people", ""),
            ("people", "[1]"),
            ("room 1", "x"),
            ("open", "o"),
        ):
            database.execute("select pg_notify(%s, %s)", channel, payload)
        assert [await people.frame(), await people.frame()] == ["", "[1]"]
        assert await room.frame() == "not JSON"
        assert await reserved.frame() == "o"
        assert await room.ask() == []


async def test_events_and_rows_share_the_socket(server: Server, database: Database) -> None:
    async with asking(server) as client:
        await client.connection.send("select doze(3600)")
        database.execute("select pg_notify('people', 'not held up by the call')")
        assert await client.frame() == "not held up by the call"


def handshake(server: Server, path: str, *headers: str) -> tuple[socket.socket, bytes]:
    """The connection, and what was answered up to the end of the headers."""
    parts = urlsplit(server.url)
    connection = socket.create_connection((parts.hostname, parts.port), PATIENCE)
    lines = (f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", *headers)
    connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(1)
        assert piece, answer
        answer += piece
    return connection, answer


UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef").decode())  # fmt: skip


def exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, data
        data += piece
    return data


def test_the_bytes_of_the_handshake_and_of_a_statement(server: Server) -> None:
    connection, answer = handshake(server, "/people", *UPGRADE)
    with connection:
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nSec-Websocket-Accept: BACScCJPNqyz+UBoqMH89VmURoA=\r\n" in answer
        text = b"select add(1, 2);"
        connection.sendall(bytes((0x81, 0x80 | len(text))) + b"\0\0\0\0" + text)
        assert exactly(connection, 12) == b'\x81\x0a{"add": 3}'


def test_a_channel_that_is_not_listed_is_refused_before_the_upgrade(server: Server) -> None:
    connection, answer = handshake(server, "/secrets", *UPGRADE)
    with connection:
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert exactly(connection, 42) == b"requested channel 'secrets' is not allowed"


def test_a_page_of_another_site_is_refused(server: Server) -> None:
    connection, answer = handshake(server, "/people", *UPGRADE, "Origin: https://elsewhere.example")
    with connection:
        assert answer.startswith(b"HTTP/1.1 403 ")


def test_what_is_no_websocket_is_not_found(server: Server) -> None:
    connection, answer = handshake(server, "/people")
    with connection:
        assert answer.startswith(b"HTTP/1.1 404 ")


async def test_our_own_paths_stay_ours(server: Server) -> None:
    async with Client(server.address("rpc")) as client:
        assert await client.call("add", 1, 2) == 3


# Statements


async def test_each_row_is_a_frame(server: Server) -> None:
    async with asking(server) as client:
        got = {text: await client.ask(text) for text in (*ANSWERED, *OURS)}
    assert got == {**ANSWERED, **OURS}


def rows_of_postgresql(database: Database, texts: list[str]) -> dict[str, list[Any] | None]:
    """What PostgreSQL itself shows for each, undone again; None where it refuses. Numbers are exact."""
    found: dict[str, list[Any] | None] = {}
    connection = psycopg2.connect(database.dsn)
    try:
        with connection.cursor() as cursor:
            for text in texts:
                inner = re.sub(r";\s*$", "", text)
                try:
                    cursor.execute(f"select row_to_json(_)::text from ({inner}\n) _")
                    found[text] = [exact(row[0]) for row in cursor.fetchall()]
                except psycopg2.Error:
                    found[text] = None
                except ValueError:  # a NUL, which cannot even be sent
                    found[text] = None
                connection.rollback()
    finally:
        connection.close()
    return found


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def test_the_rows_are_those_of_postgresql(database: Database) -> None:
    assert rows_of_postgresql(database, list(ANSWERED)) == {t: [*map(exact, rows)] for t, rows in ANSWERED.items()}


async def test_an_error_is_a_frame_and_the_socket_stays(server: Server) -> None:
    async with asking(server) as client:
        assert await client.ask("select fails()") == [
            '{"error": {"code":-32000,"message":"no","data":{"sqlstate":"P0001","message":"no","detail":"why"}}}'
        ]
        assert await client.ask("select secret()") == ['{"error": {"code":-32601,"message":"Method not found"}}']
        (frame,) = await client.ask("select add(1, 'two')")
        assert json.loads(frame)["error"]["data"][0]["path"] == "/1"
        (frame,) = await client.ask("drop table canary")
        assert frame == (
            '{"error": {"code":-32600,"message":"Invalid Request: write `select function(constants)` or '
            '`select * from function(constants)`: the statement does not begin with select"}}'
        )
        assert [code(f) for f in await client.ask("select add(1", b"\xff", "select keep('{')")] == [
            -32700,
            -32700,
            -32602,
        ]


async def test_answers_come_in_the_order_of_the_statements(server: Server) -> None:
    async with asking(server) as client:
        texts = [f"select doze({0.05 if n % 2 else 0})" if n % 3 else f"select nonsense {n}" for n in range(12)]
        frames = await client.ask(*texts)
        assert [frame == '{"doze": "awake"}' for frame in frames] == [bool(n % 3) for n in range(12)]


async def test_more_statements_than_may_wait_are_all_answered(server: Server) -> None:
    async with asking(server) as client:
        assert await client.ask(*(f"select add({n}, 0)" for n in range(500))) == [f'{{"add": {n}}}' for n in range(500)]


def test_who_is_not_read_from_is_not_taken_for_dead(database: Database, tmp_path: Path) -> None:
    """This client answers no ping; if it did, nobody would read that while statements wait."""
    limits = "server: {port: 0, ping_interval: 100ms, ping_timeout: 1s}\nlimits: {calls_in_flight: 1}\n"
    with serving(tmp_path, database.dsn, limits + CONFIG) as server:
        connection, _ = handshake(server, "/people", *UPGRADE)
        with connection:
            for text in (b"select doze(2.5)", b"select add(1, 2)", b"select add(2, 2)"):
                connection.sendall(bytes((0x81, 0x80 | len(text))) + b"\0\0\0\0" + text)
            frames = b""
            while not frames.endswith(b'{"add": 4}'):
                frames += exactly(connection, 1)
        assert frames.replace(b"\x89\x00", b"") == b'\x81\x11{"doze": "awake"}\x81\x0a{"add": 3}\x81\x0a{"add": 4}'


async def test_a_large_result_holds_up_nobody(server: Server) -> None:
    async with asking(server) as large, asking(server) as small:
        await large.connection.send("select * from many(30000)")
        assert json.loads(await large.frame()) == {"a": 1, "b": "x" * 100}
        assert await small.ask("select add(1, 2)") == ['{"add": 3}']  # while the rows are on their way
        for n in range(2, 30_001):
            assert (await large.frame()).startswith(f'{{"a": {n}, ')
        assert await large.ask("select add(1, 2)") == ['{"add": 3}']


SLEEPING = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"


async def test_a_call_is_cancelled_when_its_client_leaves(server: Server, database: Database) -> None:
    async with asking(server) as client:
        await client.connection.send("select doze(3600)")
        await client.connection.send("select note('after')")
        await until(database, SLEEPING, 1)
    await until(database, SLEEPING, 0)
    assert database.execute("select * from notes where t = 'after'") == []


async def until(database: Database, query: str, value: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while database.execute(query) != [(value,)]:  # noqa: ASYNC110 - of another process there is nothing to wait for
            await asyncio.sleep(0.02)


async def test_a_call_is_made_as_the_one_who_has_the_token(embedded_postgres: embedded.Server, tmp_path: Path) -> None:
    sql = """
        create role statements_login login noinherit password 'statements';
        create role statements_user nologin; grant statements_user to statements_login;
        create function whoami() returns text stable language sql as 'select current_user';
    """
    with served_sql.database(embedded_postgres, sql) as database:
        try:
            dsn = database.server.dsn(database.dsn.rpartition("/")[2], "statements_login", "statements")
            secret = "a secret of thirty-two bytes or more"
            auth = f"auth: {{secret: {secret}, roles: [statements_user]}}\n"
            surface = "functions: {whoami: }\nchannels: {people: }\ndialects: {postgresql2websocket: true}\n"
            with serving(tmp_path, dsn, auth + surface) as server:
                connection, answer = handshake(server, "/people", *UPGRADE)
                with connection:
                    assert answer.startswith(b"HTTP/1.1 401 ")
                token = jwt.encode({"role": "statements_user", "exp": time.time() + 600}, secret)
                options: Any = {"compression": None, "additional_headers": {"Authorization": f"Bearer {token}"}}
                async with websockets.connect(server.address("people"), **options) as client:
                    await client.send("select whoami()")
                    assert await asyncio.wait_for(client.recv(), PATIENCE) == '{"whoami": "statements_user"}'
        finally:
            database.execute("drop owned by statements_login, statements_user")
            database.execute("drop role statements_login, statements_user")


# Attacks


async def test_nothing_runs_that_is_not_a_listed_function_with_constants(server: Server, database: Database) -> None:
    database.execute("truncate notes")
    async with asking(server) as client:
        answers = {text: await client.ask(text) for text in ATTACKS}
    for text, frames in answers.items():
        assert len(frames) == 1, text
        assert code(frames[0]) in (-32700, -32600, -32601), text
    assert database.execute("select (select count(*) from canary), (select count(*) from notes)") == [(0, 0)]


CALLS = [*ANSWERED, *OURS]


async def test_of_ten_thousand_mutations_none_runs_anything_else(server: Server, database: Database) -> None:
    texts = list(mutations([*CALLS, *ATTACKS, "select note('x')"], 10_000, seed=2))
    async with asking(server) as client:
        for start in range(0, len(texts), 1_000):
            await client.ask(*texts[start : start + 1_000])
    assert database.execute("select count(*) from canary") == [(0,)]


async def test_a_mutation_that_runs_means_what_postgresql_takes_it_for(server: Server, database: Database) -> None:
    ran = {}
    async with asking(server) as client:
        for text in mutations(list(ANSWERED), 500, seed=3):
            frames = await client.ask(text)
            if not any('{"error"' in frame for frame in frames) and not re.search("bid|format", text, re.IGNORECASE):
                ran[text] = [*map(exact, frames)]
    known = rows_of_postgresql(database, list(ran))
    assert {text: rows for text, rows in ran.items() if known[text] not in (rows, None)} == {}
    assert sum(rows is not None for rows in known.values()) > 25


# The settings


def test_it_is_started_by_its_settings_alone(database: Database, tmp_path: Path) -> None:
    parts = psycopg2.extensions.parse_dsn(database.dsn)
    lines = [f"{theirs} = {parts[ours]}" for theirs, ours in
             (("host", "host"), ("port", "port"), ("user", "user"), ("password", "password"), ("database", "dbname"))
             if ours in parts]  # fmt: skip
    settings = "\n".join(
        ["[postgresql]", *lines, "[web]", "host = 127.0.0.1", "port = 0", "[pgrpc]", "functions = add"]
    )
    (tmp_path / "postgresql2websocket.conf").write_text(settings, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", str(ROOT / "server.py"), "postgresql2websocket"],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=os.environ,
    )  # fmt: skip
    server = Server(process)
    try:
        server.url = server.wait_for(r"serving ([^\s;]+)").group(1)
        server.wait_for("connected to the database")
        server.wait_for("LISTEN connection open")

        async def use() -> None:
            async with asking(server, "any.channel") as client:
                assert await client.ask("select add(1, 2);", "select secret()") == [
                    '{"add": 3}', '{"error": {"code":-32601,"message":"Method not found"}}'
                ]  # fmt: skip
                database.execute("""notify "any.channel", 'x'""")
                assert await client.frame() == "x"
            options: Any = {"origin": "null", "compression": None}  # a page that was opened from a file
            async with websockets.connect(server.address("people"), **options):
                pass

        asyncio.run(use())
        assert server.stop(signal.SIGTERM) == 0
        assert "Traceback" not in server.log
    finally:
        server.stop()


def test_without_its_settings_it_says_so(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "server.py"), "postgresql2websocket"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 78
    assert ran.stderr == "postgresql2websocket.conf: no such file: write it, or name another with --config\n"


def test_sqlglot_is_not_imported_unless_it_is_needed() -> None:
    code = "import sys, pgrpc.cli; sys.exit('sqlglot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False).returncode == 0
