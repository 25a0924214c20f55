"""pg_eventserv's settings: what each becomes, which goes before which, and the words where one cannot be."""

from pathlib import Path
from typing import Any

import pytest

from pgrpc import config
from pgrpc.compat import dialect, registry
from pgrpc.compat.eventserv import settings
from pgrpc.compat.eventserv.section import Eventserv
from tests.support import certificates


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(environ: dict[str, str] | None = None, toml: str | None = None, name: str = "my.toml") -> dialect.Loaded:
    if toml is not None:
        Path(name).write_text(toml, encoding="utf-8")
    return settings.load(environ or {}, None if toml is None else Path(name), folders=[Path("config")])


def faults(environ: dict[str, str] | None = None, toml: str | None = None) -> list[str]:
    with pytest.raises(config.Invalid) as caught:
        load(environ, toml)
    return list(caught.value.faults)


def of(found: dialect.Loaded) -> Eventserv:
    section = found.config.dialects["eventserv"]
    assert isinstance(section, Eventserv)
    return section


def names(found: dialect.Loaded) -> list[str]:
    """The patterns of the channels that clients of /listen may receive."""
    return list(of(found).channels or ())


def native(found: dialect.Loaded) -> list[str]:
    """The channels that clients of /rpc may receive."""
    assert all(channel == config.Channel(channel.name) for channel in found.config.channels)
    return [channel.name for channel in found.config.channels]


def test_nothing_is_set() -> None:
    found = load()
    assert registry.dialects()["eventserv"].load({}) == found
    assert list(map(str, settings.FOLDERS)) == ["config", "/config", "/etc"]
    assert found.config.database == config.Database("sslmode=disable", pool_size=4)
    assert found.config.server == config.Server(
        "0.0.0.0", 7700, "/", allowed_origins=("*",), ping_interval=2.0, ping_timeout=20.0
    )
    assert found.config.channels == (config.Channel("**"),)
    assert found.config.functions == ()
    assert found.config.dialects == {"eventserv": Eventserv(channels=("*",))}
    assert (found.warnings, found.debug) == ((), False)


def test_the_environment() -> None:
    found = load(
        {
            "ES_DBCONNECTION": "postgresql://u:p$a%24@h/d",
            "ES_DBPOOLMAXCONNS": "9",
            "ES_HTTPHOST": "127.0.0.1",
            "ES_HTTPPORT": "7777",
            "ES_URLBASE": "http://localhost/",
            "ES_BASEPATH": "/events",
            "ES_CHANNELS": " people\troom-[0-9]* \n a,b ",
            "ES_CORSORIGINS": "https://a.example http://b:80",
            "ES_DEBUG": "true",
            "ES_UNKNOWN": "x",
        }
    )
    assert found.config.database == config.Database("postgresql://u:p$a%24@h/d", pool_size=9)
    server = found.config.server
    assert (server.host, server.port, server.base_path) == ("127.0.0.1", 7777, "/events/")
    assert server.allowed_origins == ("https://a.example", "http://b")
    assert names(found) == ["people", "room-[0-9]*", "a,b"]
    assert native(found) == ["people", "a,b"]
    assert of(found).url_base == "http://localhost/"
    assert found.debug
    assert found.warnings == ()


def test_the_file() -> None:
    found = load(
        toml="""
# names have no case
dbconnection = "host=h user=u"
HTTPPort = 7701
DbPoolMaxConns = "3"
Channels = ["a b", "c*"]
Debug = false
"""
    )
    assert found.config.database == config.Database("host=h user=u", pool_size=3)
    assert found.config.server.port == 7701
    assert names(found) == ["a b", "c*"]


def test_precedence() -> None:
    toml = 'DbConnection = "host=file"\nHttpPort = 1\nUrlBase = "http://file"\n'
    environ = {"ES_DBCONNECTION": "host=es", "ES_HTTPPORT": "2", "ES_URLBASE": ""}
    found = load(environ, toml)
    assert (found.config.database.dsn, found.config.server.port) == ("host=es", 2)
    assert of(found).url_base == "http://file"  # an empty variable is none
    assert load(environ | {"DATABASE_URL": "host=url"}, toml).config.database.dsn == "host=url"
    assert load({"DATABASE_URL": ""}, toml).config.database.dsn == "host=file"


def test_the_file_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/pg_eventserv.toml").write_text("HttpPort = 5\n")
    folders = [tmp_path / "a", tmp_path / "b"]
    assert settings.load({}, folders=folders).config.server.port == 5
    (tmp_path / "a").mkdir()
    (tmp_path / "a/pg_eventserv.toml").write_text("HttpPort = 6\n")
    assert settings.load({}, folders=folders).config.server.port == 6


def test_tls() -> None:
    certificate, key = certificates.make(Path.cwd())
    files = {"ES_TLSSERVERCERTIFICATEFILE": certificate.name, "ES_TLSSERVERPRIVATEKEYFILE": key.name}
    assert load(files).config.server.tls == config.Tls(certificate, key, 7701)
    assert load(files | {"ES_HTTPSPORT": "443"}).config.server.tls == config.Tls(certificate, key, 443)
    assert load({"ES_HTTPSPORT": "443"}).config.server.tls is None
    for left_out in files:
        given = {name: file for name, file in files.items() if name != left_out}
        setting = {"ES_TLSSERVERCERTIFICATEFILE": "TlsServerCertificateFile"}.get(left_out, "TlsServerPrivateKeyFile")
        assert faults(given) == [f"{setting}: must not be empty"]
    (fault,) = faults(files | {"ES_TLSSERVERCERTIFICATEFILE": "none.pem"})
    assert fault == "ES_TLSSERVERCERTIFICATEFILE: none.pem: cannot be read: No such file or directory"


def test_the_page_of_the_user() -> None:
    Path("mine").mkdir()
    found = load({"ES_ASSETSPATH": "mine"})
    assert found.warnings == ("ES_ASSETSPATH: this folder has no index.html: pgrpc shows its own front page instead",)
    Path("mine/index.html").write_text("x")
    Path("assets").mkdir()
    Path("assets/index.html").write_text("x")
    Path("config").mkdir()
    Path("config/pg_eventserv.toml").write_text("")  # paths do not start here
    for environ, folder in (({"ES_ASSETSPATH": "mine"}, "mine"), ({}, "assets")):
        found = load(environ)
        assert of(found).assets == Path.cwd() / folder
        assert found.warnings == ()


def test_what_is_not_used_is_reported() -> None:
    found = load({"ES_DBPOOLMAXCONNLIFETIME": "5m"}, toml='Colour = "red"\n')
    assert [warning.partition(":")[0] for warning in found.warnings] == ["my.toml", "ES_DBPOOLMAXCONNLIFETIME"]
    assert found.warnings[0].startswith(
        "my.toml: Colour: is not a setting of pg_eventserv; its settings are AssetsPath, "
    )


@pytest.mark.parametrize(
    ("written", "used", "dropped"),
    [
        ("postgres://u:p@h/d?pool_max_conns=10", "postgres://u:p@h/d", ["pool_max_conns"]),
        (
            "postgres://u:p%3F@h/d?sslmode=require&pool_min_conns=1&application_name=x&pool_max_conns=2",
            "postgres://u:p%3F@h/d?sslmode=require&application_name=x",
            ["pool_min_conns", "pool_max_conns"],
        ),
        ("postgres://u:pool_max_conns=1@h/d", "postgres://u:pool_max_conns=1@h/d", []),
        (
            r"host = h pool_max_conns='1 0' password='it\'s pool_max_conns=3' user=a\ pool_max_conns=1",
            r"host = h password='it\'s pool_max_conns=3' user=a\ pool_max_conns=1",
            ["pool_max_conns"],
        ),
    ],
)
def test_settings_of_its_driver_are_left_out(written: str, used: str, dropped: list[str]) -> None:
    found = load({"DATABASE_URL": written})
    assert found.config.database.dsn == used
    assert found.warnings == tuple(
        f"DATABASE_URL: {key} is not used: it is a setting of pgx, pg_eventserv's database driver" for key in dropped
    )


def test_a_pattern_that_is_none_ends_the_list() -> None:
    found = load({"ES_CHANNELS": "a [b c"})
    assert names(found) == ["a"]
    words = "'[b' is not a pattern (a [ without its ]): neither it nor the patterns after it allow any channel"
    assert found.warnings == (f"ES_CHANNELS: {words}",)


@pytest.mark.parametrize("name", ["error", "rpc.x", "rpc.*", "$/x", "open"])
def test_names_that_mean_something_only_to_json_rpc(name: str) -> None:
    found = load({"ES_CHANNELS": name})
    assert names(found) == [name]
    assert native(found) == []


@pytest.mark.parametrize(
    ("pattern", "entry"),
    [
        ("people", "people"),
        ("room.*", "room.**"),
        ("a**b***", "a**b**"),
        ("user{x}*", "user{{x}}**"),
        ("a?", None),
        ("[ab]*", None),
        ("a\\*", None),
    ],
)
def test_our_own_clients_get_what_our_own_globs_can_say(pattern: str, entry: str | None) -> None:
    found = load({"ES_CHANNELS": pattern})
    assert names(found) == [pattern]
    assert native(found) == ([] if entry is None else [entry])


@pytest.mark.parametrize(
    ("environ", "toml", "expected"),
    [
        ({"ES_HTTPPORT": "77777"}, None, ["ES_HTTPPORT: must be at most 65535"]),
        ({"ES_HTTPPORT": "x"}, None, ["ES_HTTPPORT: must be a whole number, not text"]),
        ({}, "HttpPort = true\n", ["my.toml: HttpPort: must be a whole number, not a boolean"]),
        ({"ES_DBPOOLMAXCONNS": "0"}, None, ["ES_DBPOOLMAXCONNS: must be at least 1"]),
        ({"ES_DEBUG": "perhaps"}, None, ["ES_DEBUG: must be true or false"]),
        (
            {},
            "Channels = 7\n",
            ["my.toml: Channels: must be a list of texts, or one text of words separated by spaces"],
        ),
        ({}, "AssetsPath = 7\n", ["my.toml: AssetsPath: must be a text: the folder of index.html"]),
        ({}, 'Channels = [""]\n', ["my.toml: Channels: must not be empty"]),
        ({"ES_CHANNELS": f"a {'b' * 64}"}, None, ["ES_CHANNELS: the name has 64 bytes; PostgreSQL's limit is 63"]),
        ({}, "DbConnection = 7\n", ["my.toml: DbConnection: must be text, not a number: put it in quotes"]),
        (
            {"ES_URLBASE": "localhost"},
            None,
            ["ES_URLBASE: must be a URL such as https://events.example.com, or empty"],
        ),
        (
            {"ES_HTTPPORT": "-1", "ES_DEBUG": "7"},
            "DbPoolMaxConns = []\n",
            [
                "ES_DEBUG: must be true or false",
                "my.toml: DbPoolMaxConns: must be a whole number, not a list",
                "ES_HTTPPORT: must be at least 0",
            ],
        ),
    ],
)
def test_faults_name_what_was_written(environ: dict[str, str], toml: str | None, expected: list[str]) -> None:
    assert faults(environ, toml) == expected


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (found,) = faults(toml="HttpPort = \n")
    assert found.startswith("my.toml: not TOML: ")
    Path("bad.toml").write_bytes(b"# \xff")
    reasons: list[tuple[Any, str]] = [
        (Path("bad.toml"), "bad.toml: not UTF-8: save the file as UTF-8"),
        (Path("none.toml"), "none.toml: cannot be read: No such file or directory"),
        (tmp_path, f"{tmp_path}: cannot be read: Is a directory"),
    ]
    for file, words in reasons:
        with pytest.raises(config.Invalid) as caught:
            settings.load({}, file)
        assert caught.value.faults == (words,)


def test_no_fault_shows_a_password() -> None:
    (fault,) = faults({"DATABASE_URL": "postgresql://u:secret@h/d", "ES_HTTPPORT": "x"})
    assert "secret" not in fault
