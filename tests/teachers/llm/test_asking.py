"""Every way in which the server misbehaves, seen from the one that asks."""

from __future__ import annotations

import json
import threading
import time

import pytest

from rankstill.errors import MissingScores, ModelError, OutputError
from rankstill.teachers.llm.asking import Asker, Halted
from rankstill.teachers.llm.pace import backoff
from rankstill.teachers.llm.reference import LlmReference
from rankstill.teachers.llm.request import Request
from tests.nasty_server import USAGE, completion, good, hang, raw, reset, status, words


@pytest.fixture
def asker(server, tmp_path, clock):
    def make(**options):
        return Asker(LlmReference(server.url, "m", **options), tmp_path / "t.jsonl", clock)

    return make


def request(text="Passage: report150"):
    return Request("m", [{"role": "user", "content": text}], max_tokens=4, seed=1)


def texts(asker, *requests):
    return [a.text for a in asker.run(lambda item, ask: ask(item), requests, lambda _: None)]


def lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("step", "charged"),
    [
        (status(429), 0),
        (status(500), 0),
        (status(503), 0),
        (reset(), 1),
        (raw(b"{"), 1),
        (raw(b'{"choices": []}'), 1),
        (good(words("")), 1),
        (good(words(" \n")), 1),
        (good(lambda _: completion(None)), 1),
    ],
    ids=["429", "500", "503", "reset", "broken-json", "no-choices", "empty", "blank", "null"],
)
def test_what_fails_once_is_asked_again(server, asker, clock, tmp_path, step, charged):
    server.script(step)
    asking = asker()
    assert texts(asking, request()) == ["Yes"]
    assert len(server.requests) == 2
    assert server.requests[0] == server.requests[1]
    assert clock.slept == [backoff(1, request().key, 0)]
    # What may have been charged counts in the budget, and stands in the transcript.
    assert asking.budget.requests == 1 + charged
    assert len(lines(tmp_path)) == 1 + charged


def test_a_timeout_is_asked_again(server, asker):
    server.script(hang())
    asking = asker(timeout=0.2)
    assert texts(asking, request()) == ["Yes"]
    assert asking.budget.requests == 2


def test_retry_after_is_waited_for(server, asker, clock):
    server.script(status(429, {"Retry-After": "7"}))
    assert texts(asker(), request()) == ["Yes"]
    assert sum(clock.slept) == pytest.approx(7 + backoff(1, request().key, 0))


def test_retry_after_holds_whoever_asks_next(server, asker, clock, monkeypatch):
    """Time stands still here: who was told waits for itself, and every request then for the pause."""
    monkeypatch.setattr(clock, "sleep", lambda seconds, stop: clock.slept.append(seconds))
    server.script(status(429, {"Retry-After": "7"}))
    assert texts(asker(concurrency=1), request("Passage: report1"), request("Passage: report2")) == ["No", "No"]
    assert clock.slept[1:] == [7, 7]


def test_retry_after_of_hours_is_given_up(server, asker, clock):
    server.script(status(429, {"Retry-After": "86400"}))
    with pytest.raises(Halted, match="asks to come back in 86,400 s"):
        texts(asker(), request())
    assert clock.slept == []


def test_what_fails_always_is_given_up_and_nothing_else_is_lost(server, asker, tmp_path, clock):
    asking = asker(retries=3, concurrency=1)
    server.script(good(words("first")), *[status(503)] * 4)
    with pytest.raises(Halted, match=r"no answer from .* after 4 tries \(last: status 503: no\)") as halted:
        texts(asking, request("report1"), request("report2"), request("report3"))
    assert halted.value.kind is ModelError
    assert len(server.requests) == 5
    assert clock.slept == [backoff(1, request("report2").key, n) for n in range(3)]
    assert [line["answer"] for line in lines(tmp_path)] == ["first"]


def test_a_refusal_is_not_repeated(server, asker):
    server.script(status(401, body={"error": {"message": "wrong key"}}))
    with pytest.raises(Halted, match="status 401: wrong key"):
        texts(asker(), request())
    assert len(server.requests) == 1


def test_an_answer_that_stays_empty_is_taken_for_what_it_is_and_not_paid_for_ever(server, asker):
    server.answer = words("")
    assert texts(asker(), request()) == [""]
    assert len(server.requests) == 3
    assert texts(asker(), request()) == [""]
    assert len(server.requests) == 3


def test_an_empty_answer_to_the_last_try_is_taken_too(server, asker):
    server.answer = words("")
    assert texts(asker(retries=1), request()) == [""]
    assert len(server.requests) == 2


def test_what_a_filter_keeps_back_is_not_asked_again(server, asker):
    server.answer = lambda _: completion(None, finish="content_filter")
    assert texts(asker(), request()) == [""]
    assert len(server.requests) == 1


def test_the_same_request_is_asked_once_also_at_the_same_time(server, asker):
    server.delay = 0.05
    assert texts(asker(concurrency=8), *[request()] * 8) == ["Yes"] * 8
    assert len(server.requests) == 1


def test_several_are_under_way_at_once_but_no_more_than_stated(server, asker):
    server.delay = 0.03
    texts(asker(concurrency=3), *[request(f"Passage: report{n}") for n in range(12)])
    assert server.busiest == 3


@pytest.mark.parametrize("concurrency", [1, 4])
def test_answers_come_in_the_order_of_the_requests(server, asker, concurrency):
    server.answer = lambda body: completion(body["messages"][0]["content"])
    server.script(status(500), status(429), reset(), raw(b"?"))
    asked = [f"report{n}" for n in range(20)]
    assert texts(asker(concurrency=concurrency), *map(request, asked)) == asked


def test_the_temperature_is_0_and_the_seed_is_sent(server, asker):
    texts(
        asker(), Request("some/model", [{"role": "user", "content": "Passage: report1 é"}], 4, seed=77, top_logprobs=5)
    )
    assert server.requests == [
        {
            "model": "some/model",
            "messages": [{"role": "user", "content": "Passage: report1 é"}],
            "temperature": 0,
            "seed": 77,
            "max_tokens": 4,
            "logprobs": True,
            "top_logprobs": 5,
        }
    ]


def test_the_rate_limit_spreads_requests(asker, clock):
    texts(asker(rpm=60, concurrency=1), *[request(f"Passage: report{n}") for n in range(5)])
    assert clock.now() == pytest.approx(4)


def test_a_budget_of_requests_stops_and_a_bigger_one_continues(server, asker):
    asked = [request(f"Passage: report{n}") for n in range(10)]
    with pytest.raises(Halted, match="the budget of 4 requests is spent") as halted:
        texts(asker(requests=4), *asked)
    assert halted.value.kind is MissingScores
    assert len(server.requests) == 4
    with pytest.raises(Halted, match="the budget of 4 requests is spent"):
        texts(asker(requests=4), *asked)
    assert len(server.requests) == 4
    texts(asker(requests=10), *asked)
    assert len(server.requests) == 10
    # And all of it once more, for nothing.
    texts(asker(requests=1), *asked)
    assert len(server.requests) == 10


def test_a_budget_in_money_is_never_overdrawn(server, asker):
    asked = [request(f"Passage: report{n}") for n in range(50)]
    priced = {"price_in": 10.0, "price_out": 100.0}
    each = (USAGE["prompt_tokens"] * 10 + USAGE["completion_tokens"] * 100) / 1e6
    asking = asker(money=20 * each, **priced)
    with pytest.raises(Halted, match="in money is spent"):
        texts(asking, *asked)
    most = sum(t * p for t, p in zip(asked[0].most_tokens, (10, 100), strict=True)) / 1e6
    assert 20 * each - most < asking.budget.money <= 20 * each
    assert asking.budget.money == pytest.approx(asking.budget.requests * each)


def test_without_a_usage_the_most_it_may_cost_is_counted(server, asker):
    server.answer = lambda _: completion("Yes", usage=None)
    asking = asker()
    texts(asking, request())
    assert asking.budget.tokens == request().most_tokens


def test_a_transcript_says_what_was_asked_and_answered(server, asker, tmp_path):
    texts(asker(), request("Passage: report7"))
    (line,) = lines(tmp_path)
    assert line["request"] == request("Passage: report7").key
    assert line["prompt"] == [{"role": "user", "content": "Passage: report7"}]
    assert (line["answer"], line["usage"], line["problem"], line["model"]) == ("No", [100, 2], None, "m")
    assert line["seconds"] >= 0
    assert line["at"]


def test_a_full_disk_is_told_and_stops_the_asking(server, asker, tmp_path, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rankstill.teachers.llm.transcript.os.fsync", full)
    with pytest.raises(OutputError, match=r"no space left to write .*t\.jsonl"):
        texts(asker(concurrency=2), *[request(f"Passage: report{n}") for n in range(20)])
    assert len(server.requests) <= 3
    assert (tmp_path / "t.jsonl").read_bytes() == b""


def test_each_finished_item_is_told_once_also_after_a_halt(server, asker):
    told, items = [], [f"Passage: report{n}" for n in range(6)]
    asker(concurrency=3).run(lambda item, ask: ask(request(item)), items, told.append)
    assert sorted(told) == items
    told.clear()
    server.script(good(words("a")), good(words("b")), status(401))
    with pytest.raises(Halted):
        asker(concurrency=1, seed=2).run(lambda item, ask: ask(request(f"{item} x")), items, told.append)
    assert told == items[:2]


def test_what_was_in_flight_at_a_halt_is_told_too(server, asker):
    def refuse(handler, body):
        time.sleep(0.1)
        status(401)(handler, body)

    told, server.delay = [], 0.3
    server.script(refuse)
    with pytest.raises(Halted):
        asker(concurrency=2).run(lambda n, ask: ask(request(f"Passage: report{n}")), [1, 2, 3], told.append)
    assert len(server.requests) == 2
    assert len(told) == 1


def test_who_is_interrupted_does_not_try_again(server, asker, clock, monkeypatch):
    """As by Ctrl-C, while another request is between its many tries."""
    monkeypatch.setattr(clock, "sleep", lambda seconds, stop: stop.wait(0.05))

    def interrupt(item):
        raise KeyboardInterrupt

    server.script(good(words("Yes")), *[status(503)] * 200)
    with pytest.raises(KeyboardInterrupt):
        asker(concurrency=2, retries=100).run(lambda n, ask: ask(request(f"Passage: {n}")), [1, 2], interrupt)
    assert len(server.requests) < 50


def test_a_fault_of_the_work_itself_is_not_hidden(asker):
    def work(item, ask):
        ask(request())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asker().run(work, [1, 2, 3], lambda _: None)


def test_no_thread_is_left_behind(server, asker):
    before = threading.active_count()
    server.script(status(401))
    with pytest.raises(Halted):
        texts(asker(), *[request(f"Passage: report{n}") for n in range(8)])
    assert [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")] == []
    assert threading.active_count() <= before + 8
