"""Shared memory of the workers of one server: counts, rate limits, and what is not ready in each.

Owns the memory, created before the workers fork, and its layout. Must not know what is counted or reported, nor how
workers are started. Each worker writes only its own part; the parent wipes that part when the worker has ended.
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
"""Slots of one bucket; a key may be in any of them. With 32,768 keys at once, one bucket in five million is full."""

_SLOTS = _BUCKETS * _WAYS

_LOCK_TRIES = 200
_LOCK_PAUSE = 0.001
"""Seconds. Work under the lock takes microseconds: a process that holds it longer has been stopped."""

_SETS = 1024
_SET_SIZE = 16
"""Token buckets of one set; a key's bucket is one of these. A new key replaces the least recently used one."""

_RETRY_LOCK = 1.0
"""Seconds that a client must wait if the lock could not be acquired."""

STALE = 5.0
"""Seconds after which a worker that has reported nothing does not count as ready."""

_RECORD = 16 * 1024
_REASONS = 1200
"""Characters of all reasons of a worker that are stored; escaped, each may be 12 bytes."""

_CHECKSUM = 4
_HEADER = struct.Struct("dI")
"""After the checksum: the time of the report, and the size of the text that follows."""

_READ_TRIES = 10


class Counts:
    """core.limits.counts.Counts for several processes: a table in shared memory, with a column for each of them.

    A slot has a keyed digest and a count for each worker; if all counts are 0, it is free for another key. Only
    `acquire` needs the lock: a key keeps its slot until it is released, and each worker changes only its own count.
    """

    def __init__(self, workers: int) -> None:
        self._digests = memoryview(mmap.mmap(-1, _SLOTS * 8)).cast("Q")
        self._counts = memoryview(mmap.mmap(-1, _SLOTS * 4 * workers)).cast("I")
        self._secret = secrets.token_bytes(16)  # so that clients cannot choose keys that share a bucket
        self._lock = _Lock()
        self._column = 0

    def close(self) -> None:
        self._lock.close()

    def use(self, worker: int) -> None:
        """Count as this worker from now on."""
        self._column = worker * _SLOTS

    def acquire(self, key: str, limit: int) -> bool:
        """As in core.limits.counts; also False if the key's bucket is full, or the lock could not be acquired."""
        digest, bucket = self._locate(key)
        with self._lock.held() as locked:
            slot = self._find(digest, bucket) if locked else None
            if slot is None and locked:
                slot = next((free for free in bucket if not self._total(free)), None)
            if slot is None or self._total(slot) >= limit:
                return False
            self._digests[slot] = digest
            self._counts[self._column + slot] += 1
            return True

    def release(self, key: str) -> None:
        slot = self._find(*self._locate(key))
        assert slot is not None, "it was never acquired"
        self._counts[self._column + slot] -= 1

    def wipe(self, worker: int) -> None:
        """The worker's process has ended: set its counts to 0."""
        column = worker * _SLOTS
        self._counts[column : column + _SLOTS] = memoryview(bytes(_SLOTS * 4)).cast("I")

    def _locate(self, key: str) -> tuple[int, range]:
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
    """core.limits.ratelimit.Buckets for several processes: token buckets in shared memory."""

    def __init__(self) -> None:
        buckets = _SETS * _SET_SIZE
        self._keys = memoryview(mmap.mmap(-1, buckets * 8)).cast("Q")
        self._tokens = memoryview(mmap.mmap(-1, buckets * 8)).cast("d")
        self._filled_at = memoryview(mmap.mmap(-1, buckets * 8)).cast("d")
        self._lock = _Lock()

    def close(self) -> None:
        self._lock.close()

    def take(self, key: Hashable, rate: ratelimit.Rate, now: float, count: int = 1) -> float:
        """As in core.limits.ratelimit. now: seconds of time.monotonic, which is the same in all processes."""
        short = hash(key) & (1 << 64) - 1  # the same in all processes that were forked from one
        first = short % _SETS * _SET_SIZE
        candidates = range(first, first + _SET_SIZE)
        with self._lock.held() as locked:
            if not locked:
                return _RETRY_LOCK
            index = next((each for each in candidates if self._keys[each] == short), None)
            if index is None:
                index = min(candidates, key=self._filled_at.__getitem__)
                self._keys[index], self._tokens[index], self._filled_at[index] = short, rate.count, now
            passed = max(0.0, now - self._filled_at[index])
            self._tokens[index], wait = ratelimit.pour(rate, self._tokens[index], passed, count)
            self._filled_at[index] = max(now, self._filled_at[index])
            return wait


class _Lock:
    """A lock between processes, which the kernel releases when its holder ends: fcntl(2), F_SETLK."""

    def __init__(self) -> None:
        self._file = _anonymous_file()

    def close(self) -> None:
        os.close(self._file)

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lock; False if it could not be acquired soon: one stopped process must not block the others."""
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


def _anonymous_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("pgrpc")  # there may be no writable directory
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return descriptor


class States:
    """What is not ready in each worker, and why: {"database": "..."}."""

    def __init__(self, workers: int) -> None:
        self._workers = range(workers)
        self._memory = mmap.mmap(-1, _RECORD * workers)

    def report(self, worker: int, unready: Mapping[str, str]) -> None:
        """Store the state of a worker; repeat this before it is STALE, even if nothing has changed."""
        length = _REASONS // max(1, len(unready))
        text = json.dumps({part: reason[:length] for part, reason in unready.items()}).encode()
        content = _HEADER.pack(time.monotonic(), len(text)) + text
        record = zlib.crc32(content).to_bytes(_CHECKSUM) + content
        self._memory[_RECORD * worker : _RECORD * worker + len(record)] = record

    def wipe(self, worker: int) -> None:
        """The worker's process has ended: it is not ready."""
        self._memory[_RECORD * worker : _RECORD * worker + _CHECKSUM + _HEADER.size] = bytes(_CHECKSUM + _HEADER.size)

    def unready(self) -> dict[str, dict[str, str]]:
        """Of each worker that is not ready: {"worker 1": {"database": "..."}}."""
        states = {f"worker {worker}": self._read(worker) for worker in self._workers}
        return {worker: reasons for worker, reasons in states.items() if reasons}

    def _read(self, worker: int) -> dict[str, str]:
        for _ in range(_READ_TRIES):  # the worker may be writing just now
            record = self._memory[_RECORD * worker : _RECORD * (worker + 1)]
            reported_at, size = _HEADER.unpack_from(record, _CHECKSUM)
            content = record[_CHECKSUM : _CHECKSUM + _HEADER.size + size]
            if zlib.crc32(content) == int.from_bytes(record[:_CHECKSUM]):
                if time.monotonic() - reported_at > STALE:
                    break
                unready: dict[str, str] = json.loads(content[_HEADER.size :])
                return unready
        return {"process": "does not answer"}
