"""`pgrpc token`: a token for development."""

import argparse
import json
import os
import sys
from typing import Any

from pgrpc.cli import outcome, parser


def _arguments(command: argparse.ArgumentParser) -> None:
    parser.add_config(command)
    command.add_argument("--role", help="the role it names (default: none, for the anonymous role)")
    command.add_argument("--sub", metavar="SUBJECT", help="the claim sub: whose token it is")
    ttl = "the time until it expires: 90s, 10m, 1h (default: 1h)"
    command.add_argument("--ttl", type=_duration, default=3600.0, metavar="DURATION", help=ttl)
    claim = "another claim, its value JSON or text; can be repeated"
    command.add_argument("--claim", type=_claim, action="append", default=[], metavar="NAME=VALUE", help=claim)


def _run(options: argparse.Namespace) -> int:
    return outcome.of(lambda: _print(options))


def _print(options: argparse.Namespace) -> int:
    """A token, and nothing else."""
    from pgrpc import config
    from pgrpc.auth import issuing
    from pgrpc.compat import registry

    loaded = config.load(options.config, os.environ, registry.dialects())
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
    from pgrpc import config

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


COMMAND = parser.Command(
    "token",
    "print a token for development, signed with auth.secret",
    _run,
    _arguments,
    ["token --role web_user --sub ann --claim team=blue"],
)
