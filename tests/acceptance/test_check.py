"""`server.py check` and `serve` as processes: everything wrong between the file and its database, all at once."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgrpc.demo import embedded
from tests.support import databases, pgrpc_server, served_sql

INVALID = 78
PASSWORD = "check-Secret-7"
SQL = f"""
create function add(a int, b int) returns int language sql as 'select a + b';
create function pick(a int) returns int language sql as 'select a';
create function pick(a text) returns int language sql as 'select 1';
create function shut() returns int language sql as 'select 1';
revoke execute on function shut() from public;
create function fires() returns trigger language plpgsql as 'begin return null; end';
create aggregate total(int) (sfunc = int4pl, stype = int);
create function any_of(a anyelement) returns anyelement language sql as 'select a';
create function many_of(a anyarray) returns int language sql as 'select 1';
create function dated(d date, n int default 1) returns int language sql as 'select n';
create procedure work(a int) language sql as '';
create schema shop;
create function shop.list_orders() returns int language sql as 'select 1';
create function shop."MixedCase"() returns int language sql as 'select 1';
create function shop.twice() returns int language sql as 'select 1';
create function shop.twice(a int) returns int language sql as 'select 1';
create function shop.may(channel text) returns boolean language sql as 'select true';
create role checker login password '{PASSWORD}';
"""
FAULTY = """\
database:
  dsn: ${TEST_DSN}
functions:
  add:
  nonsense:
  pick:
  shut:
  fires:
  total:
  any_of:
  many_of:
  rank: {function: "pg_catalog.rank"}
  dated_misfit:
    function: dated
    params: misfit.json
  dated_type: {function: dated, params: type.json}
  dated_format: {function: dated, params: format.json}
  dated_reference: {function: dated, params: reference.json}
  dated_anchor: {function: dated, params: anchor.json}
  dated_invalid: {function: dated, params: invalid.json}
  odd: {function: "a.b.c.d"}
  no_type: {function: "add(nonsense)"}
  no_overload: {function: "add(text)"}
  right: {function: "add(integer, integer)"}
  work:
  list_orders:
  mixed: {function: shop.MixedCase}
  close: {function: shop.list_order}
  twice:
  typed: {function: twice(text)}
  closed: {function: dated, params: closed.json}
  typo: {function: dated, params: typo.json}
  beside: {function: dated, params: beside.json}
channels:
  room: {authorize: may}
"""
SCHEMAS = {
    "misfit.json": '{"type": "object", "properties": {"day": {"type": "string"}}, "required": ["month"]}',
    "type.json": '{"properties": {"n": {"type": "string"}}}',
    "format.json": '{"properties": {"d": {"format": "day-of-the-week"}}}',
    "reference.json": '{"properties": {"d": {"$ref": "#/$defs/nowhere"}}}',
    "anchor.json": '{"properties": {"d": {"$ref": "misfit.json#/nowhere"}}}',
    "invalid.json": '{"properties": {"d": {"type": "day"}}}',
    "closed.json": '{"properties": {"n": {"minimum": 1}}, "additionalProperties": false}',
    "typo.json": '{"properties": {"n": {"maxmum": 9}}}',
    "beside.json": '{"type": "object", "n": {"minimum": 1}}',
    "nothing.json": '{"type": "object"}',
}
# line and column -> what is said there
EXPECTED = [
    (
        "5:3",
        r"functions\.nonsense.*no function nonsense; create it, or write the name that it has, with its schema, "
        r"as in function: SCHEMA\.nonsense$",
    ),
    ("6:3", r"functions\.pick.*ambiguous: pick\(a integer\) and pick\(a text\) .* as in function: pick\(integer\)$"),
    (
        "7:3",
        r"functions\.shut\.function: checker lacks EXECUTE on function public\.shut\(\): "
        r"GRANT EXECUTE ON FUNCTION public\.shut\(\) TO checker;$",
    ),
    ("8:3", r"functions\.fires.*trigger"),
    ("9:3", r"functions\.total.*aggregate"),
    ("10:3", r"functions\.any_of.*anyelement"),
    ("11:3", r"functions\.many_of.*anyarray"),
    ("12:10", r"functions\.rank\.function.*(window|aggregate)"),
    ("15:5", r"functions\.dated_misfit\.params.*'day'"),
    ("15:5", r"functions\.dated_misfit\.params.*'month'"),
    ("16:33", r"functions\.dated_type\.params: the schema requires n to be a string, but the argument is integer$"),
    ("17:35", r"functions\.dated_format\.params.*day-of-the-week"),
    ("18:38", r"functions\.dated_reference\.params.*#/\$defs/nowhere"),
    ("19:35", r"functions\.dated_anchor\.params.*misfit\.json#/nowhere"),
    ("20:36", r"functions\.dated_invalid\.params.*type"),
    ("21:9", r"functions\.odd\.function.*a\.b\.c\.d"),
    ("22:13", r"functions\.no_type\.function.*nonsense"),
    (
        "23:17",
        r"functions\.no_overload\.function: the database has no function add\(text\); "
        r"found public\.add\(integer, integer\): "
        r"write function: public\.add\(integer, integer\)$",
    ),
    ("26:3", r"functions\.list_orders\.function: .* found shop\.list_orders: write function: shop\.list_orders$"),
    ("27:11", r'functions\.mixed\.function: .* found shop\."MixedCase": write function: shop\."MixedCase"$'),
    ("28:11", r"functions\.close\.function: .* found shop\.list_orders: write function: shop\.list_orders$"),
    ("29:3", r"functions\.twice\.function: .* found shop\.twice: write function: shop\.twice$"),
    (
        "30:11",
        r"functions\.typed\.function: .* found shop\.twice\(\), shop\.twice\(integer\): "
        r"write the one you mean, as in function: shop\.twice\(\)$",
    ),
    ("31:29", r"functions\.closed\.params: the function requires 'd' but the schema does not allow it"),
    ("32:27", r"functions\.typo\.params: unknown keyword 'maxmum' .*; did you mean maximum\?$"),
    ("33:29", r"functions\.beside\.params: 'n' is beside properties"),
    ("35:10", r"channels\.room\.authorize: .*boolean; found shop\.may: write authorize: shop\.may$"),
]


@pytest.fixture(scope="module")
def database(postgres: embedded.Server) -> Iterator[databases.Database]:
    with served_sql.database(postgres, SQL, roles="checker") as made:
        yield made


@pytest.fixture
def login(database: databases.Database) -> str:
    """The DSN of a role that may do nothing special."""
    return database.server.dsn(database.dsn.rpartition("/")[2], "checker", PASSWORD)


def run(folder: Path, command: str, text: str, dsn: str, **environ: str) -> tuple[int, str]:
    """The exit status of a command, and all that it says: nothing that it says may hold a password."""
    (folder / "config.yaml").write_text(text)
    for name, schema in SCHEMAS.items():
        (folder / name).write_text(schema)
    done = subprocess.run(
        [sys.executable, pgrpc_server.ROOT / "server.py", command, "--config", "config.yaml"],
        cwd=folder,
        env={**os.environ, "TEST_DSN": dsn, **environ},
        capture_output=True,
        text=True,
        timeout=20,
    )
    said = done.stdout + done.stderr
    for secret in (PASSWORD, *re.findall(r"://[^:]*:([^@]+)@", dsn)):
        assert secret not in said
    assert "Traceback" not in said, said
    assert " serving " not in said
    return done.returncode, said


def test_all_is_well(database: databases.Database, login: str, tmp_path: Path) -> None:
    text = """
database: {dsn: "${TEST_DSN}", listen_dsn: "${TEST_DSN}"}
functions:
  add: {params: add.json}
  one: {function: "pick(integer)"}
  "two": {function: "public.pick(text)"}
  dated:
  work:
channels:
  "room.*":
"""
    (tmp_path / "add.json").write_text('{"properties": {"a": {"minimum": 0}}, "required": ["a"]}')
    assert run(tmp_path, "check", text, login) == (0, "config.yaml: 5 functions, 1 channel: no faults\n")


def test_the_summary_is_on_standard_output(embedded_postgres: embedded.Server, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("database: {dsn: '${TEST_DSN}'}\nchannels:\n  Refunds:\n")
    done = subprocess.run(
        [sys.executable, pgrpc_server.ROOT / "server.py", "check"],
        cwd=tmp_path,
        env={**os.environ, "TEST_DSN": embedded_postgres.dsn()},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (0, "config.yaml: 0 functions, 1 channel: no faults, 1 warning\n")
    assert done.stderr.startswith("config.yaml:3:3: channels.Refunds: warning: has capital letters")


def test_warnings_of_the_file(login: str, tmp_path: Path) -> None:
    text = """\
database: {dsn: "${TEST_DSN}"}
server: {host: 0.0.0.0}
functions:
  dated: {params: nothing.json}
channels:
  Refunds:
  "Refunds_*": {payload: text}
  Room.1:
  refunds:
"""
    status, said = run(tmp_path, "check", text, login)
    assert status == 0
    for place, words in [
        (
            "2:10: server.host",
            "0.0.0.0 accepts connections from every network, and without the section auth every client",
        ),
        ("4:11: functions.dated.params", "the schema narrows nothing: did you forget properties?"),
        (
            "6:3: channels.Refunds",
            "has capital letters, but NOTIFY Refunds without quotes sends to refunds: rename the channel to refunds",
        ),
        ('7:3: channels."Refunds_*"', "has capital letters, but NOTIFY Refunds_* without quotes sends to refunds_*"),
    ]:
        assert f"config.yaml:{place}: warning: {words}" in said
    assert "no faults, 4 warnings\n" in said
    private = text.replace("0.0.0.0", "127.0.0.1")
    assert "server.host" not in run(tmp_path, "check", private, login)[1]


def test_usage_is_asked_for_once(database: databases.Database, login: str, tmp_path: Path) -> None:
    text = """\
database: {dsn: "${TEST_DSN}"}
functions:
  a: {function: shop.list_orders}
  b: {function: 'shop."MixedCase"'}
  c: {function: shop.twice(integer)}
channels:
  d: {authorize: shop.may}
"""
    status, said = run(tmp_path, "check", text, login)
    assert (status, said) == (
        INVALID,
        "config.yaml:3:7: functions.a.function: checker lacks USAGE on schema shop, needed also for "
        "functions.b, functions.c, channels.d: GRANT USAGE ON SCHEMA shop TO checker;\n",
    )
    grant = re.findall(r"GRANT .*", said)[0]
    database.execute(grant)
    try:
        assert run(tmp_path, "check", text, login)[0] == 0, "the cure that it named cures"
        database.execute("revoke execute on function shop.list_orders() from public")
        status, said = run(tmp_path, "check", text, login)
        assert status == INVALID
        database.execute(re.findall(r"GRANT .*", said)[0])
        assert run(tmp_path, "check", text, login)[0] == 0
    finally:
        database.execute(
            "revoke usage on schema shop from checker; revoke execute on function shop.list_orders() from checker; "
            "grant execute on function shop.list_orders() to public"
        )


def test_every_fault_of_the_functions(login: str, tmp_path: Path) -> None:
    status, said = run(tmp_path, "check", FAULTY, login)
    assert status == INVALID
    lines = said.splitlines()
    for place, words in EXPECTED:
        assert any(re.match(rf"config\.yaml:{place}: {words}", line) for line in lines), (place, words, said)
    told = {line.split(":")[1] for line in lines}
    assert told == {place.split(":")[0] for place, _ in EXPECTED}, said
    assert lines == sorted(lines, key=lambda line: [int(number) for number in line.split(":")[1:3]]), "file order"


def test_a_mistyped_key_is_renamed(login: str, tmp_path: Path) -> None:
    head = "database: {dsn: '${TEST_DSN}'}\nfunctions:\n"
    status, said = run(tmp_path, "check", f"{head}  datd:\n", login)
    words = "the database has no function datd; found public.dated: "
    assert (status, said) == (
        INVALID,
        f"config.yaml:3:3: functions.datd.function: {words}rename the key to dated, or write function: dated\n",
    )
    for entry in ("  dated:\n", "  datd: {function: dated}\n"):
        assert run(tmp_path, "check", head + entry, login)[0] == 0
    said = run(tmp_path, "check", f"{head}  d: {{function: datd}}\n", login)[1]
    assert said.endswith("found public.dated: write function: public.dated\n")


def test_nothing_is_listed(login: str, tmp_path: Path) -> None:
    assert run(tmp_path, "check", "database: {dsn: '${TEST_DSN}'}\nfunctions:\nchannels:\n", login) == (
        0,
        "config.yaml: 0 functions, 0 channels: no faults, 1 warning\nconfig.yaml:1:1: warning: "
        "nothing is listed, so clients can call and receive nothing: list functions or channels\n",
    )


def test_who_may_execute_is_asked_of_the_login_role(database: databases.Database, tmp_path: Path) -> None:
    text = "database: {dsn: '${TEST_DSN}'}\nfunctions:\n  shut:\n"
    assert run(tmp_path, "check", text, database.dsn)[0] == 0


@pytest.mark.parametrize("command", ["check", "serve"])
def test_faults_of_the_file_itself(embedded_postgres: embedded.Server, tmp_path: Path, command: str) -> None:
    text = """\
database: {dsn: "${TEST_DSN}", pool_size: none}
functions:
  add:
  add:
  late: {function: add, timeout: soon}
  away: {function: add, params: nowhere.json}
channels:
  people:
  on:
  people:
"""
    status, said = run(tmp_path, command, text, embedded_postgres.dsn())
    assert status == INVALID
    for place, words in [
        ("1:32", "pool_size"),
        ("4:3", "add"),
        ("5:25", "timeout"),
        ("6:25", "params"),
        ("10:3", "people"),
    ]:
        assert re.search(rf"^config\.yaml:{place}: .*{words}", said, re.MULTILINE), (place, said)


def test_a_fault_of_the_file_hides_none_of_the_database(embedded_postgres: embedded.Server, tmp_path: Path) -> None:
    text = "database: {dsn: '${TEST_DSN}'}\nfunctions:\n  rpc.x:\n  nonsense:\n  late: {timeout: soon}\n"
    status, said = run(tmp_path, "check", text, embedded_postgres.dsn())
    assert status == INVALID
    assert re.findall(r"^config\.yaml:(\d+):\d+: functions", said, re.MULTILINE) == ["3", "5", "4"]


def test_a_channel_named_on_is_no_boolean(embedded_postgres: embedded.Server, tmp_path: Path) -> None:
    text = "database: {dsn: '${TEST_DSN}'}\nchannels:\n  on:\n  no:\n"
    assert run(tmp_path, "check", text, embedded_postgres.dsn()) == (
        0,
        "config.yaml: 0 functions, 2 channels: no faults\n",
    )


@pytest.mark.parametrize("command", ["check", "serve"])
def test_sql_ascii_beside_another_fault(embedded_postgres: embedded.Server, tmp_path: Path, command: str) -> None:
    options = "encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'"
    with served_sql.database(embedded_postgres, "select 1", options) as made:
        text = "database:\n  dsn: ${TEST_DSN}\nfunctions:\n  nonsense:\n"
        status, said = run(tmp_path, command, text, made.dsn)
    assert status == INVALID
    first, second = said.splitlines()
    assert re.match(r"config\.yaml:2:3: database\.dsn: .*SQL_ASCII", first)
    assert re.match(r"config\.yaml:4:3: functions\.nonsense", second)


def test_latin_1_is_as_good(embedded_postgres: embedded.Server, tmp_path: Path) -> None:
    options = "encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'"
    with served_sql.database(embedded_postgres, "select 1", options) as made:
        assert run(tmp_path, "check", "database: {dsn: '${TEST_DSN}'}\n", made.dsn)[0] == 0


DSNS = """\
database:
  dsn: ${TEST_DSN}
  listen_dsn: ${LISTEN_DSN}
channels: {people: }
"""


@pytest.mark.parametrize(
    ("dsn", "listen_dsn", "places"),
    [
        ("wrong password", "right", ["2:3"]),
        ("right", "away", ["3:3"]),
        ("no such database", "wrong password", ["2:3", "3:3"]),
        ("no dsn", "no dsn", ["2:3", "3:3"]),
        ("no host", "right", ["2:3"]),
    ],
)
def test_a_dsn_that_leads_nowhere(
    embedded_postgres: embedded.Server, tmp_path: Path, dsn: str, listen_dsn: str, places: list[str]
) -> None:
    right, away = embedded_postgres.dsn(), f"postgresql://checker:{PASSWORD}@"
    dsns = {
        "right": right,
        "wrong password": embedded_postgres.dsn(password="wrong-Secret-8"),
        "away": f"{away}127.0.0.1:1/x",
        "no such database": embedded_postgres.dsn("nowhere"),
        "no dsn": f"passwort={PASSWORD} host",
        "no host": f"{away}nowhere.invalid/x",
    }
    status, said = run(tmp_path, "check", DSNS, dsns[dsn], LISTEN_DSN=dsns[listen_dsn])
    assert status == INVALID
    assert "wrong-Secret-8" not in said
    assert re.findall(r"^config\.yaml:(\d+:\d+): database\.(?:listen_)?dsn: ", said, re.MULTILINE) == places
    assert len(said.splitlines()) == len(places)


@pytest.mark.parametrize("command", ["check", "serve"])
@pytest.mark.parametrize("password", ["s3cr/t99x", "s3cr@t99x", "s3cr%zzt99x", "s3cr?a=/t99x", "s3cr:[/t99x"])
def test_a_password_that_is_not_encoded_leaks_nowhere(tmp_path: Path, password: str, command: str) -> None:
    dsns = (f"postgresql://checker:{password}@127.0.0.1:1/x", "postgresql://checker@127.0.0.1:1/x")
    for dsn, listen_dsn in (dsns, dsns[::-1]):
        status, said = run(tmp_path, command, DSNS, dsn, LISTEN_DSN=listen_dsn)
        assert status == INVALID
        assert "@ is %40, / is %2F, : is %3A" in said
        assert "s3cr" not in said
        assert "t99x" not in said


def test_a_database_that_is_away_hides_no_fault_of_the_file(tmp_path: Path) -> None:
    text = "database: {dsn: '${TEST_DSN}', pool_size: 0}\n"
    status, said = run(tmp_path, "check", text, f"postgresql://checker:{PASSWORD}@127.0.0.1:1/x")
    assert status == INVALID
    assert re.match(r"config\.yaml:1:32: database\.pool_size", said)


def test_no_such_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, pgrpc_server.ROOT / "server.py", "check", "--config", "nowhere.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (INVALID, "")
    assert done.stderr.startswith("nowhere.yaml: no such file")
