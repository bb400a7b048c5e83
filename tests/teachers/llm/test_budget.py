from __future__ import annotations

import threading

import pytest

from rankstill.teachers.llm.budget import Budget, BudgetSpent
from rankstill.teachers.llm.reference import LlmReference


def budget(**options):
    return Budget(LlmReference("http://h/v1", "m", **options))


def never():
    return False


def test_requests_are_counted_and_then_refused():
    purse = budget(requests=2)
    for _ in range(2):
        assert purse.reserve((10, 1), never)
        purse.add((8, 1))
        purse.settle((10, 1))
    assert (purse.requests, purse.tokens) == (2, (16, 2))
    with pytest.raises(BudgetSpent, match="the budget of 2 requests is spent"):
        purse.reserve((10, 1), never)


def test_money_is_what_the_tokens_cost():
    purse = budget(money=1.0, price_in=2.0, price_out=8.0)
    purse.add((250_000, 25_000))
    assert purse.money == pytest.approx(0.5 + 0.2)
    assert purse.reserve((100_000, 10_000), never)
    purse.add((50_000, 0))
    purse.settle((100_000, 10_000))
    assert purse.money == pytest.approx(0.8)
    with pytest.raises(BudgetSpent, match=r"0\.8000 so far, and the next request may cost 0\.2800"):
        purse.reserve((100_000, 10_000), never)


def test_a_request_that_was_not_charged_costs_nothing():
    purse = budget(requests=1)
    for _ in range(5):
        assert purse.reserve((10, 1), never)
        purse.settle((10, 1))
    assert purse.requests == 0


def test_a_request_in_flight_is_waited_for_before_giving_up():
    purse = budget(requests=1)
    assert purse.reserve((10, 1), never)
    threading.Timer(0.05, purse.settle, ((10, 1),)).start()
    assert purse.reserve((10, 1), never)


def test_who_waits_stops_with_everyone():
    purse, stop = budget(requests=1), threading.Event()
    assert purse.reserve((10, 1), stop.is_set)
    threading.Timer(0.05, stop.set).start()
    assert not purse.reserve((10, 1), stop.is_set)
