"""`pgrpc demo`: a PostgreSQL of its own, an example in it, and the server on top.

Owns their start, what is said meanwhile, and that no process outlives it. Must not know how PostgreSQL is run
(demo/embedded) or how requests are served (server/app).
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, MappingProxyType
from urllib.parse import unquote, urlsplit

from pgrpc import config
from pgrpc.compat import registry
from pgrpc.demo import embedded, examples
from pgrpc.server import app

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ROLE = "demo"


class _Refused(Exception):
    """The demo cannot run here and now. The message says why, and what to do."""


class _Stopped(KeyboardInterrupt):
    """A signal came before app.run() listens to signals. asyncio lets no other exception pass through everywhere."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(example: str | None = None, *, host: str = "127.0.0.1", port: int = 8080, data: Path | None = None) -> int:
    """Set up, serve until a signal comes, and leave no process behind. Returns the exit status.

    example: the name of a folder in examples/; None for examples/demo.sql with the front page.
    """
    folder = (data or examples.data_folder()).absolute()
    try:
        with _signals_raised():
            return _run(_example(example), host, port, folder)
    except _Stopped as stopped:
        return 128 + stopped.number
    except (_Refused, embedded.Error) as error:
        sys.stderr.write(f"demo: {error}\n")
        return os.EX_UNAVAILABLE
    except config.Invalid as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_CONFIG


def _example(name: str | None) -> examples.Example:
    try:
        return examples.find(name)
    except KeyError:
        known = ", ".join(examples.names())
        raise _Refused(f"there is no example {name!r}: choose one of {known}, or none for the front page") from None


def _run(example: examples.Example, host: str, port: int, folder: Path) -> int:
    embedded.binaries()  # raises where they are not installed, before a folder is made
    with _locked(folder):
        _check_port(host, port)
        server = embedded.Server(folder / "postgresql", report=_say)
        try:
            new = not (folder / "postgresql" / "cluster").exists()
            _say(f"setting up PostgreSQL in {folder} (first time only)" if new else "starting PostgreSQL")
            server.start()
            threading.Thread(target=_stop_without, args=(server, server.pid), daemon=True).start()
            dsn = _prepare_database(server, example, folder)
            environ = {**os.environ, "DATABASE_URL": dsn, "JWT_SECRET": _password(folder / "secret")}
            loaded = config.load(example.configuration, environ, registry.dialects())
            at = dataclasses.replace(loaded.server, host=host, port=port)
            _say(f"database: {dsn}")
            status = app.run(
                dataclasses.replace(loaded, server=at),
                environ=environ,
                stop_on=[number for number in _STOPPING if signal.getsignal(number) != signal.SIG_IGN],
                on_serving=lambda url: _say(_invitation(example, url, dsn)),
            )
        finally:
            # app.run() may leave other handlers behind. Stopping is bounded, so a second Ctrl-C has nothing to add.
            for number in _STOPPING:
                signal.signal(number, signal.SIG_IGN)
            server.stop()
        _say("stopped")
        return status


def _stop_without(server: embedded.Server, pid: int | None) -> None:
    """Stop the demo when its database ends by itself: nobody else would start that again."""
    server.wait()
    if server.pid is None and not server.stopping:
        _say(f"PostgreSQL (process {pid}) has ended: its log is {server.log}; stopping, run the demo again")
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _signals_raised() -> Iterator[None]:
    """Within, a signal to stop unwinds whatever is being done, so that it cleans up behind itself."""

    def stop(number: int, frame: FrameType | None) -> None:
        for other in _STOPPING:
            signal.signal(other, signal.SIG_IGN)
        raise _Stopped(number)

    # A SIGHUP that is ignored already is nohup's doing, which is to be respected.
    handled = [n for n in _STOPPING if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder: two demos in one would stop each other's database. The kernel lets go of it when we die."""
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _Refused(f"cannot use the folder {folder}: {error.strerror}: {error.filename}") from error
    with os.fdopen(handle, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "unknown"
            raise _Refused(
                f"a demo already runs in {folder} (process {holder}): use that one, stop it with `kill {holder}`, "
                f"or choose another folder and port: {_option('data', 'FOLDER')} {_option('port', 8081, '')}"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _check_port(host: str, port: int) -> None:
    """Before anything slow. app.run() would find out as well, but only after minutes on a slow machine."""
    if not 0 <= port <= 65535:  # the system would quietly take the low 16 bits
        raise _Refused(f"there is no port {port}: ports go up to 65535: {_option('port', 8080)}")
    if port == 0:
        return
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise _Refused(f"cannot listen on {host}: {error.strerror}") from None
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                other = _option("port", port % 65535 + 1)
                raise _Refused(f"port {port} is taken by another program: choose another, such as {other}") from None
            other = _option("port", 8080)
            raise _Refused(f"cannot listen on {host} port {port}: {error.strerror}: try {other}") from None


def _prepare_database(server: embedded.Server, example: examples.Example, folder: Path) -> str:
    """The role, and the database as the example's SQL has it. Returns the role's DSN."""
    sql, shown, database = example.sql.read_text(), examples.shown(example.sql), example.name
    roles = example.roles.read_text() if example.roles else ""
    password, secret = _password(folder / "password"), _password(folder / "secret")
    digest = hashlib.sha256("\0".join((sql, roles, secret if roles else "")).encode()).hexdigest()
    loaded = folder / f"{database}.sql.sha256"
    admin = server.dsn()
    # The role is no superuser: what the demo shows is what an ordinary application's role can do.
    exists = _psql(admin, f"select 1 from pg_roles where rolname = '{_ROLE}'")
    _psql(admin, f"{'alter' if exists else 'create'} role {_ROLE} login password '{password}'")
    dsn = server.dsn(database, _ROLE, password)
    present = bool(_psql(admin, f"select 1 from pg_database where datname = '{database}'"))
    if present and loaded.exists() and loaded.read_text().strip() == digest:
        return dsn
    if present and loaded.exists():
        _say(f"{shown} has changed: replacing its database")
    _say(f"loading {shown}")
    loaded.unlink(missing_ok=True)  # until it is complete again
    _psql(admin, f'drop database if exists "{database}" with (force)')
    owner = f"{database}_owner" if roles else _ROLE
    _psql(admin, roles, f"--set=login={_ROLE}")
    _psql(admin, f"create database \"{database}\" owner {owner} template template0 encoding 'UTF8'")
    as_owner = {"PGOPTIONS": f"-c role={owner}", "JWT_SECRET": secret}
    _psql(server.dsn(database), sql, "--single-transaction", environ=as_owner)
    loaded.write_text(digest + "\n")
    return dsn


def _password(path: Path) -> str:
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        draft.rename(path)
    return path.read_text().strip()


def _psql(dsn: str, sql: str, *options: str, environ: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Run SQL with the psql beside the embedded PostgreSQL; the lines that it prints."""
    psql = embedded.binaries() / "psql"
    ran = subprocess.run(
        [psql, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--file=-", *options],
        input=sql,
        capture_output=True,
        text=True,
        # The password does not belong on a command line, which every user of the machine can read.
        env={**{k: v for k, v in os.environ.items() if not k.startswith("PG")}, **_connection(dsn), **environ},
        start_new_session=True,  # Ctrl-C is for us; we end it
    )
    if ran.returncode != 0:
        raise _Refused(f"loading the demo's database failed:\n{ran.stderr.strip()}")
    return ran.stdout.splitlines()


def _connection(dsn: str) -> dict[str, str]:
    parts = urlsplit(dsn)
    return {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path[1:]),
    }


def _option(name: str, value: object, command: str = "make demo ") -> str:
    """As whoever started the demo gives it: the Makefile says so."""
    by_make = os.environ.get("PGRPC_STARTED_BY") == "make"
    return f"{command}{name.upper()}={value}" if by_make else f"--{name} {value}"


def _invitation(example: examples.Example, url: str, dsn: str) -> str:
    psql = f'{_shown(embedded.binaries() / "psql")} "{dsn}"'  # ours: another may be of an older release, or none
    if example.guide:
        guide = examples.shown(example.guide)
        return (
            f"serving: {url}\n  open {url} in two windows; what to try is in {guide}\n"
            f"  the functions and channels, to try each: {url}_pgrpc/\n  {psql}"
        )
    insert = "insert into people (name, height) values ('Zoe', 2.01)"
    return f'serving: {url}\n  open {url} in a browser, then\n  {psql} -c "{insert}"'


def _shown(path: Path) -> str:
    """For a shell: from the current folder where it is below that."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone: that must not keep the database running
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
