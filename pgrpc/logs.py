"""The observer that writes log lines.

Owns how many: of what happens to many clients at once it writes one line, then counts. Must not know the words.
"""

import logging
import time

from pgrpc import observe

_QUIET = 10.0
"""Seconds between two lines about clients of one kind."""

_MOST_KEYS = 100
"""Origins that are counted each by itself: clients make them up."""

_log = logging.getLogger("pgrpc")


class Log:
    """Each kind counts for itself, and each origin that is refused: a second one must not hide behind the first."""

    def __init__(self) -> None:
        self._quiet_until: dict[object, float] = {}
        self._left_out: dict[object, int] = {}

    def __call__(self, observation: observe.Observation) -> None:
        left_out = 0
        if observation.is_of_many:
            key = self._key(observation)
            now = time.monotonic()
            if now < self._quiet_until.get(key, 0.0):
                self._left_out[key] = self._left_out.get(key, 0) + 1
                return
            self._quiet_until[key] = now + _QUIET
            left_out = self._left_out.pop(key, 0)
        more = f" (and {left_out} times more since the last such line)" if left_out else ""
        error = observation.error if isinstance(observation, observe.Bug) else None
        _log.log(observation.level, "%s", observation.line() + more, exc_info=error)

    def _key(self, observation: observe.Observation) -> object:
        if isinstance(observation, observe.OriginRefused):
            origin = observation.origin
            if origin in self._quiet_until or len(self._quiet_until) < _MOST_KEYS:
                return origin
        return type(observation)


log = Log()
