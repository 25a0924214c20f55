"""`${VAR}`, `${VAR:-default}`, `${file:PATH}` and `$$` in the text values of a configuration.

Owns the grammar and the reading of what is named. Must not know what the values are for. What a reference stands for
may be secret: no fault shows it.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgrpc.config import faults, model

_REFERENCE = re.compile(r"\$\$|\$\{([^{}]*)\}|\$\{[^}]*\}*")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_FORMS = "is not a valid reference: write ${NAME}, ${NAME:-default} or ${file:PATH}, or $${ for a literal ${"


class _Missing(Exception):
    """A reference that cannot be replaced; str() says why."""


class Substitution:
    """Replaces references; relative paths start at `folder`."""

    def __init__(self, environ: Mapping[str, str], folder: Path, found: faults.Faults) -> None:
        self._environ = environ
        self._folder = folder
        self._faults = found

    def apply(self, value: Any, place: model.Place = ()) -> Any:
        """The value with every reference in its texts replaced."""
        match value:
            case dict():
                for key in value:
                    if "${" in key:
                        self._faults.report(
                            (*place, key), "${...} works in values only, not in keys: write the name itself"
                        )
                return {key: self.apply(inner, (*place, key)) for key, inner in value.items()}
            case list():
                return [self.apply(inner, (*place, index)) for index, inner in enumerate(value)]
            case str() if "$" in value:
                return self._text(value, place)
        return value

    def _text(self, text: str, place: model.Place) -> str:
        missing: list[str] = []
        references: list[str] = []

        def replace(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            try:
                replaced = self._lookup(match[1])
            except _Missing as error:
                missing.append(str(error))
                return ""
            references.append(match[1])
            return replaced

        replaced = _REFERENCE.sub(replace, text)
        if missing:
            self._faults.reject(place, "; ".join(dict.fromkeys(missing)))
        elif references:
            self._faults.substituted[place] = tuple(dict.fromkeys(map(_shown, references)))
            if not replaced:
                self._faults.empty[place] = f"{' and '.join(map(_emptiness, references))}: set a value"
        return replaced

    def _lookup(self, reference: str | None) -> str:
        if reference is None:  # no "}" ends it, or another begins in it
            raise _Missing(_FORMS)
        if match := _VARIABLE.fullmatch(reference):
            return self._variable(match[1], match[2])
        if reference.startswith("file:"):
            return self._file(reference.removeprefix("file:"))
        raise _Missing(_FORMS)

    def _variable(self, name: str, default: str | None) -> str:
        value = self._environ.get(name)
        if not value and default is not None:  # as in a shell: also where it is set to nothing
            return default
        if value is None:
            raise _Missing(f"{name} is not set: set this environment variable, or write ${{{name}:-default}}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Missing(f"the environment variable {name} is not valid UTF-8") from None
        return value

    def _file(self, name: str) -> str:
        try:
            text = (self._folder / name).read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise _Missing(f"the file {name} is not valid UTF-8") from None
        except OSError as error:
            raise _Missing(f"the file {name} cannot be read: {error.strerror}") from None
        except ValueError:
            raise _Missing("the file's name holds the character NUL") from None
        return re.sub(r"\r?\n\Z", "", text)


def _shown(reference: str) -> str:
    """Without its default, which may be secret."""
    return f"${{{reference.partition(':-')[0]}}}"


def _emptiness(reference: str) -> str:
    """Why a reference was replaced by nothing."""
    name, default, _ = reference.partition(":-")
    if default:
        return f"{name} is not set, and its default is empty"
    return f"the file {name.removeprefix('file:')} is empty" if name.startswith("file:") else f"{name} is set but empty"
