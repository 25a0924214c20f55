"""A budget ends all work, and starts again with each value, or with each block of values that share it."""

import pytest

from pgrpc.core.validation import budget


def test_a_budget_is_spent_once() -> None:
    spending = budget.Budget()
    spending.spend(budget.WORK)
    with pytest.raises(budget.TooMuchWork):
        spending.spend(1)


def test_it_starts_again_with_each_value() -> None:
    spending = budget.Budget()
    for _ in range(3):
        spending.start()
        spending.spend(budget.WORK)


def test_values_can_share_it() -> None:
    spending = budget.Budget()
    spending.spend(budget.WORK)
    with spending.shared():
        spending.start()
        spending.spend(budget.WORK // 2)
        spending.start()
        with pytest.raises(budget.TooMuchWork):
            spending.spend(budget.WORK)
    spending.start()
    spending.spend(budget.WORK)


def test_budgets_know_nothing_of_each_other() -> None:
    one, other = budget.Budget(), budget.Budget()
    one.spend(budget.WORK)
    other.spend(budget.WORK)


def test_it_is_not_shared_any_more_after_an_error() -> None:
    spending = budget.Budget()
    with pytest.raises(budget.TooMuchWork), spending.shared():
        spending.spend(budget.WORK + 1)
    spending.start()
    spending.spend(budget.WORK)


def test_half_of_it_is_kept_from_what_can_be_left_out() -> None:
    spending = budget.Budget()
    assert not spending.affords(budget.WORK // 2 + 1)
    assert spending.affords(budget.WORK // 2)
    assert not spending.affords(1)
    spending.spend(budget.WORK // 2)
    with pytest.raises(budget.TooMuchWork):
        spending.spend(1)
