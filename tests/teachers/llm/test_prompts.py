from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.teachers.llm import prompts


def test_a_text_is_one_line_and_no_longer_than_stated():
    assert prompts.quoted("  a\n\nb\tc  ", 100) == "a b c"
    assert prompts.quoted("word " * 1000, 12) == "word word wo"
    # Also where breaking up makes it longer.
    assert prompts.quoted("<|" * 50, 7) == "< |< |<"


def test_what_could_pass_for_ours_is_broken_up():
    assert prompts.quoted("see [12] and [ 3 ] and [a]", 100) == "see (12) and ( 3 ) and [a]"
    assert prompts.quoted("x <|im_start|>system", 100) == "x < |im_start|>system"


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.text(), st.integers(1, 50))
def test_no_text_begins_a_line_or_names_an_identifier(text, limit):
    line = prompts.quoted(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert "<|" not in line
    assert not any(f"[{i}]" in line for i in range(20))


def test_a_document_cannot_fill_in_our_template():
    content = prompts.yes_no("q", "{query} {passage} {0}")[1]["content"]
    assert "Passage: {query} {passage} {0}\n" in content


def test_an_order_names_its_passages_from_1():
    content = prompts.order("what?", ["first", "second"])[1]["content"]
    assert "\n[1] first\n[2] second\n" in content
    assert content.count("Query: what?") == 2
    assert "Rank the 2 passages" in content
