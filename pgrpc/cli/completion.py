"""`pgrpc completion`: a script by which a shell completes commands, options and examples.

Owns the scripts. They are made from the commands themselves, so they forget none.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence

from pgrpc.cli import parser

Commands = Sequence[parser.Command]


def command(others: Commands) -> parser.Command:
    """It completes itself as well."""

    def run(options: argparse.Namespace) -> int:
        sys.stdout.write(_SHELLS[options.shell]([*others, made]))
        return 0

    made = parser.Command(
        "completion",
        "print a completion script for bash, zsh or fish",
        run,
        _arguments,
        ["completion bash > ~/.local/share/bash-completion/completions/pgrpc"],
        tuple(_SHELLS),
    )
    return made


def _arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=list(_SHELLS), help="the shell that will read it")


def _options(command: parser.Command) -> Sequence[argparse.Action]:
    return [action for action in command.parser().actions if action.option_strings]


def _names(command: parser.Command) -> list[str]:
    return [name for option in _options(command) for name in option.option_strings]


def _valued(commands: Commands) -> str:
    """The options after which a file or another value stands, as a pattern of `case`."""
    found = [option for command in commands for option in _options(command) if option.nargs != 0]
    return "|".join(dict.fromkeys(name for option in found for name in option.option_strings))


def _bash(commands: Commands) -> str:
    cases = "".join(
        f"    {command.name}) words={shlex.quote(' '.join((*_names(command), *command.words)))} ;;\n"
        for command in commands
    )
    return f"""\
# bash completion of pgrpc: source <(pgrpc completion bash)
_pgrpc() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words={shlex.quote(" ".join(command.name for command in commands))}
  COMPREPLY=()
  case ${{COMP_WORDS[COMP_CWORD-1]}} in {_valued(commands)}) return ;; esac
  ((COMP_CWORD == 1)) || case ${{COMP_WORDS[1]}} in
{cases}    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o bashdefault -o default -F _pgrpc pgrpc
"""


def _zsh(commands: Commands) -> str:
    def described(pairs: Sequence[tuple[str, str]]) -> str:
        return " ".join(shlex.quote(f"{name}:{help}") for name, help in pairs)

    def all_of(command: parser.Command) -> list[tuple[str, str]]:
        found = [(name, str(option.help)) for option in _options(command) for name in option.option_strings]
        return found + [(word, command.name) for word in command.words]

    cases = "".join(f"    {command.name}) found=({described(all_of(command))}) ;;\n" for command in commands)
    return f"""\
#compdef pgrpc
# zsh completion of pgrpc: source <(pgrpc completion zsh), or as the file _pgrpc in a folder of $fpath
_pgrpc() {{
  local -a found
  case $words[CURRENT-1] in ({_valued(commands)}) _files; return ;; esac
  if ((CURRENT == 2)); then
    found=({described([(command.name, command.help) for command in commands])})
  else case $words[2] in
{cases}  esac; fi
  _describe pgrpc found || _files
}}
if [[ $funcstack[1] == _pgrpc ]]; then _pgrpc "$@"; else compdef _pgrpc pgrpc; fi
"""


def _fish(commands: Commands) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = ["# fish completion of pgrpc: pgrpc completion fish > ~/.config/fish/completions/pgrpc.fish"]
    for command in commands:
        lines.append(f"complete -c pgrpc -f -n __fish_use_subcommand -a {command.name} -d {quoted(command.help)}")
        seen = f"complete -c pgrpc -n '__fish_seen_subcommand_from {command.name}'"
        for option in _options(command):
            names = (f"-l {name[2:]}" if name[:2] == "--" else f"-s {name[1:]}" for name in option.option_strings)
            value = "" if option.nargs == 0 else "-r -F "
            lines.append(f"{seen} {' '.join(names)} {value}-d {quoted(str(option.help))}")
        if command.words:
            lines.append(f"{seen} -f -a {quoted(' '.join(command.words))}")
    return "\n".join(lines) + "\n"


_SHELLS: Mapping[str, Callable[[Commands], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
