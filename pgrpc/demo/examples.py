"""The examples: which there are, and where, in a checkout or in an installed package.

Owns their files, and where the demo keeps its data. Must not know how they are run.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

_PACKAGE = Path(str(resources.files("pgrpc")))
_CHECKOUT = _PACKAGE.parent
_IS_CHECKOUT = not (_PACKAGE / "examples").exists() and (_CHECKOUT / "examples").exists()


@dataclass(frozen=True, slots=True)
class Example:
    """name: also that of its database.

    roles: SQL that makes roles, for a superuser; NAME_owner is then the owner of all that `sql` makes.
    """

    name: str
    sql: Path
    configuration: Path
    guide: Path | None = None
    roles: Path | None = None


def folder() -> Path:
    return (_CHECKOUT if _IS_CHECKOUT else _PACKAGE) / "examples"


def names() -> Sequence[str]:
    return sorted(path.parent.name for path in folder().glob("*/config.yaml"))


def find(name: str | None) -> Example:
    """None: the one for the built-in front page. Raises KeyError where there is none of that name."""
    if name is None:
        return Example("demo", folder() / "demo.sql", folder() / "demo.yaml")
    if name not in names():
        raise KeyError(name)
    inside = folder() / name
    roles = inside / "roles.sql"
    return Example(
        name,
        inside / f"{name}.sql",
        inside / "config.yaml",
        inside / "README.md",
        roles if roles.exists() else None,
    )


def client() -> Path:
    """The JavaScript client, the same in each example."""
    return folder() / "people" / "public" / "pgrpc.js"


def shown(path: Path) -> Path:
    """As a person would write it: from the checkout's folder, where it is in one."""
    return path.relative_to(_CHECKOUT) if _IS_CHECKOUT else path


def data_folder() -> Path:
    """Below a checkout; else where programs keep data of a user (XDG Base Directory Specification)."""
    if _IS_CHECKOUT:
        return _CHECKOUT / ".pgrpc" / "demo"
    home = os.environ.get("XDG_DATA_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share") / "pgrpc" / "demo"
