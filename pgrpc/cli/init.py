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
    found = _look(options.dsn or os.environ.get("DATABASE_URL", ""))
    try:
        written = project.write(options.directory, found)
    except OSError as error:
        outcome.say([f"init: cannot write {error.filename}: {error.strerror}"])
        return outcome.CANNOT_WRITE
    sys.stdout.write(f"written: {', '.join(map(str, written))}\n{_next(options, found is None)}")
    return 0


def _look(dsn: str) -> "surface.Surface | None":
    """What the database offers, and says so; None where it cannot be asked."""
    from pgrpc.init import surface
    from pgrpc.postgres import connect

    if not dsn:
        outcome.say(["init: no database is named by --dsn or DATABASE_URL, so config.yaml holds an example"])
        return None
    try:
        found = surface.look(dsn)
    except (connect.BadDsn, connect.CannotConnect) as error:
        outcome.say([f"init: the database could not be asked, so config.yaml holds an example: {error}"])
        return None
    callable, all = len(found.callable), len(found.functions)
    counts = f"{callable} of {all} functions can be called, and {len(found.channels)} channel names were found"
    sys.stdout.write(f"database {found.database}, as role {found.role}: {counts}\n")
    return found


def _next(options: argparse.Namespace, is_lost: bool) -> str:
    config = options.directory / "config.yaml"
    file = "" if options.directory == Path() else f" --config {shlex.quote(str(config))}"
    lead, steps = f'Take the "# " away in {config} before what browsers may use. Then:', ["check", "serve"]
    steps = [f"{parser.PROGRAM} {step}{file}" for step in steps]
    if is_lost:
        lead = "Then, with the address of your database:"
        again = "" if options.directory == Path() else f" {shlex.quote(str(options.directory))}"
        address = "export DATABASE_URL='postgresql://USER:PASSWORD@HOST:5432/DATABASE'"
        steps = [address, f"{parser.PROGRAM} init{again} --force"]
    elif options.dsn and options.dsn != os.environ.get("DATABASE_URL"):
        steps.insert(0, "export DATABASE_URL=...  # what you gave as --dsn: it is not in the file")
    return "\n".join([lead, *(f"  {step}" for step in steps), ""])


COMMAND = parser.Command(
    "init",
    "write a configuration for a database, and a first page",
    _run,
    _arguments,
    ["init", "init shop --dsn postgresql://localhost/shop"],
)
