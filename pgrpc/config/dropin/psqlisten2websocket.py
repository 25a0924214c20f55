"""psqlisten2websocket's settings.

Owns their names, defaults and precedence. Must not know how anything is served.
"""

from collections.abc import Mapping
from pathlib import Path

from pgrpc.config.dropin import settings


def load(environ: Mapping[str, str], file: Path | None = None) -> settings.Loaded:
    """Raises Invalid."""
    document = settings.Document(file or ".", {"dialects": {"psqlisten2websocket": True}})
    return document.load()
