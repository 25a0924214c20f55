"""The registry: adding a server that pgrpc replaces is adding a folder, and nobody else knows which there are."""

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

import pgrpc
from pgrpc import compat, config
from pgrpc.compat import dialect, registry
from pgrpc.compat.eventserv import section as eventserv_section
from pgrpc.compat.eventserv import settings as eventserv_settings
from pgrpc.compat.eventserv import sockets as eventserv_sockets
from pgrpc.compat.postgresql2websocket import section as postgresql2websocket_section
from pgrpc.compat.postgresql2websocket import settings as postgresql2websocket_settings
from pgrpc.compat.postgresql2websocket import sockets as postgresql2websocket_sockets
from pgrpc.compat.psqlisten2websocket import section as psqlisten2websocket_section
from pgrpc.compat.psqlisten2websocket import settings as psqlisten2websocket_settings
from pgrpc.compat.psqlisten2websocket import sockets as psqlisten2websocket_sockets
from tests.support.databases import Database
from tests.support.pgrpc_server import ROOT, running, serving
from tests.support.ws_raw import Peer
from tools.docs import pages

NAMES = sorted(path.parent.name for path in (ROOT / "pgrpc/compat").glob("*/__init__.py"))

# That these offer what `dialect` asks for is checked by mypy; the test below compares the parameters of all.
SETTINGS: list[dialect.Settings] = [
    eventserv_settings, postgresql2websocket_settings, psqlisten2websocket_settings
]  # fmt: skip
SECTIONS: list[dialect.SectionReader] = [
    eventserv_section, postgresql2websocket_section, psqlisten2websocket_section
]  # fmt: skip
SOCKETS: list[dialect.Sockets] = [eventserv_sockets, postgresql2websocket_sockets, psqlisten2websocket_sockets]


def test_each_folder_is_a_dialect() -> None:
    assert list(registry.dialects()) == NAMES
    assert {"eventserv", "postgresql2websocket", "psqlisten2websocket"} <= {*NAMES}
    offered = (
        ("settings", "load", dialect.Settings.load),
        ("section", "read", dialect.SectionReader.read),
        ("sockets", "routes", dialect.Sockets.routes),
    )
    for name in NAMES:
        for module, function, asked in offered:
            found = getattr(importlib.import_module(f"pgrpc.compat.{name}.{module}"), function)
            names = list(inspect.signature(asked).parameters)[1:]
            assert list(inspect.signature(found).bind(*names).arguments) == names, name


def test_no_module_of_a_dialect_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("database: {dsn: x}\nchannels: {events: }\ndialects: {psqlisten2websocket: }\n")
    script = f"""
import sys
from pgrpc import cli, config
from pgrpc.compat import registry

def imported():
    modules = [name for name in sys.modules if name.startswith("pgrpc.compat.") and name.count(".") > 2]
    return sorted([*modules, *({{"sqlglot", "pgrpc.compat.settings_document"}} & set(sys.modules))])

print(imported())
config.load({str(file)!r}, {{}}, registry.dialects())
print(imported())
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['pgrpc.compat.psqlisten2websocket.section']"]


def sources() -> Iterator[tuple[Path, str]]:
    for path in sorted(Path(pgrpc.__file__).parent.rglob("*.py")):
        yield path.relative_to(ROOT / "pgrpc"), path.read_text("utf-8")


def test_nothing_outside_compat_knows_a_dialect() -> None:
    known = [path for path, text in sources() if path.parts[0] != "compat" and any(name in text for name in NAMES)]
    assert known == []


def test_no_dialect_knows_another() -> None:
    for name in NAMES:
        for path, text in sources():
            if path.parts[:2] == ("compat", name):
                assert [other for other in NAMES if f"compat.{other}" in text and other != name] == [], path
            elif path.parts[0] == "compat" and len(path.parts) == 2:
                assert name not in text, path


def test_who_reads_the_file_passes_the_dialects() -> None:
    """Without them a file with `dialects` could not be read."""
    forgotten = [
        f"{path}:{node.lineno}"
        for path, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func) in ("config.load", "configuration.load")
        and len(node.args) + len(node.keywords) < 3
    ]
    assert forgotten == []


FOURTH = {
    "__init__.py": '"""A fourth server."""\n',
    "section.schema.json": json.dumps(
        {
            "title": "Fourth",
            "description": "/fourth/{channel}.",
            "type": ["object", "boolean", "null"],
            "patternErrorMessage": "must be true, false or a mapping (key: value)",
            "additionalProperties": False,
            "properties": {
                "path": {"title": "Path", "description": "Where it is served.", "type": "string", "default": "fourth"},
                "patience": {
                    "title": "Patience",
                    "description": "How long a client may think.",
                    "$ref": "#/$defs/duration",
                    "default": "3s",
                },
            },
            "removedFrom": {"channel": {"wait": "remove it, and set dialects.fourth.patience"}},
        }
    ),
    "section.py": """
def read(given):
    if given.values.get("path") == "rpc":
        given.fault(("path",), "is taken: name another")
    if "patience" in given.values:
        return given.values["patience"]
    return given.values.get("path", "fourth")
""",
    "settings.py": """
from pathlib import Path
from pgrpc.compat import settings_document

def load(environ, file=None):
    document = settings_document.Document(file or Path("fourth.txt"), {"dialects": {"fourth": True}})
    document.put(("database", "dsn"), environ["FOURTH_DSN"], "FOURTH_DSN")
    document.put(("server", "port"), settings_document.plain(environ["FOURTH_PORT"]), "FOURTH_PORT")
    document.put(("channels",), {"**": {}}, "channels")
    return document.load()
""",
    "sockets.py": """
from pgrpc.compat import dialect
from pgrpc.web.sockets import relay

def routes(shared, value):
    return dialect.Routes(before=((f"/{value}/([^/]+)", relay.RelaySocket, {"shared": shared}),))
""",
}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that holds the folder of a fourth dialect."""
    folder = tmp_path / "elsewhere" / "fourth"
    folder.mkdir(parents=True)
    for name, text in FOURTH.items():
        (folder / name).write_text(text)
    return folder.parent


@pytest.fixture
def fourth(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It is there, as if it were a folder of pgrpc/compat."""
    monkeypatch.setattr(compat, "__path__", [*compat.__path__, str(elsewhere)])
    yield
    for name in [name for name in sys.modules if name.startswith("pgrpc.compat.fourth")]:
        del sys.modules[name]


@pytest.mark.usefixtures("fourth")
class TestAFourthFolder:
    def test_is_a_section_of_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "config.yaml"
        file.write_text("database: {dsn: x}\ndialects: {fourth: {path: there}}\n")
        assert config.load(file, {}, registry.dialects()).dialects == {"fourth": "there"}
        file.write_text("database: {dsn: x}\ndialects: {fourth: {path: rpc}, fifth: }\n")
        with pytest.raises(config.Invalid) as caught:
            config.load(file, {}, registry.dialects())
        assert caught.value.faults == (
            f"{file}:2:21: dialects.fourth.path: is taken: name another",
            f"{file}:2:33: dialects.fifth: unknown key; known here: {', '.join(sorted([*NAMES, 'fourth']))}",
        )

    def test_has_values_of_the_kinds_that_its_schema_names(self, tmp_path: Path) -> None:
        file = tmp_path / "config.yaml"
        file.write_text("database: {dsn: x}\ndialects: {fourth: {patience: 250ms}}\n")
        assert config.load(file, {}, registry.dialects()).dialects == {"fourth": 0.25}

    def test_says_where_a_key_has_gone(self, tmp_path: Path) -> None:
        file = tmp_path / "config.yaml"
        file.write_text("database: {dsn: x}\nchannels: {a: {wait: 3s}}\n")
        with pytest.raises(config.Invalid) as caught:
            config.load(file, {}, registry.dialects())
        words = "unknown key: remove it, and set dialects.fourth.patience"
        assert caught.value.faults == (f"{file}:2:16: channels.a.wait: {words}",)

    def test_is_in_all_that_is_generated(self) -> None:
        """Of `make docs`: the schema that editors read, the example and the reference."""
        made = pages.generated()
        assert {*pages.stale()} == {pages.SCHEMA, pages.EXAMPLE, Path("docs/reference/configuration.md")}
        sections = json.loads(made[pages.SCHEMA])["$defs"]["dialects"]["properties"]
        assert list(sections) == sorted([*NAMES, "fourth"])
        assert sections["fourth"] == json.loads(FOURTH["section.schema.json"])
        assert "  # fourth:\n  #   # Where it is served.\n  #   path: fourth\n" in made[pages.EXAMPLE]
        row = "| `fourth.patience` | duration | `3s` | How long a client may think. |\n"
        assert row in made[Path("docs/reference/configuration.md")]

    def test_is_known_to_an_editor(self) -> None:
        """The file is complete: nothing in it leads elsewhere."""
        validator = jsonschema.Draft202012Validator(json.loads(pages.generated()[pages.SCHEMA]))
        document = {"database": {"dsn": "x"}, "dialects": {"fourth": {"patience": "3s"}}}
        assert validator.is_valid(document)
        document["dialects"]["fourth"]["patience"] = "never"  # type: ignore[index]
        assert not validator.is_valid(document)


@pytest.fixture
def environ(elsewhere: Path, tmp_path: Path) -> dict[str, str]:
    """Of a process that knows the fourth as a folder of pgrpc/compat."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(f"import pgrpc.compat\npgrpc.compat.__path__.append({str(elsewhere)!r})\n")
    return {"PYTHONPATH": f"{hook}:{ROOT}", "FOURTH_DSN": "x", "FOURTH_PORT": "0"}


def test_a_fourth_folder_is_a_command(environ: dict[str, str]) -> None:
    def pgrpc_says(*arguments: str, **more: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "pgrpc", *arguments],
            env={**os.environ, **environ, **more},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    assert "serve the clients of fourth" in pgrpc_says("--help")[1]
    assert pgrpc_says("fourth", FOURTH_PORT="70000") == (78, "", "FOURTH_PORT: must be at most 65535\n")


def test_a_fourth_folder_is_served(environ: dict[str, str], tmp_path: Path, embedded_database: Database) -> None:
    """By its command, and beside our own endpoints."""
    dsn = embedded_database.dsn
    environ = {**environ, "FOURTH_DSN": dsn}
    rest = "channels: {a: }\ndialects: {fourth: {path: there}}\n"
    with running(["fourth"], folder=tmp_path, environ=environ) as server, Peer(server, "/fourth/a") as peer:
        embedded_database.execute("notify a, 'by its command'")
        assert peer.text() == "by its command"
    with serving(tmp_path, dsn, rest, environ=environ) as server, Peer(server, "/there/a") as peer:
        embedded_database.execute("notify a, 'beside our own'")
        assert peer.text() == "beside our own"
