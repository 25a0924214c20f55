"""The command line: serve, demo, check, token.

Owns arguments, exit statuses and what is printed. Must not know how anything is done.
"""

import argparse
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pgrpc
from pgrpc import config
from pgrpc.check import checks
from pgrpc.compat import registry
from pgrpc.demo import demo
from pgrpc.server import app, workers

_LOG = logging.getLogger("pgrpc")

INVALID = 78  # EX_CONFIG


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status (sysexits.h): 0, 78 the configuration is wrong, 69 to 71 it cannot be served."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands = ("serve", "demo", "check", "token", *registry.dialects())
    if not given or (given[0] not in commands and given[0] not in ("-h", "--help", "--version")):
        given.insert(0, "serve")
    options = _parser().parse_args(given)
    _log_to_stderr("%(asctime)s %(levelname)s %(message)s")
    try:
        if options.command == "demo":
            return demo.run(options.example, host=options.host, port=options.port, data=options.data)
        if options.command in registry.dialects():
            return app.run(_dropin(options))
        if options.command == "token":
            return _token(config.load(options.config, os.environ, registry.dialects()), options)
        loaded = _load(options.config)
        if options.command == "check":
            report = checks.check(loaded)
            _say(report.lines)
            if report.summary:
                sys.stdout.write(f"{report.summary}\n")
            return INVALID if report.is_faulty else 0
        if loaded.server.workers > 1:
            _log_to_stderr("%(asctime)s %(process)d %(levelname)s %(message)s")
        return workers.run(loaded)
    except config.Invalid as error:
        _say(error.faults)
        return INVALID
    except app.CannotServe as error:
        sys.stderr.write(f"{error}\n")
        return app.CANNOT_BIND


def _dropin(options: argparse.Namespace) -> config.Config:
    """Another server's settings. Raises config.Invalid."""
    found = registry.dialects()[options.command].load(os.environ, options.config)
    if found.debug or options.debug:
        logging.getLogger().setLevel(logging.DEBUG)
    for warning in found.warnings:
        _LOG.warning("%s", warning)
    if options.port is None:
        return found.config
    return dataclasses.replace(found.config, server=dataclasses.replace(found.config.server, port=options.port))


def _log_to_stderr(form: str) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=form, force=True)
    logging.getLogger("tornado").setLevel(logging.ERROR)  # below that it has a line for each client's mistake


def _load(path: Path) -> config.Config:
    """Raises config.Invalid with what is wrong in the file, and between its sound part and the database."""
    try:
        return config.load(path, os.environ, registry.dialects())
    except config.Invalid as error:
        if error.sound is None:
            raise
        raise config.Invalid([*error.faults, *checks.check(error.sound).lines]) from error


def _say(lines: Sequence[str]) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def _token(loaded: config.Config, options: argparse.Namespace) -> int:
    """Print a token, and nothing else."""
    from pgrpc.auth import issuing  # it takes long to import

    claims = dict(options.claim)
    if options.sub is not None:
        claims["sub"] = options.sub
    try:
        if loaded.auth is None:
            raise issuing.CannotIssue("is missing: there are no tokens without it")
        token = issuing.issue(loaded.auth, claims, options.role, options.ttl)
    except issuing.CannotIssue as error:
        raise config.Invalid([f"{loaded.where(('auth',))}: {error}"]) from None
    sys.stdout.write(f"{token}\n")
    return 0


def _duration(text: str) -> float:
    try:
        return config.seconds(float(text) if text.replace(".", "", 1).isdecimal() else text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _claim(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as JSON where it is some, else as text."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("must be NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pgrpc", description="A PostgreSQL database on a WebSocket.")
    parser.add_argument("--version", action="version", version=f"pgrpc {pgrpc.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="serve the database that the configuration names (the default)")
    check = commands.add_parser("check", help="say everything that is wrong with the configuration and its database")
    token = commands.add_parser("token", help="print a token for development, signed with the configuration's secret")
    token.add_argument("--role", help="the role that it names; none: the anonymous role")
    token.add_argument("--sub", help="the subject: whose token it is")
    token.add_argument("--ttl", type=_duration, default=3600.0, help="how long it is good: 90s, 10m, 1h (the default)")
    token.add_argument(
        "--claim", type=_claim, action="append", default=[], metavar="NAME=VALUE", help="another claim, JSON or text"
    )
    for command in (serve, check, token):
        command.add_argument("--config", type=Path, default=Path("config.yaml"), metavar="FILE", help="config.yaml")
    shown = commands.add_parser("demo", help="serve a PostgreSQL of its own, with examples to try")
    shown.add_argument("example", nargs="?", metavar="EXAMPLE", help="a folder of examples/; none: the front page")
    shown.add_argument("--host", default="127.0.0.1")
    shown.add_argument("--port", type=int, default=8080)
    shown.add_argument("--data", type=Path, default=None, metavar="DIR", help="where the demo's database is kept")
    for name in registry.dialects():
        _add_dropin(commands.add_parser(name, help=f"serve {name}'s clients from its settings", add_help=False))
    return parser


def _add_dropin(command: argparse.ArgumentParser) -> None:
    """Their options, so that what starts them starts us."""
    command.add_argument("-h", "--help", action="help", help="show this and exit")
    command.add_argument("-v", "--version", action="version", version=f"pgrpc {pgrpc.__version__}")
    command.add_argument("-c", "--config", type=Path, default=None, metavar="FILE", help="its settings")
    command.add_argument("-d", "--debug", action="store_true", help="log more")
    command.add_argument("--port", type=int, default=None, help="another port than its settings name")
