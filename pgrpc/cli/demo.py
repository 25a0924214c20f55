"""`pgrpc demo`: an example, with a PostgreSQL of its own."""

import argparse
from pathlib import Path

from pgrpc.cli import outcome, parser
from pgrpc.demo import examples


def _arguments(command: argparse.ArgumentParser) -> None:
    shown = f"{', '.join(examples.names())} (default: the built-in front page)"
    command.add_argument("example", nargs="?", metavar="EXAMPLE", help=shown)
    command.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, default=8080, help="the port (default: 8080); 0 for any free one")
    data = f"the folder of its database (default: {examples.data_folder()})".replace("%", "%%")
    command.add_argument("--data", type=Path, default=None, metavar="DIRECTORY", help=data)


def _run(options: argparse.Namespace) -> int:
    from pgrpc.demo import demo

    return outcome.of(lambda: demo.run(options.example, host=options.host, port=options.port, data=options.data))


COMMAND = parser.Command(
    "demo",
    "serve an example, with a PostgreSQL of its own",
    _run,
    _arguments,
    ["demo", "demo chat --port 8081"],
    examples.names(),
)
