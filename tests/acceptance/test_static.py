"""`server.static`: pages of one's own, served by the real server beside its sockets. No database is needed for that."""

import http.client
import os
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.pgrpc_server import Server, serving
from tests.support.ws_client import PATIENCE, Client, RpcError

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"
PAGE = "<!doctype html><title>Mine: é</title>"
FILES = {
    "index.html": PAGE,
    "app.js": "export {};",
    "style.css": "a{}",
    "data.json": "{}",
    "a b.txt": "text",
    "archive.tar.gz": "x",
    "unknown.kind": "x",
    "sub/index.html": "below",
    "empty/other.txt": "x",
    "rpc": "hidden by the socket",
    "health/live": "hidden by the route",
    ".env": "SECRET",
    ".git/config": "SECRET",
}


@pytest.fixture(scope="module", params=["/", "/below/"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("static")
    public = folder / "public"
    for name, content in FILES.items():
        (public / name).parent.mkdir(parents=True, exist_ok=True)
        (public / name).write_text(content, encoding="utf-8")
    (folder / "secret.txt").write_text("SECRET")
    (public / "out.txt").symlink_to(folder / "secret.txt")
    (public / "out").symlink_to(folder)
    (public / "in.css").symlink_to("style.css")
    (public / "unhidden").symlink_to(".env")
    os.mkfifo(public / "pipe")
    rest = f"server: {{port: 0, static: public, base_path: {request.param}}}\n"
    with serving(folder, NO_DATABASE, rest, ready=False) as started:
        yield started
        assert "SECRET" not in started.log
        assert "out.txt" not in started.log  # an address can hold a secret


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, str, Message]:
    """Of a path below the base path, exactly as given; status, body, headers."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    try:
        connection.request(method, parts.path + path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("", "index.html", "text/html; charset=utf-8"),
        ("index.html", "index.html", "text/html; charset=utf-8"),
        ("app.js?v=1", "app.js", "text/javascript; charset=utf-8"),
        ("in.css", "style.css", "text/css; charset=utf-8"),
        ("data.json", "data.json", "application/json"),
        ("a%20b.txt", "a b.txt", "text/plain; charset=utf-8"),
        ("archive.tar.gz", "archive.tar.gz", "application/octet-stream"),
        ("unknown.kind", "unknown.kind", "application/octet-stream"),
        ("sub/", "sub/index.html", "text/html; charset=utf-8"),
    ],
)
def test_a_file_with_its_type_and_headers(server: Server, path: str, name: str, kind: str) -> None:
    status, body, headers = ask(server, path)
    assert (status, body, headers["Content-Type"]) == (200, FILES[name], kind)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["Server"] == "pgrpc"
    assert "Content-Security-Policy" not in headers
    assert ask(server, path, "HEAD")[:2] == (200, "")


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "%2eenv",
        ".git/config",
        "unhidden",
        "sub/../.env",
        "../secret.txt",
        "..%2fsecret.txt",
        "sub/%2e%2e/%2e%2e/secret.txt",
        "/secret.txt",
        "//etc/passwd",
        "/etc/passwd",
        "out.txt",
        "out/secret.txt",
        "out/config.yaml",
        "empty/",
        "pipe",
        "none.html",
        "index.html/",
        "index.html%00.txt",
        "%ff",
        "x" * 5000,
    ],
)
def test_what_is_not_served(server: Server, path: str) -> None:
    status, body, headers = ask(server, path)
    assert 400 <= status < 500
    assert body.startswith(f"{status} ")
    assert "other.txt" not in body
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert ask(server, "", "POST")[0] == 405


def test_a_browser_that_has_it_is_not_sent_it_again(server: Server) -> None:
    _, _, headers = ask(server, "style.css")
    assert ask(server, "style.css", If_None_Match=headers["ETag"])[:2] == (304, "")
    assert ask(server, "style.css", Range="bytes=1-1")[:2] == (206, "{")


def test_a_folder_is_its_index_and_has_a_slash(server: Server) -> None:
    status, _, headers = ask(server, "sub")
    assert (status, headers["Location"]) == (301, urlsplit(server.url).path + "sub/")


def test_the_front_page_moves_with_all_that_it_needs(server: Server) -> None:
    base = urlsplit(server.url).path
    for name, words in {"": "<title>pgrpc</title>", "front.js": "surface.json", "surface.json": '"functions"'}.items():
        status, body, headers = ask(server, f"_pgrpc/{name}")
        assert (status, words in body) == (200, True), name
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert ask(server, "_pgrpc")[2]["Location"] == base + "_pgrpc/"
    assert ask(server, "front.js")[0] == ask(server, "surface.json")[0] == 404


async def test_sockets_and_health_keep_their_places(server: Server) -> None:
    assert ask(server, "health/live")[:2] == (200, "ok\n")
    for path in ("rpc", "", "_pgrpc/rpc"):
        async with Client(server.address(path)) as client:
            with pytest.raises(RpcError, match="-32601"):
                await client.call("nothing")


def test_an_edited_page_is_a_new_one(tmp_path: Path) -> None:
    """And without `static` the front page is at the base path, and nothing else is served."""
    (tmp_path / "public").mkdir()
    page = tmp_path / "public" / "index.html"
    page.write_text("one")
    with serving(tmp_path, NO_DATABASE, "server: {port: 0, static: public}\n", ready=False) as server:
        _, _, headers = ask(server, "")
        page.write_text("two!")
        status, body, _ = ask(server, "", If_None_Match=headers["ETag"])
        assert (status, body) == (200, "two!")
    with serving(tmp_path, NO_DATABASE, ready=False) as server:
        assert "<title>pgrpc</title>" in ask(server, "")[1]
        assert ask(server, "index.html")[0] == ask(server, "_pgrpc/")[0] == 404
