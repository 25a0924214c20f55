"""A configuration file -> Config, or everything that is wrong with it at once.

Owns the order of the work and the rules that a schema cannot say. The only reader of configuration, and of the
environment that it is given. Must not know what the database says of the functions and channels named here.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pgrpc.config import access, auth, edge, faults, model, schemafiles, substitution, units, validate, yamltree
from pgrpc.core.channels import globs, rules
from pgrpc.core.identity import claims, identity

_DIALECTS: Mapping[str, Any] = {
    "eventserv": model.Eventserv,
    "postgresql2websocket": model.Postgresql2websocket,
    "psqlisten2websocket": model.Psqlisten2websocket,
}


def load(path: Path | str, environ: Mapping[str, str]) -> model.Config:
    """The configuration in a file. Raises Invalid."""
    shown = os.fspath(path)
    try:
        tree = yamltree.parse(_read(shown))
    except yamltree.Unreadable as error:
        line, column = error.position
        raise model.Invalid([f"{shown}:{line}:{column}: {error.words}"]) from None
    marks = model.Marks(shown, MappingProxyType(tree.positions))
    found = faults.Faults(marks)
    for place, (line, column), words in tree.faults:
        name = f"{model.shown(place)}: " if place else ""
        found.note((line, column), f"{shown}:{line}:{column}: {name}{words}")
    for place in tree.spoilt:
        found.spoil(place)
    value = substitution.Substitution(environ, Path(shown).parent, found).apply(tree.value)
    return build(value, Path(shown), found)


def build(value: Any, path: Path, found: faults.Faults) -> model.Config:
    """The configuration that a document means, whatever it was read from. path: what relative paths are beside.

    Raises Invalid, with what is in `found` already as well.
    """
    config = _Builder(path, found).config(value)
    if lines := found.lines():
        functions = tuple(entry for entry in config.functions if found.sound("functions", entry.method))
        usable = found.sound("database") and bool(config.database.dsn)
        keys = config.auth if found.sound("auth") else None
        raise model.Invalid(lines, dataclasses.replace(config, auth=keys, functions=functions) if usable else None)
    return config


def _read(shown: str) -> bytes:
    try:
        return Path(shown).read_bytes()
    except FileNotFoundError:
        words = "no such file: write one with `pgrpc init`, or name another with --config"
    except IsADirectoryError:
        words = "is a directory: name a file"
    except OSError as error:
        words = f"cannot be read: {error.strerror}"
    except ValueError:
        words = "a file name cannot hold the character NUL"
    raise model.Invalid([f"{shown}: {words}"])


class _Builder:
    """Makes values of what fits the schema. What does not is left out, so that the rest is still checked."""

    def __init__(self, path: Path, found: faults.Faults) -> None:
        self._path = path
        self._faults = found
        self._files = schemafiles.SchemaFiles(path.parent, found)

    def config(self, value: Any) -> model.Config:
        document = self._document(value)
        who = self._auth(document)
        self._access = access.Access(who, self._faults)
        functions = document.get("functions") or {}
        listed = document.get("channels") or {}
        orders = (document.get("auth") or {}).get("control_channel")
        if orders is not None and orders in listed:
            self._faults.tell(("channels", orders), "is auth.control_channel, which no client may hear: remove one")
        dialects = self._dialects(document.get("dialects") or {})
        made = tuple(self._channel(name, entry or {}, dialects) for name, entry in listed.items())
        self._check_broadcast(dialects.psqlisten2websocket, made)
        return model.Config(
            path=self._path,
            database=self._database(document.get("database") or {}),
            server=self._server(document.get("server") or {}),
            auth=who,
            limits=self._limits(document.get("limits") or {}),
            functions=tuple(self._function(name, entry or {}) for name, entry in functions.items()),
            channels=made,
            dialects=dialects,
            schemas=MappingProxyType(self._files.documents),
            marks=self._faults.marks,
        )

    def _document(self, value: Any) -> Mapping[str, Any]:
        if value is None:
            self._faults.add((), "is empty: it needs at least database.dsn; config.yaml.example shows all")
        elif not isinstance(value, dict):
            self._faults.add(
                (), "must be a mapping of database, server, auth, limits, functions, channels and dialects"
            )
        else:
            return validate.check(value, self._faults)
        return {}

    def _database(self, given: Mapping[str, Any]) -> model.Database:
        place = ("database",)
        return model.Database(
            **{"dsn": "", **given}  # missing only where that is a fault already
            | self._seconds(given, place, "statement_timeout", "connect_timeout", "listen_probe")
            | _whole(given, "pool_size")
        )

    def _server(self, given: Mapping[str, Any]) -> model.Server:
        made: dict[str, Any] = {**given, **_whole(given, "port", "workers")}
        made |= self._seconds(given, ("server",), "ping_interval", "ping_timeout")
        if "base_path" in given:
            middle = given["base_path"].strip("/")
            made["base_path"] = f"/{middle}/" if middle else "/"
        if (static := given.get("static")) is not None:
            made["static"] = self._folder(static)
        return model.Server(**made | edge.Edge(self._path.parent, self._faults).read(given))

    def _folder(self, name: str) -> Path:
        """Of pages to serve: one that is there, and that does not hold the configuration."""
        folder = Path(os.path.abspath(self._path.parent / name))
        words = ""
        try:
            os.listdir(folder)
            if Path(os.path.realpath(self._path)).is_relative_to(os.path.realpath(folder)):
                words = "holds this configuration, which would be served: give the pages a folder of their own"
        except FileNotFoundError:
            words = "no such folder: name one relative to this file"
        except NotADirectoryError:
            words = "is not a folder: name the folder that the pages are in"
        except OSError as error:
            words = f"cannot be read: {error.strerror}"
        except ValueError:
            words = "the folder's name holds the character NUL"
        if words:
            self._faults.add(("server", "static"), words)
        return folder

    def _auth(self, document: Mapping[str, Any]) -> model.Auth | None:
        given = document.get("auth")
        if given is None:
            return None
        times = self._seconds(given, ("auth",), "leeway", "expiring")
        origins = (document.get("server") or {}).get("allowed_origins", ())
        return auth.Auth(self._path.parent, self._faults).read(given, times, origins)

    def _limits(self, given: Mapping[str, Any]) -> model.Limits:
        sizes: dict[str, int] = {}
        for key in ("message_size", "send_buffer", "result_size"):
            if key in given:
                try:
                    sizes[key] = units.size(given[key])
                except ValueError as error:
                    self._faults.add(("limits", key), str(error))
        counts = _whole(
            given, "calls_in_flight", "batch", "subscriptions", "queue",
            "calls_per_second", "connections", "connections_per_address",
        )  # fmt: skip
        made: dict[str, Any] = {**sizes, **counts, **self._seconds(given, ("limits",), "handshake_timeout")}
        if rates := self._access.rates(given.get("rates") or {}):
            made["rates"] = MappingProxyType(dict(rates))
        return model.Limits(**made)

    def _function(self, method: str, given: Mapping[str, Any]) -> model.Function:
        place = ("functions", method)
        if words := _method_fault(method):
            self._faults.tell(place, words)
        params = given.get("params")
        return model.Function(
            method=method,
            function=given.get("function") or method,
            params=None if params is None else self._files.load(params, (*place, "params")),
            timeout=self._seconds(given, place, "timeout").get("timeout"),
            numbers=given.get("numbers", "number"),
            reset=given.get("reset"),
            roles=self._access.roles(given, place),
            rate=self._access.rate(given.get("rate")),
        )

    def _channel(self, name: str, given: Mapping[str, Any], dialects: model.Dialects) -> model.Channel:
        channel = model.Channel(name, **{**given, "roles": self._access.roles(given, ("channels", name))})
        words = self._access.name_fault(channel) or _channel_fault(channel)
        # Clients that know nothing but channels may hear what names a protocol has for itself.
        if words is None and dialects.eventserv is None and dialects.postgresql2websocket is None:
            words = _reserved(name)
        if words:
            self._faults.tell(("channels", name), words)
        return channel

    def _dialects(self, given: Mapping[str, Any]) -> model.Dialects:
        on = {name: entry if isinstance(entry, dict) else {} for name, entry in given.items() if entry is not False}
        eventserv = on.get("eventserv")
        if eventserv is not None and eventserv.get("assets") is not None:
            eventserv["assets"] = self._path.parent / eventserv["assets"]
            if not os.path.isfile(eventserv["assets"] / "index.html"):
                words = "holds no index.html: name a folder that does, relative to this file"
                self._faults.add(("dialects", "eventserv", "assets"), words)
        return model.Dialects(**{name: _DIALECTS[name](**entry) for name, entry in on.items()})

    def _check_broadcast(self, dialect: model.Psqlisten2websocket | None, listed: tuple[model.Channel, ...]) -> None:
        if dialect is None or not self._faults.sound("channels"):
            return
        rule = rules.Channels(listed).rule(dialect.channel, identity.NOBODY, verbatim=True)
        if isinstance(rule, rules.Refusal) or rule.authorize is not None:
            words = "this channel is not listed below channels, or not for everyone: list it there, or name another"
            self._faults.tell(("dialects", "psqlisten2websocket", "channel"), words)

    def _seconds(self, given: Mapping[str, Any], place: model.Place, *keys: str) -> dict[str, float]:
        made: dict[str, float] = {}
        for key in keys:
            if given.get(key) is not None:
                try:
                    made[key] = units.seconds(given[key])
                except ValueError as error:
                    self._faults.add((*place, key), str(error))
        return made


def _whole(given: Mapping[str, Any], *keys: str) -> dict[str, int]:
    """JSON Schema takes 10.0 for an integer; Python does not."""
    return {key: int(given[key]) for key in keys if given.get(key) is not None}


def _method_fault(name: str) -> str | None:
    """Why no method can have this name, in words; None where one can."""
    if not name.strip():
        return "a method's name cannot be empty"
    if name.startswith(("rpc.", "$/")):
        return "names that begin with rpc. or $/ belong to the protocol: choose another"
    return None


def _channel_fault(channel: model.Channel) -> str | None:
    """Why no channel can have this name or be matched by this glob, in words; None where one can."""
    name = channel.name
    if not name:
        return "a channel's name cannot be empty"
    if "\0" in name:
        return "a channel's name cannot hold the character NUL"
    if globs.is_pattern(name, channel.glob):
        try:
            globs.compile(name, channel.glob)
        except globs.Malformed as error:
            return f"not a glob: {error}"
        return None
    if channel.glob == "dots":
        texts, found = claims.split(name)
        name = "" if found else texts[0]  # how long a claim will be nobody knows
    size = len(name.encode())
    if size > rules.MAX_BYTES:
        return f"has {size} bytes in UTF-8; PostgreSQL's limit for a channel's name is {rules.MAX_BYTES}"
    return None


def _reserved(name: str) -> str | None:
    """Why JSON-RPC clients cannot hear a channel of this name, in words; None where they can."""
    if name.startswith(("rpc.", "$/")):
        return "names that begin with rpc. or $/ belong to the protocol: choose another"
    if name in rules.CLIENTS_OWN:
        return "client libraries use this name for an event of their own: choose another"
    return None
