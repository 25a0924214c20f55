"""Chooses the command, runs it, and returns the exit status.

Owns what is said where there is no such command, or where a package is missing.
"""

import sys
from collections.abc import Sequence

import pgrpc
from pgrpc.cli import commands, outcome, parser

_OPTIONS = ("-h", "--help", "--version")
_USAGE = f"""\
usage: {parser.PROGRAM} COMMAND [OPTIONS]

pgrpc lets browsers call PostgreSQL functions and receive NOTIFY events over one WebSocket.
"""
_REST = f"""
  {parser.PROGRAM} COMMAND --help    its options, with an example
  {parser.PROGRAM} --version         the version
  {parser.PROGRAM}                   the same as {parser.PROGRAM} serve
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status (sysexits.h): 0, 78 the configuration is wrong, 69 to 73 it cannot be done."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in _OPTIONS:
        sys.stdout.write(f"pgrpc {pgrpc.__version__}\n" if given[0] == "--version" else _help())
        return 0
    name = given.pop(0) if given and not given[0].startswith("-") else "serve"
    command = commands.ALL.get(name)
    if command is None:
        known = list(commands.ALL)
        near = parser.did_you_mean(name, known)
        outcome.say([f"unknown command {name}{near or '.'} Commands: {', '.join(known)}"])
        return 2
    try:
        options = command.parser().read(given)
        outcome.log_to_stderr()
        return command.run(options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "pgrpc":
            raise  # that is no missing package, but a fault of ours
        outcome.say([outcome.not_installed(error)])
        return outcome.UNAVAILABLE


def _help() -> str:
    width = max(map(len, commands.ALL)) + 2
    groups = (
        f"\n{title}:\n" + "".join(f"  {command.name:{width}}{command.help}\n" for command in group)
        for title, group in commands.GROUPS.items()
    )
    return _USAGE + "".join(groups) + _REST
