"""`pgrpc serve`: the server."""

import argparse
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pgrpc.cli import outcome, parser

if TYPE_CHECKING:
    from pgrpc import config


def _arguments(command: argparse.ArgumentParser) -> None:
    parser.add_config(command)
    command.add_argument("--host", help="the address to listen on, instead of server.host")
    command.add_argument("--port", type=parser.port, help="the port, instead of server.port; 0 for any free one")


def _run(options: argparse.Namespace) -> int:
    return outcome.of(lambda: _serve(options))


def _serve(options: argparse.Namespace) -> int:
    from pgrpc.server import workers

    loaded = load(options.config)
    given = {name: value for name in ("host", "port") if (value := getattr(options, name)) is not None}
    loaded = dataclasses.replace(loaded, server=dataclasses.replace(loaded.server, **given))
    if loaded.server.workers > 1:
        outcome.log_to_stderr("%(asctime)s %(process)d %(levelname)s %(message)s")
    return workers.run(loaded)


def load(path: Path) -> "config.Config":
    """Raises config.Invalid with what is wrong in the file, and between its sound part and the database."""
    from pgrpc import config
    from pgrpc.check import checks
    from pgrpc.compat import registry

    try:
        return config.load(path, os.environ, registry.dialects())
    except config.Invalid as error:
        if error.sound is None:
            raise
        raise config.Invalid([*error.faults, *checks.check(error.sound).lines]) from error


COMMAND = parser.Command(
    "serve",
    "serve the database that the configuration names (the default)",
    _run,
    _arguments,
    ["serve --config config.yaml --port 8081"],
)
