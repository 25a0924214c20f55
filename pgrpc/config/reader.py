"""A configuration file -> Config, or everything that is wrong with it at once.

Owns the order of the work, and the rules between keys that a schema cannot say. Must not know the type, unit or default
of any key (schemas/config.schema.json says them), nor what the database says of the functions and channels named here.
"""

import dataclasses
import itertools
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pgrpc.config import (
    access,
    auth,
    convert,
    dialect_sections,
    faults,
    model,
    schema,
    schemafiles,
    server,
    substitution,
    validate,
    yamltree,
)
from pgrpc.core.channels import globs, rules
from pgrpc.core.identity import claims

_NONE: dialect_sections.Sections = MappingProxyType({})


def load(path: Path | str, environ: Mapping[str, str], dialects: dialect_sections.Sections = _NONE) -> model.Config:
    """The configuration in a file, which may have these sections under `dialects`. Raises Invalid."""
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
        found.add_line((line, column), f"{shown}:{line}:{column}: {name}{words}")
    for place in tree.invalid:
        found.invalidate(place)
    value = substitution.Substitution(environ, Path(shown).parent, found).apply(tree.value)
    return build(value, Path(shown), found, dialects)


def build(value: Any, path: Path, found: faults.Faults, dialects: dialect_sections.Sections = _NONE) -> model.Config:
    """The configuration that a document means, whatever it was read from. path: what relative paths are beside.

    Raises Invalid, with what is in `found` already as well.
    """
    config = _Builder(path, found, dialects).config(value)
    if lines := found.lines():
        raise model.Invalid(lines, _sound_part(config, found))
    return config


def _sound_part(config: model.Config, found: faults.Faults) -> model.Config | None:
    """Without what is faulty; None where the database cannot be asked about the rest."""
    if not found.sound("database") or not config.database.dsn:
        return None
    unknown = {name for name in schema.DOCUMENT["properties"] if found.has((name,))}
    if not found.sound("auth"):
        unknown.add("auth")  # one faulty key of it may change who every client is
    return dataclasses.replace(
        config,
        auth=None if "auth" in unknown else config.auth,
        functions=tuple(entry for entry in config.functions if found.sound("functions", entry.method)),
        unknown=frozenset(unknown),
    )


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

    def __init__(self, path: Path, found: faults.Faults, dialects: dialect_sections.Sections) -> None:
        self._path = path
        self._faults = found
        self._sections = dialects
        self._schema = schema.document({name: section.schema for name, section in dialects.items()})
        self._files = schemafiles.SchemaFiles(found)

    def config(self, value: Any) -> model.Config:
        document = self._document(value)
        made = convert.Converter(self._path.parent, self._faults).convert(self._schema, document, ())
        who = self._auth(document, made)
        self._access = access.Access(who, self._faults)
        functions = made.get("functions", {})
        listed = made.get("channels", {})
        self._check_control_channel(who, listed)
        channels = tuple(self._channel(name, entry) for name, entry in listed.items())
        return model.Config(
            path=self._path,
            database=model.Database(**{"dsn": "", **made.get("database", {})}),  # missing only where that is a fault
            server=self._server(made.get("server", {})),
            auth=who,
            limits=model.Limits(**_limits(made.get("limits", {}))),
            functions=tuple(self._function(name, entry) for name, entry in functions.items()),
            channels=channels,
            dialects=self._dialects(made.get("dialects") or {}, channels),
            schemas=MappingProxyType(self._files.documents),
            marks=self._faults.marks,
        )

    def _document(self, value: Any) -> Mapping[str, Any]:
        """What of the file fits its schema."""
        if value is None:
            self._faults.reject((), "is empty: it needs at least database.dsn; pgrpc init writes a file to start from")
        elif not isinstance(value, dict):
            self._faults.reject((), f"must be a mapping with the sections {', '.join(schema.DOCUMENT['properties'])}")
        else:
            return validate.check(value, self._faults, self._sections)
        return {}

    def _server(self, given: Mapping[str, Any]) -> model.Server:
        made = dict(given)
        files = made.get("tls")
        made["tls"] = model.Tls(**files) if files and self._faults.sound("server", "tls") else None
        if made["tls"] is not None:
            server.check_tls(made["tls"], self._faults)
        if made.get("static") is not None:
            made["static"] = Path(os.path.abspath(made["static"]))
            server.check_static(made["static"], self._path, self._faults)
        return model.Server(**made)

    def _auth(self, document: Mapping[str, Any], made: Mapping[str, Any]) -> model.Auth | None:
        if "auth" not in made:
            return None
        origins = made.get("server", {}).get("allowed_origins", ())
        return auth.Auth(self._path.parent, self._faults).read(document["auth"], made["auth"], origins)

    def _check_control_channel(self, who: model.Auth | None, listed: Mapping[str, Any]) -> None:
        if who is not None and who.control_channel in listed:
            words = "is auth.control_channel, which no client may subscribe to: remove one of the two"
            self._faults.report(("channels", str(who.control_channel)), words)

    def _function(self, method: str, given: Mapping[str, Any]) -> model.Function:
        place = ("functions", method)
        if words := _method_fault(method):
            self._faults.report(place, words)
        made = {**given, "function": given.get("function") or method, "roles": self._access.roles(given, place)}
        if given.get("params") is not None:
            made["params"] = self._files.load(given["params"], (*place, "params"))
        return model.Function(method, **made)

    def _channel(self, name: str, given: Mapping[str, Any]) -> model.Channel:
        channel = model.Channel(name, **{**given, "roles": self._access.roles(given, ("channels", name))})
        if words := self._access.name_fault(channel) or _channel_fault(channel):
            self._faults.report(("channels", name), words)
        return channel

    def _dialects(self, given: Mapping[str, Any], channels: tuple[model.Channel, ...]) -> Mapping[str, Any]:
        on = {name: entry if isinstance(entry, dict) else {} for name, entry in given.items() if entry is not False}
        listed = channels if self._faults.sound("channels") else None
        found = {}
        for name, entry in on.items():
            fault = partial(self._section_fault, name)
            found[name] = self._sections[name].read(dialect_sections.Given(entry, self._path.parent, listed, fault))
        return MappingProxyType(found)

    def _section_fault(self, name: str, place: model.Place, words: str) -> None:
        self._faults.reject(self._written(("dialects", name), place), words)

    def _written(self, section: model.Place, place: model.Place) -> model.Place:
        """Where a value stands in the file: faulty items of a list were left out before it."""
        found = section
        for part in place:
            if isinstance(part, int):
                sound = (index for index in itertools.count() if not self._faults.has((*found, index)))
                part = next(itertools.islice(sound, part, None))
            found = (*found, part)
        return found


def _limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """The rates by (scope, kind): "address" or "identity", and what is counted."""
    scopes: Mapping[str, Mapping[str, Any]] = given.get("rates", {})
    rates = {(scope, kind): rate for scope, kinds in scopes.items() for kind, rate in kinds.items() if rate is not None}
    return {**given, "rates": MappingProxyType(rates)}


def _method_fault(name: str) -> str | None:
    """What is wrong with the name of a method; None where nothing is."""
    if not name.strip():
        return "the name of a method cannot be empty"
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
    if words := _reserved(name):
        return words
    if globs.is_pattern(name):
        return None
    texts, found = claims.split(name)
    size = 0 if found else len(texts[0].encode())  # how long a claim will be nobody knows
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
