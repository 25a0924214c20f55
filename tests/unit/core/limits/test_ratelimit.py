"""Rates: what goes at once, what must wait and how long, and that the buckets are bounded."""

import pytest

from pgrpc.core.limits import ratelimit


def test_one_seconds_worth_may_go_at_once_then_the_wait_is_told() -> None:
    bucket = ratelimit.TokenBucket(ratelimit.Rate(4))
    assert [bucket.take(100.0) for _ in range(4)] == [0, 0, 0, 0]
    assert bucket.take(100.0) == 0.25
    assert bucket.take(100.25) == 0
    assert bucket.take(100.25) == 0.25


def test_what_was_not_used_is_kept_for_one_second_only() -> None:
    bucket = ratelimit.TokenBucket(ratelimit.Rate(2))
    assert bucket.take(0.0) == 0
    assert [bucket.take(1000.0) for _ in range(3)] == [0, 0, 0.5]


def test_a_refusal_takes_no_token() -> None:
    bucket = ratelimit.TokenBucket(ratelimit.Rate(1))
    assert bucket.take(0.0) == 0
    assert bucket.take(0.5) == 0.5
    assert bucket.take(1.0) == 0


def test_what_was_asked_earlier_may_come_later() -> None:
    bucket = ratelimit.TokenBucket(ratelimit.Rate(10))
    assert [bucket.take(now) for now in (100.0, 90.0, 100.0)] == [0, 0, 0]
    assert bucket.take(100.0, 7) == 0
    assert bucket.take(100.0) == 0.1


def test_a_minute() -> None:
    bucket = ratelimit.TokenBucket(ratelimit.Rate(2, 60))
    assert [bucket.take(0.0) for _ in range(3)] == [0, 0, 30]
    assert bucket.take(30.0) == 0


def test_several_at_once() -> None:
    bucket = ratelimit.TokenBucket(ratelimit.Rate(4))
    assert bucket.take(0.0, 3) == 0
    assert bucket.take(0.0, 2) == 0.25
    assert bucket.take(0.25, 2) == 0


def test_more_than_one_seconds_worth_goes_when_the_bucket_is_full_and_is_paid_back() -> None:
    bucket = ratelimit.TokenBucket(ratelimit.Rate(4))
    assert bucket.take(0.0) == 0
    assert bucket.take(0.0, 10) == 0.25
    assert bucket.take(0.25, 10) == 0
    assert bucket.take(0.25) == pytest.approx(1.75)


def test_each_key_has_a_bucket_of_its_own() -> None:
    rates = ratelimit.Rates()
    one = ratelimit.Rate(1)
    assert [rates.take(("calls", who), one, 0.0) for who in ("ann", "bob", "ann")] == [0, 0, 1]
    assert rates.take(("logins", "ann"), ratelimit.Rate(2, 60), 0.0, 2) == 0
    assert rates.take(("calls", "ann"), one, 1.0) == 0


def test_the_one_that_was_used_longest_ago_is_forgotten() -> None:
    rates = ratelimit.Rates(limit=2)
    one = ratelimit.Rate(1)
    assert [rates.take(who, one, 0.0) for who in ("ann", "bob", "ann", "eve", "ann", "bob")] == [0, 0, 1, 0, 1, 0]
    assert len(rates) == 2
