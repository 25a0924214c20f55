"""Writes observations to the log.

Owns the rate of log lines: of events that happen to many clients at once it writes one line, then counts. Must not know
their text.
"""

import logging
import time

from pgrpc import observe

_QUIET = 10.0
"""Seconds between two lines of one kind about clients."""

_MAX_KEYS = 100
"""Origins that are counted separately; clients can invent any number of them."""

_log = logging.getLogger("pgrpc")


class Log:
    """Counts each kind separately, and each refused origin, so that the first does not hide the others."""

    def __init__(self) -> None:
        self._quiet_until: dict[object, float] = {}
        self._omitted: dict[object, int] = {}

    def __call__(self, observation: observe.Observation) -> None:
        omitted = 0
        if observation.is_of_many:
            key = self._key(observation)
            now = time.monotonic()
            if now < self._quiet_until.get(key, 0.0):
                self._omitted[key] = self._omitted.get(key, 0) + 1
                return
            self._quiet_until[key] = now + _QUIET
            omitted = self._omitted.pop(key, 0)
        more = f" (and {omitted} more times since the last such line)" if omitted else ""
        error = observation.error if isinstance(observation, observe.Bug) else None
        _log.log(observation.level, "%s", observation.line() + more, exc_info=error)

    def _key(self, observation: observe.Observation) -> object:
        if isinstance(observation, observe.OriginRefused):
            origin = observation.origin
            if origin in self._quiet_until or len(self._quiet_until) < _MAX_KEYS:
                return origin
        return type(observation)


log = Log()
