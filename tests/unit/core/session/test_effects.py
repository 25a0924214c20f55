"""The effects: plain values; what is being worked on is told apart by identity, since ids may be used twice."""

import pytest

from pgrpc.core.session import effects


def test_tickets_of_one_id_are_two() -> None:
    one, other = effects.Ticket("7", 7, None), effects.Ticket("7", 7, None)
    assert one != other
    assert {one: "a", other: "b"}[other] == "b"


def test_batches_are_told_apart() -> None:
    assert effects.Batch(1) != effects.Batch(1)


def test_batches_share_nothing() -> None:
    one, other = effects.Batch(2), effects.Batch(2)
    one.replies.append("1")
    one.activate.append("a")
    assert (other.open, other.replies, other.activate) == (2, [], [])


@pytest.mark.parametrize(
    ("effect", "same", "different"),
    [
        pytest.param(effects.Send("a"), effects.Send("a"), effects.Send("b"), id="Send"),
        pytest.param(effects.Activate(["a"]), effects.Activate(["a"]), effects.Activate([]), id="Activate"),
        pytest.param(effects.Unsubscribe(["a"]), effects.Unsubscribe(["a"]), effects.Activate(["a"]), id="Unsubscribe"),
    ],
)
def test_effects_are_values(effect: effects.Effect, same: effects.Effect, different: effects.Effect) -> None:
    assert effect == same
    assert effect != different


def test_effects_about_different_tickets_differ() -> None:
    ticket = effects.Ticket("7", 7, None)
    assert effects.Cancel(ticket) == effects.Cancel(ticket)
    assert effects.Cancel(ticket) != effects.Cancel(effects.Ticket("7", 7, None))
    assert effects.Subscribe(ticket, {}) != effects.Subscribe(effects.Ticket("7", 7, None), {})
