from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rankstill.errors import DataError
from rankstill.studies import report, rows
from rankstill.studies.report import render, write_report
from tests.studies.example_summary import example, minimal

VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """Collects what the tests ask for, and insists that every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert not self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.stack and "style" not in self.stack:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return render(example())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_sections_stand_in_order(html: str) -> None:
    marks = ["<h1", 'id="verdict"', 'id="results"', 'id="pictures"', 'id="strategies"', 'id="examples"', 'id="cost"']
    marks += ['id="provenance"', 'id="numbers"', 'id="words"']
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)


def test_every_contents_link_and_label_leads_somewhere(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"] for a in page.all("a")} <= {f"#{i}" for i in ids}
    assert {a["for"] for a in page.all("label")} <= set(ids)


def test_every_sentence_of_the_verdict_and_every_note_is_there(page: Page) -> None:
    for sentence in example()["verdict"] + example()["notes"]:
        assert sentence in page.text


def test_every_number_is_there(page: Page) -> None:
    for r in example()["results"]:
        for text in (rows.number(r["mean"]), rows.interval(r["low"], r["high"]), rows.number(r["mean"], 4)):
            assert text in page.text
        if r["difference"] is not None:
            assert rows.signed(r["difference"], 4) in page.text
            assert f"{rows.signed(r['difference_low'], 4)} to {rows.signed(r['difference_high'], 4)}" in page.text
    for strategy in example()["strategies"]:
        for field in ("diameter", "entropy", "listwise_entropy"):
            assert rows.number(strategy[field]["mean"], 2) in page.text
    for value in ("171,404", "148.2 (2 min 28 s)", "1,930 MB", "5d2c" * 16, "2.13.0", "0.05", example()["command"]):
        assert value in page.text


def test_marks_say_which_differences_exclude_0(html: str) -> None:
    table = html[html.index("RR@10: mean over queries") :]
    for name, mark in (("random-lce", "▼ −0.020"), ("bm25-lce", "≈ +0.015"), ("teacher-kl", "▲ +0.042")):
        row = table[table.index(f"></i>{name}<") :]
        assert mark in row[: row.index("</td>")]


def test_a_page_without_a_network(html: str, page: Page) -> None:
    assert "default-src 'none'" in str(page.all("meta")[1]["content"])
    for _, attributes in page.elements:
        for name, value in attributes.items():
            assert not re.search(r"https?:|//|javascript:", value or ""), (name, value)
            assert name not in ("src", "srcset", "action")
            assert not name.startswith("on")
            if name in ("href", "xlink:href"):
                assert (value or "").startswith("#") or value == "data:,"
    assert not re.search(r"@import|url\((?!#)|@font-face", html)
    for script in re.findall(r"<script>(.*?)</script>", html, re.S):
        assert not re.search(r"fetch|XMLHttp|import\(|http|eval", script)


def test_the_only_script_is_the_one_whose_hash_the_policy_allows(html: str) -> None:
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", html, re.S)
    assert len(scripts) == 1
    assert f"'sha256-{report._hash(scripts[0])}'" in html


def hostile(value: Any, text: str) -> Any:
    """Put a text into every string of a summary that a user or a file can choose."""
    kept = {"kind", "measure", "measures", "headline", "domain", "loss"}
    if isinstance(value, dict):
        return {k: v if k in kept else hostile(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(v, text) for v in value]
    return f"{value}{text}" if isinstance(value, str) else value


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onclick='x",
    "</style></svg>&amp;",
    "--><!-- {{ 7 }} {% raw %}",
)


def test_no_text_becomes_markup() -> None:
    text = "".join(HOSTILE)
    page, found = Page(render(example(1))), Page(render(hostile(example(1), text)))
    assert [tag for tag, _ in found.elements].count("script") == 1
    assert not found.all("img")
    assert {name for _, a in found.elements for name in a} == {name for _, a in page.elements for name in a}
    assert text in found.text
    assert len(found.elements) == pytest.approx(len(page.elements), rel=0.02)


def test_the_same_summary_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    first = write_report(example(), tmp_path / "a.html").read_bytes()
    code = (
        "import sys; from pathlib import Path; from tests.studies.example_summary import example;"
        "from rankstill.studies.report import write_report; write_report(example(), Path(sys.argv[1]))"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b.html")], check=True, cwd=root)
    assert (tmp_path / "b.html").read_bytes() == first


def test_the_summary_is_not_changed() -> None:
    summary = example(1)
    before = copy.deepcopy(summary)
    render(summary)
    assert summary == before


def test_the_least_summary_makes_a_whole_page() -> None:
    page = Page(render(minimal()))
    assert "0.250" in page.text
    for absent in ("Verdict", "Strategies", "Cost", "Provenance", "What the negatives look like", "▲ above"):
        assert absent not in page.text


@pytest.mark.parametrize("key", sorted(set(example()) - {"systems", "tests", "measures", "results"}))
def test_every_optional_part_may_be_missing(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report.figures, "effectiveness", lambda *_: None)  # drawn in every other test
    summary = example(1)
    del summary[key]
    Page(render(summary))


def test_every_optional_part_may_be_empty() -> None:
    full, least = example(1), minimal()
    Page(render({key: least.get(key, type(value)()) for key, value in full.items()}))


def test_optional_fields_may_be_missing_everywhere() -> None:
    summary = example(1)
    summary["strategies"] = [{"name": "random"}, {"name": "bm25", "diameter": {"mean": 1.0}}]
    summary["curves"] = [{"system": "random-kl", "steps": [1, 2], "loss": [2.0, 1.0]}]
    summary["examples"] = [{"query": "q", "strategy": "random", "documents": [{"text": "d"}]}]
    summary["tests"] = [{"name": "pydocs"}]
    summary["systems"] = [{"name": s["name"]} for s in summary["systems"]]
    assert "–" in Page(render(summary)).text


def test_a_negative_above_its_positive_is_pointed_out(page: Page) -> None:
    assert page.text.count("scored at or above the positive") == 1  # 0.74 against 0.71


def test_long_documents_are_cut(page: Page) -> None:
    longest = max((d["text"] for e in example()["examples"] for d in e["documents"]), key=len)
    assert longest[: report.TEXT_SHOWN].rstrip() + "…" in page.text
    assert longest not in page.text


def test_half_a_surrogate_pair_does_not_cost_the_report(tmp_path: Path) -> None:
    summary = example(1)
    summary["examples"][0]["documents"][0]["text"] = "broken \ud800 text"
    assert "broken ? text" in write_report(summary, tmp_path / "new" / "report.html").read_text("utf-8")


def test_a_refused_summary_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        write_report({"title": "nothing"}, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_tables_are_labelled_for_those_who_hear_them(page: Page) -> None:
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(a.get("scope") in ("col", "row") for a in page.all("th"))
    assert all(a.get("role") == "img" and a.get("aria-label") for a in page.all("svg") if "aria-hidden" not in a)
    assert len(page.all("figure")) == len(page.all("figcaption"))


def test_one_measure_is_chosen_at_a_time_without_a_script(html: str, page: Page) -> None:
    chosen = [a["id"] for a in page.all("input") if "checked" in a]
    assert chosen == ["measure-1", "test-all"]
    for i in range(5):
        assert f"body:has(#measure-{i}:checked) .m:not(.m{i}) {{ display: none }}" in html


@pytest.mark.slow
def test_a_browser_sorts_filters_and_reports_no_error(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium to open the report with")
    page = render(example())
    script = re.findall(r"<script>(.*?)</script>", page, re.S)[0]
    acted = script + (
        "\ndocument.querySelectorAll('.m1 th.t0 button')[0].click();"
        "const f = document.querySelector('.filter'); f.value = 'kl'; f.dispatchEvent(new Event('input'));"
        "document.title = [...document.querySelectorAll('.m1 tbody tr')].filter((r) => !r.hidden)"
        ".map((r) => r.cells[0].querySelector('.label').textContent).join('|');"
    )
    page = page.replace(script, acted).replace(report._hash(script), report._hash(acted))
    path = tmp_path / "report.html"
    path.write_text(page, "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    dump = [browser, *flags, "--enable-logging=stderr", "--dump-dom", path.as_uri()]
    done = subprocess.run(dump, capture_output=True, text=True, timeout=120, check=True)
    assert "<title>teacher-kl + BM25|bm25-kl + BM25|teacher-kl|bm25-kl|random-kl</title>" in done.stdout
    assert "CONSOLE" not in done.stderr
