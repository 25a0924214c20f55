"""An issuer's key set: fetched in the background, refreshed, and kept while the issuer is unavailable.

Owns when it is fetched: at start, at intervals, and for a token that names an unknown key; the last is rate-limited, so
that clients cannot make the server flood the issuer. Must not know how it is fetched, nor tokens.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from pgrpc import observe
from pgrpc.auth import keys

Fetch = Callable[[], Awaitable[bytes]]
"""The set's bytes, bounded in size and time. Raises OSError, whose str() says why."""

_MAX_BYTES = 256 * 1024
"""A key set with a hundred keys has about a tenth of this."""

_REFRESH = 600.0
"""Seconds between two regular fetches: for so long a key is accepted after its issuer has removed it."""
_MIN_INTERVAL = 10.0
"""Seconds between two fetches because of tokens with unknown keys."""
_TIMEOUT = 5.0
"""Seconds that a client waits for keys; the fetch goes on."""
_FIRST_PAUSE, _LAST_PAUSE = 1.0, 60.0
"""Seconds between attempts while the set is unavailable: doubled from the first to the last."""


class KeySet:
    """keys: () until the first fetch succeeds. changed: called after they have changed."""

    def __init__(
        self, fetch: Fetch, pinned: Collection[str], observer: observe.Observer, changed: Callable[[], None]
    ) -> None:
        self.keys: Sequence[keys.Key] = ()
        self._fetch = fetch
        self._pinned = pinned
        self._observe = observer
        self._changed = changed
        self._data = b""
        self._requested = asyncio.Event()
        self._attempt: asyncio.Future[None] | None = None  # done after the attempt that runs, or that was requested
        self._next = 0.0  # of the loop's clock: when a token may cause a fetch again
        self._available: bool | None = None  # as reported last

    async def run(self) -> None:
        """Keep it fresh, for ever."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            self._requested.clear()
            attempt = self._attempt = self._attempt or loop.create_future()
            wait = _REFRESH
            if await self._fetched():
                pause = _FIRST_PAUSE
            else:
                wait, pause = pause, min(2 * pause, _LAST_PAUSE)
            self._attempt = None
            attempt.set_result(None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._requested.wait()

    async def renewed(self) -> None:
        """Wait for the attempt that runs, or for a new one if the last is old enough; at most some seconds."""
        now = asyncio.get_running_loop().time()
        if self._attempt is None and now >= self._next:
            self._next = now + _MIN_INTERVAL
            self._request()
        await self._finished()

    async def renew(self) -> None:
        """Fetch the set again, after the attempt that runs; wait at most some seconds."""
        await self._finished()
        if self._attempt is None:
            self._request()
        await self._finished()

    def _request(self) -> None:
        self._attempt = asyncio.get_running_loop().create_future()
        self._requested.set()

    async def _finished(self) -> None:
        if self._attempt is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TIMEOUT):
                    await asyncio.shield(self._attempt)

    async def _fetched(self) -> bool:
        try:
            data = await self._fetch()
            if data != self._data:
                self.keys = keys.key_set(data, self._pinned)
                self._data = data
                self._changed()
        except (OSError, keys.BadKey) as error:
            if self._available is not False:
                self._observe(observe.KeysDown(str(error), len(self.keys)))
            self._available = False
        else:
            if self._available is not True:
                self._observe(observe.KeysUp(len(self.keys)))
            self._available = True
        return self._available


def source(path: Path) -> Fetch:
    """Fetches a key set from a file."""
    return lambda: asyncio.to_thread(read, path)


def read(path: Path) -> bytes:
    """Raises OSError."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise OSError(f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise OSError("a file name cannot hold the character NUL") from None
    if len(data) > _MAX_BYTES:
        raise OSError(f"is longer than {_MAX_BYTES} bytes")
    return data
