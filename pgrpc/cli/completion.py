"""`pgrpc completion`: a script by which a shell completes commands, options and examples.

Owns the scripts. They are made from the commands themselves, so they forget none.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pgrpc.cli import parser

Commands = Sequence[parser.Command]


def command(others: Commands, default: parser.Command) -> parser.Command:
    """It completes itself as well. default: the command that is run where none is named."""

    def run(options: argparse.Namespace) -> int:
        sys.stdout.write(_SHELLS[options.shell]([*others, made], default))
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


def _takes_file(option: argparse.Action) -> bool:
    return option.type is Path


def _names(command: parser.Command) -> str:
    return " ".join(name for option in _options(command) for name in option.option_strings)


def _valued(commands: Commands, *, files: bool) -> str:
    """The options after which a file, or else another value, stands, as a pattern of `case`."""
    options = [option for command in commands for option in _options(command) if option.nargs != 0]
    found = [option for option in options if _takes_file(option) is files]
    return "|".join(dict.fromkeys(name for option in found for name in option.option_strings))


def _bash(commands: Commands, default: parser.Command) -> str:
    names = shlex.quote(" ".join(["help", *(command.name for command in commands)]))
    files, others = _valued(commands, files=True), _valued(commands, files=False)
    cases = "".join(
        f"    {command.name}) words={shlex.quote(' '.join((_names(command), *command.words)))} ;;\n"
        for command in commands
    )
    return f"""\
# bash completion of pgrpc: source <(pgrpc completion bash)
_pgrpc() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} command='' words={names} i
  COMPREPLY=()
  case ${{COMP_WORDS[COMP_CWORD-1]}} in
    {files}) return ;;
    {others}) compopt +o bashdefault +o default 2>/dev/null; return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in
      {files}|{others}) ((i++)) ;;
      -*) ;;
      *) command=${{COMP_WORDS[i]}}; break ;;
    esac
  done
  case $command in
    '') [[ $word != -* ]] || words={shlex.quote(_names(default))} ;;
    help) ;;
{cases}    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o bashdefault -o default -F _pgrpc pgrpc
"""


def _zsh(commands: Commands, default: parser.Command) -> str:
    def described(pairs: Sequence[tuple[str, str]]) -> str:
        return " ".join(shlex.quote(f"{name}:{help}") for name, help in pairs)

    def all_of(command: parser.Command) -> list[tuple[str, str]]:
        found = [(name, str(option.help)) for option in _options(command) for name in option.option_strings]
        return found + [(word, command.name) for word in command.words]

    names = [("help", "show the help of a command"), *((command.name, command.help) for command in commands)]
    files, others = _valued(commands, files=True), _valued(commands, files=False)
    cases = "".join(f"    ({command.name}) found=({described(all_of(command))}) ;;\n" for command in commands)
    return f"""\
#compdef pgrpc
# zsh completion of pgrpc: source <(pgrpc completion zsh), or as the file _pgrpc in a folder of $fpath
_pgrpc() {{
  local -a found
  local command='' i
  found=({described(names)})
  case $words[CURRENT-1] in ({files}) _files; return ;; ({others}) return ;; esac
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in ({files}|{others}) ((i++)) ;; (-*) ;; (*) command=$words[i]; break ;; esac
  done
  case $command in
    ('') [[ $words[CURRENT] != -* ]] || found=({described(all_of(default))}) ;;
    (help) ;;
{cases}    (*) found=() ;;
  esac
  _describe pgrpc found || _files
}}
if [[ $funcstack[1] == _pgrpc ]]; then _pgrpc "$@"; else compdef _pgrpc pgrpc; fi
"""


def _fish(commands: Commands, default: parser.Command) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def options(command: parser.Command, seen: str) -> list[str]:
        lines = []
        for option in _options(command):
            names = (f"-l {name[2:]}" if name[:2] == "--" else f"-s {name[1:]}" for name in option.option_strings)
            value = "" if option.nargs == 0 else "-r -F " if _takes_file(option) else "-x "
            lines.append(f"{seen} {' '.join(names)} {value}-d {quoted(str(option.help))}")
        return lines

    names = " ".join(command.name for command in commands)
    none = f"complete -c pgrpc -n 'not __fish_seen_subcommand_from help {names}'"
    lines = ["# fish completion of pgrpc: pgrpc completion fish > ~/.config/fish/completions/pgrpc.fish"]
    lines += [f"{none} -f -a help -d 'show the help of a command'", *options(default, none)]
    lines.append(f"complete -c pgrpc -n '__fish_seen_subcommand_from help' -f -a '{names}'")
    for command in commands:
        lines.append(f"{none} -f -a {command.name} -d {quoted(command.help)}")
        seen = f"complete -c pgrpc -n '__fish_seen_subcommand_from {command.name}'"
        lines += options(command, seen)
        if command.words:
            lines.append(f"{seen} -f -a {quoted(' '.join(command.words))}")
    return "\n".join(lines) + "\n"


_SHELLS: Mapping[str, Callable[[Commands, parser.Command], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
