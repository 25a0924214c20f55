"""Which commands there are, in the groups and the order in which --help shows them."""

from collections.abc import Mapping, Sequence

from pgrpc.cli import check, completion, demo, dropin, init, parser, serve, token

DEFAULT = serve.COMMAND
"""The command that is run where none is named."""

_OTHERS: Mapping[str, Sequence[parser.Command]] = {
    "To begin": (init.COMMAND, demo.COMMAND),
    "To serve": (serve.COMMAND, check.COMMAND, token.COMMAND),
    "In place of another server, from its own settings": tuple(dropin.command(name) for name in dropin.names()),
}

GROUPS: Mapping[str, Sequence[parser.Command]] = {
    **_OTHERS,
    "For the shell": (completion.command([command for group in _OTHERS.values() for command in group], DEFAULT),),
}

ALL: Mapping[str, parser.Command] = {command.name: command for group in GROUPS.values() for command in group}
