"""Chooses the command, runs it, and returns the exit status.

Owns what is said where there is no such command, or where a package is missing.
"""

import sys
from collections.abc import Sequence

from pgrpc.cli import commands, outcome, parser

_HELP = ("-h", "--help", "help")
_USAGE = f"""\
usage: {parser.PROGRAM} COMMAND [OPTIONS]

pgrpc lets browsers call PostgreSQL functions and receive NOTIFY events over one WebSocket.
"""
_REST = f"""
  {parser.PROGRAM} help COMMAND      its options, with an example; the same as {parser.PROGRAM} COMMAND --help
  {parser.PROGRAM} --version         the version
  {parser.PROGRAM}                   the same as {parser.PROGRAM} serve
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status (sysexits.h): 0, 78 the configuration is wrong, 69 to 73 it cannot be done."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = _take_command(given)
    if name == "help":
        name, given = _take_command(given), ["--help"]
    if name is None and given and given[0] in _HELP:
        sys.stdout.write(_help())
        return 0
    name = name or commands.DEFAULT.name
    command = commands.ALL.get(name)
    if command is None:
        known = [*commands.ALL, "help"]
        near = parser.did_you_mean(name, known)
        outcome.say([f"unknown command {name}{near or '.'} Commands: {', '.join(commands.ALL)}"])
        return 2
    try:
        options = command.parser().read(given, _having)
        outcome.log_to_stderr()
        return command.run(options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "pgrpc":
            raise  # that is no missing package, but a fault of ours
        outcome.say([outcome.not_installed()])
        return outcome.UNAVAILABLE


def _take_command(given: list[str]) -> str | None:
    """Take the first word that is no option, nor an option's value: `-c x.yaml serve` is `serve -c x.yaml`.

    None behind an option that no command has: whether the word is its value, is not known.
    """
    valued = {name for command in commands.ALL.values() for name in command.parser().valued}
    position = 0
    while position < len(given) and given[position].startswith("-"):
        if not _having(parser.option_name(given[position])):
            return None
        position += 2 if given[position] in valued else 1
    return given.pop(position) if position < len(given) else None


def _having(option: str) -> list[str]:
    """The commands that have it."""
    return [command.name for command in commands.ALL.values() if option in command.parser().names]


def _help() -> str:
    width = max(map(len, commands.ALL)) + 2
    groups = (
        f"\n{title}:\n" + "".join(f"  {command.name:{width}}{command.help}\n" for command in group)
        for title, group in commands.GROUPS.items()
    )
    return _USAGE + "".join(groups) + _REST
