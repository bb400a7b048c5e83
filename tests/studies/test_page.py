"""A plain page: whatever is put in comes out as text, and what is left out leaves no hole."""

from __future__ import annotations

from html.parser import HTMLParser

import jinja2
import pytest

from rankstill.studies.figures import Panel, Picture
from rankstill.studies.page import Cell, Head, Page, Table, write_page
from rankstill.studies.templating import environment, facts

HOSTILE = "</title></svg><script>alert('1')</script><img src=x onerror=\"a\">&amp;\x00\ud800\u202e"


class Tags(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [tag, *(name for name, _ in attrs)]


def hostile(text: str = HOSTILE) -> Page:
    table = Table(text, text, (Head(text, text), Head(text)), ((Cell(text, text), Cell(text, text)),))
    picture = Picture(text, text, (Panel(text, "<svg></svg>"),))
    return Page(text, text, [(text, text)], text, [text], [picture], [table], text, {text: {text: text}}, [text])


def test_hostile_text_stays_text(tmp_path):
    page = write_page(hostile(), tmp_path / "page.html").read_text("utf-8")
    tags = Tags(page).found
    assert "script" not in tags
    assert "onerror" not in tags
    assert "&lt;script&gt;" in page
    assert "&amp;amp;" in page, "text is escaped once, whatever it holds"
    assert sorted(set(tags)) == sorted(set(Tags(write_page(hostile("x"), tmp_path / "b").read_text("utf-8")).found))


def test_a_page_of_nothing_is_whole_and_asks_for_nothing(tmp_path):
    page = write_page(Page("t", "s", [], "lead", [], [], []), tmp_path / "deep" / "page.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert "<table" not in page.split("</style>")[1].split("<footer")[0] or "None" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "page.html"], "nothing is left beside it"


def test_a_missing_value_is_an_error_not_a_blank():
    with pytest.raises(jinja2.UndefinedError):
        environment().from_string("{{ nothing }}").render()


def test_facts_are_flat_and_readable():
    found = facts(
        {
            "a_b": {"c": [1, None, True], "d": []},
            "peak_mb": 1234.4,
            "seconds": 61.0,
            "run_seconds": 148.2,
            "big": 1234567,
            "share": 0.1234567,
            "none": None,
        }
    )
    assert dict(found) == {
        "a b, c": "1, none, yes",
        "a b, d": "none",
        "peak": "1,234 MB",
        "seconds": "61",
        "run seconds": "148.2 (2 min 28 s)",
        "big": "1,234,567",
        "share": "0.123457",
        "none": "none",
    }
    assert facts(None) == []
