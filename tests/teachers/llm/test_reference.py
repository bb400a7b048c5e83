from __future__ import annotations

import pytest

from rankstill.errors import SpecError
from rankstill.teachers.llm.reference import LlmReference


def test_what_is_not_stated_has_a_default():
    read = LlmReference.parse(
        "llm:https://host.example/v1/#model=org/name-7b,mode=listwise,window=8,stride=4,money=2.5,price_in=1"
    )
    assert (read.url, read.model, read.mode) == ("https://host.example/v1", "org/name-7b", "listwise")
    assert (read.window, read.stride, read.money, read.transform, read.first) == (8, 4, 2.5, "log-rank", "bm25")


def test_a_window_moves_by_half_of_itself_unless_stated():
    assert LlmReference.parse("llm:http://h/v1#model=m,window=9").stride == 4
    assert LlmReference("http://h/v1", "m", window=9) == LlmReference("http://h/v1", "m", window=9, stride=4)


def test_the_first_order_may_be_another_teacher_with_options_of_its_own():
    read = LlmReference.parse("llm:http://h/v1#model=m,mode=listwise,first=run:a.trec#transform=linear")
    assert read.first == "run:a.trec#transform=linear"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("llm:http://h/v1", "names no model"),
        ("llm:http://h/v1#model=", "model of an LLM teacher has no value"),
        ("llm:http://h/v1#model=m,model=n", "comes twice"),
        ("llm:http://h/v1#model=m,modus=listwise", "unknown key of an LLM teacher: 'modus'"),
        ("llm:http://h/v1#model=m,mode=pairwise", "unknown mode of an LLM teacher: 'pairwise'"),
        ("llm:http://h/v1#model=m,window=1", "window of an LLM teacher must be from 2 to 200: got 1"),
        ("llm:http://h/v1#model=m,window=ten", "window of an LLM teacher must be a whole number: got 'ten'"),
        ("llm:http://h/v1#model=m,timeout=nan", "timeout of an LLM teacher must be at least 0.01: got nan"),
        ("llm:http://h/v1#model=m,rpm=-1", "rpm of an LLM teacher must be at least 0"),
        ("llm:http://h/v1#model=m,window=5,stride=5", "stride=5 must be smaller than window=5"),
        ("llm:http://h/v1#model=m,money=1", "needs prices"),
        ("llm:http://h/v1#model=m,mode=listwise,first=llm:http://h/v1", "cannot come from an LLM"),
        ("llm:ftp://h/v1#model=m", "is not http:// or https:// and a host"),
        ("llm:h/v1#model=m", "is not http:// or https:// and a host"),
        ("llm:http://h:99999/v1#model=m", "is not http:// or https:// and a host"),
    ],
)
def test_a_broken_reference_is_refused(text, message):
    with pytest.raises(SpecError) as error:
        LlmReference.parse(text)
    assert message in str(error.value)


@pytest.mark.parametrize("url", ["http://me:hunter2secret@h/v1", "http://h/v1?api-key=hunter2secret"])
def test_a_url_with_a_secret_is_refused_without_repeating_it(url):
    with pytest.raises(SpecError, match="user name, a password or a query string") as error:
        LlmReference.parse(f"llm:{url}#model=m")
    assert "hunter2" not in str(error.value)
