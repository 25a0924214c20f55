"""The JSON Schema files that functions name, and every file that those refer to.

Owns the way from a `params` and a `$ref` to a file. Only files: nothing is ever fetched. A root's `$id` is ignored,
so that a relative reference always means the file beside. Must not know what makes a valid schema, nor whether a
pointer inside a document leads anywhere.
"""

import json
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from pgrpc.config import faults, jsonfile, model

_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"))
"""Keywords whose keys are names, each with a schema."""
_DATA = frozenset(("const", "enum", "default", "examples"))
"""Keywords whose values only look like schemas."""


class SchemaFiles:
    """Reads each file once. documents: uri -> document, as references name it."""

    def __init__(self, found: faults.Faults) -> None:
        self._faults = found
        self._read: dict[Path, Any] = {}
        self.documents: dict[str, Any] = {}

    def load(self, name: Path, place: model.Place) -> model.SchemaFile | None:
        """The file of a `params`, and all files that it refers to; None where it is faulty."""
        # Not resolved: a reference is relative to the file's name, also where that is a symbolic link.
        path = Path(os.path.abspath(name))
        hidden = place in self._faults.substituted
        try:
            document = self._document(path)
        except jsonfile.Unreadable as error:
            self._faults.reject(place, str(error) if hidden else f"{self._faults.file(path)}: {error}")
            return None
        except jsonfile.Faulty as error:
            self._note(error, path, place, hidden)
            return None
        uri = path.as_uri()
        self.documents[uri] = document
        self._follow(uri, document, place, hidden)
        return model.SchemaFile(uri, document)

    def _document(self, path: Path) -> Any:
        if path not in self._read:
            try:
                document = jsonfile.read(path)
            except (jsonfile.Unreadable, jsonfile.Faulty) as error:
                self._read[path] = error
            else:
                if isinstance(document, dict):
                    document.pop("$id", None)
                self._read[path] = document
        found = self._read[path]
        if isinstance(found, jsonfile.Unreadable | jsonfile.Faulty):
            raise found
        return found

    def _follow(self, uri: str, document: Any, place: model.Place, hidden: bool) -> None:
        waiting = deque([(uri, document)])
        seen = {uri}
        while waiting:
            base, document = waiting.popleft()
            for keyword, reference in _references(document):
                try:
                    target = urldefrag(urljoin(base, reference))[0]
                    if target in seen:
                        continue
                    seen.add(target)
                    path = _path(target)
                    inner = self._document(path)
                except (jsonfile.Unreadable, ValueError) as error:
                    self._refuse(f"{keyword} {json.dumps(reference)}", base, str(error), place, hidden)
                except jsonfile.Faulty as error:
                    self._note(error, path, place, hidden)
                else:
                    # Both spellings, where a reference escapes more than it needs: a resolver looks for its own.
                    self.documents[target] = self.documents[path.as_uri()] = inner
                    waiting.append((target, inner))

    def _refuse(self, reference: str, base: str, words: str, place: model.Place, hidden: bool) -> None:
        file = "the schema file" if hidden else self._faults.file(_path(base))
        self._faults.report(place, f"{reference} in {file}: {words}")

    def _note(self, error: jsonfile.Faulty, path: Path, place: model.Place, hidden: bool) -> None:
        file = f"{self._faults.marks.where(place)}: the schema file" if hidden else self._faults.file(path)
        for (line, column), words in error.faults:
            self._faults.add_line(self._faults.marks.position(place), f"{file}:{line}:{column}: {words}")


def _path(uri: str) -> Path:
    """Raises ValueError for what is not a file of this machine."""
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        raise ValueError("nothing is fetched from the network: save a copy next to this file, and refer to that")
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise ValueError("is not a file: refer to a file by its relative path")
    return Path(url2pathname(parts.path))


def _references(document: Any) -> Iterator[tuple[str, str]]:
    """Every `$ref` and `$dynamicRef` of a document, whether or not it is a valid schema."""
    waiting: deque[tuple[Any, bool]] = deque([(document, True)])  # whether it is a schema, or names schemas
    while waiting:
        value, is_schema = waiting.popleft()
        if isinstance(value, list):
            waiting.extend((item, is_schema) for item in value)
        if not isinstance(value, dict):
            continue
        for key, inner in value.items():
            if is_schema and key in ("$ref", "$dynamicRef") and isinstance(inner, str):
                yield key, inner
            elif not (is_schema and key in _DATA):
                waiting.append((inner, not (is_schema and key in _NAMED)))
