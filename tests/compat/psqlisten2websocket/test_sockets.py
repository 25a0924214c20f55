"""`server.py psqlisten2websocket`, spoken to as its clients do: its settings, its handshake, its frames, its SQL."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2.extensions
import pytest

from tests.support.databases import Database
from tests.support.pgrpc_server import ROOT, Server, running, serving
from tests.support.ws_raw import ACCEPT, CLOSE, PING, TEXT, Peer, ask

PAGE = "<script src='main.js'></script>"
TRIGGER = """
create table portal_eventrequests (id serial primary key, url text, cost numeric, tags text[]);
create function notify_event() returns trigger language plpgsql as $$
begin
  perform pg_notify('events', json_build_object(
    'table', tg_table_name, 'action', tg_op,
    'data', case tg_op when 'DELETE' then row_to_json(old) else row_to_json(new) end)::text);
  return null;
end $$;
create trigger products_notify_event after insert or update or delete on portal_eventrequests
  for each row execute function notify_event();
"""


@pytest.fixture
def database(embedded_database: Database) -> Database:
    return embedded_database


@contextmanager
def psqlisten2websocket(folder: Path, database: Database) -> Iterator[Server]:
    """With the .env and the pages of its users, on another port: 8080 may be taken here."""
    parts = psycopg2.extensions.parse_dsn(database.dsn)
    names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "DBNAME": "dbname"}
    (folder / ".env").write_text("".join(f"{name}={parts[key]}\n" for name, key in names.items()))
    (folder / "public").mkdir()
    (folder / "public/index.html").write_text(PAGE)
    with running(["psqlisten2websocket", "--port", "0"], folder=folder) as server:
        yield server


def notify(database: Database, payload: str) -> None:
    database.execute("select pg_notify('events', %s)", payload)


def last(server: Server) -> str:
    """What a client that connects receives first."""
    with Peer(server, "/ws") as peer:
        return peer.text()


def test_its_walkthrough(database: Database, tmp_path: Path) -> None:
    database.execute(TRIGGER)
    with psqlisten2websocket(tmp_path, database) as server:
        assert ask(server, "/").body.decode() == PAGE
        with Peer(server, "/ws") as one, Peer(server, "/ws") as two:
            for peer in (one, two):
                assert peer.answer.status == "HTTP/1.1 101 Switching Protocols"
                assert peer.answer.headers["sec-websocket-accept"] == ACCEPT
            database.execute("insert into portal_eventrequests (url, cost, tags) values ('https://a', 1.50, '{x,y}')")
            database.execute("delete from portal_eventrequests")
            tags = '[\n\t\t\t"x",\n\t\t\t"y"\n\t\t]'
            row = f'{{\n\t\t"id": 1,\n\t\t"url": "https://a",\n\t\t"cost": 1.50,\n\t\t"tags": {tags}\n\t}}'
            for action in ("INSERT", "DELETE"):
                expected = f'{{\n\t"table": "portal_eventrequests",\n\t"action": "{action}",\n\t"data": {row}\n}}'
                assert one.text() == two.text() == expected
        assert last(server) == expected


def test_frames(database: Database, tmp_path: Path) -> None:
    big = 12345678901234567890123
    rest = "channels: {events: }\ndialects: {psqlisten2websocket: }\n"
    offered = "Sec-WebSocket-Extensions: permessage-deflate"
    with serving(tmp_path, database.dsn, rest) as server, Peer(server, "/ws", offered) as first:
        assert "sec-websocket-extensions" not in first.answer.headers
        for payload in ('{"a" : {}}', "secret words", "", f"[{big},1e400]", '"ünï"'):
            notify(database, payload)
        # The first frame is the first event: before it there is nothing to send, not even an empty frame.
        texts = ['{\n\t"a": {}\n}', f"[\n\t{big},\n\t1e400\n]", '"ünï"']
        assert [first.frame() for _ in texts] == [(TEXT, text.encode()) for text in texts]
        with Peer(server, "/ws") as second:
            assert second.text() == '"ünï"'
            notify(database, "{}")
            assert second.text() == "{}"
        assert first.text() == "{}"
        server.wait_for("skipped an event of channel 'events' for clients of /ws: its payload is not JSON")
        assert "secret" not in server.log
        with Peer(server, "/listen/events") as raw:  # other clients receive the same, not indented
            assert raw.answer.status == "HTTP/1.1 101 Switching Protocols"
            notify(database, '{"a" : 1}')
            assert raw.text() == '{"a" : 1}'


def test_the_last_event_is_kept_when_nobody_is_there_and_forgotten_when_it_may_not_be_the_last(
    database: Database, tmp_path: Path
) -> None:
    with serving(tmp_path, database.dsn, "channels: {events: }\ndialects: {psqlisten2websocket: }\n") as server:
        with Peer(server, "/ws"):  # from now on LISTEN is in effect
            pass
        notify(database, "[1]")
        assert last(server) == "[\n\t1\n]"
        with Peer(server, "/ws") as peer:
            assert peer.text() == "[\n\t1\n]"
            with closing(psycopg2.connect(database.dsn)) as other, other.cursor() as cursor:
                cursor.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
            while (frame := peer.frame())[0] == PING:
                pass
            assert (frame[0], int.from_bytes(frame[1][:2])) == (CLOSE, 1012)
        with Peer(server, "/ws") as peer:
            notify(database, "[2]")
            assert peer.text() == "[\n\t2\n]"


def test_refusals(database: Database, tmp_path: Path) -> None:
    with serving(tmp_path, database.dsn, "channels: {events: }\ndialects: {psqlisten2websocket: }\n") as server:
        for method, status, body in (
            ("POST", "405 Method Not Allowed", b"method not allowed\n"),
            ("PUT", "405 Method Not Allowed", b"method not allowed\n"),
            ("GET", "400 Bad Request", b"Bad Request\n"),
        ):
            answer = ask(server, "/ws", method=method)
            assert answer.status == f"HTTP/1.1 {status}"
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.body == body
        with Peer(server, "/ws", "Origin: https://elsewhere.example") as peer:
            assert peer.answer.status == "HTTP/1.1 403 Forbidden"
        with Peer(server, "/ws", f"Origin: {server.url.rstrip('/')}") as peer:
            assert peer.answer.status == "HTTP/1.1 101 Switching Protocols"


def test_the_database_comes_late(tmp_path: Path) -> None:
    dsn = "postgresql://nobody@127.0.0.1:1/none"
    rest = "channels: {events: }\ndialects: {psqlisten2websocket: }\n"
    with serving(tmp_path, dsn, rest, ready=False) as server, Peer(server, "/ws") as peer:
        assert peer.answer.status == "HTTP/1.1 503 Service Unavailable"
        assert peer.answer.headers["retry-after"] == "1"


def test_faults_of_the_settings(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "server.py"), "psqlisten2websocket"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78
    assert (
        done.stderr
        == ".env: no such file: write one with HOST, PORT, USER, PASSWORD, DBNAME, or name another with --config\n"
    )
