"""What docstrings, messages and tables cite of docs/theory.md stands there, each label once."""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from theory.laboratory import statements

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "theory.md").read_text()
LABELS = Counter(re.findall(r"\*\*\[(\d\.\d[a-z]?)\]", PAGE))
SECTIONS = set(re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE))
SOURCES = sorted((ROOT / "src" / "rankstill").rglob("*.py"))

LABEL = r"[1-9]\.\d[a-z]?(?: [AB])?"
IN_BRACKETS = re.compile(rf"\[({LABEL}(?:, {LABEL})*)\]")
IN_WORDS = re.compile(
    r"theory(?:\.md)?,? (?:sections? )?((?:[1-9]\.\d[a-z]?|[1-9])(?:(?:,| and|, and) (?:[1-9]\.\d[a-z]?|[1-9]))*)",
    re.IGNORECASE,
)


def cited(code: str) -> set[str]:
    """Labels and sections that strings and comments of some code cite; not the numbers of its own lists."""
    found: set[str] = set()
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if tokenize.tok_name[token.type] in ("STRING", "COMMENT", "FSTRING_MIDDLE"):
            for several in IN_BRACKETS.findall(token.string) + IN_WORDS.findall(token.string):
                found |= set(re.findall(r"\d\.\d[a-z]?|\d", several))
    return found


def exists(label: str) -> bool:
    """Whether a label or section stands on the page; [2.1b] is the part (b) of what stands under [2.1]."""
    if label in LABELS or label in SECTIONS:
        return True
    paragraph = re.search(rf"\*\*\[{re.escape(label[:-1])}\].*?\n\n", PAGE, re.DOTALL)
    return paragraph is not None and f"({label[-1]})" in paragraph[0]


def unknown(labels: set[str]) -> set[str]:
    return {label for label in labels if not exists(label)}


def all_citations() -> Iterator[tuple[Path, set[str]]]:
    for path in SOURCES:
        if labels := cited(path.read_text()):
            yield path, labels


def test_every_label_that_is_cited_exists():
    missing = {str(path.relative_to(ROOT)): sorted(unknown(labels)) for path, labels in all_citations()}
    assert {path: labels for path, labels in missing.items() if labels} == {}


def test_labels_are_cited_at_all():
    """So that a change of notation does not empty the test above."""
    labels = set().union(*(found for _, found in all_citations()))
    assert {"1.1", "3.2e", "4.6", "5.1", "7.2", "8.1", "9", "6"} <= labels
    assert len(labels) > 35


def test_a_label_is_defined_once():
    assert {label: times for label, times in LABELS.items() if times > 1} == {}


def test_the_page_refers_to_labels_that_exist():
    text = re.sub(r"\*\*\[.*?\]\*\*", "", PAGE)
    labels = {label for several in IN_BRACKETS.findall(text) for label in re.findall(r"\d\.\d[a-z]?", several)}
    assert unknown(labels) == set()


def test_the_laboratorys_statements_stand_on_the_page():
    numbered = {s.label.split()[0] for s in statements() if re.match(r"\d\.\d", s.label)}
    assert unknown(numbered) == set()


@pytest.mark.parametrize(
    ("code", "labels"),
    [
        ('"""By [3.2e] and [4.6 A]; [3.1, 3.2k]."""', {"3.2e", "4.6", "3.1", "3.2k"}),
        ("# theory 8.5, 8.8\nx = [1.0]", {"8.5", "8.8"}),
        ('"Source: docs/theory.md, sections 1 and 6."', {"1", "6"}),
        ('"(theory section 9)"', {"9"}),
        ('f"theory [9.9] {x}"', {"9.9"}),
        ("x = [0.0]  # from [0, 1]", set()),
    ],
)
def test_what_counts_as_cited(code: str, labels: set[str]):
    assert cited(code) == labels
