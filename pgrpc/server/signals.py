"""Signals around a fork.

Owns which signals stop a process, and that none of them comes between a fork and what follows it. Must not know what is
forked.
"""

import contextlib
import signal
from collections.abc import Iterator

STOPPING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


@contextlib.contextmanager
def blocked() -> Iterator[None]:
    """Around a fork: what comes meanwhile comes to the parent alone. The child has to unblock them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
