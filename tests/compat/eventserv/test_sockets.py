"""`server.py eventserv`, spoken to as pg_eventserv's clients do: its settings, its handshake, its frames, its SQL."""

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import websockets

import pgrpc
from pgrpc.demo import embedded
from tests.support import certificates
from tests.support.databases import Database
from tests.support.pgrpc_server import ROOT, Server, running, serving
from tests.support.ws_client import PATIENCE, Client
from tests.support.ws_raw import ACCEPT, CLOSE, PING, TEXT, Peer, ask

LOCAL = {"ES_HTTPHOST": "127.0.0.1", "ES_HTTPPORT": "0"}
PAGE = '<p id="url">{{ .BaseURL }}</p><p>{{.Channels}}</p>{{- .Other }}'

PEOPLE = """
create table people (pk serial primary key, ts timestamptz default now(), name text, age integer, height real);
create function data_change() returns trigger language plpgsql as $$
declare
  changed jsonb := to_jsonb(new) || jsonb_build_object('dml_action', tg_op);
begin
  perform pg_notify('people', changed::text);
  return new;
end $$;
create trigger data_change_trigger before insert or update on people for each row execute function data_change();
"""
FILTERED = """
create or replace function data_change() returns trigger language plpgsql as $$
begin
  if new.height >= 2.0 then
    perform pg_notify('people', to_jsonb(new)::text);
  end if;
  return new;
end $$;
"""
CHANGES = """
create table application_data (pk serial primary key, name text, value integer);
create function change_notify() returns trigger language plpgsql as $$
begin
  perform pg_notify('changes', jsonb_build_object(
    'table_name', tg_table_name, 'primary_key', coalesce(new.pk, old.pk), 'change_type', tg_op)::text);
  return coalesce(new, old);
end $$;
create trigger change_notify after insert or update or delete on application_data
  for each row execute function change_notify();
"""


@pytest.fixture(scope="module")
def database(embedded_postgres: embedded.Server) -> Iterator[Database]:
    admin = Database(embedded_postgres.dsn(), embedded_postgres)
    admin.execute("create database eventserv")
    yield Database(embedded_postgres.dsn("eventserv"), embedded_postgres)
    admin.execute("drop database eventserv with (force)")


@contextmanager
def eventserv(folder: Path, database: Database, **environ: str) -> Iterator[Server]:
    with running(["eventserv"], folder=folder, environ={**LOCAL, "DATABASE_URL": database.dsn, **environ}) as server:
        yield server


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With no settings but where the database is, and where to listen."""
    with eventserv(tmp_path_factory.mktemp("eventserv"), database) as server:
        yield server


def notify(database: Database, channel: str, payload: str = "") -> None:
    database.execute("select pg_notify(%s, %s)", channel, payload)


class TestTheSocket:
    @pytest.mark.parametrize("origin", [None, "null", "https://elsewhere.example"])
    def test_the_handshake(self, server: Server, origin: str | None) -> None:
        offered = ("Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: chat")
        with Peer(server, "/listen/people", *offered, *([f"Origin: {origin}"] if origin else [])) as peer:
            assert peer.answer.status == "HTTP/1.1 101 Switching Protocols"
            headers = peer.answer.headers
            assert headers["upgrade"].lower() == "websocket"
            assert headers["connection"].lower() == "upgrade"
            assert headers["sec-websocket-accept"] == ACCEPT
            assert "sec-websocket-extensions" not in headers
            assert "sec-websocket-protocol" not in headers

    def test_payloads_are_text_frames_as_they_are(self, server: Server, database: Database) -> None:
        payloads = ["", "plain", ' {"a" : 1.50}\n', "ünï ☃", "<b>", "x" * 7999, "y" * 126, "null", ""]
        with Peer(server, "/listen/verbatim") as peer:
            for payload in payloads:
                notify(database, "verbatim", payload)
            frames: list[tuple[int, bytes]] = []
            while len(frames) < len(payloads):
                if (frame := peer.frame())[0] != PING:
                    frames.append(frame)
        assert frames == [(TEXT, payload.encode()) for payload in payloads]

    def test_pings_say_ping(self, server: Server) -> None:
        with Peer(server, "/listen/quiet") as peer:
            assert peer.frame() == (PING, b"ping")
            assert peer.frame() == (PING, b"ping")  # the first was not answered, and that is no reason to go

    @pytest.mark.parametrize(
        ("path", "channel"),
        [
            ("a.b", "a.b"),
            ("a%20b", "a b"),
            ("a+b", "a+b"),
            ("%C3%BCn%C3%AF", "ünï"),
            ("Mixed", "Mixed"),
            ("%22;select", '";select'),
            ("error", "error"),
            ("rpc.x", "rpc.x"),
            ("a*", "a*"),
            ("100%25", "100%"),
        ],
    )
    def test_names(self, server: Server, database: Database, path: str, channel: str) -> None:
        with Peer(server, f"/listen/{path}") as peer:
            notify(database, channel.swapcase() + "x", "other")
            notify(database, channel, "this")
            assert peer.text() == "this"

    def test_names_have_case(self, server: Server, database: Database) -> None:
        with Peer(server, "/listen/People") as peer:
            database.execute("notify People, 'folded'")
            database.execute("notify \"People\", 'exact'")
            assert peer.text() == "exact"

    def test_more_channels_than_connections(self, server: Server, database: Database) -> None:
        """pg_eventserv has one connection for each channel, four in all."""
        with ExitStack() as stack:
            peers = [stack.enter_context(Peer(server, f"/listen/many{number}")) for number in range(12)]
            for number in range(12):
                notify(database, f"many{number}", str(number))
            assert [peer.text() for peer in peers] == [str(number) for number in range(12)]

    def test_a_lost_connection_closes_the_socket(self, server: Server, database: Database) -> None:
        with Peer(server, "/listen/gap") as peer:
            database.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
            while (frame := peer.frame())[0] == PING:
                pass
            assert frame[0] == CLOSE
            assert int.from_bytes(frame[1][:2]) == 1012
        with Peer(server, "/listen/gap") as peer:
            notify(database, "gap", "again")
            assert peer.text() == "again"


def test_a_client_has_its_time_to_answer_a_ping(database: Database, tmp_path: Path) -> None:
    rest = "server: {port: 0, ping_interval: 100ms, ping_timeout: 500ms}\nchannels: {quiet: }\n"
    pings = 0
    with serving(tmp_path, database.dsn, rest) as server, Peer(server, "/listen/quiet") as peer:
        with contextlib.suppress(ConnectionError):
            while peer.frame() == (PING, b""):
                pings += 1
        server.wait_for("dropped 1 client that did not answer a ping within 0.5 s")
    assert pings == 5


class TestWalkthroughs:
    def test_people(self, server: Server, database: Database) -> None:
        database.execute(PEOPLE)
        with Peer(server, "/listen/people") as peer:
            database.execute("insert into people (name, age, height) values ('Paul', 51, 1.9), ('Colin', 65, 1.5)")
            for name in ("Paul", "Colin"):
                text = peer.text()
                assert {"name": name, "dml_action": "INSERT"}.items() <= json.loads(text).items()
                assert database.execute("select %s::jsonb::text", text) == [(text,)]  # as PostgreSQL wrote it
            database.execute(FILTERED)
            database.execute("update people set name = 'Shorty', height = 1.5 where age = 51")
            database.execute("update people set name = 'Bozo', height = 2.1 where age = 51")
            assert json.loads(peer.text())["name"] == "Bozo"

    def test_changes(self, server: Server, database: Database) -> None:
        database.execute(CHANGES)
        with Peer(server, "/listen/changes") as peer:
            database.execute("insert into application_data (name, value) values ('a', 1)")
            database.execute("update application_data set value = 2")
            database.execute("delete from application_data")
            for kind in ("INSERT", "UPDATE", "DELETE"):
                assert json.loads(peer.text()) == {
                    "table_name": "application_data", "primary_key": 1, "change_type": kind
                }  # fmt: skip


class TestRefusals:
    @pytest.mark.parametrize("path", ["/listen/a%2Fb", "/listen/", "/listen", "/listen/a/b", "/nothing"])
    def test_no_such_path(self, server: Server, path: str) -> None:
        assert ask(server, path).status == "HTTP/1.1 404 Not Found"

    @pytest.mark.parametrize(
        ("method", "headers", "status"),
        [
            ("GET", [], "400 Bad Request"),
            ("GET", ["Upgrade: h2c"], "400 Bad Request"),
            ("GET", ["Upgrade: websocket", "Sec-WebSocket-Version: 13"], "400 Bad Request"),
            ("POST", [], "405 Method Not Allowed"),
        ],
    )
    def test_what_is_no_handshake(self, server: Server, method: str, headers: list[str], status: str) -> None:
        answer = ask(server, "/listen/people", *headers, method=method)
        assert answer.status == f"HTTP/1.1 {status}"
        assert answer.body == b"websocket connection failed\n"

    def test_another_version(self, server: Server) -> None:
        headers = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 7")
        answer = ask(server, "/listen/people", *headers)
        assert answer.status == "HTTP/1.1 426 Upgrade Required"
        assert answer.headers["sec-websocket-version"] == "13"
        assert answer.body == b"websocket connection failed\n"

    @pytest.mark.parametrize(
        ("path", "target"),
        [
            ("/listen/x/", "/listen/x"),
            ("/listen/a%20b/?q=1", "/listen/a%20b?q=1"),
            ("//listen/x", "/listen/x"),
            ("/listen//x", "/listen/x"),
            ("/a/../listen/./x", "/listen/x"),
            ("//\\evil.example/", "/%5Cevil.example"),
            ("//evil.example/..", "/"),
        ],
    )
    def test_redirects(self, server: Server, path: str, target: str) -> None:
        answer = ask(server, path)
        assert answer.status == "HTTP/1.1 301 Moved Permanently"
        assert answer.headers["location"] == target

    @pytest.mark.parametrize("name", ["%00", "%ff", "a%00b", "x" * 64])
    def test_what_ended_the_other_server(self, server: Server, database: Database, name: str) -> None:
        with Peer(server, f"/listen/{name}") as peer:
            assert peer.answer.status == "HTTP/1.1 403 Forbidden"
        with Peer(server, "/listen/after") as peer:
            notify(database, "after", "alive")
            assert peer.text() == "alive"


class TestSettings:
    def test_channels_base_path_and_page(self, database: Database, tmp_path: Path) -> None:
        """All that a file, the environment and a page of one's own can say, at once."""
        (tmp_path / "config").mkdir()
        (tmp_path / "config/pg_eventserv.toml").write_text(
            'BasePath = "/base"\nChannels = ["nobody"]\nAssetsPath = "pages"\nHttpPort = 99\n'
        )
        (tmp_path / "pages").mkdir()
        (tmp_path / "pages/index.html").write_text(PAGE)
        with eventserv(tmp_path, database, ES_CHANNELS="room-[0-9]* [^a]x <b>") as server:
            for name, allowed in {
                "room-1": True, "room-12.b": True, "bx": True, "%3Cb%3E": True,
                "room-": False, "ax": False, "nobody": False, "Room-1": False,
            }.items():  # fmt: skip
                with Peer(server, f"/base/listen/{name}") as peer:
                    assert peer.answer.status.split()[1] == ("101" if allowed else "403"), name
            for headers in ((), ("Upgrade: websocket", "Connection: Upgrade")):  # before it is asked for an upgrade
                answer = ask(server, "/base/listen/no%20way", *headers)
                assert answer.status == "HTTP/1.1 403 Forbidden"
                assert answer.headers["content-type"] == "text/plain; charset=utf-8"
                assert answer.body == b"requested channel 'no way' is not allowed"
            assert ask(server, "/listen/room-1").status == "HTTP/1.1 404 Not Found"
            assert ask(server, "/base/listen/bx/").headers["location"] == "/base/listen/bx"
            self.page(server)

    def page(self, server: Server) -> None:
        port = server.url.split(":")[2].partition("/")[0]
        own = f"ws://127.0.0.1:{port}/base"
        for headers, url in {
            (): own,
            ("Host: h.example:1",): "ws://h.example:1/base",
            ("X-Forwarded-Proto: https",): f"wss://127.0.0.1:{port}/base",
            ("X-Forwarded-Host: h.example, i", "X-Forwarded-Proto: https, http"): "wss://h.example/base",
            (
                'Forwarded: for=1.2.3.4;host="h:8";proto=https, host=i;proto=http',
                "X-Forwarded-Host: x",
            ): "wss://h:8/base",
            ("Forwarded: host=h", "X-Forwarded-Host: [::1]:5"): "ws://[::1]:5/base",
            ("X-Forwarded-Host: %zz",): own,
            ("X-Forwarded-Host: a\\", "X-Forwarded-Proto: javascript"): own,
            ('X-Forwarded-Host: "><script>',): own,
        }.items():
            for path in ("/base/", "/base/index.html"):
                answer = ask(server, path, *headers)
                assert answer.status == "HTTP/1.1 200 OK"
                assert answer.headers["content-type"] == "text/html; charset=utf-8"
                assert "content-security-policy" not in answer.headers
                shown = f'<p id="url">{url}</p><p>room-[0-9]*, [^a]x, &lt;b&gt;</p>' + "{{- .Other }}"
                assert answer.body.decode() == shown

    def test_the_page_of_our_own(self, server: Server) -> None:
        for path in ("/", "/index.html"):
            answer = ask(server, path)
            assert answer.status == "HTTP/1.1 200 OK"
            assert b"<title>pgrpc</title>" in answer.body
        for path in ("/", "/health/live", "/health/ready", "/surface.json"):
            got, asked = ask(server, path), ask(server, path, method="HEAD")
            assert asked.status == got.status == "HTTP/1.1 200 OK"
            assert asked.headers["content-length"] == got.headers["content-length"] == str(len(got.body))
        assert ask(server, "/listen/x/", method="HEAD").status == "HTTP/1.1 301 Moved Permanently"
        assert ask(server, "/nothing", method="HEAD").status == "HTTP/1.1 404 Not Found"
        assert json.loads(ask(server, "/surface.json").body)["channels"] == [{"name": "**", "glob": True}]

    def test_where_clients_reach_it_and_who_may(self, database: Database, tmp_path: Path) -> None:
        (tmp_path / "assets").mkdir()
        (tmp_path / "assets/index.html").write_text("{{.BaseURL}}")
        environ = {"ES_URLBASE": "https://events.example/live/", "ES_CORSORIGINS": "https://a.example"}
        with eventserv(tmp_path, database, **environ) as server:
            assert ask(server, "/", "X-Forwarded-Host: x").body == b"wss://events.example/live"
            for origin, status in {"https://a.example": "101", "https://b.example": "403"}.items():
                with Peer(server, "/listen/x", f"Origin: {origin}") as peer:
                    assert peer.answer.status.split()[1] == status
            (tmp_path / "assets/index.html").unlink()
            assert ask(server, "/").status == "HTTP/1.1 404 Not Found"

    async def test_tls_beside_plain_http(self, database: Database, tmp_path: Path) -> None:
        certificate, key = certificates.make(tmp_path)
        files = {"ES_TLSSERVERCERTIFICATEFILE": certificate.name, "ES_TLSSERVERPRIVATEKEYFILE": key.name}
        with eventserv(tmp_path, database, ES_HTTPSPORT="0", **files) as server:
            secure = server.wait_for(r"serving (https://\S+)").group(1)
            trusted = ssl.create_default_context(cafile=certificate)
            url = secure.replace("https:", "wss:") + "listen/both"
            # Not the client of websockets.sync: its two threads use one SSLSocket, which may end a connection for it.
            async with websockets.connect(url, ssl=trusted, open_timeout=PATIENCE) as other:
                with Peer(server, "/listen/both") as plain:
                    notify(database, "both", "x")
                    assert plain.text() == await asyncio.wait_for(other.recv(), PATIENCE) == "x"
                await asyncio.to_thread(server.stop)
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await asyncio.wait_for(other.recv(), PATIENCE)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1012

    def test_a_pattern_that_is_none(self, database: Database, tmp_path: Path) -> None:
        with eventserv(tmp_path, database, ES_CHANNELS="a [ b") as server:
            assert "WARNING ES_CHANNELS: '[' is not a pattern" in server.log
            for name, status in {"a": "101", "b": "403"}.items():
                with Peer(server, f"/listen/{name}") as peer:
                    assert peer.answer.status.split()[1] == status

    def test_the_command_line(self, database: Database, tmp_path: Path) -> None:
        def run(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
            command = [sys.executable, str(ROOT / "server.py"), "eventserv", *arguments]
            return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)

        assert run("-v").stdout == f"pgrpc {pgrpc.__version__}\n"
        helped = run("-h")
        assert helped.returncode == 0
        assert all(option in helped.stdout for option in ("--config", "--debug", "--version"))
        wrong = run(ES_HTTPPORT="x", ES_DEBUG="x")
        assert wrong.returncode == 78
        assert wrong.stderr == "ES_DEBUG: must be true or false\nES_HTTPPORT: must be a whole number, not text\n"
        wrong = run("-c", "none.toml")
        assert wrong.returncode == 78
        assert wrong.stderr == "none.toml: cannot be read: No such file or directory\n"
        wrong = run(DATABASE_URL="nonsense")
        assert wrong.returncode == 78
        assert wrong.stderr.startswith("DATABASE_URL: ")
        (tmp_path / "my.toml").write_text('HttpHost = "127.0.0.1"\nHttpPort = 0\n')
        started = ["eventserv", "-d", "-c", str(tmp_path / "my.toml")]
        with running(started, folder=tmp_path, environ={"DATABASE_URL": database.dsn}) as server:
            assert ask(server, "/health/ready").status == "HTTP/1.1 200 OK"


def test_beside_the_native_endpoints(database: Database, tmp_path: Path) -> None:
    """Under the same allowlist and origins: a dialect is no way around them."""
    rest = "channels:\n  people:\n  room.*:\ndialects:\n  eventserv:\n"
    with serving(tmp_path, database.dsn, rest) as server:
        for name, status in {"people": 101, "room.1": 101, "room.*": 101, "nobody": 403, "error": 403}.items():
            with Peer(server, f"/listen/{name}") as peer:
                assert peer.answer.status.split()[1] == str(status)
        with Peer(server, "/listen/people", "Origin: https://elsewhere.example") as peer:
            assert peer.answer.status == "HTTP/1.1 403 Forbidden"
        with Peer(server, "/rpc") as peer, Peer(server, "/") as also:
            assert peer.answer.status == also.answer.status == "HTTP/1.1 101 Switching Protocols"


async def test_its_own_channels_are_for_its_own_clients(database: Database, tmp_path: Path) -> None:
    rest = "channels: {people: }\ndialects: {eventserv: {channels: ['room-[0-9]*', error]}}\n"
    with serving(tmp_path, database.dsn, rest) as server:
        for name, status in {"people": 403, "room-1": 101, "room-": 403, "error": 101}.items():
            with Peer(server, f"/listen/{name}") as peer:
                assert peer.answer.status.split()[1] == str(status)
        server.wait_for("channel 'people' refused to 127.0.0.1: not listed")
        async with Client(server.address()) as client:
            wanted = ["people", "room-1", "error"]
            assert await client.call("rpc.on", *wanted) == {
                "people": "ok", "room-1": "not listed", "error": "this name is reserved"
            }  # fmt: skip
        with Peer(server, "/listen/room-1.b") as peer:
            notify(database, "room-1.b", "x")
            assert peer.text() == "x"


async def test_json_rpc_clients_have_the_channels_of_its_settings_too(database: Database, tmp_path: Path) -> None:
    with eventserv(tmp_path, database, ES_CHANNELS="room.* [ab]c") as server:
        async with Client(server.address()) as client:
            wanted = ["room.7.8", "ac"]
            assert await client.call("rpc.on", *wanted) == {"room.7.8": "ok", "ac": "not listed"}
            notify(database, "room.7.8", "x")
            assert (await client.event())["params"] == {"channel": "room.7.8", "payload": "x"}
