"""Signals in a process that forks: blocked during the fork, and received by a pipe that select() can wait for.

Owns which signals stop a process. Must not know what is forked, nor what a signal causes.
"""

import contextlib
import os
import signal
from collections.abc import Collection, Iterator

STOPPING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


@contextlib.contextmanager
def blocked() -> Iterator[None]:
    """Use this around a fork: signals that arrive meanwhile reach only the parent. The child must unblock them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def wakeup(numbers: Collection[signal.Signals]) -> Iterator[tuple[int, int]]:
    """A pipe (read end, write end) to which Python writes the numbers of these signals: see signal.set_wakeup_fd."""
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
