"""`python server.py demo` as a running process.

Owns its start, its end, and its folder. Must not know what is tested on it.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pgrpc.demo import embedded
from tests.support.pgrpc_server import ROOT


@dataclass(frozen=True)
class Demo:
    url: str  # "http://127.0.0.1:8080/"
    dsn: str

    def psql(self, sql: str) -> str:
        """Run SQL as a person at a terminal would; what it prints, without headings."""
        command: list[str | Path] = [
            embedded.binaries() / "psql",
            self.dsn,
            "-XqAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return str(ran.stdout).strip()


@contextmanager
def folder() -> Iterator[Path]:
    """For the demos' databases, removed in the end.

    Not below tmp_path: where PostgreSQL has to run as nobody (as root in a container) it could not get in.
    """
    parent = Path(tempfile.mkdtemp(prefix="pgrpc-page-"))
    parent.chmod(0o755)
    try:
        yield parent / "demo"
    finally:
        shutil.rmtree(parent, ignore_errors=True)


@contextmanager
def running(data: Path, *example: str, port: int = 0) -> Iterator[Demo]:
    """The demo, of an example where one is named, with its database in `data`; port 0 is any free one."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "server.py"), "demo", *example, "--port", str(port), "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        dsn = _said(process.stdout, "database")
        yield Demo(_said(process.stdout, "serving"), dsn)
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _said(output: Iterator[str], key: str) -> str:
    for line in output:
        if line.startswith(f"{key}: "):
            return line.removeprefix(f"{key}: ").strip()
    raise AssertionError(f"the demo ended before it said {key!r}")
