"""The command line: `pgrpc COMMAND ...`, one module for each command.

Owns arguments, exit statuses and what is printed. Must not know how anything is done. Each command imports what it
needs when it runs, so that --help and shell completion take a tenth of a second.

    entry           chooses the command, and reports what cannot be
    ├── commands        which there are
    ├── init, demo, serve, check, token, dropin, completion
    ├── parser          argparse, with suggestions for what is mistyped
    └── outcome         exit statuses, standard error
"""

from pgrpc.cli.entry import main

__all__ = ["main"]
