"""Runs several worker processes on one address (`server.workers`): the parent starts, replaces and stops them.

Owns the workers' lives and the signals. Must not know how requests are served: each worker is app.run(). The parent has
no event loop and no thread, so that it can fork at any time; it waits in one place, for signals and for its workers.

The parent keeps every listening socket open. When a worker has ended, new connections wait for its replacement; if that
is not started soon, the other workers accept them.

The parent stops its workers by SIGUSR1, and they ignore the usual signals: a terminal, and systemd, send those to all
processes at once, and the parent's signal would be the second one for each worker. SIGHUP is passed on.
"""

import contextlib
import functools
import gc
import json
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, NoReturn

import pgrpc.config as configuration
from pgrpc import logs, observe
from pgrpc.postgres import backoff
from pgrpc.server import admin, app, lifecycle, shared_memory, signals
from pgrpc.web import ports, server

STOP = signal.SIGUSR1
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_MAX_WAIT = 0.2
"""Seconds: if a worker's replacement starts later than this, no connection waits for it."""

_TIMEOUT = 25.0
"""Seconds until workers that have not ended are killed; they need less."""

_SHORT_TIMEOUT = 5.0
"""The same after a second signal."""


def run(
    config: configuration.Config,
    *,
    stop_on: Collection[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
    on_serving: Callable[[str], None] = lambda url: None,
    observer: observe.Observer = logs.log,
) -> int:
    """As app.run, in `server.workers` processes. With one worker, that is this process."""
    if config.server.workers == 1:
        return app.run(config, stop_on=stop_on, on_serving=on_serving, observer=observer)
    with signals.wakeup({*stop_on, signal.SIGHUP}) as wakeup:
        parent = _Parent(config, wakeup, stop_on, on_serving, observer)
        try:
            return parent.run()
        finally:
            parent.close()


class _Worker:
    def __init__(self, number: int, sockets: ports.Sockets) -> None:
        self.number = number
        self.sockets = sockets
        self.pid = 0
        """0 while it is not running."""
        self.reports = -1
        """The read end of a pipe: JSON lines, until the worker has ended."""
        self.unread = b""
        self.faults: list[str] = []
        """What it has reported as wrong with the configuration."""
        self.logged_faults: list[str] = []
        """The faults that are already in the log."""
        self.began = 0.0
        self.due: float | None = None
        """When its replacement is started; None if it is not."""
        self.backoff = backoff.Backoff()


class _Parent:
    def __init__(
        self,
        config: configuration.Config,
        wakeup: tuple[int, int],
        stop_on: Collection[signal.Signals],
        on_serving: Callable[[str], None],
        observer: observe.Observer,
    ) -> None:
        self._config = config
        self._wakeup = wakeup
        self._stop_on = stop_on
        self._on_serving = on_serving
        self._observe = observer
        bound = app.bind(config.server, config.server.workers)
        self._workers = [_Worker(number, sockets) for number, sockets in enumerate(bound)]
        self._counts = shared_memory.Counts(len(self._workers))
        self._rates = shared_memory.Rates()
        self._states = shared_memory.States(len(self._workers))
        self._life = os.pipe()
        """Nothing is written to this pipe: its end tells the workers that the parent has ended."""
        self._serving = False
        self._deadline: float | None = None
        """When workers that have not ended are killed; None while the server runs."""
        self._status = 0

    def run(self) -> int:
        """Returns the exit status: 0, or the workers' highest. Raises config.Invalid if the first worker does."""
        gc.collect()
        gc.freeze()  # a collection would write to pages that all processes share
        self._start(self._workers[0])  # the others follow when it serves, so that a common fault is reported once
        while self._deadline is None or self._alive():
            self._wait()
        return self._status

    def close(self) -> None:
        self._close_sockets()
        self._counts.close()
        for end in self._life:
            os.close(end)

    def _close_sockets(self) -> None:
        for worker in self._workers:
            for each in worker.sockets:
                each.close()

    def _alive(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.pid]

    def _wait(self) -> None:
        """Wait for the next signal, report or deadline, and handle it."""
        times = [when for when in (self._deadline, *(worker.due for worker in self._workers)) if when is not None]
        left = max(0.0, min(times) - time.monotonic()) if times else None
        reports = {worker.reports: worker for worker in self._alive()}
        ready, _, _ = select.select([self._wakeup[0], *reports], [], [], left)
        if self._wakeup[0] in ready:
            for number in map(signal.Signals, os.read(self._wakeup[0], 16)):
                (self._stop if number in self._stop_on else self._signal)(number)
        for end in reports.keys() & ready:
            self._read_reports(reports[end])
        now = time.monotonic()
        for worker in self._workers:
            if worker.due is not None and worker.due <= now:
                self._start(worker)
        if self._deadline is not None and self._deadline <= now:
            self._deadline = now + _SHORT_TIMEOUT
            for worker in self._alive():
                self._observe(observe.WorkerEnded(worker.number, f"process {worker.pid} does not end, killing it"))
            self._signal(signal.SIGKILL)

    def _stop(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + _TIMEOUT
            self._observe(observe.Stopping(f"{number.name} received; waiting for calls in flight"))
            self._close_sockets()  # otherwise they would queue connections that nobody accepts
            for worker in self._workers:
                worker.due = None
        else:
            self._deadline = min(self._deadline, now + _SHORT_TIMEOUT)
        self._signal(STOP)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._alive():
            os.kill(worker.pid, number)

    def _start(self, worker: _Worker) -> None:
        worker.due = None
        worker.unread = b""
        worker.faults = []
        worker.began = time.monotonic()
        worker.reports, report = os.pipe()
        try:
            with signals.blocked():
                worker.pid = os.fork()
                if worker.pid == 0:
                    self._become(worker, report)
        except OSError as error:
            os.close(worker.reports)
            self._replace(worker, f"cannot be started: {error.strerror}")
        finally:
            os.close(report)

    def _read_reports(self, worker: _Worker) -> None:
        data = os.read(worker.reports, 65536)
        if not data:
            self._ended(worker)
            return
        *lines, worker.unread = (worker.unread + data).split(b"\n")
        for report in map(json.loads, lines):
            worker.faults = report.get("faults", [])
            if "serving" in report:
                self._serves(worker, report["serving"])

    def _serves(self, worker: _Worker, url: str) -> None:
        worker.logged_faults = []
        self._observe(observe.WorkerServing(worker.number, worker.pid))
        if not self._serving and self._deadline is None:
            self._serving = True
            self._observe(observe.Serving(url, server.front_page(self._config.server, url)))
            self._on_serving(url)
            for other in self._workers[1:]:
                self._start(other)

    def _ended(self, worker: _Worker) -> None:
        pid, worker.pid = worker.pid, 0
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(worker.reports)
        self._counts.wipe(worker.number)
        self._states.wipe(worker.number)
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"has ended with status {status}"
        reason = f"process {pid} {how}"
        if self._deadline is None and self._serving:
            self._replace(worker, reason)
        elif worker.faults and not self._serving:
            raise configuration.Invalid(worker.faults)
        elif self._deadline is None or status not in (0, -STOP):
            self._deadline = self._deadline or time.monotonic()
            self._status = max(self._status, status if status > 0 else lifecycle.CRASHED)
            self._observe(observe.WorkerEnded(worker.number, reason))

    def _replace(self, worker: _Worker, reason: str) -> None:
        now = time.monotonic()
        if now - worker.began > backoff.CAP:
            worker.backoff.reset()
        wait = worker.backoff.next()
        worker.due = now + wait
        if wait > _MAX_WAIT:
            ports.pause(worker.sockets)
        if not worker.faults or worker.faults != worker.logged_faults:
            worker.logged_faults = worker.faults
            self._observe(observe.WorkerEnded(worker.number, reason, wait, worker.faults))

    def _become(self, worker: _Worker, report: int) -> NoReturn:
        """In the new process: serve, then exit. No code of the parent runs here after that."""
        status = lifecycle.CRASHED
        try:
            signal.set_wakeup_fd(-1)
            for number in _IGNORED:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _IGNORED)
            for other in self._workers:
                if other is not worker:
                    for each in other.sockets:
                        each.close()
            for end in (*self._wakeup, self._life[1], worker.reports, *(other.reports for other in self._alive())):
                os.close(end)
            threading.Thread(target=_end_with_parent, args=(self._life[0], self._observe), daemon=True).start()
            status = self._serve(worker.number, worker.sockets, report)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(Exception):
                logging.shutdown()
                sys.stderr.flush()
            os._exit(status)

    def _serve(self, number: int, sockets: ports.Sockets, report: int) -> int:
        def report_to_parent(**what: Any) -> None:
            with contextlib.suppress(BrokenPipeError), open(report, "w", encoding="utf-8", closefd=False) as pipe:
                pipe.write(json.dumps(what) + "\n")

        # What is the same for all workers is logged once: by the first, or when the server starts.
        once = (observe.Serving,) if number == 0 and not self._serving else (observe.Serving, observe.Warnings)

        def observed(observation: observe.Observation) -> None:
            if not isinstance(observation, once):
                self._observe(observation)

        self._counts.use(number)
        config = admin.with_current_keys(self._config, os.environ) if self._serving else self._config
        state = functools.partial(self._states.report, number)
        share = app.Share(sockets, self._counts, self._rates, state, self._states.unready)
        try:
            return app.run(
                config,
                stop_on=(STOP,),
                on_serving=lambda url: report_to_parent(serving=url),
                observer=observed,
                share=share,
            )
        except configuration.Invalid as error:
            report_to_parent(faults=error.faults)
            return os.EX_CONFIG


def _end_with_parent(life: int, observer: observe.Observer) -> None:
    """Run in a thread of a worker: stops it when the parent has ended."""
    os.read(life, 1)
    observer(observe.ParentEnded())
    os.kill(os.getpid(), STOP)
    time.sleep(_TIMEOUT)
    os._exit(lifecycle.CRASHED)
