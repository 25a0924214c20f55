"""Owns the demo as a running process: what the tests of the page and of the wire talk to."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serving import ROOT


@dataclass(frozen=True)
class Demo:
    url: str
    dsn: str


@pytest.fixture(scope="session")
def demo_server() -> Iterator[Demo]:
    """`python server.py demo` on a free port, with a database of its own."""
    # Not below tmp_path: where PostgreSQL has to run as nobody (as root in a container) it could not get in.
    parent = Path(tempfile.mkdtemp(prefix="pgrpc-page-"))
    parent.chmod(0o755)
    folder = parent / "demo"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "server.py"), "demo", "--port", "0", "--data", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        found: dict[str, str] = {}
        for line in process.stdout:
            key, _, value = line.strip().partition(": ")
            found[key] = value
            if key == "serving":
                break
        yield Demo(found["serving"], found["database"])
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
            shutil.rmtree(parent, ignore_errors=True)
