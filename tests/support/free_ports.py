"""TCP ports for programs that are told their port, when port 0 is not possible.

Owns that no other test, in this process or another, is given the same one, and that the system gives it to nobody.
Must not know what listens there.
"""

import itertools
import random
import socket

RANGE = range(20_000, 30_000)
"""Below what systems give away for port 0 and to connections that go out: from 32,768 on Linux, 49,152 elsewhere."""


def free_port() -> int:
    """A port of 127.0.0.1 that is free, and stays ours until this process ends."""
    start = random.randrange(len(RANGE))
    for port in itertools.chain(RANGE[start:], RANGE[:start]):
        claim = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                claim.bind(f"\0pgrpc-tests-port-{port}")  # a name, and no file: it is gone with the process
                probe.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
        claim.detach()  # open until the process ends
        return port
    raise AssertionError("there is no free port")
