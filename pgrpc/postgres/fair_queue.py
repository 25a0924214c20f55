"""The queue of calls that wait for a database connection: clients take turns.

Owns the order of waiting calls: a client with thousands of calls does not starve the others, and each client's own
calls stay in their order. Bounded. Must not know connections.
"""

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """size: how many items may wait, of all clients together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._length = 0
        self._turns: dict[Hashable, deque[Item]] = {}  # in the order of the turns

    def __len__(self) -> int:
        return self._length

    @property
    def is_full(self) -> bool:
        return self._length >= self._size

    def put(self, client: Hashable, item: Item) -> None:
        self._turns.setdefault(client, deque()).append(item)
        self._length += 1

    def get(self) -> Item:
        """Remove and return the next item. Raises StopIteration if the queue is empty."""
        client = next(iter(self._turns))
        items = self._turns.pop(client)
        item = items.popleft()
        self._length -= 1
        if items:
            self._turns[client] = items  # behind the others
        return item

    def remove(self, client: Hashable, item: Item) -> bool:
        """Remove an item; False if it was not waiting."""
        items = self._turns.get(client)
        if items is None or item not in items:
            return False
        items.remove(item)
        self._length -= 1
        if not items:
            del self._turns[client]
        return True
