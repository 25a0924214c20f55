"""Options of one command as argparse reads them, with a suggestion for what is mistyped.

Owns the form of help and of refusals. Must not know any command.
"""

import argparse
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pgrpc

PROGRAM = "pgrpc"


@dataclass(frozen=True, slots=True)
class Command:
    """help: one line. examples: command lines, without the program's name. run: options -> exit status.

    words: what its argument may be, for completion. version: the options that show it.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], int]
    arguments: Callable[[argparse.ArgumentParser], None]
    examples: Sequence[str] = ()
    words: Sequence[str] = ()
    version: Sequence[str] = ("--version",)

    def parser(self) -> "Parser":
        shown = "\n".join(f"  {PROGRAM} {example}" for example in self.examples)
        made = Parser(
            prog=f"{PROGRAM} {self.name}",
            description=f"{self.help[0].upper()}{self.help[1:]}.",
            epilog=f"{'example' if len(self.examples) == 1 else 'examples'}:\n{shown}" if shown else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=False,
        )
        made.add_argument("-h", "--help", action="help", help="show this and exit")
        version = f"{PROGRAM} {pgrpc.__version__}"
        made.add_argument(*self.version, action="version", version=version, help="show the version and exit")
        self.arguments(made)
        return made


class Parser(argparse.ArgumentParser):
    @property
    def actions(self) -> Sequence[argparse.Action]:
        """Every option and argument."""
        return self._actions

    @property
    def names(self) -> Sequence[str]:
        """Of its options."""
        return [name for action in self.actions for name in action.option_strings]

    @property
    def valued(self) -> Sequence[str]:
        """Of those options that take a value."""
        return [name for action in self.actions if action.nargs != 0 for name in action.option_strings]

    def read(self, given: Sequence[str], having: Callable[[str], Sequence[str]]) -> argparse.Namespace:
        """The options; ends the process with status 2 where they are wrong. having: the commands with an option."""
        options, unknown = self.parse_known_args(given)
        if unknown:
            self.error(self._refusal(unknown[0], having))
        return options

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n{self.format_usage()}")

    def _refusal(self, unknown: str, having: Callable[[str], Sequence[str]]) -> str:
        if unknown.startswith("-"):
            name = option_name(unknown)
            others = ", ".join(having(name))
            cure = f"; commands that have it: {others}" if others else did_you_mean(name, self.names)
            return f"unknown option {name}{cure}"
        cure = f"; to name a file: --config {unknown}" if "--config" in self.names else ""
        return f"unexpected argument {unknown}{cure}"


def option_name(word: str) -> str:
    """Without a value that is attached: --port of --port=80, -c of -cx.yaml."""
    return word.partition("=")[0] if word.startswith("--") else word[:2]


def did_you_mean(word: str, known: Collection[str]) -> str:
    """ "; did you mean check?", or nothing where no known word is near. A letter (-p) is near what it begins."""
    import difflib

    near = difflib.get_close_matches(word, known, 1)
    if not near and len(word) == 2:
        near = [name for name in known if name.startswith(f"-{word}")][:1]
    return f"; did you mean {near[0]}?" if near else ""


def add_config(parser: argparse.ArgumentParser) -> None:
    default = Path("config.yaml")
    help = f"the configuration (default: {default})"
    parser.add_argument("-c", "--config", type=Path, default=default, metavar="FILE", help=help)


def port(text: str) -> int:
    """For argparse."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port: must be 0 to 65535 (0 is any free one)")
    return int(text)
