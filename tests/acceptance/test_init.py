"""`pgrpc init`: what it writes for a database, that it can be checked and served, and what it never does."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from pgrpc.demo import embedded
from tests.support import browser, databases, pgrpc_server, ws_client

INVALID, CANNOT_WRITE, UNAVAILABLE = 78, 73, 69
PASSWORD = "init-Secret-9"
NOTHING_LISTED = (
    "1:1: warning: nothing is listed, so clients can call and receive nothing: list functions or channels\n"
)
SQL = f"""
create role initiator login password '{PASSWORD}';
create schema shop;
grant usage on schema shop to initiator;
create schema locked;
create function add(a int, b int default 2) returns int language sql as 'select a + b';
comment on function add(int, int) is 'Adds.
${{NOT_A_VARIABLE}}';
create function shop.orders(customer text default 'it''s
new') returns setof json language sql begin atomic select '{{}}'::json; end;
create function "Mixed$Case"("x y" int) returns int language sql as 'select 1';
create function shop."on"() returns int language sql as 'select 1';
create function shop.add(a int) returns int language sql as 'select 1';
create procedure work(a int, inout b int) language sql as 'select 1';
create function pick(a int) returns int language sql as 'select a';
create function pick(a text) returns int language sql as 'select 1';
create function shut() returns int language sql as 'select 1';
revoke execute on function shut() from public;
create function locked.away() returns int language sql as 'select 1';
create aggregate total(int) (sfunc = int4pl, stype = int);
create function sends() returns void language plpgsql as $$ begin
    perform pg_notify('people', ''); perform pg_notify('room.' || 7, ''); notify Refunds;
end $$;
create function changed() returns trigger language plpgsql as $$ begin
    perform pg_notify(tg_argv[0], to_jsonb(new)::text); return null;
end $$;
create table cups (id int);
create trigger cups_changed after insert on cups for each row execute function changed('cups');
"""


@pytest.fixture
def login(database: databases.Database) -> Iterator[str]:
    """A role that may not do everything, in a database with all kinds of functions."""
    database.execute(SQL)
    yield re.sub(r"//[^@]*@", f"//initiator:{PASSWORD}@", database.dsn)
    database.execute("drop owned by initiator; drop role initiator")


def run(
    folder: Path, *arguments: str, dsn: str | None = None, timeout: float = 60
) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, pgrpc_server.ROOT / "server.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environ if dsn is None else {**environ, "DATABASE_URL": dsn},
    )


def taken(text: str) -> str:
    """As somebody does who takes every "# " away, of the entries."""
    head, functions = text.split("\nfunctions:\n")
    return head + "\nfunctions:\n" + re.sub(r"^  # ", "  ", functions, flags=re.MULTILINE)


async def test_what_it_writes_is_checked_and_served(login: str, tmp_path: Path) -> None:
    done = run(tmp_path, "init", dsn=login)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["  pgrpc check", "  pgrpc serve"]
    file = tmp_path / "config.yaml"
    text = file.read_text()
    assert PASSWORD not in text + done.stdout + done.stderr
    assert "dsn: ${DATABASE_URL}\n" in text
    check = run(tmp_path, "check", dsn=login)
    assert (check.returncode, check.stderr) == (0, f"config.yaml:{NOTHING_LISTED}")
    with pgrpc_server.running(["serve", "--port", "0"], environ={"DATABASE_URL": login}, folder=tmp_path) as server:
        async with ws_client.Client(server.address()) as client:
            assert (await client.request("add", [1]))["error"]["code"] == -32601, "nothing is offered yet"

    file.write_text(taken(text))
    check = run(tmp_path, "check", dsn=login)
    assert (check.returncode, check.stderr) == (0, ""), file.read_text()
    with pgrpc_server.running(["serve", "--port", "0"], environ={"DATABASE_URL": login}, folder=tmp_path) as server:
        async with ws_client.Client(server.address()) as client:
            assert await client.call("add", 1) == 3
            assert await client.call("shop.add", 1) == 1
            assert await client.call("orders") == [{}]
            assert await client.call("Mixed$Case", **{"x y": 1}) == 1
            assert await client.call("on") == 1
            assert (await client.call("pick", a=2), await client.call("pick_2", a="x")) == (2, 1)
            names = ("cups", "people", "refunds", "room.7")
            assert await client.call("rpc.on", *names) == dict.fromkeys(names, "ok")


def test_what_it_lists(login: str, tmp_path: Path) -> None:
    done = run(tmp_path, "init", dsn=login)
    assert re.search(
        r"^database test_\d+, as role initiator: 9 of 13 functions can be called, and 4 channel", done.stdout
    )
    functions, channels = (tmp_path / "config.yaml").read_text().split("\nfunctions:\n")[1].split("\nchannels:\n")
    assert "  ## add(a integer, b integer DEFAULT 2) returns integer\n  ## Adds.\n  # add:\n" in functions
    assert (
        "  ## orders(customer text DEFAULT 'it''s new'::text) returns SETOF json\n"
        "  # orders:\n  #   function: shop.orders\n"
    ) in functions
    assert "  ## work(IN a integer, INOUT b integer)\n  # work:\n" in functions
    for name, reason in {
        "shut": "shut",
        "locked.away": "USAGE",
        "total": "aggregate",
        "changed": "returns trigger",
    }.items():
        assert re.search(rf"^  ## {name}: .*{reason}", functions, re.MULTILINE), functions
        assert f"# {name}:\n" not in functions
    assert functions.count("cannot be called") == 1, "the heading alone"
    assert (
        '  ## pick(a integer) returns integer\n  # pick:\n  #   function: "pick(integer)"\n\n'
        '  ## pick(a text) returns integer\n  # pick_2:\n  #   function: "pick(text)"\n'
    ) in functions
    assert "guess" in channels
    assert re.findall(r"^  # (.*):$", channels, re.MULTILINE) == ["cups", "people", "refunds", '"room.*"']


def test_functions_of_extensions_are_not_the_users(embedded_database: databases.Database, tmp_path: Path) -> None:
    embedded_database.execute("create function mine() returns int language sql as 'select 1'")
    embedded_database.execute("create extension vector")
    done = run(tmp_path, "init", dsn=embedded_database.dsn)
    assert "1 of 1 functions can be called" in done.stdout
    assert "vector" not in (tmp_path / "config.yaml").read_text()


def test_it_overwrites_nothing(embedded_database: databases.Database, tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").write_text("mine")
    done = run(tmp_path, "init", dsn=embedded_database.dsn)
    assert (done.returncode, done.stdout) == (CANNOT_WRITE, "")
    assert "public/index.html" in done.stderr
    assert "--force" in done.stderr
    assert not (tmp_path / "config.yaml").exists()
    assert (tmp_path / "public" / "index.html").read_text() == "mine"

    done = run(tmp_path, "init", "--force", dsn=embedded_database.dsn)
    assert done.returncode == 0
    assert "written: config.yaml, public/pgrpc.js\noverwritten: public/index.html\n" in done.stdout
    assert (tmp_path / "public" / "index.html").read_text() != "mine"
    done = run(tmp_path, "init", "--force", dsn=embedded_database.dsn)
    assert "unchanged: config.yaml, public/index.html, public/pgrpc.js\n" in done.stdout


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "init", "file/below")
    assert (done.returncode, done.stdout) == (CANNOT_WRITE, "")
    assert done.stderr.endswith("init: cannot write file/below/public: Not a directory\n")


def test_without_a_database_it_writes_an_example(embedded_postgres: embedded.Server, tmp_path: Path) -> None:
    done = run(tmp_path, "init", "shop")
    assert done.returncode == 0
    assert done.stderr.startswith("init: no database is named by --dsn or DATABASE_URL")
    assert (
        "--force overwrites these files:\n"
        "  export DATABASE_URL='postgresql://USER:PASSWORD@HOST:5432/DATABASE'\n  pgrpc init shop --force\n"
    ) in done.stdout
    text = (tmp_path / "shop" / "config.yaml").read_text()
    assert "  # add:\n" in text
    assert "  # people:\n" in text
    assert run(tmp_path / "shop", "check", dsn=embedded_postgres.dsn()).returncode == 0


@pytest.mark.parametrize(
    ("dsn", "status", "words"),
    [
        (
            f"postgresql://x:{PASSWORD}@127.0.0.1:1/x",
            UNAVAILABLE,
            "cannot use the database of {}: 127.0.0.1:1.*\ninit: .*correct {}",
        ),
        (f"nonsense {PASSWORD}", INVALID, "{}: not a connection string: write postgresql://"),
    ],
)
@pytest.mark.parametrize("source", ["--dsn", "DATABASE_URL"])
def test_a_database_that_cannot_be_used_writes_nothing(
    tmp_path: Path, dsn: str, status: int, words: str, source: str
) -> None:
    (tmp_path / "config.yaml").write_text("mine")
    given = ["--dsn", dsn] if source == "--dsn" else []
    done = run(tmp_path, "init", "--force", *given, dsn=None if given else dsn)
    assert (done.returncode, done.stdout) == (status, "")
    assert re.search("^init: nothing was written: " + words.format(source, source), done.stderr), done.stderr
    assert PASSWORD not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    assert (tmp_path / "config.yaml").read_text() == "mine"


def test_an_empty_dsn_is_not_taken_for_none(embedded_database: databases.Database, tmp_path: Path) -> None:
    done = run(tmp_path, "init", "--dsn", "", dsn=embedded_database.dsn)
    assert (done.returncode, done.stdout) == (INVALID, "")
    assert "--dsn is empty" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_password_goes_into_no_file(embedded_database: databases.Database, tmp_path: Path) -> None:
    """The next steps work as they are printed, once PGPASSWORD holds it."""
    done = run(tmp_path, "init", "a shop", "--dsn", embedded_database.dsn)
    assert done.returncode == 0
    *lines, note = (line.strip() for line in done.stdout.splitlines()[-4:])
    assert note == "The password of --dsn is not shown: put it into PGPASSWORD or ~/.pgpass first."
    assert lines[1:] == ["pgrpc check --config 'a shop/config.yaml'", "pgrpc serve --config 'a shop/config.yaml'"]
    password = re.search(r":([^:@]+)@", embedded_database.dsn)
    assert password is not None
    written = "".join(path.read_text() for path in (tmp_path / "a shop").rglob("*.*") if path.is_file())
    assert password[1] not in written + done.stdout + done.stderr
    pasted = lines[0] + "\n" + lines[1].replace("pgrpc", '"$PYTHON" "$SERVER"')
    server = str(pgrpc_server.ROOT / "server.py")
    environ = {**os.environ, "PGPASSWORD": password[1], "PYTHON": sys.executable, "SERVER": server}
    check = subprocess.run(["sh", "-c", pasted], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert (check.returncode, check.stderr) == (0, f"a shop/config.yaml:{NOTHING_LISTED}")


@browser.needed
async def test_its_page_receives_events(embedded_database: databases.Database, tmp_path: Path) -> None:
    embedded_database.execute("create function f() returns void language sql as $$ select pg_notify('cups', '7') $$")
    run(tmp_path, "init", dsn=embedded_database.dsn)
    file = tmp_path / "config.yaml"
    file.write_text(taken(file.read_text()))
    environ = {"DATABASE_URL": embedded_database.dsn}
    with pgrpc_server.running(["serve", "--port", "0"], environ=environ, folder=tmp_path) as server:
        async with browser.running() as chromium, browser.window(chromium) as page:
            await page.goto(server.url)
            await expect(page.locator("#state")).to_have_text("Connected to the server")
            async with ws_client.Client(server.address()) as client:
                while not await page.locator("#events li").count():
                    await client.call("f")
            await expect(page.locator("#events li").first).to_have_text('cups: "7"')
            async with page.expect_navigation():
                await page.get_by_role("link", name="the built-in page").click()
            await expect(page.locator("body")).to_contain_text("cups")
