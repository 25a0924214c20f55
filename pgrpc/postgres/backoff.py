"""How long to wait before the next try to reach the database.

Owns the figures. Must not know what is tried.
"""

import random

FIRST = 0.1
CAP = 32.0


class Backoff:
    """Seconds until the next try: at most 0.1 at first, doubling to `cap`, jittered so that not all come at once."""

    def __init__(self, cap: float = CAP) -> None:
        self._cap = cap
        self._step = FIRST

    def next(self) -> float:
        step, self._step = self._step, min(self._step * 2, self._cap)
        return random.uniform(step / 2, step)

    def reset(self) -> None:
        self._step = FIRST
