"""The command line itself: help, what is mistyped, options before the file, completion, packages that are missing."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import databases, pgrpc_server

COMMANDS = ["init", "demo", "serve", "check", "token", "completion"]
DROP_INS = ["eventserv", "postgresql2websocket", "psqlisten2websocket"]


def run(
    *arguments: str, folder: Path | None = None, python: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *python, str(pgrpc_server.ROOT / "server.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chekc"], "unknown command chekc; did you mean check? Commands: init, demo, serve, check, token, "),
        (["xyzzy"], "unknown command xyzzy. Commands: init, "),
        (["serve", "--prot", "1"], "pgrpc serve: unknown option --prot; did you mean --port?"),
        (["--confg=x"], "pgrpc serve: unknown option --confg; did you mean --config?"),
        (
            ["check", "--port", "1"],
            "pgrpc check: unknown option --port; commands that have it: demo, serve, eventserv, ",
        ),
        (["--port", "1", "check"], "pgrpc check: unknown option --port; commands that have it: demo, serve, "),
        (["--verison"], "pgrpc serve: unknown option --verison; did you mean --version?"),
        (["-p", "8000"], "pgrpc serve: unknown option -p; did you mean --port?"),
        (["-p8000"], "pgrpc serve: unknown option -p; did you mean --port?"),
        (["help", "chekc"], "unknown command chekc; did you mean check?"),
        (["hlep"], "unknown command hlep; did you mean help?"),
        (["check", "other.yaml"], "pgrpc check: unexpected argument other.yaml; to name a file: --config other.yaml"),
        (["serve", "--port", "99999"], "pgrpc serve: argument --port: 99999 is not a port: must be 0 to 65535"),
        (["completion", "powershell"], "pgrpc completion: argument shell: invalid choice: 'powershell'"),
    ],
)
def test_what_is_mistyped(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)


def test_help_lists_every_command_and_each_has_its_own() -> None:
    listed = run("--help")
    assert (listed.returncode, listed.stderr) == (0, "")
    for name in COMMANDS + DROP_INS:
        assert re.search(rf"^  {name}  +\w", listed.stdout, re.MULTILINE), name
        own = run(name, "-h")
        assert own.returncode == 0
        assert own.stdout.startswith(f"usage: pgrpc {name} ")
        assert re.search(rf"examples?:\n  pgrpc {name}", own.stdout)


@pytest.mark.parametrize(
    ("arguments", "same"),
    [
        (["help"], ["--help"]),
        (["help", "token"], ["token", "--help"]),
        (["--help", "token"], ["token", "--help"]),
        (["serve", "--version"], ["--version"]),
        (["-v", "eventserv"], ["--version"]),
    ],
)
def test_help_and_version_are_found_where_people_look_for_them(arguments: list[str], same: list[str]) -> None:
    done, expected = run(*arguments), run(*same)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected.stdout, "")
    assert done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-c", "nowhere.yaml", "serve"], "nowhere.yaml: no such file"),
        (["--config=nowhere.yaml", "check"], "nowhere.yaml: no such file"),
        (["--port", "3", "serve"], "config.yaml: no such file"),
        (["--host", "check", "serve"], "config.yaml: no such file"),
    ],
)
def test_options_may_stand_before_the_command(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 78
    assert done.stderr.startswith(said)


@pytest.mark.parametrize("command", ["serve", "check", "token"])
@pytest.mark.parametrize("option", ["-c", "--config"])
def test_the_file_has_a_short_option_too(command: str, option: str, tmp_path: Path) -> None:
    done = run(command, option, "nowhere.yaml", folder=tmp_path)
    assert done.returncode == 78
    assert done.stderr.startswith("nowhere.yaml: no such file: write one with `pgrpc init`")


def test_host_and_port_go_before_the_file(embedded_database: databases.Database, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "config.yaml").write_text(f"database: {{dsn: '${{DSN}}'}}\nserver: {{port: {port}}}\n")
        environ = {"DSN": embedded_database.dsn}
        with pgrpc_server.running(["--port", "0", "--host", "127.0.0.2"], environ=environ, folder=tmp_path) as server:
            assert server.url.startswith("http://127.0.0.2:")
            assert f":{port}/" not in server.url


def test_python_m_pgrpc_is_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pgrpc", "chekc"],
        cwd=pgrpc_server.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, run("chekc").stderr)


@pytest.mark.parametrize(
    "arguments", [["serve"], ["check"], ["token", "--ttl", "1h"], ["demo"], ["init"], ["eventserv"]]
)
def test_packages_that_are_missing(arguments: list[str], tmp_path: Path) -> None:
    """-S: no site-packages, as for a Python into which nothing was installed."""
    done = run(*arguments, folder=tmp_path, python=("-S", "-E"))
    assert (done.returncode, done.stdout) == (69, "")
    assert re.fullmatch(
        r"pgrpc's packages are not installed for this Python: run `make demo` once and use "
        r"\.venv/bin/python server\.py, or `pip install pgrpc`\n",
        done.stderr,
    )
    assert list(tmp_path.iterdir()) == []


def test_help_needs_no_package() -> None:
    assert run("--help", python=("-S", "-E")).stdout == run("--help").stdout


def test_help_and_completion_import_no_server() -> None:
    code = "import sys; from pgrpc import cli; cli.main(sys.argv[1:]); print(*sys.modules)"
    for arguments in (["--help"], ["completion", "bash"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=pgrpc_server.ROOT, capture_output=True, text=True, timeout=60
        )
        imported = done.stdout.splitlines()[-1].split()
        assert not {"tornado", "psycopg2", "jsonschema", "yaml", "asyncio"} & set(imported)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("pgrpc ch", ["check"]),
        ("pgrpc serve --p", ["--port"]),
        ("pgrpc demo p", ["people", "private"]),
        ("pgrpc completion z", ["zsh"]),
        ("pgrpc psqlisten2websocket --d", ["--debug"]),
        ("pgrpc check --config c", []),  # a file: left to the shell
        ("pgrpc unknown -", []),
        ("pgrpc --p", ["--port"]),
        ("pgrpc --v", ["--version"]),
        ("pgrpc --port 3 --h", ["--help", "--host"]),
        ("pgrpc --port 3 s", ["serve"]),
        ("pgrpc -c x.yaml check --c", ["--config"]),
        ("pgrpc help t", ["token"]),
    ],
)
def test_bash_completes(typed: str, offered: list[str]) -> None:
    script = """
        source <("$PYTHON" "$SERVER" completion bash)
        complete -p pgrpc >/dev/null || exit 9
        COMP_WORDS=($TYPED) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _pgrpc; printf '%s\\n' "${COMPREPLY[@]}"
    """
    environ = {**os.environ, "PYTHON": sys.executable, "SERVER": str(pgrpc_server.ROOT / "server.py"), "TYPED": typed}
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == offered


def test_bash_offers_every_command() -> None:
    script = run("completion", "bash").stdout
    words = re.search(r"words='([^']*completion)'", script)
    assert words is not None
    assert sorted(words[1].split()) == sorted(["help", *COMMANDS, *DROP_INS])


def test_fish_offers_files_only_where_an_option_takes_one() -> None:
    lines = run("completion", "fish").stdout.splitlines()
    taking = {name: [line for line in lines if f" -l {name} " in line] for name in ("config", "host", "port", "dsn")}
    assert all(" -F " in line for line in taking.pop("config"))
    for found in taking.values():
        assert found
        assert all(" -x " in line and " -F " not in line for line in found)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_read_their_scripts(shell: str, tmp_path: Path) -> None:
    script = run("completion", shell).stdout
    for name in COMMANDS + DROP_INS:
        assert name in script
    (tmp_path / "script").write_text(script)
    try:
        read = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip(f"no {shell} on this machine: that it reads its script is not tested")
    assert (read.returncode, read.stderr) == (0, "")
