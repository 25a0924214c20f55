"""postgresql2websocket's settings: postgresql2websocket.conf, and our own section [pgrpc] in it.

Owns their names and defaults. That server ran whatever SQL it was sent; here clients can call only the functions that
[pgrpc] lists. Must not know how anything is served.
"""

import configparser
import re
from collections.abc import Mapping
from pathlib import Path

from pgrpc.compat import channels, dialect, settings_document
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
    ("pgrpc", "channels"): ("dialects", "postgresql2websocket", "channels"),
}
_DEFAULTS = {
    "postgresql": {},
    "web": {"host": "0.0.0.0", "port": "8080"},
    "pgrpc": {"functions": "", "channels": "**", "origins": "*"},
}


def load(environ: Mapping[str, str], file: Path | None = None) -> dialect.Loaded:
    """environ is not used: that server did not use it either, but libpq reads its own PG* variables. Raises Invalid."""
    path = file or FILE
    given = _read(path)
    document = settings_document.Document(path.absolute(), {"dialects": {"postgresql2websocket": {}}})
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
            elif section == "pgrpc":
                _put_list(place, _words(value), name, document)
            else:
                document.put(place, value if key == "host" else settings_document.plain(value), name)
    # libpq has a default for each parameter that is missing.
    dsn = settings_document.connection(connection or {"dbname": ""})
    document.put(("database", "dsn"), dsn, f"{path}: [postgresql]")
    return document.load()


def _read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_dict(_DEFAULTS)
    try:
        parser.read_string(path.read_text("utf-8-sig"), str(path))
        for section in parser.sections():
            parser.items(section)  # raises where a % stands alone
    except FileNotFoundError:
        words = "no such file: write it, or name another with --config"
    except OSError as error:
        words = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        words = "not UTF-8: save the file as UTF-8"
    except configparser.InterpolationError as error:
        words = f"[{error.section}] {error.option}: write %% for a %"
    except configparser.Error as error:
        words = _without_text(error)
    else:
        return parser
    raise model.Invalid([f"{path}: {words}"])


def _without_text(error: configparser.Error) -> str:
    """What is wrong, without the text of the line, which may hold a password."""
    line = getattr(error, "lineno", None) or next((number for number, _ in getattr(error, "errors", ())), None)
    return f"not an INI file: line {line} must be `[section]` or `key = value`, each only once"


def _put_list(place: model.Place, words: list[str], name: str, document: settings_document.Document) -> None:
    document.put(place, {word: {} for word in words} if place == ("functions",) else words, name)
    if place[-1] == "channels":  # our own clients get those that our own globs can name
        document.put(("channels",), {entry: {} for entry in map(channels.native, words) if entry is not None}, name)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]
