"""A token bucket: so many a second on average, one second's worth at once.

Owns the arithmetic. Must not know the clock: it is told the time, in seconds of any steady clock.
"""


class TokenBucket:
    __slots__ = ("_filled_at", "_rate", "_tokens")

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._tokens = float(rate)
        self._filled_at: float | None = None

    def take(self, now: float) -> float:
        """0 where one may go now, and is counted; else the seconds until one may."""
        if self._filled_at is not None:
            self._tokens = min(self._rate, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        return (1 - self._tokens) / self._rate
