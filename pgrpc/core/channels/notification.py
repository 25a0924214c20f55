"""One notification of PostgreSQL (https://www.postgresql.org/docs/current/sql-notify.html), as a value.

Owns its fields. Must not know who receives it, nor in which form.
"""

from typing import NamedTuple


class Notification(NamedTuple):
    """A tuple, because one is created for every event: 0.2 us, a third of what a frozen dataclass takes."""

    channel: str
    payload: str
