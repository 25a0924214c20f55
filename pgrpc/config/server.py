"""The section `server`: the files and folders that it names.

Owns which of them can be used. Must not know what is served from them.
"""

import os
from pathlib import Path

from pgrpc import tls
from pgrpc.config import faults, model


def check_tls(given: model.Tls, found: faults.Faults) -> None:
    try:
        tls.context(given.certificate, given.key)
    except tls.Unusable as error:
        place = ("server", "tls", error.file)
        path = given.key if error.file == "key" else given.certificate
        found.reject(place, f"{found.shown(path, place)}{error}")


def check_static(folder: Path, file: Path, found: faults.Faults) -> None:
    """file: the configuration, which must not be served."""
    if words := _static_fault(folder, file):
        found.reject(("server", "static"), words)


def _static_fault(folder: Path, file: Path) -> str | None:
    try:
        os.listdir(folder)
        if Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder)):
            return "contains this configuration, which would be served: put the pages into a folder of their own"
    except FileNotFoundError:
        return "there is no such folder: write its name relative to this file"
    except NotADirectoryError:
        return "is not a folder: name the folder that contains the pages"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError:
        return "the name of a folder cannot hold the character NUL"
    return None
