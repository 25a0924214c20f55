"""pg_eventserv's settings: DATABASE_URL, ES_*, pg_eventserv.toml.

Owns their names, defaults and precedence. Some that have no effect in pg_eventserv have one here: CORSOrigins, Debug,
and TLS. Must not know how anything is served.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pgrpc.compat import channels, dialect, settings_document
from pgrpc.compat.eventserv import posix_patterns
from pgrpc.config import model

FOLDERS = (Path("config"), Path("/config"), Path("/etc"))
"""Where pg_eventserv.toml is looked for, unless the command line names it."""

_DEFAULTS: Mapping[str, Any] = {
    "AssetsPath": "./assets",
    "BasePath": "/",
    "Channels": ["*"],
    "CORSOrigins": ["*"],
    "DbConnection": "sslmode=disable",
    "DbPoolMaxConnLifeTime": "1h",
    "DbPoolMaxConns": 4,
    "Debug": False,
    "HttpHost": "0.0.0.0",
    "HttpPort": 7700,
    "HttpsPort": 7701,
    "TlsServerCertificateFile": "",
    "TlsServerPrivateKeyFile": "",
    "UrlBase": "",
}

_PLACES: Mapping[str, model.Place] = {
    "BasePath": ("server", "base_path"),
    "DbConnection": ("database", "dsn"),
    "DbPoolMaxConns": ("database", "pool_size"),
    "HttpHost": ("server", "host"),
    "HttpPort": ("server", "port"),
    "UrlBase": ("dialects", "eventserv", "url_base"),
}
"""Settings that we have under another name."""

_TLS: Mapping[str, model.Place] = {
    "HttpsPort": ("server", "tls", "port"),
    "TlsServerCertificateFile": ("server", "tls", "certificate"),
    "TlsServerPrivateKeyFile": ("server", "tls", "key"),
}
"""The same, where a certificate or a key is named."""

_PGX = frozenset((
    "pool_max_conns", "pool_min_conns", "pool_min_idle_conns", "pool_max_conn_lifetime",
    "pool_max_conn_lifetime_jitter", "pool_max_conn_idle_time", "pool_health_check_period", "min_read_buffer_size",
    "statement_cache_mode", "statement_cache_capacity", "description_cache_capacity",
    "default_query_exec_mode",
))  # fmt: skip
"""Parameters of a connection string that only its driver knows: https://pkg.go.dev/github.com/jackc/pgx/v5/pgxpool"""

_PARAMETER = re.compile(r"\s*(\w+)\s*=\s*(?:'(?:\\.|[^'\\])*'|(?:\\.|[^\s\\])*)")
"""name = value, in a connection string that is not a URL."""

_NUMBERS = frozenset(("DbPoolMaxConns", "HttpPort", "HttpsPort"))


def load(environ: Mapping[str, str], file: Path | None = None, folders: Sequence[Path] = FOLDERS) -> dialect.Loaded:
    """environ precedes the file, DATABASE_URL precedes both; names in the file are case-insensitive. Raises Invalid."""
    path = file or next((found for folder in folders if (found := folder / "pg_eventserv.toml").is_file()), None)
    # Relative paths in these settings start at the current folder, wherever the file is.
    document = settings_document.Document(Path.cwd() / "pg_eventserv.toml", {"dialects": {"eventserv": {}}})
    given = _gather(environ, {} if path is None else _read(path), path, document)
    secure = given["TlsServerCertificateFile"][0] or given["TlsServerPrivateKeyFile"][0]
    given["DbConnection"] = _libpq(*given["DbConnection"], document)
    for setting, place in {**_PLACES, **(_TLS if secure else {})}.items():
        value, name = given[setting]
        document.put(place, settings_document.plain(value) if setting in _NUMBERS else value, name)
    document.put(("server", "ping_interval"), 2, "ping_interval")
    document.put(("server", "ping_timeout"), 20, "ping_timeout")  # pg_eventserv expects no pong
    document.put(("server", "allowed_origins"), _words(*given["CORSOrigins"], document), given["CORSOrigins"][1])
    _put_channels(*given["Channels"], document)
    _put_assets(*given["AssetsPath"], document)
    lifetime, name = given["DbPoolMaxConnLifeTime"]
    if lifetime != _DEFAULTS["DbPoolMaxConnLifeTime"]:
        document.warn(name, "is not used: pgrpc keeps a connection as long as it works")
    document.debug = document.flag(*given["Debug"])
    return document.load()


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        words = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        words = "not UTF-8: save the file as UTF-8"
    except tomllib.TOMLDecodeError as error:
        words = f"not TOML: {error}"
    raise model.Invalid([f"{path}: {words}"])


def _gather(
    environ: Mapping[str, str], content: Mapping[str, Any], path: Path | None, document: settings_document.Document
) -> dict[str, tuple[Any, str]]:
    """Setting -> its value, and where it was written: `ES_HTTPPORT`, `config/pg_eventserv.toml: HttpPort`."""
    known = {setting.lower(): setting for setting in _DEFAULTS}
    given = {setting: (value, setting) for setting, value in _DEFAULTS.items()}
    for key, value in content.items():
        if key.lower() in known:
            given[known[key.lower()]] = value, f"{path}: {key}"
        else:
            document.warn(
                f"{path}: {key}", f"is not a setting of pg_eventserv; its settings are {', '.join(_DEFAULTS)}"
            )
    for setting in _DEFAULTS:
        if value := environ.get(f"ES_{setting.upper()}"):
            given[setting] = value, f"ES_{setting.upper()}"
    if value := environ.get("DATABASE_URL"):
        given["DbConnection"] = value, "DATABASE_URL"
    return given


def _libpq(value: Any, name: str, document: settings_document.Document) -> tuple[Any, str]:
    """The connection string without the parameters that only pgx knows; libpq reports what else is wrong with it."""
    if not isinstance(value, str):
        return value, name
    dropped: list[str] = []

    def kept(key: str) -> bool:
        if key in _PGX:
            dropped.append(key)
        return key not in _PGX

    address, mark, query = value.rpartition("?")
    if "://" not in value:
        value = _PARAMETER.sub(lambda found: found[0] if kept(found[1]) else "", value)
    elif mark:
        parameters = [each for each in query.split("&") if kept(each.partition("=")[0])]
        value = f"{address}?{'&'.join(parameters)}" if parameters else address
    for key in dropped:
        document.warn(name, f"{key} is not used: it is a setting of pgx, pg_eventserv's database driver")
    return value, name


def _words(value: Any, name: str, document: settings_document.Document) -> list[str]:
    """A list as it is, or the words of a text."""
    if isinstance(value, str):
        return value.split()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    document.fault(name, "must be a list of texts, or one text of words separated by spaces")
    return []


def _put_channels(value: Any, name: str, document: settings_document.Document) -> None:
    """The patterns before the first malformed one: pg_eventserv tries each in turn, and refuses the channel there.

    Our own clients get the channels as well, as far as our own globs can say which.
    """
    patterns: list[str] = []
    for pattern in _words(value, name, document):
        try:
            posix_patterns.compile(pattern)
        except posix_patterns.Malformed as error:
            words = f"{pattern!r} is not a pattern ({error}): neither it nor the patterns after it allow any channel"
            document.warn(name, words)
            break
        patterns.append(pattern)
    document.put(("dialects", "eventserv", "channels"), patterns, name)
    document.put(("channels",), {entry: {} for entry in map(_native, patterns) if entry is not None}, name)


def _native(pattern: str) -> str | None:
    """The entry of our own `channels` for the same names; None where there is none."""
    return None if re.search(r"[?[\\]", pattern) else channels.native(re.sub(r"\*+", "**", pattern))


def _put_assets(value: Any, name: str, document: settings_document.Document) -> None:
    if not isinstance(value, str):
        document.fault(name, "must be a text: the folder of index.html")
    elif os.path.isfile(os.path.join(value, "index.html")):
        document.put(("dialects", "eventserv", "assets"), value, name)
    elif value != _DEFAULTS["AssetsPath"]:
        document.warn(name, "this folder has no index.html: pgrpc shows its own front page instead")
