"""`server.py check` of a file with identities: faults of roles, grants and functions, and warnings."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgrpc.demo import embedded
from tests.acceptance import test_check
from tests.support import databases, pgrpc_server, role_calls
from tests.support.role_calls import ADMIN, ANON, LOGIN, USER

SQL = f"""
create schema app;
grant usage on schema app to {ANON}, {USER}, {ADMIN};
create function app.open(a text) returns int language sql as 'select 1';
create function app.shut() returns int language sql as 'select 1';
create function app.definer() returns int language sql security definer as 'select 1';
create function app.fixed() returns int language sql security definer set search_path = app, pg_temp as 'select 1';
create function app.may(channel text) returns boolean language sql stable as 'select true';
create function app.check() returns void language sql as '';
revoke execute on function app.shut() from public;
create table app.notes (a int);
create table app.others (a int, b int);
"""
WELL = f"""
database: {{dsn: "${{TEST_DSN}}"}}
server: {{allowed_origins: ["https://example.com"]}}
auth:
  secret: {"s" * 32}
  roles: [{USER}, {ADMIN}]
  anonymous_role: {ANON}
  pre_request: app.check()
functions:
  open: {{function: app.open(text)}}
  fixed: {{function: app.fixed}}
channels:
  room: {{authorize: app.may}}
  people: {{roles: [{ADMIN}]}}
"""


@pytest.fixture(scope="module")
def made(postgres: embedded.Server) -> Iterator[databases.Database]:
    with role_calls.prepared(postgres, SQL) as database:
        yield database


def lines(folder: Path, text: str, dsn: str, command: str = "check") -> tuple[int, list[str]]:
    status, said = test_check.run(folder, command, text, dsn)
    assert role_calls.PASSWORD not in said
    return status, said.splitlines()


def test_all_is_well_where_the_login_role_may_not_even_look(made: databases.Database, tmp_path: Path) -> None:
    assert lines(tmp_path, WELL, role_calls.login_dsn(made)) == (0, ["config.yaml: 2 functions, 2 channels: no faults"])


FAULTY = f"""\
database: {{dsn: "${{TEST_DSN}}"}}
auth:
  secret: {"s" * 32}
  roles:
    - {USER}
    - {LOGIN}
    - acting_nobody
    - postgres
    - pg_monitor
  anonymous_role: Acting_anon
  pre_request: app.open
functions:
  shut: {{function: app.shut}}
channels:
  room: {{authorize: app.check}}
  people: {{authorize: app.nothing}}
  right: {{authorize: app.may}}
"""
FAULTS = [
    ("6:7: auth.roles[1]", f"{LOGIN} is the login role"),
    ("7:7: auth.roles[2]", "the database has no role acting_nobody"),
    ("8:7: auth.roles[3]", "postgres is a superuser"),
    ("9:7: auth.roles[4]", f"the login role {LOGIN} cannot become pg_monitor: GRANT pg_monitor TO {LOGIN};"),
    ("10:3: auth.anonymous_role", f"the database has no role Acting_anon; did you mean {ANON}?"),
    ("11:3: auth.pre_request", "no function app.open() without arguments"),
    (
        "13:10: functions.shut.function",
        f"{USER} lacks EXECUTE on function app.shut(): GRANT EXECUTE ON FUNCTION app.shut() TO {USER};",
    ),
    ("15:10: channels.room.authorize", 'no function app.check(text) that returns boolean; found app."check"()'),
    ("16:12: channels.people.authorize", "no function app.nothing(text) that returns boolean"),
]
BY_GRANT = f"""\
database: {{dsn: "${{TEST_DSN}}"}}
auth: {{secret: {"s" * 32}}}
functions:
  open: {{function: app.open, roles: [{USER}, pg_monitor, acting_nobody]}}
channels:
  people: {{roles: [{LOGIN}]}}
"""
BY_GRANT_FAULTS = [
    ("4:30: functions.open.roles", "the database has no role acting_nobody"),
    ("4:30: functions.open.roles", "no client can have the role pg_monitor: list it in auth.roles"),
    ("4:30: functions.open.roles", "warning: PUBLIC may execute app.open(text)"),
    ("6:12: channels.people.roles", f"{LOGIN} is the login role"),
]


def test_faults(made: databases.Database, tmp_path: Path) -> None:
    status, said = lines(tmp_path, FAULTY, role_calls.login_dsn(made))
    assert status == test_check.INVALID
    assert len(said) == len(FAULTS), said
    for line, (place, words) in zip(said, FAULTS, strict=True):
        assert line.startswith(f"config.yaml:{place}: ")
        assert words in line


def test_faults_where_the_grants_say_which_roles(made: databases.Database, tmp_path: Path) -> None:
    made.execute(f"grant pg_monitor to {LOGIN}")
    try:
        status, said = lines(tmp_path, BY_GRANT, role_calls.login_dsn(made))
    finally:
        made.execute(f"revoke pg_monitor from {LOGIN}")
    assert status == test_check.INVALID
    assert len(said) == len(BY_GRANT_FAULTS), said
    for line, (place, words) in zip(said, BY_GRANT_FAULTS, strict=True):
        assert line.startswith(f"config.yaml:{place}: ")
        assert words in line


def test_a_role_that_is_listed_for_what_it_may_not_execute(made: databases.Database, tmp_path: Path) -> None:
    made.execute(f"grant execute on function app.shut() to {USER}")
    try:
        text = WELL.replace("functions:\n", f"functions:\n  shut: {{function: app.shut, roles: [{USER}, {ANON}]}}\n")
        status, said = lines(tmp_path, text, role_calls.login_dsn(made))
    finally:
        made.execute(f"revoke execute on function app.shut() from {USER}")
    assert status == test_check.INVALID
    assert said == [
        f"config.yaml:10:30: functions.shut.roles: {ANON} lacks EXECUTE on function app.shut(): "
        f"GRANT EXECUTE ON FUNCTION app.shut() TO {ANON};"
    ]


IMPOSSIBLE = f"""\
database: {{dsn: "${{TEST_DSN}}"}}
auth:
  secret: {"s" * 32}
  roles: [{USER}]
  anonymous_role: {ANON}
functions:
  open: {{function: app.open, roles: [acting_usr, {ANON}]}}
  fixed: {{function: app.fixed, roles: [{USER}]}}
channels:
  people: {{roles: [{ADMIN}]}}
"""


def test_a_role_that_no_client_can_have_beside_auth_roles(made: databases.Database, tmp_path: Path) -> None:
    status, said = lines(tmp_path, IMPOSSIBLE, role_calls.login_dsn(made))
    assert status == test_check.INVALID
    assert [line for line in said if " warning: " not in line] == [
        f"config.yaml:7:30: functions.open.roles: no client can have the role acting_usr; did you mean {USER}? "
        f"(auth.roles lists {USER})",
        f"config.yaml:10:12: channels.people.roles: no client can have the role {ADMIN}: add it to auth.roles "
        f"(auth.roles lists {USER})",
    ]


@pytest.mark.parametrize(
    "auth", ["secret: short", f"secret: {'s' * 32}\n  anonymous_rol: {ANON}", f"secret: {'s' * 32}\n  roles: web"]
)
def test_a_fault_in_auth_gives_no_advice_on_grants(made: databases.Database, tmp_path: Path, auth: str) -> None:
    text = f"""\
database: {{dsn: "${{TEST_DSN}}"}}
server: {{host: 0.0.0.0}}
auth:
  {auth}
functions:
  shut: {{function: app.shut, roles: [{USER}]}}
  open: {{function: app.open, roles: [{USER}]}}
  typed: {{function: app.shut()}}
  nowhere:
channels:
  room: {{authorize: app.may}}
"""
    status, said = lines(tmp_path, text, role_calls.login_dsn(made))
    assert status == test_check.INVALID
    assert "config.yaml:3:1: auth: has faults, so roles and privileges (USAGE, EXECUTE) were not checked" in said
    assert [line for line in said if "functions.nowhere" in line]
    assert not [line for line in said if "GRANT" in line or "REVOKE" in line or "server.host" in line], said


def test_nobody_can_have_a_role(made: databases.Database, tmp_path: Path) -> None:
    made.execute(f"revoke {ANON}, {USER}, {ADMIN} from {LOGIN}")
    try:
        rest = f"auth: {{secret: {'s' * 32}}}\nfunctions:\n  a: {{function: app.open}}\n"
        text = f"database: {{dsn: '${{TEST_DSN}}'}}\n{rest}"
        status, said = lines(tmp_path, text, role_calls.login_dsn(made))
    finally:
        made.execute(f"grant {ANON}, {USER}, {ADMIN} to {LOGIN}")
    words = f"no client can have a role: name an anonymous_role, or grant a role to {LOGIN}"
    assert (status, said) == (test_check.INVALID, [f"config.yaml:2:1: auth: {words}"])


def test_every_role_is_granted_to_a_superuser(made: databases.Database, tmp_path: Path) -> None:
    text = f"database: {{dsn: '${{TEST_DSN}}'}}\nauth:\n  secret: {'s' * 32}\nchannels: {{a: }}\n"
    status, said = lines(tmp_path, text, made.dsn)
    assert status == test_check.INVALID
    first, second = said
    assert re.match(r"config\.yaml:1:12: database\.dsn: warning: postgres is a superuser", first)
    assert re.match(
        r"config\.yaml:2:1: auth\.roles: is required: postgres is a superuser, which has every role", second
    )


QUESTIONABLE = f"""\
database: {{dsn: "${{TEST_DSN}}"}}
server: {{allowed_origins: ["*", "https://example.com"]}}
auth:
  secret: {"s" * 32}
  anonymous_role: {ANON}
  cookie: session
functions:
  open: {{function: app.open, roles: [{USER}]}}
  definer: {{function: app.definer}}
"""
WARNINGS = [
    ("1:12: database.dsn", f"{LOGIN} owns app.notes, or inherits from the owner"),
    ("2:10: server.allowed_origins", '"*" lets any page connect, but auth.cookie is only read'),
    ("3:1: auth.roles", f"{ADMIN} has BYPASSRLS"),
    ("5:3: auth.anonymous_role", f"{ANON}, the role of every client without a token, may write app.notes, app.others"),
    ("8:30: functions.open.roles", "PUBLIC may execute app.open(text)"),
    ("9:13: functions.definer.function", "app.definer() is SECURITY DEFINER without a search_path"),
]


@pytest.fixture
def questionable(made: databases.Database) -> Iterator[str]:
    made.execute(
        f"alter role {ADMIN} bypassrls; alter table app.notes owner to {LOGIN}; grant truncate on app.notes to {ANON}; "
        f"grant update (b) on app.others to {ANON}"
    )
    yield role_calls.login_dsn(made)
    made.execute(
        f"alter role {ADMIN} nobypassrls; revoke all on app.notes, app.others from {ANON}; "
        "alter table app.notes owner to current_user"
    )


def test_warnings(questionable: str, tmp_path: Path) -> None:
    status, said = lines(tmp_path, QUESTIONABLE, questionable)
    assert status == 0
    assert sorted(said)[0] == "config.yaml: 2 functions, 0 channels: no faults, 6 warnings"
    said = [line for line in said if " warning: " in line]
    assert len(said) == len(WARNINGS), said
    for line, (place, words) in zip(said, WARNINGS, strict=True):
        assert line.startswith(f"config.yaml:{place}: warning: {words}")


def test_warnings_are_in_the_log_of_the_server(questionable: str, tmp_path: Path) -> None:
    rest = QUESTIONABLE.replace("server: {", "server: {port: 0, ")
    with pgrpc_server.serving(tmp_path, questionable, rest) as server:
        for _, words in WARNINGS:
            assert f": warning: {words}" in server.log


# The cures that are printed, followed literally


def pasted(made: databases.Database, said: list[str]) -> None:
    """Run the SQL that the lines end with, in their order, as somebody who pastes it into psql."""
    for line in said:
        if found := re.search(r"(GRANT|REVOKE|ALTER) .*;$", line):
            made.execute(found[0])


CURED = f"""\
database: {{dsn: "${{TEST_DSN}}"}}
auth:
  secret: {"s" * 32}
  roles: [{ADMIN}, {USER}]
  anonymous_role: {ANON}
  pre_request: shop.both()
functions:
  few: {{function: shop.few, roles: [{USER}]}}
  both: {{function: shop.both, roles: [{USER}]}}
  many: {{function: shop.many()}}
  shut: {{function: shop.shut(integer)}}
  definer: {{function: shop.definer}}
channels:
  room: {{authorize: shop.may}}
  hall: {{authorize: shop.may, roles: [{ADMIN}]}}
"""


@pytest.fixture
def shop(made: databases.Database) -> Iterator[databases.Database]:
    made.execute(
        """
        create schema shop;
        create function shop.few(a int) returns int language sql as 'select 1';
        create function shop.few(b text) returns int language sql as 'select 1';
        create function shop.both() returns void language sql as '';
        create function shop.many() returns int language sql as 'select 1';
        create function shop.shut(a int) returns int language sql as 'select 1';
        create function shop.shut(b text) returns int language sql as 'select 1';
        create function shop.shut(c date) returns int language sql as 'select 1';
        create procedure shop.definer() language sql security definer as '';
        create function shop.may(channel text) returns boolean language sql as 'select true';
        revoke execute on function shop.shut(int), shop.shut(text), shop.shut(date) from public;
        """
    )
    yield made
    made.execute("drop schema shop cascade")


def test_every_cure_can_be_pasted(shop: databases.Database, tmp_path: Path) -> None:
    dsn = role_calls.login_dsn(shop)
    for _ in range(4):
        status, said = lines(tmp_path, CURED, dsn)
        if len(said) == 1:
            break
        pasted(shop, said)
    assert (status, said) == (0, ["config.yaml: 5 functions, 2 channels: no faults"])


def test_a_warning_of_public_does_not_stop_the_server(shop: databases.Database, tmp_path: Path) -> None:
    shop.execute(f"grant usage on schema shop to {ANON}, {USER}, {ADMIN}")
    head = CURED[: CURED.index("  pre_request")]
    text = f"{head}functions:\n  few: {{function: shop.few, roles: [{USER}]}}\n"
    status, (summary, warning) = sorted_lines(lines(tmp_path, text, role_calls.login_dsn(shop)))
    assert (status, summary) == (0, "config.yaml: 1 function, 0 channels: no faults, 1 warning")
    on = "shop.few(integer), shop.few(text)"
    assert warning.endswith(
        f"restrict nobody: GRANT EXECUTE ON FUNCTION {on} TO {USER}; REVOKE EXECUTE ON FUNCTION {on} FROM PUBLIC;"
    )
    pasted(shop, [warning])
    assert lines(tmp_path, text, role_calls.login_dsn(shop)) == (
        0,
        ["config.yaml: 1 function, 0 channels: no faults"],
    )
    with pgrpc_server.serving(tmp_path, role_calls.login_dsn(shop), text + "server: {port: 0}\n"):
        pass


def test_a_role_that_needs_two_steps(made: databases.Database, tmp_path: Path) -> None:
    text = f"""\
database: {{dsn: "${{TEST_DSN}}"}}
auth: {{secret: {"s" * 32}, roles: [{USER}]}}
channels:
  people: {{roles: [{ADMIN}]}}
  others: {{roles: [unlike]}}
"""
    made.execute(f"revoke {ADMIN} from {LOGIN}")
    try:
        status, said = lines(tmp_path, text, role_calls.login_dsn(made))
        assert (status, said) == (
            test_check.INVALID,
            [
                f"config.yaml:4:12: channels.people.roles: no client can have the role {ADMIN}: add it to auth.roles "
                f"(auth.roles lists {USER}), and the login role {LOGIN} cannot become {ADMIN}: "
                f"GRANT {ADMIN} TO {LOGIN};",
                "config.yaml:5:12: channels.others.roles: no client can have the role unlike: the database has no role "
                f"unlike; write a role that clients can have (auth.roles lists {USER})",
            ],
        )
        pasted(made, said)
        text = text.replace(f"{USER}]", f"{USER}, {ADMIN}]").replace("unlike", ADMIN)
        assert lines(tmp_path, text, role_calls.login_dsn(made))[0] == 0
    finally:
        made.execute(f"grant {ADMIN} to {LOGIN}")


def test_one_grant_for_overloads_and_not_to_everybody(shop: databases.Database, tmp_path: Path) -> None:
    shop.execute(f"grant usage on schema shop to {ANON}, {USER}, {ADMIN}")
    head = CURED[: CURED.index("  pre_request")]
    text = f"{head}functions:\n  shut: {{function: shop.shut}}\n"
    status, said = lines(tmp_path, text, role_calls.login_dsn(shop))
    on = "shop.shut(date), shop.shut(integer), shop.shut(text)"
    assert (status, said) == (
        test_check.INVALID,
        [
            f"config.yaml:7:10: functions.shut.function: {ADMIN}, {USER} and {ANON} lack EXECUTE on function {on}: "
            f"one of these must be able to call it, such as: GRANT EXECUTE ON FUNCTION {on} TO {ADMIN};"
        ],
    )
    pasted(shop, said)
    assert lines(tmp_path, text, role_calls.login_dsn(shop))[0] == 0


def sorted_lines(result: tuple[int, list[str]]) -> tuple[int, list[str]]:
    """The summary, which is on standard output, first."""
    status, said = result
    return status, sorted(said, key=lambda line: "no faults" not in line)
