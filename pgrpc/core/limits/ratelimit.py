"""Rate limits by token buckets: N requests per period on average, and up to N at once.

Owns the arithmetic. Must not know the clock, nor who is limited: callers pass the time, in seconds of any monotonic
clock.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

MAX_BUCKETS = 10_000
"""How many buckets are kept, so that requests under many names cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` requests per `seconds`."""

    count: int
    seconds: int = 1


class TokenBucket:
    """Limits one client; full at first."""

    __slots__ = ("_filled_at", "_rate", "_tokens")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._tokens = float(rate.count)
        self._filled_at: float | None = None

    def take(self, now: float, count: int = 1) -> float:
        """Take `count` tokens and return 0; or take none and return the seconds to wait for them.

        A request for more than the bucket holds succeeds when it is full; then the next must wait for all of it.
        """
        filled_at = now if self._filled_at is None else self._filled_at
        passed = max(0.0, now - filled_at)  # a statement that waited in a queue comes with an earlier time
        self._tokens, wait = pour(self._rate, self._tokens, passed, count)
        self._filled_at = max(now, filled_at)
        return wait


def pour(rate: Rate, tokens: float, passed: float, count: int) -> tuple[float, float]:
    """The tokens in a bucket `passed` seconds later, after a request for `count`, and the seconds to wait for them."""
    per_second = rate.count / rate.seconds
    tokens = min(rate.count, tokens + passed * per_second)
    missing = min(count, rate.count) - tokens
    return (tokens, missing / per_second) if missing > 0 else (tokens - count, 0)


class Buckets(Protocol):
    """A bucket for each key."""

    def take(self, key: Hashable, rate: Rate, now: float, count: int = 1) -> float:
        """As TokenBucket.take, from the bucket of the key, whose rate must always be the same."""


class Rates:
    """The buckets of one process. Beyond `limit`, the least recently used one is dropped; mostly it is full again."""

    def __init__(self, limit: int = MAX_BUCKETS) -> None:
        self._limit = limit
        self._buckets: OrderedDict[int, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, rate: Rate, now: float, count: int = 1) -> float:
        short = hash(key)  # a key may hold what a client wrote, of any length
        bucket = self._buckets.get(short)
        if bucket is None:
            if len(self._buckets) >= self._limit:
                self._buckets.popitem(last=False)
            bucket = self._buckets[short] = TokenBucket(rate)
        else:
            self._buckets.move_to_end(short)
        return bucket.take(now, count)
