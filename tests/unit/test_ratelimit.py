from pgrpc.core import ratelimit


def test_one_seconds_worth_may_go_at_once_then_the_wait_is_told() -> None:
    bucket = ratelimit.TokenBucket(4)
    assert [bucket.take(100.0) for _ in range(4)] == [0, 0, 0, 0]
    assert bucket.take(100.0) == 0.25
    assert bucket.take(100.25) == 0
    assert bucket.take(100.25) == 0.25


def test_what_was_not_used_is_kept_for_one_second_only() -> None:
    bucket = ratelimit.TokenBucket(2)
    assert bucket.take(0.0) == 0
    assert [bucket.take(1000.0) for _ in range(3)] == [0, 0, 0.5]


def test_a_refusal_takes_no_token() -> None:
    bucket = ratelimit.TokenBucket(1)
    assert bucket.take(0.0) == 0
    assert bucket.take(0.5) == 0.5
    assert bucket.take(1.0) == 0
