"""`pgrpc <server>`: in the place of another server, with the options that start that one."""

import argparse
import dataclasses
import functools
import logging
import os
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pgrpc import compat
from pgrpc.cli import outcome, parser

if TYPE_CHECKING:
    from pgrpc import config

_LOG = logging.getLogger("pgrpc")


def names() -> Sequence[str]:
    """The servers: a folder of pgrpc.compat each. The registry knows them too, but takes 0.3 s to import."""
    return sorted(module.name for module in pkgutil.iter_modules(compat.__path__) if module.ispkg)


def command(name: str) -> parser.Command:
    return parser.Command(
        name,
        f"serve the clients of {name}",
        functools.partial(_run, name),
        _arguments,
        [name],
        version=("-v", "--version"),
    )


def _arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("-c", "--config", type=Path, default=None, metavar="FILE", help="that server's settings")
    command.add_argument("-d", "--debug", action="store_true", help="log more")
    command.add_argument("--port", type=int, default=None, help="the port, instead of the one in its settings")


def _run(name: str, options: argparse.Namespace) -> int:
    return outcome.of(lambda: _serve(name, options))


def _serve(name: str, options: argparse.Namespace) -> int:
    from pgrpc.server import app

    return app.run(_config(name, options))


def _config(name: str, options: argparse.Namespace) -> "config.Config":
    """Raises config.Invalid."""
    from pgrpc.compat import registry

    loaded = registry.dialects()[name].load(os.environ, options.config)
    if loaded.debug or options.debug:
        logging.getLogger().setLevel(logging.DEBUG)
    for warning in loaded.warnings:
        _LOG.warning("%s", warning)
    if options.port is None:
        return loaded.config
    return dataclasses.replace(loaded.config, server=dataclasses.replace(loaded.config.server, port=options.port))
