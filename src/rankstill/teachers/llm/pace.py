"""When a request may be sent: the rate limit, and how long to wait after a failure."""

from __future__ import annotations

import threading
import time

from rankstill.randomness import rng_for

_FIRST, _LONGEST = 0.5, 60.0
"""Seconds of the first backoff, and of the longest."""


class Clock:
    """Time as it is; tests bring their own."""

    def now(self) -> float:
        """Read seconds from an arbitrary start."""
        return time.monotonic()

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Wait, or return at once when `stop` is set."""
        stop.wait(seconds)


class Pace:
    """Spreads requests evenly: `rpm` a minute; none while the endpoint asked for a pause.

    Args:
        rpm: Requests per minute at most; 0 for no limit.
        clock: What tells the time.
        stop: Set when everyone stops.
    """

    def __init__(self, rpm: float, clock: Clock, stop: threading.Event) -> None:
        self._gap = 60 / rpm if rpm else 0.0
        self._clock, self._stop = clock, stop
        self._lock = threading.Lock()
        self._next = clock.now()

    def wait(self) -> None:
        """Wait for the next moment at which a request may be sent."""
        with self._lock:
            now = self._clock.now()
            at = max(self._next, now)
            self._next = at + self._gap
        if at > now:
            self._clock.sleep(at - now, self._stop)

    def pause(self, seconds: float) -> None:
        """Send nothing for so long: the endpoint told one request, and means all."""
        with self._lock:
            self._next = max(self._next, self._clock.now() + seconds)


def backoff(seed: int, key: str, attempt: int) -> float:
    """Seconds to wait after a request's failure number `attempt` (from 0): doubling, with a jitter of one half.

    The jitter is drawn from the seed and the request's hash, so that the same run waits the same.
    """
    longest = min(_FIRST * 2.0**attempt, _LONGEST)
    return float(longest * (0.5 + 0.5 * rng_for(seed, "llm backoff", key, attempt).random()))
