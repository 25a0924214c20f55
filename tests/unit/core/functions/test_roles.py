"""Which roles clients may have, and which no client can have."""

from types import MappingProxyType

import pytest

from pgrpc.core.functions import roles

LOGIN = roles.Login("app")
KNOWN = {
    role.name: role
    for role in (
        roles.Role("app"),
        roles.Role("web_user"),
        roles.Role("web_anon"),
        roles.Role("boss", is_superuser=True),
        roles.Role("stranger", may_set=False),
        roles.Role("pg_read_all_data"),
    )
}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "'' is not a role: SET ROLE would give clients the login role app"),
        ("none", "'none' is not a role: SET ROLE would give clients the login role app"),
        ("app", "app is the login role, which no client may have: it can become every other role"),
        ("Web_user", "the database has no role Web_user; did you mean web_user?"),
        ("boss", "boss is a superuser, which no client may be"),
        ("stranger", "the login role app cannot become stranger: GRANT stranger TO app;"),
        ("nothing_alike", "the database has no role nothing_alike"),
        ("App", "the database has no role App"),  # the login role is no suggestion
        ("web_user", None),
        ("pg_read_all_data", None),  # by name; nobody has it by default
    ],
)
def test_fault(name: str, words: str | None) -> None:
    assert roles.fault(name, LOGIN, KNOWN) == words


def test_granted() -> None:
    assert roles.granted(LOGIN, KNOWN) == {"web_user", "web_anon"}


def test_nothing_is_granted_to_a_superuser_since_everything_is() -> None:
    assert roles.granted(roles.Login("app", is_superuser=True), KNOWN) == frozenset()


def test_settings() -> None:
    given = {"statement_timeout": "1s", "role": "boss", "session_authorization": "boss", "client_encoding": "LATIN1"}
    role = roles.Role("a", given=MappingProxyType({**given, "search_path": "x", "standard_conforming_strings": "off"}))
    assert role.settings == {"search_path": "x"}
    assert roles.Role("a").settings == {}


def test_warnings() -> None:
    assert roles.warnings(roles.Role("a")) == []
    found = roles.warnings(roles.Role("a", bypasses_row_security=True, writes=("t", "u", "v", "w")))
    assert found[0] == "a has BYPASSRLS: row security does not apply to its calls"
    assert found[1].startswith("a, the role of every client without a token, may write t, u, v and more")


def test_warnings_of_the_login_role() -> None:
    assert roles.login_warnings(LOGIN) == []
    assert roles.login_warnings(roles.Login("app", True, ("t",)))[0].startswith("app is a superuser")
    assert roles.login_warnings(roles.Login("app", owns=("t", "u")))[0].startswith("app owns t, u, or inherits")
