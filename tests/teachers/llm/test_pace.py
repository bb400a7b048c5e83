from __future__ import annotations

import threading

from rankstill.teachers.llm.pace import Pace, backoff


def test_requests_are_spread_over_the_minute(clock):
    pace = Pace(30, clock, threading.Event())
    times = []
    for _ in range(4):
        pace.wait()
        times.append(clock.now())
    assert times == [0, 2, 4, 6]


def test_without_a_limit_nobody_waits(clock):
    pace = Pace(0, clock, threading.Event())
    for _ in range(100):
        pace.wait()
    assert clock.slept == []


def test_a_pause_holds_everyone(clock):
    pace = Pace(0, clock, threading.Event())
    pace.pause(7)
    pace.wait()
    assert clock.slept == [7]


def test_time_that_passed_is_not_made_up_for_by_a_burst(clock):
    pace = Pace(60, clock, threading.Event())
    pace.wait()
    clock.time = 100
    times = []
    for _ in range(3):
        pace.wait()
        times.append(clock.now())
    assert times == [100, 101, 102]


def test_the_backoff_doubles_up_to_a_minute_and_its_jitter_derives_from_the_seed():
    waits = [backoff(1, "key", n) for n in range(12)]
    assert waits == [backoff(1, "key", n) for n in range(12)]
    assert all(min(0.5 * 2**n, 60) / 2 <= w <= min(0.5 * 2**n, 60) for n, w in enumerate(waits))
    assert backoff(2, "key", 0) != waits[0] != backoff(1, "other", 0)
