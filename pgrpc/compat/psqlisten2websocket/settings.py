"""psqlisten2websocket's settings: .env.

Owns their names, and the syntax of the file as far as they need it. Must not know how anything is served.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from pgrpc.compat import dialect, settings_document
from pgrpc.config import model

_PARTS = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "DBNAME": "dbname"}
"""Setting -> parameter of a libpq connection string."""

_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)\s*[=:]\s*
    (?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<bare>[^'"\s\#].*?|))\s*(?:(?<=\s)\#.*)?""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def load(environ: Mapping[str, str], file: Path | None = None) -> dialect.Loaded:
    """The file precedes environ, whose PORT is ignored: it is usually the web server's. Raises Invalid."""
    path = Path(file or ".env")
    given = {name: value for name, value in environ.items() if name != "PORT"} | _read(path)
    document = settings_document.Document(path.absolute(), {"dialects": {"psqlisten2websocket": True}})
    if (port := given.get("PORT")) and not (port.isdecimal() and 0 < int(port) < 65536):
        document.fault(f"{path}: PORT", "must be the port of the database, a number from 1 to 65535")
    parts = {parameter: given[name] for name, parameter in _PARTS.items() if given.get(name)}
    document.put(("database", "dsn"), settings_document.connection(parts), str(path))
    document.put(("database", "pool_size"), 1, "pool_size")  # no function is called
    document.put(("server", "host"), "0.0.0.0", "host")
    document.put(("limits", "message_size"), "1MiB", "message_size")
    document.put(("channels",), {"events": {}}, "channels")
    if Path("public").is_dir():
        document.put(("server", "static"), str(Path("public").absolute()), "public")
    else:
        document.warn("public", "no such folder here: pgrpc shows its own front page instead")
    return document.load()


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise model.Invalid(
            [f"{path}: no such file: write one with {', '.join(_PARTS)}, or name another with --config"]
        ) from None
    except OSError as error:
        raise model.Invalid([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise model.Invalid([f"{path}: not UTF-8: save the file as UTF-8"]) from None
    found: dict[str, str] = {}
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            faults.append(f"{path}:{number}: must be NAME=value; every quote must be closed")
        else:
            found[match["name"]] = _value(match)
    if faults:
        raise model.Invalid(faults)
    return found


def _value(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), match["double"])
    return str(match["bare"] if match["single"] is None else match["single"])
