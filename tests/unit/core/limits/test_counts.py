from pgrpc.core.limits import counts


def test_as_many_as_may_and_no_more() -> None:
    found: counts.Counts = counts.Local()
    assert [found.acquire("a", 2) for _ in range(3)] == [True, True, False]
    assert found.acquire("b", 2), "each key has a count of its own"


def test_what_is_given_back_may_be_taken_again() -> None:
    found = counts.Local()
    assert found.acquire("a", 2)
    assert found.acquire("a", 2)
    found.release("a")
    assert [found.acquire("a", 2), found.acquire("a", 2)] == [True, False]


def test_nothing_is_kept_of_what_is_no_more() -> None:
    found = counts.Local()
    assert found.acquire("a", 1)
    found.release("a")
    assert vars(found) == vars(counts.Local())
