"""The configuration file: what it takes, and each fault with its exact place and words."""

import dataclasses
import json
import re
import traceback
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from decimal import Decimal
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pgrpc import config
from pgrpc.compat import registry
from pgrpc.config import jsonfile, model, reader, schema, units, validate, yamltree
from pgrpc.config.faults import Faults

ROOT = Path(__file__).parents[3]
DSN = "database: {dsn: postgresql://h/d}\n"
SECRET = "s3cret" * 6


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str | bytes, environ: Mapping[str, str] | None = None) -> config.Config:
    data = text.encode() if isinstance(text, str) else text
    Path("config.yaml").write_bytes(data)
    return config.load("config.yaml", environ or {})


def faults(text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(config.Invalid) as caught:
        load(text, environ)
    return list(caught.value.faults)


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# The values


def test_defaults() -> None:
    found = load("database:\n  dsn: postgresql://h/d\n")
    assert found.path == Path("config.yaml")
    assert found.database == config.Database("postgresql://h/d", None, 10, 10.0, 5.0)
    assert found.server == config.Server("127.0.0.1", 8080, "/", ())
    assert found.limits == config.Limits(65536, 32, 100, 128, 1048576, 33554432)
    assert found.auth is None
    assert (found.functions, found.channels, dict(found.schemas)) == ((), (), {})


def test_defaults_of_the_schema_are_those_of_the_code() -> None:
    def given(section: str) -> dict[str, Any]:
        keys = schema.definition(section)["properties"]
        return {key: rule["default"] for key, rule in keys.items() if "default" in rule}

    text = {"database": {"dsn": "x", **given("database")}}
    text |= {name: given(name) for name in ("server", "limits")}
    text["auth"] = {**given("auth"), "secret": SECRET}
    text |= {"functions": {"f": given("function")}, "channels": {"c": given("channel")}}
    found = load(json.dumps(text))
    assert found.database == config.Database("x")
    assert found.server == config.Server()
    assert found.limits == config.Limits()
    assert found.auth == config.Auth(secret=SECRET)
    assert found.functions == (config.Function("f", "f"),)
    assert found.channels == (config.Channel("c"),)


@pytest.mark.parametrize(
    ("section", "made"),
    [
        ("database", config.Database),
        ("server", config.Server),
        ("auth", config.Auth),
        ("limits", config.Limits),
        ("function", config.Function),
        ("channel", config.Channel),
    ],
)
def test_each_key_of_the_schema_is_a_field(section: str, made: Any) -> None:
    fields = {field.name for field in dataclasses.fields(made)}
    name = {"function": {"method"}, "channel": {"name"}}.get(section, set())
    assert fields - name == set(schema.definition(section)["properties"])


def test_everything() -> None:
    write("schemas/bid.json", '{"maximum": 0.1}')
    found = load("""
database:
  dsn: postgresql://h/d
  listen_dsn: postgresql://direct/d
  pool_size: 3
  statement_timeout: 1.5
  connect_timeout: 2m
server:
  host: "::"
  port: 0
  base_path: api/v1
  allowed_origins: [https://App.example.com:443, "http://localhost:5173", "http://[::1]:80", x-app://a]
limits:
  message_size: 10kB
  calls_in_flight: 1
  batch: 2
  subscriptions: 3
  send_buffer: 512
  result_size: 1GiB
functions:
  add:
  bid:
    function: '"Quoted".name'
    params: schemas/bid.json
    timeout: 500ms
    numbers: string
    reset: false
  plus:
    function: add(integer, integer)
channels:
  people:
  "room.*":
    payload: json
""")
    path = Path("schemas/bid.json").absolute()
    file = config.SchemaFile(path.as_uri(), {"maximum": Decimal("0.1")})
    assert found.database == config.Database("postgresql://h/d", "postgresql://direct/d", 3, 1.5, 120.0)
    origins = ("https://app.example.com", "http://localhost:5173", "http://[::1]", "x-app://a")
    assert found.server == config.Server("::", 0, "/api/v1/", origins)
    assert found.limits == config.Limits(10000, 1, 2, 3, 512, 1024**3)
    assert found.functions == (
        config.Function("add", "add"),
        config.Function("bid", '"Quoted".name', file, 0.5, "string", False),
        config.Function("plus", "add(integer, integer)"),
    )
    assert found.channels == (config.Channel("people", "auto"), config.Channel("room.*", "json"))
    assert found.schemas == {file.uri: file.document}


def test_values_are_frozen() -> None:
    found = load(DSN)
    with pytest.raises(FrozenInstanceError):
        found.server.port = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        found.schemas["x"] = 1  # type: ignore[index]


def test_sections_and_entries_may_be_empty() -> None:
    found = load(
        DSN + "server:\nlimits:\nfunctions:\n  f:\n    timeout:\n    function: ~\n    reset: null\nchannels:\n"
    )
    assert found.functions == (config.Function("f", "f"),)


def test_the_path_may_be_a_path(tmp_path: Path) -> None:
    path = write("config.yaml", DSN)
    assert config.load(path, {}).path == path
    assert config.load(str(tmp_path / path), {}).where(["server"]) == f"{tmp_path}/config.yaml:1:1: server"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("0.5s", 0.5), ("2m", 120), ("1h", 3600), ("1ms", 0.001), ("7", 7), ("0.25", 0.25)],
)
def test_durations(text: str, seconds: float) -> None:
    found = load(f"database: {{dsn: x, statement_timeout: {text}}}").database.statement_timeout
    assert found == seconds
    assert type(found) is float


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("512B", 512), ("10kB", 10_000), ("3MB", 3_000_000), ("1GB", 10**9)),
        *(("64KiB", 65536), ("1MiB", 1048576), ("1GiB", 2**30), ("1024", 1024), ("1024.0", 1024)),
    ],
)
def test_sizes(text: str, size: int) -> None:
    found = load(f"{DSN}limits: {{send_buffer: {text}}}").limits.send_buffer
    assert found == size
    assert type(found) is int


@pytest.mark.parametrize(("name", "table"), [("duration", units.SECONDS), ("size", units.BYTES)])
def test_units_of_the_schema_are_those_of_the_code(name: str, table: Mapping[str, Any]) -> None:
    in_pattern = re.findall(r"\(([A-Za-z|]+)\)", schema.definition(name)["pattern"])
    assert set(in_pattern[0].split("|")) == set(table)


def test_units_refuse_what_the_pattern_refuses() -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        units.seconds("soon")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ('""', "/"),
        ("/", "/"),
        ("api", "/api/"),
        ("/api", "/api/"),
        ("api/", "/api/"),
        ("/a/b.c/", "/a/b.c/"),
        ("...", "/.../"),
    ],
)
def test_base_path_begins_and_ends_with_a_slash(given: str, path: str) -> None:
    assert load(f"{DSN}server: {{base_path: {given}}}").server.base_path == path


def test_any_origin() -> None:
    assert load(f"{DSN}server: {{allowed_origins: ['*', http://A]}}").server.allowed_origins == ("*", "http://a")


# YAML


def test_yaml_1_1_traps() -> None:
    text = """
on: on
no: no
yes: [y, n, Off]
true: [true, True, FALSE]
null: [null, ~, , ""]
1: 1:30
1.0: [010, 0o7, 0x1F, 1_000, +1, .5, 1., .inf, .nan]
2024-01-01: 2024-01-01
numbers: [-1, 0, 1.5, 1e3, 99999999999999999999]
quoted: ["true", '1', !!str 5]
""".replace(", ,", ", !!str ,")
    assert yamltree.parse(text.encode()).value == {
        "on": "on",
        "no": "no",
        "yes": ["y", "n", "Off"],
        "true": [True, True, False],
        "null": [None, None, "", ""],
        "1": "1:30",
        "1.0": ["010", "0o7", "0x1F", "1_000", "+1", ".5", "1.", ".inf", ".nan"],
        "2024-01-01": "2024-01-01",
        "numbers": [-1, 0, 1.5, 1000.0, 1e20],
        "quoted": ["true", "1", "5"],
    }


def test_names_that_yaml_1_1_would_change() -> None:
    found = load(DSN + "functions:\n  on: {function: off}\n  1:\nchannels:\n  no:\n  1:30:\n  2024-01-01:\n")
    assert [(f.method, f.function) for f in found.functions] == [("on", "off"), ("1", "1")]
    assert [c.name for c in found.channels] == ["no", "1:30", "2024-01-01"]


def test_aliases() -> None:
    found = load(DSN + "functions:\n  a: &slow {timeout: 1m}\n  b: *slow\n")
    assert [f.timeout for f in found.functions] == [60, 60]


def test_a_byte_order_mark_is_no_text() -> None:
    assert load(b"\xef\xbb\xbf" + DSN.encode()).marks.where(["database"]) == "config.yaml:1:1: database"


ALIAS = 'text that begins with * needs quotes, such as "*": without them YAML reads it as an alias'
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{n}: &{n} [{','.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1:1: is empty: it needs at least database.dsn; pgrpc init writes a file to start from"),
        ("# nothing\n", "1:1: is empty: it needs at least database.dsn; pgrpc init writes a file to start from"),
        (
            "- a\n",
            "1:1: must be a mapping with the sections database, server, auth, limits, functions, channels, dialects",
        ),
        (
            "text\n",
            "1:1: must be a mapping with the sections database, server, auth, limits, functions, channels, dialects",
        ),
        ("a:\n  b: 1\n\tc: 2\n", "3:1: YAML cannot be indented with tabs: use spaces"),
        ("a: [1\nb: 2\n", "2:2: not YAML: while parsing a flow sequence, expected ',' or ']', but got ':'"),
        ("a: b: c\n", "1:5: not YAML: mapping values are not allowed here"),
        ("a: *x\n", f"1:4: {ALIAS}"),
        ("a:\n  *: 1\n", f"2:4: {ALIAS}"),
        ("a: *.example\n", f"1:5: {ALIAS}"),
        ("a: &: 1\n", "1:5: text that begins with & needs quotes: without them YAML reads it as an anchor"),
        ("a: @x\n", "1:4: text that begins with @ needs quotes"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document (---) begins here: the configuration is one document"),
        (b"a: 1\nbc: \xe9\n", "2:5: not UTF-8: save the file as UTF-8"),
        ("é: 1\n".encode("utf-16"), "1:1: not UTF-8: save the file as UTF-8"),
        ("a: 1\nb: \x00\n", "2:4: not YAML: it contains a character of code 0"),
        ("a: &a [*a]\n", "1:4: nested deeper than 32 levels"),
        ("[" * 40, "1:41: not YAML: while parsing a flow node, expected the node content, but found '<stream end>'"),
        ("[" * 40 + "]" * 40, "1:34: nested deeper than 32 levels"),
        ("[" * 5000 + "]" * 5000, "1:1: nested too deeply"),
        (BOMB, "5:5: aliases (*name) repeat more than 10000 values: write them out"),
    ],
)
def test_faults_of_the_whole_file(text: str | bytes, fault: str) -> None:
    found = faults(text)
    if text is BOMB:
        found = [re.sub(r":\d+:\d+:", ":5:5:", line) for line in found]
    assert found == [f"config.yaml:{fault}"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def fault(name: str) -> str:
        with pytest.raises(config.Invalid) as caught:
            config.load(name, {})
        return str(caught.value)

    Path("folder").mkdir()
    assert fault("c.yaml") == "c.yaml: no such file: write one with `pgrpc init`, or name another with --config"
    assert fault("folder") == "folder: is a directory: name a file"
    assert fault("x\0y") == "x\0y: a file name cannot hold the character NUL"
    assert fault("x" * 300) == "x" * 300 + ": cannot be read: File name too long"


# Each fault at its place

SECTIONS = "database, server, auth, limits, functions, channels, dialects"
KNOWN = "known here: function, params, timeout, numbers, reset, roles, rate"
NAMES = "names that begin with rpc. or $/ belong to the protocol: choose another"
DURATION = "must be a duration: 500ms, 10s, 2m, 1h or a plain number of seconds"
SIZE = "must be a size: 64KiB, 1MiB, 512B, 10kB or a plain number of bytes"
ORIGIN = (
    "must be an origin: scheme://host or scheme://host:port in ASCII, without a path or a slash at its end, "
    'such as https://app.example.com or https://*.example.com; or "*" for every origin'
)
BASE_PATH = 'must be a path of letters, digits, "-", "_", "." and "~" between single slashes, such as /api/'
PORT = "must have a valid host, and a port of at most 65535"
SURROGATE = "half a character (a lone surrogate): write the character itself"
BLANK = "must not be blank: write the function's name, or leave the key out where it is the method's own"
YES_NO = "must be true or false, not text (yes, no, on and off are text here)"
OWN = "client libraries use this name for an event of their own: choose another"
QUOTE = "must be text, not a number: put it in quotes"
TOO_LONG = "has 64 bytes in UTF-8; PostgreSQL's limit for a channel's name is 63"
CLIENTS_OWN = ("open", "close", "error", "max_reconnects_reached")
ON_OFF = "must be true, false or a mapping (key: value)"
UNHEARD = "this channel is not listed below channels, or not for everyone: list it there, or name another"
NEAR_ROLE = '2:54: auth.anonymous_rol: unknown key; did you mean "anonymous_role"?'
NO_MAPPING = "must be a mapping (key: value)"
EXAMPLE = "{function: auction.place_bid}"
FUNCTIONS = (
    "{add: , place_bid: {function: auction.place_bid, params: schemas/examples/place_bid.schema.json, timeout: 2s}}"
)
REFERENCE_IN_KEY = "${...} works in values only, not in keys: write the name itself"
TWICE = "given twice, first in line"
LONG_NAME = "é" * 32
KEYS = "known here: dsn, listen_dsn, pool_size, statement_timeout, connect_timeout, listen_probe"
NO_LIST = "must be a list"
WRITE_ORIGINS = "write for example allowed_origins: [https://app.example.com]"
WRITE_DSN = "write for example dsn: ${DATABASE_URL}"
DSN_MISSING = f"is missing: {WRITE_DSN}"
WRITE_PARAMS = "write for example params: schemas/place_bid.schema.json"
PARAMS_ELSEWHERE = "write the schema to a .json file and put its path here, such as schemas/place_bid.schema.json"
NETWORK = "must be an address or a network, such as 10.1.2.3, 10.0.0.0/8 or fd00::/8"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server:\n", [f"1:1: database.dsn: {DSN_MISSING}"]),
        ("server:\ndatabase:\n", [f"2:1: database.dsn: {DSN_MISSING}"]),
        ("\ndatabase:\n  pool_size: 1\n", [f"2:1: database.dsn: {DSN_MISSING}"]),
        ("database: x\n", [f'1:1: database: {NO_MAPPING}, not text: write database: {{dsn: "${{DATABASE_URL}}"}}']),
        ("database: {}\n", [f"1:1: database.dsn: {DSN_MISSING}"]),
        ("database: {url: x}\n", ['1:12: database.url: unknown key; did you mean "dsn"?']),
        ("db: {url: x}\n", ['1:1: db: unknown key; did you mean "database"?']),
        ("database: {zzz: x}\n", [f"1:1: database.dsn: {DSN_MISSING}", f"1:12: database.zzz: unknown key; {KEYS}"]),
        ("database:\n  dsn: ''\n", ["2:3: database.dsn: must not be empty"]),
        ("database:\n  dsn:\n", [f"2:3: database.dsn: must be text, not empty: {WRITE_DSN}"]),
        ("database:\n  dsn: 5\n", ["2:3: database.dsn: must be text, not a number: put it in quotes"]),
        ("database:\n  dsn: true\n", [f"2:3: database.dsn: must be text, not a boolean: {WRITE_DSN}"]),
        ("database: {dsn: x, dsn: y}\n", ["1:20: database.dsn: given twice, first in line 1: keep one of them"]),
        ("database: {dsn: x, <<: {}}\n", ["1:20: database: merge keys (<<) are not supported: write the keys out"]),
        ("database: {dsn: x, ? [a] : b}\n", ["1:22: database: a key must be text"]),
        ('database: {dsn: "\\ud800"}\n', [f"1:17: database.dsn: contains {SURROGATE}"]),
        ('database: {dsn: x, "\\ud800": 1}\n', [f"1:20: database: a key contains {SURROGATE}"]),
        ("database: {dsn: !env X}\n", ["1:17: database.dsn: tags (!name) are not supported: write the value itself"]),
        ("!x {}\n", ["1:1: tags (!name) are not supported: write the value itself"]),
    ],
)  # fmt: skip
def test_faults_of_the_database(text: str, expected: list[str]) -> None:
    assert faults(text) == [f"config.yaml:{line}" for line in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("databse: {}\n", '2:1: databse: unknown key; did you mean "database"?'),
        ("zzz: {}\n", f"2:1: zzz: unknown key; known here: {SECTIONS}"),
        ("server: []\n", f"2:1: server: {NO_MAPPING}, not a list: write server: {{host: 127.0.0.1, port: 8080}}"),
        ("server:\n  Port: 1\n", '3:3: server.Port: unknown key; did you mean "port"?'),
        ('server:\n  port: "80"\n', "3:3: server.port: must be a whole number, not text: remove the quotes"),
        ('server:\n  port: "8.5"\n', "3:3: server.port: must be a whole number, not text"),
        ('server:\n  port: "65536"\n', "3:3: server.port: must be a whole number, not text"),
        ('server:\n  port: "true"\n', "3:3: server.port: must be a whole number, not text"),
        ("server:\n  base_path: 5\n", "3:3: server.base_path: must be text, not a number: put it in quotes"),
        ("server:\n  allowed_origins: [8080]\n", f"3:21: server.allowed_origins[0]: {ORIGIN}"),
        ("server:\n  trusted_proxies: [10.1]\n", f"3:21: server.trusted_proxies[0]: {NETWORK}"),
        ("server:\n  port: 1:30\n", "3:3: server.port: must be a whole number, not text"),
        ("server:\n  port: 0x50\n", "3:3: server.port: must be a whole number, not text"),
        ("server:\n  port: 8.5\n", "3:3: server.port: must be a whole number, not a number"),
        ("server:\n  port: true\n", "3:3: server.port: must be a whole number, not a boolean"),
        ("server:\n  port: 65536\n", "3:3: server.port: must be at most 65535"),
        ("server:\n  workers: 0\n", "3:3: server.workers: must be at least 1"),
        ("server:\n  workers: 257\n", "3:3: server.workers: must be at most 256"),
        ("server:\n  port: -1\n", "3:3: server.port: must be at least 0"),
        ("server:\n  host: 0\n", "3:3: server.host: must be text, not a number: put it in quotes"),
        ("server:\n  host: ''\n", "3:3: server.host: must not be empty"),
        ("server:\n  base_path: /a?b\n", f"3:3: server.base_path: {BASE_PATH}"),
        ("server:\n  base_path: //\n", f"3:3: server.base_path: {BASE_PATH}"),
        ("server:\n  base_path: /a/../b\n", f"3:3: server.base_path: {BASE_PATH}"),
        ("server:\n  base_path: /.\n", f"3:3: server.base_path: {BASE_PATH}"),
        ('server:\n  base_path: "/a\\n"\n', f"3:3: server.base_path: {BASE_PATH}"),
        ("server:\n  allowed_origins: '*'\n", f"3:3: server.allowed_origins: {NO_LIST}, not text: put it in brackets"),
        ("server:\n  allowed_origins: h\n", f"3:3: server.allowed_origins: {NO_LIST}, not text: {WRITE_ORIGINS}"),
        ("server:\n  allowed_origins: 1\n", f"3:3: server.allowed_origins: {NO_LIST}, not a number: {WRITE_ORIGINS}"),
        ("server:\n  host: true\n", "3:3: server.host: must be text, not a boolean: write for example host: 127.0.0.1"),
        ("server:\n  allowed_origins: ['*.a']\n", f"3:21: server.allowed_origins[0]: {ORIGIN}"),
        ("server:\n  allowed_origins: ['**']\n", f"3:21: server.allowed_origins[0]: {ORIGIN}"),
        ("server:\n  allowed_origins: ['null']\n", f"3:21: server.allowed_origins[0]: {ORIGIN}"),
        ("server:\n  allowed_origins:\n  - https://a\n  - https://b/\n", f"5:5: server.allowed_origins[1]: {ORIGIN}"),
        ("server:\n  allowed_origins: [a.example]\n", f"3:21: server.allowed_origins[0]: {ORIGIN}"),
        ("server:\n  allowed_origins: [https://bücher.example]\n", f"3:21: server.allowed_origins[0]: {ORIGIN}"),
        ("server:\n  allowed_origins: [null]\n", "3:21: server.allowed_origins[0]: must be text, not empty"),
        ("server:\n  allowed_origins: ['http://a:65536']\n", f"3:21: server.allowed_origins[0]: {PORT}"),
        ("server:\n  allowed_origins: ['http://[1:::2]']\n", f"3:21: server.allowed_origins[0]: {PORT}"),
        ("limits:\n  batch: 0\n", "3:3: limits.batch: must be at least 1"),
        ("limits:\n  batch: yes\n", "3:3: limits.batch: must be a whole number, not text"),
        ("limits:\n  batch:\n", "3:3: limits.batch: must be a whole number, not empty"),
        ("limits:\n  send_buffer: 1 MiB\n", f"3:3: limits.send_buffer: {SIZE}"),
        ("limits:\n  send_buffer: 1.5MiB\n", f"3:3: limits.send_buffer: {SIZE}"),
        ("limits:\n  send_buffer: 64K\n", f"3:3: limits.send_buffer: {SIZE}"),
        ("limits:\n  send_buffer: 1.5\n", f"3:3: limits.send_buffer: {SIZE}, not a number"),
        ("limits:\n  send_buffer: []\n", f"3:3: limits.send_buffer: {SIZE}, not a list"),
        ("limits:\n  send_buffer: 0B\n", "3:3: limits.send_buffer: must be at least 1 byte"),
        ("limits:\n  send_buffer: 0\n", "3:3: limits.send_buffer: must be at least 1 byte"),
        ("limits:\n  send_buffer: 2GiB\n", "3:3: limits.send_buffer: must be at most 1073741824 bytes"),
        ('limits:\n  send_buffer: "1B\\n"\n', f"3:3: limits.send_buffer: {SIZE}"),
        ("limits: []\n", f"2:1: limits: {NO_MAPPING}, not a list: write limits: {{message_size: 64KiB, queue: 1000}}"),
        (
            "limits:\n  rates: {address: 5/s}\n",
            f"3:11: limits.rates.address: {NO_MAPPING}, not text: write address: {{calls: 100/s, logins: 5/min}}",
        ),
        ("functions: [add, b.c]\n", f"2:1: functions: {NO_MAPPING}, not a list: write functions: {{add: , b.c: }}"),
        ('functions: ["a b"]\n', f"2:1: functions: {NO_MAPPING}, not a list: write functions: {FUNCTIONS}"),
        ("functions:\n  f: g\n", f"3:3: functions.f: {NO_MAPPING}, not text: write f: {{function: g}}"),
        ("functions:\n  f: shop.g\n", f"3:3: functions.f: {NO_MAPPING}, not text: write f: {{function: shop.g}}"),
        (
            "functions:\n  f: 'p w'\n",
            f"3:3: functions.f: {NO_MAPPING}, not text: write f: {{function: auction.place_bid}}",
        ),
        ("functions:\n  f: 3\n", f"3:3: functions.f: {NO_MAPPING}, not a number: write f: {EXAMPLE}"),
        ("functions:\n  a b: 3\n", f'3:3: functions."a b": {NO_MAPPING}, not a number: write "a b": {EXAMPLE}'),
        ("channels:\n  c: nosuch\n", f"3:3: channels.c: {NO_MAPPING}, not text: write c: {{payload: json}}"),
        ("functions:\n  f:\n    timeuot: 1s\n", '4:5: functions.f.timeuot: unknown key; did you mean "timeout"?'),
        ("functions:\n  f:\n    x: 1\n", f"4:5: functions.f.x: unknown key; {KNOWN}"),
        ("functions:\n  f:\n    timeout: soon\n", f"4:5: functions.f.timeout: {DURATION}"),
        ("functions:\n  f:\n    timeout: 1:30\n", f"4:5: functions.f.timeout: {DURATION}"),
        ("functions:\n  f:\n    timeout: -1s\n", f"4:5: functions.f.timeout: {DURATION}"),
        ("functions:\n  f:\n    timeout: 10S\n", f"4:5: functions.f.timeout: {DURATION}"),
        ("functions:\n  f:\n    timeout: false\n", f"4:5: functions.f.timeout: {DURATION}, not a boolean"),
        ("functions:\n  f:\n    timeout: 0\n", "4:5: functions.f.timeout: must be at least 0.001 seconds"),
        ("functions:\n  f:\n    timeout: 0.5ms\n", "4:5: functions.f.timeout: must be at least 0.001 seconds"),
        ("functions:\n  f:\n    timeout: 1e400\n", "4:5: functions.f.timeout: must be at most 2147483 seconds"),
        ("functions:\n  f:\n    timeout: 999h\n", "4:5: functions.f.timeout: must be at most 2147483 seconds"),
        ("functions:\n  f:\n    numbers: text\n", "4:5: functions.f.numbers: must be one of: number, string"),
        ("functions:\n  f:\n    reset: yes\n", f"4:5: functions.f.reset: {YES_NO}"),
        ("functions:\n  f:\n    reset: 1\n", "4:5: functions.f.reset: must be true or false, not a number"),
        ("functions:\n  f:\n    function: ' '\n", f"4:5: functions.f.function: {BLANK}"),
        ("functions:\n  f:\n    function: 1\n", f"4:5: functions.f.function: {QUOTE}"),
        ("functions:\n  f:\n    params: ''\n", "4:5: functions.f.params: must not be empty"),
        (
            "functions:\n  f:\n    params: {}\n",
            f"4:5: functions.f.params: must be text, not a mapping: {PARAMS_ELSEWHERE}",
        ),
        (
            "functions:\n  f:\n    params: false\n",
            f"4:5: functions.f.params: must be text, not a boolean: {WRITE_PARAMS}",
        ),
        ("functions:\n  f:\n    params: []\n", f"4:5: functions.f.params: must be text, not a list: {WRITE_PARAMS}"),
        ("functions:\n  f:\n    schema: a.json\n", '4:5: functions.f.schema: unknown key; did you mean "params"?'),
        ("functions:\n  f:\n    Rate_Limit: 1/s\n", '4:5: functions.f.Rate_Limit: unknown key; did you mean "rate"?'),
        ("channels:\n  c:\n    format: json\n", '4:5: channels.c.format: unknown key; did you mean "payload"?'),
        ("methods:\n  f:\n", '2:1: methods: unknown key; did you mean "functions"?'),
        ('functions:\n  "":\n', '3:3: functions."": the name of a method cannot be empty'),
        ("functions:\n  rpc.on:\n", f'3:3: functions."rpc.on": {NAMES}'),
        ("functions:\n  $/x:\n", f'3:3: functions."$/x": {NAMES}'),
        ("functions:\n  ${F}:\n", f'3:3: functions."${{F}}": {REFERENCE_IN_KEY}'),
        ("channels:\n  c: text\n", f"3:3: channels.c: {NO_MAPPING}, not text: write c: {{payload: text}}"),
        ("channels:\n  c:\n    payload: xml\n", "4:5: channels.c.payload: must be one of: auto, text, json"),
        ("channels:\n  c:\n    payloads: text\n", '4:5: channels.c.payloads: unknown key; did you mean "payload"?'),
        ('channels:\n  "":\n', '3:3: channels."": a channel\'s name cannot be empty'),
        ('channels:\n  "a\\0":\n', '3:3: channels."a\\u0000": a channel\'s name cannot hold the character NUL'),
        ("channels:\n  rpc.gap:\n", f'3:3: channels."rpc.gap": {NAMES}'),
        ("channels:\n  rpc.*:\n", f'3:3: channels."rpc.*": {NAMES}'),
        ("channels:\n  $/a:\n", f'3:3: channels."$/a": {NAMES}'),
        *((f"channels:\n  {name}:\n", f"3:3: channels.{name}: {OWN}") for name in CLIENTS_OWN),
        (f"channels:\n  {LONG_NAME}:\n", f"3:3: channels.{LONG_NAME}: {TOO_LONG}"),
        ("functions:\n  f:\n    timeout: 1s\n  f:\n", f"5:3: functions.f: {TWICE} 3: keep one of them"),
    ],
)  # fmt: skip
def test_faults(text: str, expected: str) -> None:
    assert faults(DSN + text) == [f"config.yaml:{expected}"]


def test_channels_at_the_limit() -> None:
    found = load(DSN + f'channels:\n  {"a" * 63}:\n  "{"a" * 70}*":\n  "**":\n  opens:\n  rpcs:\n')
    assert len(found.channels) == 5


def test_all_faults_at_once_in_the_order_of_the_file() -> None:
    write("bad.json", "{")
    text = """\
server:
  port: x
database:
  pool_size: 0
  dns: ${NOPE}
functions:
  a:
    timeout: soon
    params: bad.json
    numbers: 1
  a:
  rpc.b:
    timeout: 0ms
    params: none.json
channels:
  open: {payload: x}
"""
    assert faults(text) == [
        "config.yaml:2:3: server.port: must be a whole number, not text",
        f"config.yaml:3:1: database.dsn: {DSN_MISSING}",
        "config.yaml:4:3: database.pool_size: must be at least 1",
        "config.yaml:5:3: database.dns: NOPE is not set: set this environment variable, or write ${NOPE:-default}",
        f"config.yaml:8:5: functions.a.timeout: {DURATION}",
        "bad.json:1:2: not JSON: Expecting property name enclosed in double quotes",
        "config.yaml:10:5: functions.a.numbers: must be one of: number, string",
        "config.yaml:11:3: functions.a: given twice, first in line 7: keep one of them",
        f'config.yaml:12:3: functions."rpc.b": {NAMES}',
        'config.yaml:13:5: functions."rpc.b".timeout: must be at least 0.001 seconds',
        'config.yaml:14:5: functions."rpc.b".params: none.json: no such file',
        "config.yaml:16:3: channels.open: client libraries use this name for an event of their own: choose another",
        "config.yaml:16:10: channels.open.payload: must be one of: auto, text, json",
    ]


def test_a_keyword_without_words_of_its_own() -> None:
    (error,) = jsonschema.Draft202012Validator({"maxLength": 1}).iter_errors("s3cret")
    assert list(validate._faults(error, Faults(model.Marks("c")), {})) == [((), "does not fit the schema's maxLength")]


# Substitution

BOTH_EMPTY = "A is set but empty and B is not set, and its default is empty: set a value"


@pytest.mark.parametrize(
    ("text", "dsn"),
    [
        ("${A}", "one"),
        ("host=${A} user=${B:-me}", "host=one user=me"),
        ("${A:-x}", "one"),
        ("${EMPTY:-x}", "x"),
        ("${B:-}${A}", "one"),
        ("${B:-a:b-c}", "a:b-c"),
        ("$${A}", "${A}"),
        ("a$$b$c$", "a$b$c$"),
        ("${REFERENCE}", "${A}$$"),
        ("${file:secret}", "hush"),
        ("x${file:sub/secret}y", "xhush\ny"),
        ("'${A}'", "one"),
        ('"${A}"', "one"),
        ("${EMPTY}x", "x"),
        ("|-\n    a\n    ${A}", "a\none"),
    ],
)
def test_substitution(text: str, dsn: str) -> None:
    write("secret", "hush\n")
    write("sub/secret", "hush\n\r\n")
    environ = {"A": "one", "EMPTY": "", "REFERENCE": "${A}$$"}
    assert load(f"database:\n  dsn: {text}\n", environ).database.dsn == dsn


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("database: {dsn: '${A}'}", "1:12: database.dsn: A is set but empty: set a value"),
        ("database: {dsn: '${A}${B:-}'}", f"1:12: database.dsn: {BOTH_EMPTY}"),
        ("database: {dsn: '${file:nothing}'}", "1:12: database.dsn: the file nothing is empty: set a value"),
        (f"{DSN}auth: {{secret: '${{A}}'}}", "2:8: auth.secret: A is set but empty: set a value"),
        (f"{DSN}server: {{host: '${{A}}'}}", "2:10: server.host: A is set but empty: set a value"),
        (f"{DSN}server: {{port: '${{A}}'}}", "2:10: server.port: A is set but empty: set a value"),
        (f"{DSN}functions: {{f: {{numbers: '${{A}}'}}}}", "2:17: functions.f.numbers: A is set but empty: set a value"),
    ],
)
def test_a_reference_to_something_empty_is_named(text: str, words: str) -> None:
    write("nothing", "\n")
    assert faults(text, {"A": ""}) == [f"config.yaml:{words}"]


def test_a_fault_names_the_references_but_not_their_defaults() -> None:
    text = f"{DSN}server: {{port: '${{A}}${{B:-s3cret}}${{A}}${{file:f}}'}}"
    write("f", "x")
    words = "must be a whole number, not text (from ${A}, ${B}, ${file:f})"
    assert faults(text, {"A": "1"}) == [f"config.yaml:2:10: server.port: {words}"]


def test_files_are_beside_the_configuration() -> None:
    write("etc/config.yaml", "database: {dsn: '${file:dsn}'}\nfunctions: {f: {params: f.json}}\n")
    write("etc/dsn", "x\n")
    write("etc/f.json", "{}")
    found = config.load("etc/config.yaml", {})
    assert found.database.dsn == "x"
    assert found.functions[0].params is not None
    assert found.functions[0].params.uri == Path("etc/f.json").absolute().as_uri()


def test_variables_where_no_text_is_wanted() -> None:
    text = """
database: {dsn: x, listen_dsn: "${NONE:-}", pool_size: "${SIZE}", statement_timeout: "${SECONDS}"}
limits: ${NONE:-}
server: {port: "${NONE:-81}", host: "${SIZE}", allowed_origins: ["${ORIGIN}"]}
functions: {f: {reset: "${RESET}", timeout: "${NONE:-}", function: "${RESET}"}}
"""
    environ = {"SIZE": "3", "SECONDS": "7", "RESET": "true", "ORIGIN": "https://a"}
    found = load(text, environ)
    assert found.database == config.Database("x", None, 3, 7.0)
    assert found.limits == config.Limits()
    assert found.server == config.Server("3", 81, "/", ("https://a",))
    assert found.functions == (config.Function("f", "true", reset=True),)


FORMS = "is not a valid reference: write ${NAME}, ${NAME:-default} or ${file:PATH}, or $${ for a literal ${"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("${A}", "A is not set: set this environment variable, or write ${A:-default}"),
        (
            "${A}${B}${A}",
            "A is not set: set this environment variable, or write ${A:-default}; "
            "B is not set: set this environment variable, or write ${B:-default}",
        ),
        ("${LATIN}", "the environment variable LATIN is not valid UTF-8"),
        ("${file:none}", "the file none cannot be read: No such file or directory"),
        ("${file:.}", "the file . cannot be read: Is a directory"),
        ("${file:latin}", "the file latin is not valid UTF-8"),
        ('"${file:a\\0}"', "the file's name holds the character NUL"),
        ("${A", FORMS),
        ("${}", FORMS),
        ("${1}", FORMS),
        ("${A-x}", FORMS),
        ("${A:?x}", FORMS),
        ("${A:-${B}}", FORMS),
    ],
)
def test_references_that_lead_nowhere(text: str, fault: str) -> None:
    Path("latin").write_bytes(b"\xe9")
    found = faults(f"database:\n  dsn: {text}\n", {"LATIN": "\udce9"})
    assert found == [f"config.yaml:2:3: database.dsn: {fault}"]


def test_an_item_of_a_list_has_its_own_line() -> None:
    text = DSN + "server:\n  allowed_origins:\n  - https://a\n  - ${A}\n"
    words = "A is not set: set this environment variable, or write ${A:-default}"
    assert faults(text) == [f"config.yaml:5:5: server.allowed_origins[1]: {words}"]


EVERYWHERE = """
database: {dsn: x, listen_dsn: x, pool_size: "${S}", statement_timeout: "${S}", connect_timeout: "${file:secret}"}
server: {host: x, port: "${S}", base_path: "${S}", allowed_origins: ["${S}", "http://a:${PORT}"]}
limits: {batch: "${S}", send_buffer: "a${S}", message_size: "${PORT}GiB"}
functions:
  a: {params: "${S}", timeout: "${S}", numbers: "${S}", reset: "${S}"}
  b: {params: "${S}/bad.json"}
  c: {params: "${S}/refers.json"}
  d: "${S}"
channels: {c: {payload: "${S}"}, d: "${S}"}
"""


def test_no_fault_tells_what_was_put_in() -> None:
    secret = "s3cret ?#"
    write("secret", secret)
    write(f"{secret}/bad.json", '{"a": 1, "a": 2}')
    write(f"{secret}/refers.json", '{"$ref": "none.json"}')
    Path("config.yaml").write_text(EVERYWHERE, encoding="utf-8")
    with pytest.raises(config.Invalid) as caught:
        config.load("config.yaml", {"S": secret, "PORT": "98765"})
    assert len(caught.value.faults) == 19
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    told = str(caught.value)
    assert "98765" not in told
    assert "config.yaml:3:19: server.port: must be a whole number, not text (from ${S})" in told
    assert 'config.yaml:7:7: functions.b.params: the schema file:1:10: the key "a" is given twice' in told
    assert 'config.yaml:8:7: functions.c.params: $ref "none.json" in the schema file: no such file' in told


def test_repr_holds_no_password() -> None:
    found = load("database: {dsn: '${A}', listen_dsn: 'l3aked'}\n", {"A": "s3cret"})
    assert found.database.dsn == "s3cret"
    for value in (found, found.database, found.marks):
        assert "s3cret" not in repr(value)
        assert "l3aked" not in repr(value)


# What can still be judged of a faulty file


def sound(text: str) -> config.Config | None:
    Path("config.yaml").write_text(text)
    with pytest.raises(config.Invalid) as caught:
        config.load("config.yaml", {})
    return caught.value.sound


ROLES = "functions: {f: {roles: [web]}}\nchannels: {'user.{sub}': {roles: [web]}}\n"


@pytest.mark.parametrize(
    ("auth", "fault"),
    [
        ("auth: {secret: short}", "2:8: auth.secret: has 5 bytes; HS256 needs at least 32 (openssl rand -base64 48)"),
        (f"auth: {{secret: {SECRET}, anonymous_rol: x}}", NEAR_ROLE),
        ("auth: 5", f'2:1: auth: {NO_MAPPING}, not a number: write auth: {{secret: "${{file:jwt.secret}}"}}'),
        (f"auht: {{secret: {SECRET}}}", '2:1: auht: unknown key; did you mean "auth"?'),
    ],
)
def test_a_fault_in_auth_is_the_only_one_and_says_that_auth_is_unknown(auth: str, fault: str) -> None:
    text = f"{DSN}{auth}\n{ROLES}"
    assert faults(text) == [f"config.yaml:{fault}"]
    found = sound(text)
    assert found is not None
    assert found.auth is None
    assert found.unknown == {"auth"}
    assert [function.method for function in found.functions] == ["f"]


def test_a_section_that_is_no_mapping_is_unknown() -> None:
    found = sound(f"{DSN}functions: [a]\nlimits: {{batch: 0, subscriptions: 7}}\n")
    assert found is not None
    assert found.unknown == {"functions"}
    assert found.limits == config.Limits(subscriptions=7)


def test_nothing_of_a_sound_file_is_unknown() -> None:
    assert load(DSN).unknown == frozenset()


@pytest.mark.parametrize("text", ["databse: {dsn: x}\n", "server: {port: x}\ndatabase: {dsn: }\n"])
def test_without_a_database_nothing_can_be_judged(text: str) -> None:
    assert sound(text) is None


def test_a_section_whose_name_is_misspelled_is_not_missing() -> None:
    assert faults("databse: {dsn: x}\n") == ['config.yaml:1:1: databse: unknown key; did you mean "database"?']


# Folders of pages


def test_a_folder_of_pages_is_relative_to_the_file() -> None:
    write("conf/public/index.html", "")
    write("conf/config.yaml", DSN + "server: {static: public}\n")
    assert config.load("conf/config.yaml", {}).server.static == Path("conf/public").absolute()
    assert load(DSN + "server: {static: conf/../conf}\n").server.static == Path("conf").absolute()
    assert load(DSN + "server: {static: }\n").server.static is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("none", "there is no such folder: write its name relative to this file"),
        ("config.yaml", "is not a folder: name the folder that contains the pages"),
        (".", "contains this configuration, which would be served: put the pages into a folder of their own"),
        ("/", "contains this configuration, which would be served: put the pages into a folder of their own"),
        ('"a\\0"', "the name of a folder cannot hold the character NUL"),
        ("x" * 300, "cannot be read: File name too long"),
        ("''", "must not be empty"),
        ("5", "must be text, not a number: put it in quotes"),
    ],
)
def test_folders_that_cannot_be_served(name: str, fault: str) -> None:
    assert faults(f"{DSN}server:\n  static: {name}\n") == [f"config.yaml:3:3: server.static: {fault}"]


# Schema files


def test_references_are_followed() -> None:
    write("s/bid.json", '{"$id": "https://example.com/x", "properties": {"a": {"$ref": "common.json#/$defs/a"}}}')
    write("s/common.json", '{"$defs": {"a": {"anyOf": [{"$dynamicRef": "sub/d%65ep.json"}, {"$ref": "#/x"}]}}}')
    write("s/sub/deep.json", '{"items": {"$ref": "../bid.json"}}')
    found = load(DSN + "functions:\n  a: {params: s/bid.json}\n  b: {params: s/../s/bid.json}\n")
    base = Path("s").absolute().as_uri()
    names = ("bid.json", "common.json", "sub/deep.json", "sub/d%65ep.json")
    assert set(found.schemas) == {f"{base}/{name}" for name in names}
    first, second = (function.params for function in found.functions)
    assert first == second
    assert first is not None
    assert found.schemas[first.uri] is first.document
    assert "$id" not in first.document


def test_what_only_looks_like_a_reference() -> None:
    document = {
        "properties": {"$ref": {"type": "string"}, "default": {"minLength": 1}},
        "const": {"$ref": "none.json"},
        "examples": [{"$ref": "none.json"}],
        "$ref": "#/$defs/a",
        "$defs": {"$ref": True, "a": {"$ref": 3}},
    }
    write("a.json", json.dumps(document))
    assert load(DSN + "functions: {f: {params: a.json}}\n").functions[0].params is not None


@pytest.mark.parametrize("text", ["true", "3", "[]", '{"properties": 3}'])
def test_whether_a_document_is_a_schema_is_not_asked_here(text: str) -> None:
    write("a.json", text)
    params = load(DSN + "functions: {f: {params: a.json}}\n").functions[0].params
    assert params is not None
    assert params.document == json.loads(text)


NETWORK = "nothing is fetched from the network: save a copy next to this file, and refer to that"
NO_FILE = "is not a file: refer to a file by its relative path"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("none.json", "no such file"),
        ("sub", "is not a file"),
        ("https://example.com/a.json", NETWORK),
        ("http://example.com/a.json#/x", NETWORK),
        ("//example.com/a.json", NO_FILE),
        ("urn:a:b", NO_FILE),
        ("a%00.json", "a file name cannot hold the character NUL"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_references_to_no_file(reference: str, words: str) -> None:
    Path("s/sub").mkdir(parents=True)
    write("s/a.json", json.dumps({"allOf": [{"$ref": "b.json"}]}))
    write("s/b.json", json.dumps({"$ref": reference}))
    assert faults(DSN + "functions:\n  f:\n    params: s/a.json\n") == [
        f'config.yaml:4:5: functions.f.params: $ref "{reference}" in s/b.json: {words}'
    ]


def test_a_reference_that_is_no_uri() -> None:
    write("a.json", json.dumps({"$ref": "http://["}))
    (fault,) = faults(DSN + "functions: {f: {params: a.json}}\n")
    assert fault.startswith('config.yaml:2:17: functions.f.params: $ref "http://[" in a.json: ')


def test_each_function_and_each_reference_is_told() -> None:
    write("a.json", '{"allOf": [{"$ref": "x"}, {"$ref": "y"}, {"$ref": "x"}]}')
    assert faults(DSN + "functions:\n  f: {params: a.json}\n  g: {params: ./a.json}\n") == [
        'config.yaml:3:7: functions.f.params: $ref "x" in a.json: no such file',
        'config.yaml:3:7: functions.f.params: $ref "y" in a.json: no such file',
        'config.yaml:4:7: functions.g.params: $ref "x" in a.json: no such file',
        'config.yaml:4:7: functions.g.params: $ref "y" in a.json: no such file',
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ["1:1: not JSON: Expecting value"]),
        (b'{"a": 1,\n  "b" 2}', ["2:7: not JSON: Expecting ':' delimiter"]),
        (b'{"a": "\xe9"}', ["1:8: not UTF-8"]),
        (b'{"a": 1, "b": {"a": 1},\n "a": 2}', ['2:2: the key "a" is given twice']),
        (b'[{"a": [{}, "a", "a"], "\\u0061": 1}]', ['1:24: the key "\\u0061" is given twice']),
        (
            b'{"a": NaN,\n"b": [-Infinity, "NaN", "\\"NaN"],\n"a": Infinity}',
            [
                "1:7: NaN is not JSON",
                "2:7: -Infinity is not JSON",
                '3:1: the key "a" is given twice',
                "3:6: Infinity is not JSON",
            ],
        ),
        (b"[" * 100_000, ["1:1: nested deeper than 256 levels"]),
        (b"1" * 5000, ["1:1: holds a number out of range"]),
        (b"1e99999999999999999999", ["1:1: holds a number out of range"]),
    ],
)  # fmt: skip
def test_faults_of_a_schema_file(data: bytes, expected: list[str]) -> None:
    write("s/c.json", '{"$ref": "bad.json"}')
    Path("s/bad.json").write_bytes(data)
    text = DSN + "functions: {f: {params: s/bad.json}, g: {params: s/bad.json}, h: {params: s/c.json}}\n"
    assert faults(text) == [f"s/bad.json:{line}" for line in expected]


def test_a_schema_file_elsewhere_is_named_in_full(tmp_path: Path) -> None:
    write("etc/config.yaml", DSN + "functions: {f: {params: ../bad.json}, g: {params: bad.json}}\n")
    write("bad.json", "{")
    write("etc/bad.json", "{")
    with pytest.raises(config.Invalid) as caught:
        config.load("etc/config.yaml", {})
    words = "1:2: not JSON: Expecting property name enclosed in double quotes"
    assert caught.value.faults == (f"{tmp_path}/bad.json:{words}", f"etc/bad.json:{words}")


def test_numbers_of_a_schema_file_are_exact() -> None:
    document = jsonfile.parse(b'\xef\xbb\xbf{"a": 0.1, "b": 1, "c": 1e2}')
    assert document == {"a": Decimal("0.1"), "b": 1, "c": Decimal("1e2")}
    assert [type(value) for value in document.values()] == [Decimal, int, Decimal]


# Places


def test_where() -> None:
    found = load("database:\n  dsn: x\nfunctions:\n  bid:\n    timeout: 2s\nserver:\n  allowed_origins: [http://a]\n")
    assert found.where(["functions", "bid", "timeout"]) == "config.yaml:5:5: functions.bid.timeout"
    assert found.where(["functions", "bid", "params"]) == "config.yaml:4:3: functions.bid.params"
    assert found.where(("channels", "room.*")) == 'config.yaml:1:1: channels."room.*"'
    assert found.where(["server", "allowed_origins", 0]) == "config.yaml:7:21: server.allowed_origins[0]"
    assert found.where([]) == "config.yaml:1:1"


def test_values_made_without_a_file_have_a_place_too() -> None:
    made = config.Config(Path("c.yaml"), config.Database("x"))
    assert made.where(["database", "dsn"]) == "config.yaml:1:1: database.dsn"


def test_a_place_can_always_be_printed() -> None:
    model.shown(["functions", "\ud800"]).encode()


# The schema and the example


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.DOCUMENT)


def test_the_schema_describes_every_key() -> None:
    def check(rule: Mapping[str, Any]) -> None:
        for inner in rule.get("properties", {}).values():
            target = schema.definition(inner["$ref"].rpartition("/")[2]) if "$ref" in inner else inner
            assert {"title", "description"} <= {*inner, *target}
            check(target)

    check(schema.DOCUMENT)
    for rule in schema.DOCUMENT["$defs"].values():
        assert {"title", "description"} <= set(rule)
        assert rule.get("additionalProperties", False) is False
        check(rule)


def test_defaults_and_examples_of_the_schema_fit_it() -> None:
    def check(place: str, rule: Mapping[str, Any]) -> None:
        found = schema.resolve(rule)
        for value in (*found.get("examples", ()), *((found["default"],) if "default" in found else ())):
            whole = {**rule, "$defs": schema.DOCUMENT["$defs"]}
            assert jsonschema.Draft202012Validator(whole).is_valid(value), (place, value)
        for key, inner in found.get("properties", {}).items():
            check(f"{place}.{key}", inner)

    for name, rule in schema.DOCUMENT["$defs"].items():
        check(name, rule)
    for name, rule in schema.DOCUMENT["properties"].items():
        check(name, rule)


def test_a_name_that_a_key_has_elsewhere_means_one_key() -> None:
    for rule in (schema.DOCUMENT, *schema.DOCUMENT["$defs"].values(), schema.at(schema.DOCUMENT, ("server", "tls"))):
        keys = schema.resolve(rule).get("properties", {})
        others = [name for key in keys.values() for name in key.get("otherNames", ())]
        assert len({*others, *keys}) == len(others) + len(keys)
        assert all(name == name.lower() for name in others)


@pytest.mark.parametrize("section", ["functions", "channels"])
@pytest.mark.parametrize("name", ["", "rpc.x", "$/x", "rpc", "open", "closed", "a\0", "a.b"])
def test_editors_refuse_the_names_that_we_refuse(section: str, name: str) -> None:
    if section == "functions":
        fault = reader._method_fault(name)
    else:
        fault = reader._channel_fault(config.Channel(name)) or reader._reserved(name)
    rule = {**schema.DOCUMENT["properties"][section], "additionalProperties": True}
    assert jsonschema.Draft202012Validator(rule).is_valid({name: None}) is (fault is None)


def test_the_schema_is_found_in_a_wheel_and_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "files", lambda _: tmp_path / "pgrpc")
    with pytest.raises(RuntimeError, match="missing from this installation"):
        schema._read()
    (tmp_path / "pgrpc").mkdir()
    write("schemas/config.schema.json", "1")
    assert schema._read() == 1
    write("pgrpc/schemas/config.schema.json", "2")
    assert schema._read() == 2


def test_the_example() -> None:
    path = ROOT / "config.yaml.example"
    found = config.load(path, {"DATABASE_URL": "postgresql://h/d"}, registry.dialects())
    assert found.database == config.Database("postgresql://h/d")
    assert found.server == config.Server()
    assert found.limits == config.Limits()
    assert [function.method for function in found.functions] == ["add", "place_bid"]
    assert found.channels == (config.Channel("people"), config.Channel("room.*"))
    assert found.dialects == {}
    assert path.read_text().startswith("# yaml-language-server: $schema=schemas/config.schema.json\n")


def test_the_sections_of_the_example_that_are_comments() -> None:
    text = (ROOT / "config.yaml.example").read_text()
    begin = text.index("# auth:\n")
    section = re.sub("^# ", "", text[begin : text.index("\n\n", begin)], flags=re.MULTILINE)
    write("jwt.secret", SECRET)
    assert load(DSN + section).auth == config.Auth(secret=SECRET)


def test_the_example_shows_every_key_with_a_comment() -> None:
    lines = (ROOT / "config.yaml.example").read_text().splitlines()
    keys = {
        line.strip().partition(":")[0]: before.strip()
        for before, line in pairwise(lines)
        if re.match(r" +[a-z0-9_]+:", line)
    }
    keys |= {
        line.strip("# ").partition(":")[0]: before.removeprefix("#").strip()
        for before, line in pairwise(lines)
        if re.match(r"#   [a-z_]+:", line)
    }
    for section in ("database", "server", "auth", "limits", "function", "channel", "dialects"):
        for key in schema.definition(section)["properties"]:
            assert keys[key].startswith("#"), key


def test_the_schema_of_the_example_is_one() -> None:
    document = jsonfile.read(ROOT / "schemas/examples/place_bid.schema.json")
    jsonschema.Draft202012Validator.check_schema(document)
