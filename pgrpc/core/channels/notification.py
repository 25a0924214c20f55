"""One notification (https://www.postgresql.org/docs/current/sql-notify.html), as everything here passes it on.

Owns what is known of it. Must not know who receives it, nor in which form.
"""

from typing import NamedTuple


class Notification(NamedTuple):
    """A tuple, because one is made for every event: 0.2 us, a third of what a frozen dataclass takes."""

    channel: str
    payload: str
