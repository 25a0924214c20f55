"""What the workers of one server share: counts, rates, and what is not ready in each. It is made before they fork.

Owns the memory and its layout. Must not know what is counted or told, nor how workers are started. Each worker writes
only what is its own; whoever supervises them wipes that when a worker has died.
"""

import contextlib
import fcntl
import hashlib
import json
import mmap
import os
import secrets
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Hashable, Iterator, Mapping

from pgrpc.core.limits import ratelimit

_BUCKETS = 1024
_WAYS = 64
"""A key may be in any of so many slots of one bucket. With 32,768 keys at once one in five million is full."""

_SLOTS = _BUCKETS * _WAYS

_LOCK_TRIES = 200
_LOCK_PAUSE = 0.001
"""Seconds. What is done under the lock takes microseconds: who holds it longer has been stopped by somebody."""

_SETS = 1024
_PLACES = 16
"""Of one set: a key's bucket is in one of these, in the place of the one that was used longest ago if need be."""

_NOT_NOW = 1.0
"""Seconds until the next try where the lock is not to be had."""

STALE = 5.0
"""Seconds after which a worker that has told nothing does not count as ready."""

_RECORD = 16 * 1024
_REASONS = 1200
"""Characters of all reasons of a worker that are told: escaped, each may be 12 bytes."""

_CHECKSUM = 4
_HEADER = struct.Struct("dI")
"""What follows the checksum: when it was told, and the size of the text after it."""

_READ_TRIES = 10


class Counts:
    """core.counts.Counts for several processes: a table in shared memory, with a column for each of them.

    A slot holds a keyed digest and a count of each worker. One whose counts are all 0 is free for another key. Only
    taking needs the lock: what was taken keeps its slot until it is given back, and only its worker's count changes.
    """

    def __init__(self, workers: int) -> None:
        self._digests = memoryview(mmap.mmap(-1, _SLOTS * 8)).cast("Q")
        self._counts = memoryview(mmap.mmap(-1, _SLOTS * 4 * workers)).cast("I")
        self._secret = secrets.token_bytes(16)  # so that nobody can choose keys that share a bucket
        self._lock = _Lock()
        self._column = 0

    def close(self) -> None:
        self._lock.close()

    def use(self, worker: int) -> None:
        """From now on count as this worker."""
        self._column = worker * _SLOTS

    def acquire(self, key: str, most: int) -> bool:
        """As in core.counts; also False where the table has no room for the key, or the lock is not to be had."""
        digest, bucket = self._place(key)
        with self._lock.held() as locked:
            slot = self._find(digest, bucket) if locked else None
            if slot is None and locked:
                slot = next((free for free in bucket if not self._total(free)), None)
            if slot is None or self._total(slot) >= most:
                return False
            self._digests[slot] = digest
            self._counts[self._column + slot] += 1
            return True

    def release(self, key: str) -> None:
        slot = self._find(*self._place(key))
        assert slot is not None, "it was never taken"
        self._counts[self._column + slot] -= 1

    def wipe(self, worker: int) -> None:
        """Its process is no more, and holds nothing."""
        column = worker * _SLOTS
        self._counts[column : column + _SLOTS] = memoryview(bytes(_SLOTS * 4)).cast("I")

    def _place(self, key: str) -> tuple[int, range]:
        digest = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8, key=self._secret).digest())
        first = digest % _BUCKETS * _WAYS
        return digest, range(first, first + _WAYS)

    def _find(self, digest: int, bucket: range) -> int | None:
        try:
            return bucket[self._digests[bucket.start : bucket.stop].tolist().index(digest)]
        except ValueError:
            return None

    def _total(self, slot: int) -> int:
        return sum(self._counts[slot::_SLOTS])


class Rates:
    """core.ratelimit.Buckets for several processes: token buckets in shared memory. Their clock is the machine's."""

    def __init__(self) -> None:
        places = _SETS * _PLACES
        self._keys = memoryview(mmap.mmap(-1, places * 8)).cast("Q")
        self._tokens = memoryview(mmap.mmap(-1, places * 8)).cast("d")
        self._filled_at = memoryview(mmap.mmap(-1, places * 8)).cast("d")
        self._lock = _Lock()

    def close(self) -> None:
        self._lock.close()

    def take(self, key: Hashable, rate: ratelimit.Rate, now: float, count: int = 1) -> float:
        """As in core.ratelimit. now: seconds of time.monotonic, which all processes of a machine have in common."""
        short = hash(key) & (1 << 64) - 1  # the same in all that were forked from one
        first = short % _SETS * _PLACES
        own = range(first, first + _PLACES)
        with self._lock.held() as locked:
            if not locked:
                return _NOT_NOW
            place = next((each for each in own if self._keys[each] == short), None)
            if place is None:
                place = min(own, key=self._filled_at.__getitem__)
                self._keys[place], self._tokens[place], self._filled_at[place] = short, rate.count, now
            passed = max(0.0, now - self._filled_at[place])
            self._tokens[place], wait = ratelimit.pour(rate, self._tokens[place], passed, count)
            self._filled_at[place] = max(now, self._filled_at[place])
            return wait


class _Lock:
    """Held by a process, not by what it inherited; let go of by the kernel when it dies: fcntl(2)."""

    def __init__(self) -> None:
        self._file = _nameless_file()

    def close(self) -> None:
        os.close(self._file)

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Whether it was had. Not waited for without end: one stopped process must not stop the others."""
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(_LOCK_PAUSE)
                continue
            try:
                yield True
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)
            return
        yield False


def _nameless_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("pgrpc")  # there may be no place that can be written to
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return descriptor


class States:
    """What is not ready in each worker, and why: {"database": "..."}."""

    def __init__(self, workers: int) -> None:
        self._workers = range(workers)
        self._memory = mmap.mmap(-1, _RECORD * workers)

    def report(self, worker: int, unready: Mapping[str, str]) -> None:
        """To be told again before it is STALE, changed or not."""
        room = _REASONS // max(1, len(unready))
        text = json.dumps({part: reason[:room] for part, reason in unready.items()}).encode()
        told = _HEADER.pack(time.monotonic(), len(text)) + text
        record = zlib.crc32(told).to_bytes(_CHECKSUM) + told
        self._memory[_RECORD * worker : _RECORD * worker + len(record)] = record

    def wipe(self, worker: int) -> None:
        """Its process is no more, and is not ready."""
        self._memory[_RECORD * worker : _RECORD * worker + _CHECKSUM + _HEADER.size] = bytes(_CHECKSUM + _HEADER.size)

    def unready(self) -> dict[str, dict[str, str]]:
        """Of each worker that is not ready: {"worker 1": {"database": "..."}}."""
        found = {f"worker {worker}": self._read(worker) for worker in self._workers}
        return {worker: reasons for worker, reasons in found.items() if reasons}

    def _read(self, worker: int) -> dict[str, str]:
        for _ in range(_READ_TRIES):  # it may be writing just now
            record = self._memory[_RECORD * worker : _RECORD * (worker + 1)]
            told_at, size = _HEADER.unpack_from(record, _CHECKSUM)
            told = record[_CHECKSUM : _CHECKSUM + _HEADER.size + size]
            if zlib.crc32(told) == int.from_bytes(record[:_CHECKSUM]):
                if time.monotonic() - told_at > STALE:
                    break
                unready: dict[str, str] = json.loads(told[_HEADER.size :])
                return unready
        return {"process": "does not answer"}
