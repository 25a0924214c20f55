"""Handlers of signals that run only where it is safe: while something is waited for.

Owns the holding back, and the polling that lets them run. Must not know what is waited for.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_POLL = 0.02

Until = Callable[[Callable[[], bool], float], bool]
"""until() without its last parameter: whether it came true in so many seconds."""


def until(true: Callable[[], bool], patience: float, between: Callable[[], None] = lambda: None) -> bool:
    """Poll: other people's children, and files, can be awaited in no portable way. patience: seconds."""
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            return False
        between()
        time.sleep(_POLL)
    return True


class _Held:
    """The handlers that were in place, and the signals that have come since."""

    def __init__(self) -> None:
        self._came: list[int] = []
        self._handlers: dict[int, Callable[[int, Any], Any]] = {}
        self._hold: Callable[[int, FrameType | None], None] = lambda number, frame: self._came.append(number)
        if threading.current_thread() is threading.main_thread():  # handlers run nowhere else
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler

    def begin(self) -> None:
        for number in self._handlers:
            signal.signal(number, self._hold)

    def run(self) -> None:
        """The handlers of what has come."""
        while self._came:
            number = self._came.pop(0)
            now = signal.getsignal(number)
            handler = self._handlers[number] if now is self._hold else now  # another handler may have chosen a new one
            if callable(handler):
                handler(number, None)

    def end(self) -> None:
        """Put the handlers back, and run what is left. A handler may raise in the middle of this, too."""
        raised: BaseException | None = None
        is_over = False
        while not is_over:
            try:
                for number, handler in self._handlers.items():
                    if signal.getsignal(number) is self._hold:
                        signal.signal(number, handler)
                self.run()
                is_over = True
            except BaseException as error:
                raised = raised or error
        if raised is not None:
            raise raised


@contextlib.contextmanager
def handlers_held() -> Iterator[Until]:
    """Within, the handlers of signals run only while the given until() waits, and what is left of them at the end.

    A handler may raise, anywhere else: in the middle of Popen.poll() it leaves a lock behind, and the child can never
    be waited for again; between a fork and the assignment of its result, the child is lost. To block the signals is
    not enough, since another thread may take one, and then its handler runs in the main thread.
    """
    held = _Held()
    try:
        held.begin()
        yield lambda true, patience: until(true, patience, held.run)
    finally:
        held.end()
