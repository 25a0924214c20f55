"""pgrpc.core.limits.settings by itself."""

import pytest

from pgrpc.core.limits import settings


def test_defaults_are_safe_and_cannot_be_changed_for_everybody() -> None:
    limits = settings.Limits()
    assert (limits.message_size, limits.calls_in_flight, limits.queue) == (65536, 32, 1000)
    assert limits.rates == {}
    with pytest.raises(TypeError):
        limits.rates["address", "calls"] = None  # type: ignore[index]
