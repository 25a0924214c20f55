"""How long to wait before the next attempt to reach the database: exponential backoff with jitter.

Owns the delays. Must not know what is attempted.
"""

import random

FIRST = 0.1
CAP = 32.0


class Backoff:
    """Seconds until the next attempt: at most 0.1 at first, doubling to `cap`; jitter keeps servers apart."""

    def __init__(self, cap: float = CAP) -> None:
        self._cap = cap
        self._step = FIRST

    def next(self) -> float:
        step, self._step = self._step, min(self._step * 2, self._cap)
        return random.uniform(step / 2, step)

    def reset(self) -> None:
        self._step = FIRST
