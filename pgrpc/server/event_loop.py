"""Chooses the event loop: uvloop if it is installed (`pgrpc[fast]`), asyncio's own otherwise.

Owns that choice. The environment variable PGRPC_FAST=0 disables the optional accelerators, for comparison.
"""

import asyncio
import os
from collections.abc import Callable
from importlib import import_module


def fast_wanted() -> bool:
    return os.environ.get("PGRPC_FAST", "1") != "0"


def factory(fast: bool | None = None) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop factory for asyncio.Runner; None: asyncio's own. fast: None: as in the environment."""
    if fast if fast is not None else fast_wanted():
        try:
            new_event_loop: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
        except ImportError:
            return None
        return new_event_loop
    return None
