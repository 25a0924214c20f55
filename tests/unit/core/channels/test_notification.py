"""A notification is a value."""

import pytest

from pgrpc.core.channels.notification import Notification


def test_a_notification_is_a_value_that_nobody_changes() -> None:
    one = Notification("a", "x")
    assert one == Notification(channel="a", payload="x")
    with pytest.raises(AttributeError):
        one.payload = "y"  # type: ignore[misc]
