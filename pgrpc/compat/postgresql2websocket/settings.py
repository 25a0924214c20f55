"""postgresql2websocket's settings: postgresql2websocket.conf, and a section of our own in it.

Owns their names and defaults. That server ran whatever SQL it was sent; here [pgrpc] lists what may be called, and
nothing may be until it does. Must not know how anything is served.
"""

import configparser
import re
from collections.abc import Mapping
from pathlib import Path

from pgrpc.compat import settings_document
from pgrpc.config import model

FILE = Path("postgresql2websocket.conf")

_CONNECTION = {"host": "host", "port": "port", "user": "user", "password": "password", "database": "dbname"}
"""Their names -> libpq's: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS."""

_PLACES: Mapping[tuple[str, str], model.Place] = {
    ("postgresql", "max_size"): ("database", "pool_size"),
    ("postgresql", "timeout"): ("database", "connect_timeout"),
    ("postgresql", "command_timeout"): ("database", "statement_timeout"),
    ("web", "host"): ("server", "host"),
    ("web", "port"): ("server", "port"),
    ("pgrpc", "origins"): ("server", "allowed_origins"),
    ("pgrpc", "functions"): ("functions",),
    ("pgrpc", "channels"): ("channels",),
}
_DEFAULTS = {
    "postgresql": {},
    "web": {"host": "0.0.0.0", "port": "8080"},
    "pgrpc": {"functions": "", "channels": "**", "origins": "*"},
}


def load(environ: Mapping[str, str], file: Path | None = None) -> settings_document.Loaded:
    """Raises Invalid. environ is not asked: that server did not either, but libpq has its own PG* variables."""
    path = file or FILE
    given = _read(path)
    document = settings_document.Document(path.absolute(), {"dialects": {"postgresql2websocket": True}})
    connection: dict[str, str] = {}
    for section in given.sections():
        for key, value in given.items(section):
            name = f"{path}: [{section}] {key}"
            place = _PLACES.get((section, key))
            if section == "postgresql" and key in _CONNECTION:
                connection[_CONNECTION[key]] = value
                if key == "port" and not (value.isdecimal() and 0 < int(value) < 65536):
                    document.fault(name, "must be a number from 1 to 65535")
            elif place is None:
                document.warn(name, "is not used")
            elif place in (("functions",), ("channels",)):
                document.put(place, {word: {} for word in _words(value)}, name)
            elif place == ("server", "allowed_origins"):
                document.put(place, _words(value), name)
            else:
                document.put(place, value if key == "host" else settings_document.plain(value), name)
    # Where nothing is said, libpq decides.
    dsn = settings_document.connection(connection or {"dbname": ""})
    document.put(("database", "dsn"), dsn, f"{path}: [postgresql]")
    return document.load()


def _read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_dict(_DEFAULTS)
    try:
        parser.read_string(path.read_text("utf-8-sig"), str(path))
        for section in parser.sections():
            parser.items(section)  # where a % is written that means nothing
    except FileNotFoundError:
        words = "there is no such file: write it, or name it with --config FILE"
    except OSError as error:
        words = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        words = "not UTF-8: save the file as UTF-8"
    except configparser.InterpolationError as error:
        words = f"[{error.section}] {error.option}: a % is written %%"
    except configparser.Error as error:
        words = _without_text(error)
    else:
        return parser
    raise model.Invalid([f"{path}: {words}"])


def _without_text(error: configparser.Error) -> str:
    """What is wrong, without the line itself: it may hold a password."""
    line = getattr(error, "lineno", None) or next((number for number, _ in getattr(error, "errors", ())), None)
    return f"not an INI file: line {line} is no `[section]` and no `key = value`, or is there twice"


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]
