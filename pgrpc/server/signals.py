"""Signals of a process that forks: blocked around the fork, and awaited beside other things.

Owns which signals stop a process. Must not know what is forked, nor what a signal leads to.
"""

import contextlib
import os
import signal
from collections.abc import Collection, Iterator

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


@contextlib.contextmanager
def wakeup(numbers: Collection[signal.Signals]) -> Iterator[tuple[int, int]]:
    """The ends of a pipe to which the numbers of these signals come: see signal.set_wakeup_fd."""
    ends = os.pipe()
    os.set_blocking(ends[1], False)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    wakeup_before = signal.set_wakeup_fd(ends[1])
    try:
        yield ends
    finally:
        signal.set_wakeup_fd(wakeup_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        for end in ends:
            os.close(end)
