"""Which PostgreSQLs are there to test on beside the embedded one, as folders of programs.

Owns the variable PGRPC_TEST_POSTGRES: folders that hold `postgres`, separated by ":", instead of those of Debian's
packages; empty for none. Imports nothing of ours: tests/matrix.py runs it before anything is installed.
"""

import os
import re
import subprocess
from pathlib import Path

VARIABLE = "PGRPC_TEST_POSTGRES"


def folders() -> list[Path]:
    """Where to look, in order."""
    if (named := os.environ.get(VARIABLE)) is not None:
        return [Path(folder).absolute() for folder in named.split(":") if folder]
    return [folder for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin")) if (folder / "postgres").exists()]


def version(folder: Path) -> str:
    """As in `16.14`."""
    program = folder / "postgres"
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SystemExit(f"{VARIABLE}: {program} does not run: {why}\n") from None
    found = re.search(r"\(PostgreSQL\) (\d+\S*)", said)
    if not found:
        raise SystemExit(f"{VARIABLE}: {program} --version prints no version of PostgreSQL: {said}")
    return found[1]


def installed() -> dict[str, Path]:
    """Folders by names that tests carry, as `pg-16`. The first of each major version counts."""
    by_name: dict[str, Path] = {}
    for folder in folders():
        major = re.match(r"\d+", version(folder))
        assert major
        by_name.setdefault(f"pg-{major[0]}", folder)
    return by_name
