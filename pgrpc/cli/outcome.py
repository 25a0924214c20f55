"""How a command ends: exit statuses (sysexits.h), and what standard error says.

Owns the way from an exception to a status. Must not know any command.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

INVALID = os.EX_CONFIG
UNAVAILABLE = os.EX_UNAVAILABLE
CANNOT_WRITE = os.EX_CANTCREAT


def of(run: Callable[[], int]) -> int:
    """Its exit status: what it returns, 78 where the configuration is wrong, 71 where its address is not free."""
    from pgrpc import config
    from pgrpc.server import app

    try:
        return run()
    except config.Invalid as error:
        say(error.faults)
        return INVALID
    except app.CannotServe as error:
        say([str(error)])
        return app.CANNOT_BIND


def say(lines: Sequence[str]) -> None:
    """Standard error."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def log_to_stderr(form: str = "%(asctime)s %(levelname)s %(message)s") -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=form, force=True)
    logging.getLogger("tornado").setLevel(logging.ERROR)  # below that it has a line for each client's mistake


def not_installed() -> str:
    """What to do where Python does not find a package that pgrpc needs."""
    cure = "run `pip install pgrpc` with this Python"
    if Path(sys.argv[0]).name == "server.py":
        cure = "run `make demo` once and use .venv/bin/python server.py, or `pip install pgrpc`"
    return f"pgrpc's packages are not installed for this Python: {cure}"
