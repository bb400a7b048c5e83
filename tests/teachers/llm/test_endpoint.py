from __future__ import annotations

import datetime as dt
import time
from email.utils import format_datetime

import pytest

from rankstill.errors import SpecError
from rankstill.teachers.llm.endpoint import Endpoint, Failure, retry_after
from rankstill.teachers.llm.reference import LlmReference
from tests.nasty_server import completion, drip, good, hang, raw, reset, status

BODY = b'{"messages": [{"content": "Passage: report150"}]}'
SECRET = "sk-very-secret-1234"


@pytest.fixture
def post(server):
    def send(*steps, **options):
        server.script(*steps)
        endpoint = Endpoint(LlmReference(server.url, "m", **options))
        try:
            return endpoint.post(BODY)
        finally:
            endpoint.close()

    return send


def failure(post, *steps, **options):
    with pytest.raises(Failure) as found:
        post(*steps, **options)
    return found.value


def test_an_answer(post, server):
    assert post().text == "Yes"
    assert server.headers[0]["content-type"] == "application/json"


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 529])
def test_statuses_that_pass(post, code):
    found = failure(post, status(code))
    assert (found.again, found.charged, found.wait) == (True, False, None)
    assert found.reason == f"status {code}: no"


@pytest.mark.parametrize("code", [301, 400, 401, 403, 404, 422])
def test_statuses_that_stay(post, code):
    found = failure(post, status(code, {"Location": "http://127.0.0.1:1/"}))
    assert (found.again, found.charged) == (False, False)
    assert found.hint


def test_a_used_up_quota_does_not_pass(post):
    found = failure(post, status(429, body={"error": {"message": "pay", "code": "insufficient_quota"}}))
    assert not found.again
    assert "quota" in found.hint


def test_missing_log_probabilities_are_told_with_the_way_out(post):
    found = failure(post, status(400, body={"error": {"message": "top_logprobs must be at most 5"}}))
    assert "mode=graded" in found.hint


def test_retry_after_is_heard(post):
    assert failure(post, status(429, {"Retry-After": "7"})).wait == 7.0


def test_retry_after_in_all_forms():
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90)
    assert retry_after("120") == 120.0
    assert retry_after(format_datetime(later, usegmt=True)) == pytest.approx(90, abs=2)
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after("") is None
    assert retry_after("soon") is None
    assert retry_after("-5") is None


def test_a_reset_may_have_been_charged(post):
    found = failure(post, reset())
    assert (found.again, found.charged) == (True, True)


def test_silence_is_a_timeout(post):
    found = failure(post, hang(), timeout=0.2)
    assert (found.again, found.charged) == (True, True)
    assert "no whole answer within 0.2 s" in found.reason


def test_an_answer_that_drips_for_ever_is_a_timeout(post):
    assert "no whole answer within 0.3 s" in failure(post, drip(), timeout=0.3).reason


def test_the_wait_for_an_answer_counts_too(post):
    """Each half of the answer comes in time, both together do not."""

    def late(handler, body):
        time.sleep(0.6)
        drip()(handler, body)

    began = time.monotonic()
    assert "no whole answer within 0.8 s" in failure(post, late, timeout=0.8).reason
    assert time.monotonic() - began < 1.2


def test_an_answer_without_end_is_cut(post, monkeypatch):
    monkeypatch.setattr("rankstill.teachers.llm.endpoint._MOST_BYTES", 1 << 20)
    assert "longer than 1 MB" in failure(post, raw(b" " * (3 << 20))).reason


def test_broken_json(post):
    found = failure(post, raw(b'{"choices": [{"mess'))
    assert (found.again, found.charged, found.reason) == (True, True, "the answer is not JSON")


def test_json_without_choices(post):
    assert failure(post, raw(b'{"id": "x"}')).reason == "the answer has no choices"


def test_nobody_there():
    found = failure(Endpoint(LlmReference("http://127.0.0.1:1/v1", "m")).post, BODY)
    assert (found.again, found.charged) == (True, False)
    assert "cannot connect" in found.reason


def test_the_key_is_sent_and_comes_from_the_environment_alone(post, server, monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    post(key_env="MY_KEY")
    assert server.headers[-1]["authorization"] == f"Bearer {SECRET}"
    post()
    assert "authorization" not in server.headers[-1]


def test_a_key_that_the_server_repeats_is_taken_out(post, monkeypatch):
    monkeypatch.setenv("RANKSTILL_LLM_KEY", SECRET)
    found = failure(post, status(401, body={"error": {"message": f"wrong key {SECRET}"}}))
    assert "wrong key ***" in found.reason
    assert post(good(lambda _: completion(f"Yes {SECRET}"))).text == "Yes ***"


def test_a_key_that_is_missing_or_odd_is_refused_without_showing_it(server, monkeypatch):
    with pytest.raises(SpecError, match="MY_KEY holds no API key"):
        Endpoint(LlmReference(server.url, "m", key_env="MY_KEY"))
    monkeypatch.setenv("MY_KEY", "sécret key")
    with pytest.raises(SpecError, match="odd characters") as error:
        Endpoint(LlmReference(server.url, "m", key_env="MY_KEY"))
    assert "cret key" not in str(error.value)
