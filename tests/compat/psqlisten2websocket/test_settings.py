"""psqlisten2websocket's .env: its syntax, and what is made of it."""

from pathlib import Path

import psycopg2.extensions
import pytest

from pgrpc import config
from pgrpc.compat import registry
from pgrpc.compat.psqlisten2websocket import settings
from pgrpc.compat.psqlisten2websocket.section import Psqlisten2websocket


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str, environ: dict[str, str] | None = None) -> config.Config:
    Path(".env").write_text(text, encoding="utf-8")
    return settings.load(environ or {}).config


def parsed(text: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    """The connection's parameters, as libpq reads them."""
    return psycopg2.extensions.parse_dsn(load(text, environ).database.dsn)


def faults(text: str) -> list[str]:
    with pytest.raises(config.Invalid) as caught:
        load(text)
    return list(caught.value.faults)


def test_as_it_is_written_there() -> None:
    text = "HOST=db.example\nPORT=5433\nUSER=me\nPASSWORD=it's \\ me\nDBNAME=shop\n"
    assert parsed(text) == {
        "host": "db.example", "port": "5433", "user": "me", "password": "it's \\ me", "dbname": "shop"
    }  # fmt: skip
    found = load(text)
    assert registry.dialects()["psqlisten2websocket"].load({}).config == found
    assert (found.server.host, found.server.port) == ("0.0.0.0", 8080)
    assert found.server.allowed_origins == ()
    assert found.database.pool_size == 1
    assert found.limits.message_size == 1024 * 1024
    assert found.channels == (config.Channel("events"),)
    assert found.dialects == {"psqlisten2websocket": Psqlisten2websocket("events")}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("PASSWORD=a", "a"),
        ("  export PASSWORD = a b  ", "a b"),
        ("PASSWORD: a", "a"),
        ("PASSWORD=a#b", "a#b"),
        ("PASSWORD=a # b", "a"),
        ("PASSWORD='a # b'  # c", "a # b"),
        ("PASSWORD='a\\nb\"'", 'a\\nb"'),
        ('PASSWORD="a\\n\\"b\\\\ \'$x"', "a\n\"b\\ '$x"),
        ("PASSWORD=$a${b}", "$a${b}"),
        ("PASSWORD=a=b:c", "a=b:c"),
        ("PASSWORD=ünï", "ünï"),
        ("PASSWORD=a'b", "a'b"),
        ("PASSWORD=x\nPASSWORD=y", "y"),
    ],
)
def test_values(line: str, value: str) -> None:
    assert parsed(f"# a comment\n\n{line}\r\n")["password"] == value


@pytest.mark.parametrize("line", ["PASSWORD=", "PASSWORD=''", "PASSWORD= # none", "#PASSWORD=x"])
def test_no_value(line: str) -> None:
    assert parsed(f"DBNAME=d\n{line}\n") == {"dbname": "d"}


def test_the_environment_has_what_the_file_does_not_say() -> None:
    environ = {"PASSWORD": "other", "USER": "me", "PORT": "8080"}
    assert parsed("USER=you\n", environ) == {"user": "you", "password": "other"}


def test_pages() -> None:
    Path(".env").write_text("DBNAME=d\n")
    found = settings.load({})
    assert found.config.server.static is None
    assert found.warnings == ("public: no such folder here: pgrpc shows its own front page instead",)
    Path("public").mkdir()
    found = settings.load({})
    assert found.config.server.static == Path("public").absolute()
    assert found.warnings == ()


def test_another_file() -> None:
    Path("other.env").write_text("DBNAME=d\n")
    assert settings.load({}, Path("other.env")).config.database.dsn == "dbname='d'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HOST\nDBNAME='d\n", [f".env:{line}: must be NAME=value; every quote must be closed" for line in (1, 2)]),
        ("DBNAME=d\nPORT=x\n", [".env: PORT: must be the port of the database, a number from 1 to 65535"]),
        ("DBNAME=d\nPORT=65536\n", [".env: PORT: must be the port of the database, a number from 1 to 65535"]),
    ],
)
def test_faults(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


def test_a_file_that_cannot_be_read() -> None:
    reasons = {
        "none": "no such file: write one with HOST, PORT, USER, PASSWORD, DBNAME, or name another with --config",
        ".": "cannot be read: Is a directory",
        "bad": "not UTF-8: save the file as UTF-8",
    }
    Path("bad").write_bytes(b"\xff")
    for name, words in reasons.items():
        with pytest.raises(config.Invalid) as caught:
            settings.load({}, Path(name))
        assert caught.value.faults == (f"{name}: {words}",)
