"""pgbouncer in transaction mode, where it is installed.

Owns starting and ending it in tests. Must not know what is tested.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support import ws_client
from tests.support.free_ports import free_port

BOUNCER = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")

needed = pytest.mark.skipif(
    BOUNCER is None, reason="POOLERS ARE NOT TESTED: pgbouncer is not installed (apt install pgbouncer)"
)


@contextmanager
def pgbouncer(dsn: str, folder: Path) -> Iterator[str]:
    """A transaction pooler before the database; its DSN."""
    assert BOUNCER is not None
    parts = urlsplit(dsn)
    port = free_port()
    file = folder / "pgbouncer.ini"
    file.write_text(
        f"[databases]\npooled = host=127.0.0.1 port={parts.port} dbname={parts.path[1:]} user={parts.username} "
        f"password='{parts.password}'\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = transaction\n"
        "default_pool_size = 4\nunix_socket_dir =\n"
    )
    folder.chmod(0o755)
    file.chmod(0o644)
    user = "nobody" if os.geteuid() == 0 else None
    with file.open() as given:  # nobody need not be able to enter the folder
        process = subprocess.Popen([BOUNCER, "/dev/stdin"], stdin=given, stderr=subprocess.DEVNULL, user=user)
    try:
        deadline = time.monotonic() + ws_client.PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None, "pgbouncer has ended"
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield f"postgresql://u@127.0.0.1:{port}/pooled"
    finally:
        process.kill()
        process.wait()
