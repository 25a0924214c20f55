"""An issuer's key set: fetched off the hot path, renewed, kept while it cannot be had.

Owns when it is fetched: at the start, now and then, and for a token that names a key which is not known; that last one
at most once in a while, so that made-up names cannot hammer the issuer. Must not know how it is fetched, nor tokens.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from pgrpc import observe
from pgrpc.auth import keys

Fetch = Callable[[], Awaitable[bytes]]
"""The set's bytes, bounded in size and time. Raises OSError, whose str() says why not."""

_BYTES = 256 * 1024
"""Of a key set. One with a hundred keys has about a tenth of it."""

_REFRESH = 600.0
"""Seconds between two fetches that nobody asked for: so long a key that was taken back is still good."""
_APART = 10.0
"""Seconds between two fetches that tokens have asked for."""
_PATIENCE = 5.0
"""Seconds that a client waits for keys; what it waits for goes on."""
_FIRST_PAUSE, _LAST_PAUSE = 1.0, 60.0
"""Seconds between tries, while the set cannot be had: doubled from the first to the last."""


class KeySet:
    """keys: () until it was had for the first time. changed: called after they have become others."""

    def __init__(
        self, fetch: Fetch, pinned: Collection[str], observer: observe.Observer, changed: Callable[[], None]
    ) -> None:
        self.keys: Sequence[keys.Key] = ()
        self._fetch = fetch
        self._pinned = pinned
        self._observe = observer
        self._changed = changed
        self._data = b""
        self._wanted = asyncio.Event()
        self._trying: asyncio.Future[None] | None = None  # done after the try that runs, or the one that was asked for
        self._next = 0.0  # of the loop's clock: when tokens may ask again
        self._had: bool | None = None  # what was told last

    async def run(self) -> None:
        """Keep it fresh, for ever."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            self._wanted.clear()
            trying = self._trying = self._trying or loop.create_future()
            wait = _REFRESH
            if await self._try():
                pause = _FIRST_PAUSE
            else:
                wait, pause = pause, min(2 * pause, _LAST_PAUSE)
            self._trying = None
            trying.set_result(None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wanted.wait()

    async def renewed(self) -> None:
        """After the try that runs, or one more if there may be one already; at most some seconds later."""
        now = asyncio.get_running_loop().time()
        if self._trying is None and now >= self._next:
            self._next = now + _APART
            self._ask()
        await self._tried()

    async def renew(self) -> None:
        """After a try that begins now, or some seconds later."""
        await self._tried()
        if self._trying is None:
            self._ask()
        await self._tried()

    def _ask(self) -> None:
        self._trying = asyncio.get_running_loop().create_future()
        self._wanted.set()

    async def _tried(self) -> None:
        if self._trying is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await asyncio.shield(self._trying)

    async def _try(self) -> bool:
        try:
            data = await self._fetch()
            if data != self._data:
                self.keys = keys.key_set(data, self._pinned)
                self._data = data
                self._changed()
        except (OSError, keys.BadKey) as error:
            if self._had is not False:
                self._observe(observe.KeysDown(str(error), len(self.keys)))
            self._had = False
        else:
            if self._had is not True:
                self._observe(observe.KeysUp(len(self.keys)))
            self._had = True
        return self._had


def source(path: Path) -> Fetch:
    """A key set in a file."""
    return lambda: asyncio.to_thread(read, path)


def read(path: Path) -> bytes:
    """Raises OSError."""
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES + 1)
    except OSError as error:
        raise OSError(f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise OSError("a file name cannot hold the character NUL") from None
    if len(data) > _BYTES:
        raise OSError(f"is longer than {_BYTES} bytes")
    return data
