"""pgrpc.demo.embedded and .process: that a PostgreSQL comes up in a folder and that nothing of it stays behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from pgrpc.demo import embedded, held_signals, process
from tests.support import databases

PROJECT = Path(__file__).resolve().parent.parent.parent
NOBODY = 65534
PATIENCE = 60.0
FAST = {"fsync": "off"}

# Starts a server, says what it is, and waits to be killed. In a thread the kernel does not tie it to us: what is left
# behind then is what a system without PR_SET_PDEATHSIG leaves behind.
OWNER = f"""
import json, os, sys, threading, time
from pathlib import Path
from pgrpc.demo import embedded, held_signals, process
data, binaries, how = sys.argv[1:]
if how == "nobody":
    os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
def own():
    server = embedded.Server(Path(data), Path(binaries), settings={{"fsync": "off"}})
    server.start()
    print(json.dumps([server.pid, server.dsn(), os.geteuid()]), flush=True)
    time.sleep(600)
if how == "thread":
    worker = threading.Thread(target=own)
    worker.start()
    worker.join()
else:
    own()
"""


@pytest.fixture(params=[databases.EMBEDDED, *databases.OTHERS])
def binaries(request: pytest.FixtureRequest) -> Path:
    return databases.OTHERS.get(request.param) or embedded.binaries()


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder that does not exist yet, in one that every user may enter."""
    parent = Path(tempfile.mkdtemp(prefix="pgrpc-embedded-"))
    parent.chmod(0o755)
    yield parent / "data"
    left = running(parent / "data")
    shutil.rmtree(parent)
    assert not left, "processes were left behind"


def running(data: Path) -> set[int]:
    return process.working_in((data, data / "cluster", data / "cluster.new"), {"postgres", "initdb"})


def ask(dsn: str, sql: str) -> Any:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() if cursor.description else None


def own(data: Path, binaries: Path, how: str) -> tuple[subprocess.Popen[str], int, str, int]:
    """A process of its own that runs a server: (it, the postmaster's pid, the DSN, the process' effective user)."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data), str(binaries), how],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pid, dsn, user = json.loads(owner.stdout.readline())
    return owner, pid, dsn, user


def kill(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.communicate(timeout=10)


def test_starts_and_stops(data: Path, binaries: Path) -> None:
    server = embedded.Server(data, binaries, settings={**FAST, "work_mem": "5MB"})
    assert server.pid is None
    with server:
        assert server.pid in running(data)
        assert ask(server.dsn(), "select current_user, current_setting('work_mem')") == ("postgres", "5MB")
        assert ask(server.dsn(), "select pg_encoding_to_char(encoding), datcollate from pg_database") in (
            ("UTF8", "C.UTF-8"),
            ("UTF8", "C"),
        )
        assert ask(server.dsn(), "select current_setting('unix_socket_directories')") == ("",)
        assert ask(server.dsn(), "select current_setting('listen_addresses')") == ("127.0.0.1",)
        server.start()  # does nothing
    assert server.pid is None
    assert not running(data)
    server.stop()  # does nothing


@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
def test_stops_in_each_mode(data: Path, mode: embedded.Mode) -> None:
    server = embedded.Server(data, settings=FAST)
    server.start()
    server.stop(mode)
    assert not running(data)


def test_becomes_harder_when_it_does_not_stop(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {mode: (number, 0.3) for mode, (number, _) in embedded._STOPPING.items()}
    monkeypatch.setattr(embedded, "_STOPPING", quick)
    reports: list[str] = []
    server = embedded.Server(data, settings=FAST, report=reports.append)
    server.start()
    with closing(psycopg2.connect(server.dsn())):  # a smart stop waits for every client
        server.stop("smart")
        assert len(reports) == 1
    assert not running(data)

    server.start()
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)  # hears nothing any more
    server.stop("fast")
    assert len(reports) == 3
    assert not running(data)


def test_restart_keeps_data_and_password(data: Path, binaries: Path) -> None:
    with embedded.Server(data, binaries, settings=FAST) as server:
        ask(server.dsn(), "create table kept as select 42 as answer")
        password = (data / "password").read_text()
    with embedded.Server(data, binaries, settings=FAST) as server:
        assert ask(server.dsn(), "select answer from kept") == (42,)
        assert (data / "password").read_text() == password


def test_password_is_needed_and_private(data: Path, binaries: Path) -> None:
    with embedded.Server(data, binaries, settings=FAST) as server:
        for wrong in ("", "guess"):
            with pytest.raises(psycopg2.OperationalError, match=r"password"):
                psycopg2.connect(server.dsn(password=wrong))
        assert ask(server.dsn(), "select 'scram-sha-256' = all (select auth_method from pg_hba_file_rules)") == (True,)
    assert (data / "password").stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700
    assert len((data / "password").read_text().strip()) >= 32


def test_recovers_from_a_killed_postmaster(data: Path, binaries: Path) -> None:
    server = embedded.Server(data, binaries, settings=FAST)
    server.start()
    ask(server.dsn(), "create table kept as select 42 as answer")
    assert server.pid
    with closing(psycopg2.connect(server.dsn())):  # a backend that has to notice
        os.kill(server.pid, signal.SIGKILL)
        again = embedded.Server(data, binaries, settings=FAST)
        again.start()
    assert ask(again.dsn(), "select answer from kept") == (42,)
    again.stop()
    server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent (PR_SET_PDEATHSIG)")
def test_goes_down_with_a_killed_owner(data: Path, binaries: Path) -> None:
    owner, *_ = own(data, binaries, "main")
    kill(owner)
    assert held_signals.until(lambda: not running(data), PATIENCE)


def test_recovers_what_a_killed_owner_left(data: Path, binaries: Path) -> None:
    owner, pid, dsn, _ = own(data, binaries, "thread")
    ask(dsn, "create table kept as select 42 as answer")
    kill(owner)
    assert pid in running(data)
    reports: list[str] = []
    with embedded.Server(data, binaries, settings=FAST, report=reports.append) as server:
        assert pid not in running(data)
        assert str(pid) in reports[0]
        assert ask(server.dsn(), "select answer from kept") == (42,)


def test_a_recycled_pid_is_not_signalled(data: Path) -> None:
    with embedded.Server(data, settings=FAST):
        lines = (data / "cluster" / "postmaster.pid").read_text().splitlines()
    with subprocess.Popen(["sleep", "600"]) as stranger:
        (data / "cluster" / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        with embedded.Server(data, settings=FAST) as server:
            assert ask(server.dsn(), "select 1") == (1,)
            assert stranger.poll() is None
        stranger.kill()


def test_a_half_made_cluster_is_made_again(data: Path, binaries: Path) -> None:
    making = subprocess.Popen([sys.executable, "-c", OWNER, str(data), str(binaries), "main"], cwd=PROJECT)
    assert held_signals.until(lambda: (data / "cluster.new" / "global").exists(), PATIENCE)
    making.kill()
    making.wait(10)
    assert not (data / "cluster").exists()
    with embedded.Server(data, binaries, settings=FAST) as server:
        assert ask(server.dsn(), "select 1") == (1,)
    assert not (data / "cluster.new").exists()


class Interrupted(BaseException):
    pass


@pytest.fixture
def interrupting() -> Iterator[None]:
    """SIGALRM raises Interrupted, wherever it comes."""

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("interrupting")
def test_an_exception_while_starting_leaves_no_process(data: Path) -> None:
    for moment in (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5):
        server = embedded.Server(data, settings=FAST)
        signal.setitimer(signal.ITIMER_REAL, moment)
        try:
            server.start()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupted:  # perhaps just after the start
            pass
        server.stop()
        assert not running(data), moment


@pytest.mark.usefixtures("interrupting")
def test_an_exception_comes_where_it_harms_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of Popen.poll() it would leave the lock taken, and nobody could wait for PostgreSQL any more."""

    class Lock:
        def __init__(self) -> None:
            self._lock = threading.Lock()
            self.release = self._lock.release

        def acquire(self, *arguments: Any) -> bool:
            taken = self._lock.acquire(*arguments)
            signal.raise_signal(signal.SIGALRM)
            return taken

    def spawn(command: Any, *arguments: Any, **named: Any) -> "subprocess.Popen[bytes]":
        child = process_spawn(command, *arguments, **named)
        if "-D" in command:
            child._waitpid_lock = Lock()  # type: ignore[attr-defined]
        return child

    process_spawn = process.spawn
    monkeypatch.setattr(process, "spawn", spawn)
    reports: list[str] = []
    server = embedded.Server(data, settings=FAST, report=reports.append)
    with pytest.raises(Interrupted):
        server.start()
    assert not running(data)
    assert not reports


@pytest.mark.usefixtures("interrupting")
def test_a_program_that_hangs_can_be_interrupted(data: Path) -> None:
    hanging = data.parent / "postgres"
    hanging.write_text("#!/bin/sh\necho $$ > new && mv new number\nexec sleep 600\n")
    hanging.chmod(0o755)

    def interrupt() -> None:
        held_signals.until((data / "number").exists, PATIENCE)
        os.kill(os.getpid(), signal.SIGALRM)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    with pytest.raises(Interrupted):
        embedded.Server(data, data.parent).start()
    watcher.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int((data / "number").read_text()), 0)


@pytest.mark.usefixtures("interrupting")
def test_a_handler_that_raises_keeps_no_other_from_running() -> None:
    def both() -> None:
        with held_signals.handlers_held():
            signal.raise_signal(signal.SIGALRM)
            signal.raise_signal(signal.SIGUSR2)

    came: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: came.append(number))
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    try:
        with pytest.raises(Interrupted):
            both()
        assert came == [signal.SIGUSR2]
        assert [signal.getsignal(number) for number in signal.valid_signals()] == handlers
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_handlers_that_were_held_run_in_the_end() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: came.append(number))
    handler = signal.getsignal(signal.SIGUSR2)
    try:
        with held_signals.handlers_held() as until:
            signal.raise_signal(signal.SIGUSR2)
            assert not came
            assert until(lambda: bool(came), PATIENCE)
            signal.raise_signal(signal.SIGUSR2)
            assert len(came) == 1
        assert len(came) == 2
        assert signal.getsignal(signal.SIGUSR2) is handler
        with held_signals.handlers_held():  # a handler chosen meanwhile stays
            signal.raise_signal(signal.SIGUSR2)
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        assert len(came) == 2
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_is_ignored_here_still_stops_the_program(number: signal.Signals, tmp_path: Path) -> None:
    """A shell's background jobs ignore SIGINT and SIGQUIT: one that came early was lost, and PostgreSQL ran on."""
    here = process.Identity(os.geteuid(), os.getegid())
    before = signal.signal(number, signal.SIG_IGN)
    try:
        sleeper = process.spawn(
            ["sleep", "600"], here, folder=tmp_path, output=subprocess.DEVNULL, environment=os.environ
        )
        sleeper.send_signal(number)
        try:
            assert sleeper.wait(10) == -number
        finally:
            sleeper.kill()
            sleeper.wait()
    finally:
        signal.signal(number, before)


def test_a_given_port_that_is_taken_is_named(data: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(embedded.Error, match=rf"port {port} on 127.0.0.1 is taken"):
            embedded.Server(data, port=port, settings=FAST).start()
    with embedded.Server(data, port=port, settings=FAST) as server:
        assert server.port == port


def test_a_chosen_port_that_was_taken_in_between_is_chosen_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = process.free_port
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        ports = iter([taken, taken])
        monkeypatch.setattr(process, "free_port", lambda host: next(ports, None) or free(host))
        with embedded.Server(data, settings=FAST) as server:
            assert server.port != taken


def test_a_failed_start_shows_the_log(data: Path) -> None:
    with pytest.raises(embedded.Error, match=r"no_such_setting(.|\n)*") as caught:
        embedded.Server(data, settings={"no_such_setting": "1"}).start()
    assert str(data / "log") in str(caught.value)


def test_a_folder_of_something_else_is_left_alone(data: Path) -> None:
    data.mkdir()
    (data / "thesis.txt").write_text("three years")
    with pytest.raises(embedded.Error, match="not PostgreSQL's"):
        embedded.Server(data).start()
    assert [entry.name for entry in data.iterdir()] == ["thesis.txt"]


def test_another_major_version_is_refused(data: Path) -> None:
    with embedded.Server(data, settings=FAST):
        pass
    (data / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(embedded.Error, match=r"was made by PostgreSQL 9, this is 18"):
        embedded.Server(data).start()


def test_a_lost_password_is_explained(data: Path) -> None:
    with embedded.Server(data, settings=FAST):
        pass
    (data / "password").unlink()
    with pytest.raises(embedded.Error, match=r"password is missing.*delete"):
        embedded.Server(data).start()


def test_missing_binaries_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(embedded.Error, match=r"pip install 'pgrpc\[demo\]'"):
        embedded.binaries()


# Whom it runs as

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="POSTGRESQL STARTED BY ROOT IS NOT TESTED: needs root")


def refuse_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many containers do. It is the forked child that calls this, with our memory."""

    def refuse(*arguments: object) -> None:
        raise PermissionError("unshare")

    monkeypatch.setattr(process, "_enter_user_namespace", refuse)


@root_only
def test_as_root_files_stay_roots_in_a_closed_folder(data: Path, binaries: Path) -> None:
    try:
        best = next(process.identities())
        process.spawn(["true"], best, folder=data.parent, output=subprocess.DEVNULL, environment=os.environ).wait(10)
    except subprocess.SubprocessError:
        pytest.skip("this machine refuses user namespaces")
    data.parent.chmod(0o700)
    with embedded.Server(data, binaries, settings=FAST) as server:
        assert ask(server.dsn(), "select 1") == (1,)
    assert (data / "cluster").stat().st_uid == 0
    assert data.parent.stat().st_mode & 0o777 == 0o700


@root_only
def test_as_root_without_namespaces_it_runs_as_nobody(
    data: Path, binaries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded.Server(data, binaries, settings=FAST) as server:
        ask(server.dsn(), "create table kept as select 42 as answer")
    with monkeypatch.context() as patch:
        refuse_namespaces(patch)
        with embedded.Server(data, binaries, settings=FAST) as server:  # a folder that was root's
            assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY
            assert ask(server.dsn(), "select answer from kept") == (42,)
        assert (data / "cluster" / "PG_VERSION").stat().st_uid == NOBODY
        assert data.parent.stat().st_uid == 0
    with embedded.Server(data, binaries, settings=FAST) as server:  # and back
        assert ask(server.dsn(), "select answer from kept") == (42,)


@root_only
def test_as_root_without_namespaces_a_closed_parent_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_namespaces(monkeypatch)
    data.parent.chmod(0o700)
    with pytest.raises(embedded.Error, match=rf"{NOBODY} may not enter {data.parent}"):
        embedded.Server(data).start()
    assert data.parent.stat().st_mode & 0o777 == 0o700


@root_only
def test_as_a_user(data: Path, binaries: Path) -> None:
    if door := process.closed_door(process.Identity(NOBODY, NOBODY), binaries / "postgres"):
        pytest.skip(f"nobody may not enter {door}, where this PostgreSQL is")
    os.chown(data.parent, NOBODY, NOBODY)
    owner, pid, dsn, user = own(data, binaries, "nobody")
    try:
        assert user == NOBODY
        assert Path(f"/proc/{pid}").stat().st_uid == NOBODY
        assert ask(dsn, "select 1") == (1,)
    finally:
        kill(owner)
    assert held_signals.until(lambda: not running(data), PATIENCE)
