"""Pages of others in a real browser, which sends their visitors' cookies along: cross-site WebSocket hijacking.

Each attack is tried beside the page that may, with the same cookie, so that a refusal is not for want of one.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from playwright.async_api import Page, Route

from pgrpc.demo import embedded
from tests.support import browser, served_sql
from tests.support.databases import Database
from tests.support.pgrpc_server import Server, serving

pytestmark = browser.needed

SECRET = "a-secret-of-the-tests-that-is-long-enough"
SQL = """
create role csw_login login noinherit password 'csw';
create role csw_user nologin;
grant csw_user to csw_login;
create function who() returns text stable language sql as
    $$ select current_setting('request.jwt.claims')::json ->> 'sub' $$;
"""
# What a page gets when it calls who() on a socket: the answer, or how the socket ended.
ASK = """url => new Promise(done => {
    const socket = new WebSocket(url);
    socket.onopen = () => socket.send(JSON.stringify({jsonrpc: "2.0", method: "who", id: 1}));
    socket.onmessage = event => { done(event.data); socket.close(); };
    socket.onclose = event => done(`closed ${event.code}`);
})"""
# What a raw socket tells it: opened, or how it ended.
LISTEN = """url => new Promise(done => {
    const socket = new WebSocket(url);
    socket.onopen = () => { done("opened"); socket.close(); };
    socket.onclose = event => done(`closed ${event.code}`);
})"""
ANN = '{"jsonrpc":"2.0","result":"ann","id":1}'


class Site(BaseHTTPRequestHandler):
    """Pages of somebody's site, wherever it is asked for."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>a page</title>")

    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def site() -> Iterator[int]:
    """Its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def database(embedded_postgres: embedded.Server) -> Iterator[Database]:
    with served_sql.database(embedded_postgres, SQL, roles="csw_login, csw_user") as made:
        yield made


@contextlib.asynccontextmanager
async def visitor(url: str) -> AsyncIterator[Page]:
    """A browser that is logged in at the server's host."""
    async with browser.running() as chromium, browser.window(chromium) as page:
        token = jwt.encode({"sub": "ann", "role": "csw_user"}, SECRET, "HS256")
        await page.context.add_cookies([{"name": "session", "value": token, "url": url, "httpOnly": True}])
        yield page


@contextlib.contextmanager
def server_of(folder: Path, database: Database, pages: str) -> Iterator[Server]:
    dsn = database.server.dsn(database.dsn.rpartition("/")[2], "csw_login", "csw")
    rest = f"""
server: {{port: 0, allowed_origins: ["{pages}"]}}
auth: {{secret: {SECRET}, roles: [csw_user], cookie: session}}
functions: {{who: }}
channels: {{news: }}
"""
    with serving(folder, dsn, rest) as server:
        yield server
        assert "eyJ" not in server.log  # as every token begins


async def test_a_cookie_speaks_only_for_the_pages_that_are_listed(database: Database, tmp_path: Path) -> None:
    with site() as ours, site() as theirs, server_of(tmp_path, database, f"http://127.0.0.1:{ours}") as server:
        async with visitor(server.url) as page:
            await page.goto(f"http://127.0.0.1:{ours}/")
            assert await page.evaluate(ASK, server.address()) == ANN
            assert await page.evaluate(LISTEN, server.address("listen/news")) == "opened"
            # Another port is the same site to a browser: SameSite holds no cookie back. Another name is another site.
            for attacker in (f"http://127.0.0.1:{theirs}/", f"http://localhost:{ours}/"):
                await page.goto(attacker)
                for path in ("rpc", ""):
                    assert await page.evaluate(ASK, server.address(path)) == "closed 1006"
                assert await page.evaluate(LISTEN, server.address("listen/news")) == "closed 1006"
            # A sandboxed frame, and a page out of a data: address, have the origin null.
            await page.set_content('<iframe sandbox="allow-scripts" srcdoc="<p>framed</p>"></iframe>')
            await page.frame_locator("iframe").get_by_text("framed").wait_for()
            framed = page.frames[1]
            assert await framed.evaluate("origin") == "null"
            assert await framed.evaluate(ASK, server.address()) == "closed 1006"
            # The server's own pages are not listed either: anybody who can put one there would have the cookie.
            await page.goto(f"{server.url}health/live")
            assert await page.evaluate(ASK, server.address()) == "closed 1006"
        await asyncio.to_thread(server.wait_for, r"refused 127.0.0.1: the origin 'http://127.0.0.1:\d+' is not listed")


async def test_a_name_that_was_made_to_lead_here_is_refused(embedded_database: Database, tmp_path: Path) -> None:
    """DNS rebinding: the page comes from the attacker's server, then its name leads to ours."""
    embedded_database.execute("create function who() returns text language sql immutable return 'ann'")

    async def of_the_attacker(route: Route) -> None:
        await route.fulfill(body="<!doctype html><title>rebound</title>", content_type="text/html")

    options = (
        "--host-resolver-rules=MAP evil.example 127.0.0.1",
        "--disable-features=LocalNetworkAccessChecks",  # other browsers do not have these
    )
    with serving(tmp_path, embedded_database.dsn, "functions: {who: }\n") as server:
        port = urlsplit(server.url).port
        evil = f"http://evil.example:{port}/"
        async with browser.running(*options) as chromium, browser.window(chromium) as page:
            await page.route(f"{evil}attack", of_the_attacker)
            await page.goto(f"{evil}attack")
            assert await page.evaluate("fetch('/surface.json').then(answer => answer.status)") == 421
            assert await page.evaluate(ASK, f"ws://evil.example:{port}/rpc") == "closed 1006"
            await page.goto(f"{server.url}health/live")
            assert await page.evaluate(ASK, server.address()) == ANN
        await asyncio.to_thread(server.wait_for, "the host name 'evil.example:")
