"""`pgrpc init`: a configuration for a database, and a first page."""

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pgrpc.cli import outcome, parser

if TYPE_CHECKING:
    from pgrpc.init import surface


class _Refused(Exception):
    """Nothing can be written. The message says why, and what to do."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _arguments(command: argparse.ArgumentParser) -> None:
    where = "the folder to write to (default: the current one)"
    command.add_argument("directory", nargs="?", type=Path, default=Path(), metavar="DIRECTORY", help=where)
    dsn = "how to reach the database (default: $DATABASE_URL)"
    command.add_argument("--dsn", default=None, help=dsn)
    command.add_argument("--force", action="store_true", help="overwrite files that exist")


def _run(options: argparse.Namespace) -> int:
    from pgrpc.init import project

    existing = [] if options.force else project.existing(options.directory)
    if existing:
        names = ", ".join(map(str, existing))
        cure = "name another DIRECTORY, or overwrite with --force"
        outcome.say([f"init: nothing was written, because of what is already there: {names}: {cure}"])
        return outcome.CANNOT_WRITE
    try:
        found = _look(options)
        done = project.write(options.directory, found)
    except _Refused as refused:
        outcome.say([f"init: nothing was written: {refused}"])
        return refused.status
    except OSError as error:
        outcome.say([f"init: cannot write {error.filename}: {error.strerror}"])
        return outcome.CANNOT_WRITE
    for what, paths in done.items():
        sys.stdout.write(f"{what}: {', '.join(map(str, paths))}\n")
    sys.stdout.write(_next(options, found is None))
    return 0


def _look(options: argparse.Namespace) -> "surface.Surface | None":
    """What the database offers, and says so; None where none is named. Raises _Refused."""
    from pgrpc.init import surface
    from pgrpc.postgres import connect

    source, dsn = "--dsn", options.dsn
    if dsn is None:
        source, dsn = "DATABASE_URL", os.environ.get("DATABASE_URL", "")
        if not dsn:
            outcome.say(["init: no database is named by --dsn or DATABASE_URL, so config.yaml holds an example"])
            return None
    if not dsn:
        raise _Refused("--dsn is empty: give a connection string, such as postgresql://localhost/shop", outcome.INVALID)
    try:
        found = surface.look(dsn)
    except connect.BadDsn as error:
        raise _Refused(f"{source}: {error}", outcome.INVALID) from None
    except connect.CannotConnect as error:
        cure = f"start PostgreSQL or correct {source}, and run this again; without {source}, init writes an example"
        said = f"cannot use the database of {source}: {error}\ninit: {cure}"
        raise _Refused(said, outcome.UNAVAILABLE) from None
    callable_, every = (sum(len(each.signatures) for each in some) for some in (found.callable, found.functions))
    counts = f"{callable_} of {every} functions can be called, and {len(found.channels)} channel names were found"
    sys.stdout.write(f"database {found.database}, as role {found.role}: {counts}\n")
    return found


def _next(options: argparse.Namespace, is_example: bool) -> str:
    config = options.directory / "config.yaml"
    again, file = ("", "") if options.directory == Path() else (f" {shlex.quote(str(options.directory))}", str(config))
    steps = [f"{parser.PROGRAM} {step}{file and f' --config {shlex.quote(file)}'}" for step in ("check", "serve")]
    lead = f'In {config}, remove the "# " before the functions and channels that browsers may use. Then'
    note = ""
    if is_example:
        lead = "Next, with the address of your database; --force overwrites these files"
        address = "export DATABASE_URL='postgresql://USER:PASSWORD@HOST:5432/DATABASE'"
        steps = [address, f"{parser.PROGRAM} init{again} --force"]
    elif options.dsn and options.dsn != os.environ.get("DATABASE_URL"):
        from pgrpc.postgres import dsn

        shown = dsn.without_secrets(options.dsn)
        steps.insert(0, f"export DATABASE_URL={shlex.quote(shown)}")
        if shown != options.dsn:
            note = "The password of --dsn is not shown: put it into PGPASSWORD or ~/.pgpass first.\n"
    return "\n".join([f"{lead}:", *(f"  {step}" for step in steps), note])


COMMAND = parser.Command(
    "init",
    "write a configuration for a database, and a first page",
    _run,
    _arguments,
    ["init", "init shop --dsn postgresql://localhost/shop"],
)
