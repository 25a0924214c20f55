"""Which event loop the server runs on: uvloop where it is installed (`pgrpc[fast]`), asyncio's own otherwise.

Owns that choice. PGRPC_FAST=0 in the environment keeps the optional accelerators off, to compare.
"""

import asyncio
import os
from collections.abc import Callable
from importlib import import_module


def fast_wanted() -> bool:
    return os.environ.get("PGRPC_FAST", "1") != "0"


def factory(fast: bool | None = None) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """For asyncio.Runner; None is asyncio's own."""
    if fast if fast is not None else fast_wanted():
        try:
            made: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
        except ImportError:
            return None
        return made
    return None
