"""Counts and states in memory that processes share."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from pgrpc.core.limits import ratelimit
from pgrpc.server import shared_memory

# Python 3.12 warns of forking where there are threads, which other tests may have left. Ours do little after it.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def counts() -> Iterator[shared_memory.Counts]:
    made = shared_memory.Counts(2)
    yield made
    made.close()


def child(work: Callable[[], object]) -> int:
    """Start a process that works, and then ends with status 0."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def finished(pid: int) -> bool:
    return os.waitpid(pid, 0)[1] == 0


def test_a_limit_holds_over_all(counts: shared_memory.Counts) -> None:
    counts.use(0)
    assert counts.acquire("a", 3)
    counts.use(1)
    assert counts.acquire("a", 3)
    assert counts.acquire("a", 3)
    assert not counts.acquire("a", 3)
    assert counts.acquire("b", 3), "each key has a count of its own"
    counts.release("a")
    counts.use(0)
    assert [counts.acquire("a", 3), counts.acquire("a", 3)] == [True, False]


def test_processes_that_take_at_the_same_time_get_no_more_than_there_are(counts: shared_memory.Counts) -> None:
    begin, go = os.pipe()
    taken, report = os.pipe()

    def work(worker: int) -> None:
        counts.use(worker)
        os.read(begin, 1)
        for _ in range(500):
            if counts.acquire("a", 700):
                os.write(report, b"x")
            if counts.acquire("other", 1):
                counts.release("other")

    pids = [child(lambda worker=worker: work(worker)) for worker in range(2)]  # type: ignore[misc]
    os.write(go, b"12")
    assert all([finished(pid) for pid in pids])
    assert len(os.read(taken, 2000)) == 700
    assert not counts.acquire("a", 700)
    assert counts.acquire("other", 1)
    for end in (begin, go, taken, report):
        os.close(end)


def test_what_a_dead_worker_held_is_free_again(counts: shared_memory.Counts) -> None:
    def work() -> None:
        counts.use(1)
        assert counts.acquire("a", 3)
        assert counts.acquire("a", 3)

    assert counts.acquire("a", 3)
    assert finished(child(work))
    assert not counts.acquire("a", 3)
    counts.wipe(1)
    assert [counts.acquire("a", 3), counts.acquire("a", 3), counts.acquire("a", 3)] == [True, True, False]


def test_a_place_in_the_table_is_used_again(counts: shared_memory.Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "_BUCKETS", 1)
    keys = [str(number) for number in range(shared_memory._WAYS)]
    assert all(counts.acquire(key, 1) for key in keys)
    assert not counts.acquire("one more", 1), "there is no room: refused, not miscounted"
    assert not counts.acquire(keys[0], 1)
    counts.release(keys[5])
    assert counts.acquire("one more", 1)
    assert not counts.acquire("one more", 1)
    assert not counts.acquire(keys[5], 1)


def test_a_process_that_is_stopped_within_the_lock_holds_up_nobody(counts: shared_memory.Counts) -> None:
    def work() -> None:
        with counts._lock.held() as locked:
            assert locked
            os.kill(os.getpid(), signal.SIGSTOP)
        signal.pause()

    pid = child(work)
    try:
        assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
        assert not counts.acquire("a", 3)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert counts.acquire("a", 3), "the kernel has let go of a dead process's lock"


def test_each_tells_what_is_not_ready() -> None:
    states = shared_memory.States(2)
    unknown = {"process": "does not answer"}
    assert states.unready() == {"worker 0": unknown, "worker 1": unknown}
    assert finished(child(lambda: states.report(0, {"listener": "no route", "database": 'FATAL: role "ü"'})))
    states.report(1, {})
    assert states.unready() == {"worker 0": {"listener": "no route", "database": 'FATAL: role "ü"'}}
    states.report(0, {})
    assert states.unready() == {}
    states.wipe(1)
    assert states.unready() == {"worker 1": unknown}


def test_long_reasons_are_cut() -> None:
    states = shared_memory.States(2)
    states.report(0, dict.fromkeys(("server", "database", "listener"), "\N{PILE OF POO}" * 10_000))
    states.report(1, {})
    found = states.unready()
    assert found.keys() == {"worker 0"}
    assert all(len(reason) == shared_memory._REASONS // 3 for reason in found["worker 0"].values())


def test_who_has_told_nothing_for_long_does_not_count_as_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    states = shared_memory.States(1)
    states.report(0, {})
    later = time.monotonic() + shared_memory.STALE + 0.1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert states.unready() == {"worker 0": {"process": "does not answer"}}


def test_what_is_half_written_is_not_taken_for_the_truth() -> None:
    states = shared_memory.States(1)
    states.report(0, {"listener": "down"})
    states._memory[20] ^= 1
    assert states.unready() == {"worker 0": {"process": "does not answer"}}


@pytest.fixture
def rates() -> Iterator[shared_memory.Rates]:
    made = shared_memory.Rates()
    yield made
    made.close()


def test_a_rate_holds_over_all_processes(rates: shared_memory.Rates) -> None:
    rate = ratelimit.Rate(8)
    begin, go = os.pipe()
    passed, report = os.pipe()

    def work() -> None:
        os.read(begin, 1)
        for _ in range(50):
            if not rates.take(("identity", "ann"), rate, 100.0):
                os.write(report, b"x")

    children = [child(work) for _ in range(4)]
    os.write(go, b"1234")
    assert all(finished(pid) for pid in children)
    assert os.read(passed, 1000) == b"x" * 8
    assert rates.take(("identity", "ann"), rate, 100.0) == 0.125
    assert rates.take(("identity", "bob"), rate, 100.0) == 0
    assert rates.take(("identity", "ann"), rate, 100.125) == 0


def test_a_clock_that_is_a_little_behind_gives_nothing_away(rates: shared_memory.Rates) -> None:
    rate = ratelimit.Rate(1)
    assert rates.take("a", rate, 100.0) == 0
    assert rates.take("a", rate, 99.5) == pytest.approx(1)
    assert rates.take("a", rate, 100.5) == pytest.approx(0.5)


def test_many_names_do_not_fill_the_memory(rates: shared_memory.Rates) -> None:
    rate = ratelimit.Rate(1)
    for number in range(100_000):
        rates.take(number, rate, float(number))
    assert rates.take(99_999, rate, 99_999.5) == pytest.approx(0.5), "those of late are remembered"
