"""postgresql2websocket.conf: what is made of it, and of what is wrong in it."""

from pathlib import Path

import psycopg2.extensions
import pytest

from pgrpc import config
from pgrpc.compat import registry
from pgrpc.compat.postgresql2websocket import settings
from pgrpc.compat.postgresql2websocket.section import Postgresql2websocket

WHOLE = """
[postgresql]
host = db.example
port = 5433
user = me
password = it's \\ 100%% me
database = shop
max_size = 20
timeout = 3
command_timeout = 60

[web]
host = 127.0.0.1
port = 8090

[pgrpc]
functions = add, auction.place_bid
    greet
channels = people, room.*
origins = https://app.example.com
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str) -> config.Config:
    Path("postgresql2websocket.conf").write_text(text, encoding="utf-8")
    return settings.load({}).config


def faults(text: str) -> list[str]:
    with pytest.raises(config.Invalid) as caught:
        load(text)
    return list(caught.value.faults)


def test_as_it_is_written_there() -> None:
    found = load(WHOLE)
    assert registry.dialects()["postgresql2websocket"].load({}).config == found
    assert psycopg2.extensions.parse_dsn(found.database.dsn) == {
        "host": "db.example", "port": "5433", "user": "me", "password": "it's \\ 100% me", "dbname": "shop"
    }  # fmt: skip
    assert (found.database.pool_size, found.database.connect_timeout, found.database.statement_timeout) == (20, 3, 60)
    assert (found.server.host, found.server.port) == ("127.0.0.1", 8090)
    assert found.server.allowed_origins == ("https://app.example.com",)
    assert [entry.method for entry in found.functions] == ["add", "auction.place_bid", "greet"]
    assert [entry.name for entry in found.channels] == ["people", "room.*"]
    assert found.dialects == {"postgresql2websocket": Postgresql2websocket(("people", "room.*"))}


def test_our_own_clients_get_the_channels_that_they_can_have() -> None:
    found = load("[pgrpc]\nchannels = people, error, rpc.x, user{x}.*\n")
    assert found.dialects == {"postgresql2websocket": Postgresql2websocket(("people", "error", "rpc.x", "user{x}.*"))}
    assert [entry.name for entry in found.channels] == ["people", "user{{x}}.*"]


def test_without_our_section_every_channel_is_relayed_and_nothing_can_be_called() -> None:
    found = load("[postgresql]\ndatabase = shop\n")
    assert (found.server.host, found.server.port, found.server.allowed_origins) == ("0.0.0.0", 8080, ("*",))
    assert found.functions == ()
    assert [entry.name for entry in found.channels] == ["**"]
    assert found.database.dsn == "dbname='shop'"


def test_where_nothing_is_said_of_the_database_libpq_decides() -> None:
    assert psycopg2.extensions.parse_dsn(load("[web]\nport = 8081\n").database.dsn) == {"dbname": ""}


def test_another_file() -> None:
    Path("other.conf").write_text("[web]\nport = 8081\n", encoding="utf-8")
    assert settings.load({}, Path("other.conf")).config.server.port == 8081


def test_what_is_not_used_is_reported() -> None:
    Path("postgresql2websocket.conf").write_text("[postgresql]\nmin_size = 5\n[other]\na = b\n", encoding="utf-8")
    assert settings.load({}).warnings == (
        "postgresql2websocket.conf: [postgresql] min_size: is not used",
        "postgresql2websocket.conf: [other] a: is not used",
    )


def test_a_missing_file_is_named_and_what_to_do() -> None:
    with pytest.raises(config.Invalid) as caught:
        settings.load({})
    assert caught.value.faults == ("postgresql2websocket.conf: no such file: write it, or name another with --config",)


def test_every_fault_is_reported_at_once_by_its_own_name() -> None:
    *rest, origins = faults(
        "[postgresql]\nport = x\nmax_size = many\n[web]\nport = 70000\n[pgrpc]\norigins = example.com\n"
    )
    assert rest == [
        "postgresql2websocket.conf: [postgresql] port: must be a number from 1 to 65535",
        "postgresql2websocket.conf: [postgresql] max_size: must be a whole number, not text",
        "postgresql2websocket.conf: [web] port: must be at most 65535",
    ]
    assert origins.startswith("postgresql2websocket.conf: [pgrpc] origins: must be an origin: scheme://host")


@pytest.mark.parametrize(
    ("text", "line"),
    [("password = secret\n", 1), ("[web]\nsecret\n", 2), ("[web]\nport=1\nport=2\n", 3), ("[web]\n[web]\n", 2)],
)
def test_what_is_no_ini_file(text: str, line: int) -> None:
    assert faults(text) == [
        f"postgresql2websocket.conf: not an INI file: line {line} must be `[section]` or `key = value`, each only once"
    ]


def test_a_percent_sign_is_doubled_there() -> None:
    assert faults("[postgresql]\npassword = 100% secret\n") == [
        "postgresql2websocket.conf: [postgresql] password: write %% for a %"
    ]


def test_what_cannot_be_read() -> None:
    Path("postgresql2websocket.conf").write_bytes(b"[web]\nhost = \xff\n")
    with pytest.raises(config.Invalid, match="not UTF-8: save the file as UTF-8"):
        settings.load({})
    with pytest.raises(config.Invalid, match="cannot be read: Is a directory"):
        settings.load({}, Path("."))
