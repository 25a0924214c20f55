"""Calls in flight, and those that wait for their turn."""

from typing import Any

from pgrpc.core.identity import identity
from pgrpc.core.session import calls, effects
from tests.support import samples


def call(key: Any = 1, identifier: str | None = "") -> effects.Execute:
    ticket = effects.Ticket(str(key) if identifier == "" else identifier, key, None)
    function = samples.function(samples.routine())
    return effects.Execute(ticket, function.bind([]), identity.NOBODY, "key")


def test_as_many_as_may_run_and_the_others_in_turn() -> None:
    of = calls.Calls(2)
    given = [call(i) for i in range(4)]
    assert [of.start(each) for each in given] == [[given[0]], [given[1]], [], []]
    assert (of.in_flight, of.waiting, of.is_free) == (2, 2, False)
    assert of.ended(given[1].ticket) == [given[2]]
    assert of.ended(given[2].ticket) == [given[3]]
    assert of.ended(given[0].ticket) == []
    assert (of.in_flight, of.waiting, of.is_free) == (1, 0, True)


def test_cancelling_by_value_and_kind() -> None:
    of = calls.Calls(3)
    seven, text, note, waits, other = call(7), call("7"), call(7, None), call(7), call(8)
    for each in (seven, text, note, waits, other):
        of.start(each)
    assert of.cancel(7) == ([effects.Cancel(seven.ticket)], [waits.ticket])
    assert of.cancel("7") == ([effects.Cancel(text.ticket)], [])
    assert of.cancel(True) == ([], [])
    assert of.ended(seven.ticket) == [other]


def test_closing() -> None:
    of = calls.Calls(1)
    assert of.close() == []
    assert of.cancel(7) == ([], [])
    assert not of.has(call(7).ticket)
    one, other = call(1), call(2)
    of.start(one)
    of.start(other)
    assert (of.has(one.ticket), of.has(other.ticket)) == (True, False)
    assert of.close() == [effects.Cancel(one.ticket)]
    assert of.ended(one.ticket) == []
    assert of.in_flight == 0
