"""Token buckets: so many in a time on average, one time's worth at once; one bucket, or one for each of many.

Owns the arithmetic. Must not know the clock, nor who is counted: it is told the time, in seconds of any steady clock.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

MOST = 10_000
"""How many buckets are kept, so that nobody can fill the memory by asking under many names."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` in `seconds`."""

    count: int
    seconds: int = 1


class TokenBucket:
    __slots__ = ("_filled_at", "_rate", "_tokens")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._tokens = float(rate.count)
        self._filled_at: float | None = None

    def take(self, now: float, count: int = 1) -> float:
        """0 where `count` may go now, and are counted; else the seconds until they may.

        More than one time's worth goes when the bucket is full; then the next must wait for all of it.
        """
        filled_at = now if self._filled_at is None else self._filled_at
        passed = max(0.0, now - filled_at)  # a statement that has waited for its turn comes with its own time
        self._tokens, wait = pour(self._rate, self._tokens, passed, count)
        self._filled_at = max(now, filled_at)
        return wait


def pour(rate: Rate, tokens: float, passed: float, count: int) -> tuple[float, float]:
    """What is in a bucket `passed` seconds later when `count` were asked for, and the seconds to wait for them."""
    per_second = rate.count / rate.seconds
    tokens = min(rate.count, tokens + passed * per_second)
    missing = min(count, rate.count) - tokens
    return (tokens, missing / per_second) if missing > 0 else (tokens - count, 0)


class Buckets(Protocol):
    """A bucket for each key."""

    def take(self, key: Hashable, rate: Rate, now: float, count: int = 1) -> float:
        """As TokenBucket.take, from the bucket of the key, which always comes with the same rate."""


class Rates:
    """Those of one process. Beyond `most` the one that was used longest ago is forgotten: mostly it is full again."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._buckets: OrderedDict[int, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, rate: Rate, now: float, count: int = 1) -> float:
        short = hash(key)  # a key may hold what a client wrote, of any length
        bucket = self._buckets.get(short)
        if bucket is None:
            if len(self._buckets) >= self._most:
                self._buckets.popitem(last=False)
            bucket = self._buckets[short] = TokenBucket(rate)
        else:
            self._buckets.move_to_end(short)
        return bucket.take(now, count)
