"""pgrpc.core.limits.quota by itself."""

from pgrpc.core.limits import counts, quota, settings

LIMITS = settings.Limits(connections=2, connections_per_address=1)


def test_an_address_and_the_server_have_a_limit_each() -> None:
    counted = counts.Local()
    first, second, third = (quota.Quota(counted) for _ in range(3))
    assert first.acquire(LIMITS, "192.0.2.1") is None
    assert second.acquire(LIMITS, "192.0.2.2") is None
    assert third.acquire(LIMITS, "192.0.2.1") == "too many connections from this address"
    assert third.acquire(LIMITS, "192.0.2.3") == "too many connections to this server"


def test_what_is_released_can_be_acquired_again_and_releasing_twice_is_once() -> None:
    counted = counts.Local()
    held = quota.Quota(counted)
    assert held.acquire(LIMITS, "192.0.2.1") is None
    held.release()
    held.release()
    assert quota.Quota(counted).acquire(LIMITS, "192.0.2.1") is None


def test_without_limits_nothing_is_counted() -> None:
    held = quota.Quota(counts.Local())
    assert [held.acquire(settings.Limits(), "192.0.2.1") for _ in range(3)] == [None] * 3
