from __future__ import annotations

import threading

import pytest

from rankstill.teachers.llm.pace import Clock
from tests.nasty_server import NastyServer, log_odds_by_value
from tests.tiny_collections import word_collection


class FakeClock(Clock):
    """Time that passes only when someone sleeps, and at once."""

    def __init__(self):
        self.time, self.slept = 0.0, []
        self._lock = threading.Lock()

    def now(self):
        return self.time

    def sleep(self, seconds, stop):
        with self._lock:
            self.slept.append(seconds)
            self.time += seconds


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("RANKSTILL_LLM_KEY", raising=False)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def server():
    with NastyServer(log_odds_by_value) as running:
        yield running


@pytest.fixture(scope="session")
def collection(tmp_path_factory):
    return word_collection(tmp_path_factory.mktemp("llm") / "words", documents=60, queries=4)
