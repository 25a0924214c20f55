"""What a database could offer -> the text of a configuration that offers nothing yet.

Owns the comments. Lines with one # are entries, lines with ## are about them.
"""

import json
import re

from pgrpc.init import surface

_EXAMPLE = surface.Surface(
    "", "", [surface.Function("add", "add", ["add(a integer, b integer) returns integer"])], ["people"]
)

_ASKED = """\
# What browsers may do with the database {database}, as the role {role}. Nothing yet: below, remove the "# " before each
# function and channel that they may use (lines that begin with ## describe them). Then:
#     pgrpc check
#     pgrpc serve
"""
_NOT_ASKED = """\
# What browsers may do with a database. No database was named, so the function and the channel below are examples.
# To list those of your database here (this overwrites the file and the page):
#     export DATABASE_URL='postgresql://USER:PASSWORD@HOST:5432/DATABASE'
#     pgrpc init --force
"""
_SETTINGS = """
database:
  # How to reach PostgreSQL: a URL or a libpq connection string. It is read from the environment, so that this file
  # holds no password.
  dsn: ${DATABASE_URL}

server:
  host: 127.0.0.1
  port: 8080
  # The folder of your pages. The built-in page, to try what is listed below, is at /_pgrpc/.
  static: public

# Functions that browsers may call. Parameters are checked against the signature.
functions:
"""
_UNCALLABLE = "\n  ## These cannot be called:\n"
_CHANNELS = """
# Channels that browsers may receive: the name in NOTIFY. * stands for any characters but a dot.
channels:
"""
_GUESSED = "  ## A guess, from NOTIFY and pg_notify(...) in the functions: check that they are right and complete.\n"
_NO_CHANNEL = "  ## No channel was found in the functions. An example:\n"
_NO_FUNCTION = "  ## The database has no function that can be called. An example:\n"


def text(found: surface.Surface | None) -> str:
    """None: no database was named."""
    shown = _EXAMPLE if found is None else found
    head = _NOT_ASKED if found is None else _ASKED.format(database=_line(found.database), role=_line(found.role))
    functions = "\n".join(map(_function, shown.callable)) or _NO_FUNCTION + _function(_EXAMPLE.functions[0])
    uncallable = [f"  ## {_line(f'{f.function}: {f.fault}')}\n" for f in shown.functions if f.fault]
    channels = "".join(f"  # {_scalar(name)}:\n" for name in shown.channels or _EXAMPLE.channels)
    lead = "" if found is None else _GUESSED if found.channels else _NO_CHANNEL
    return "".join(
        [head, _SETTINGS, functions, _UNCALLABLE if uncallable else "", *uncallable, _CHANNELS, lead, channels]
    )


def _function(function: surface.Function) -> str:
    about = [*function.signatures, *((function.description or "").strip().splitlines()[:1])]
    lines = [*(f"  ## {_line(line)}" for line in about), f"  # {_scalar(function.method)}:"]
    if function.function != function.method:
        lines.append(f"  #   function: {_scalar(function.function.replace('$', '$$'))}")
    return "\n".join([*lines, ""])


def _line(text: str) -> str:
    """For a comment: one line, and nothing that YAML refuses."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _scalar(text: str) -> str:
    """As YAML writes it: plain where that is text for sure, else quoted."""
    plain = re.fullmatch(r"[A-Za-z_][\w.]*", text, re.ASCII) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=not text.isprintable())


_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
