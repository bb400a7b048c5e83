"""A plain page: a verdict, pictures, tables, provenance, in one HTML file that opens offline, on a phone and on paper.

Without a script; its content security policy forbids one, and every request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankstill.files import whole_or_absent
from rankstill.studies.figures import Picture
from rankstill.studies.svg import DARK, LIGHT
from rankstill.studies.templating import environment, packaged


@dataclass(frozen=True, slots=True)
class Head:
    """A column's name, and what it means in a few words."""

    name: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as text, and its interval or a remark in small print."""

    text: str
    small: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of a row is its name."""

    title: str
    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Page:
    """What a page shows, from top to bottom.

    Attributes:
        title, subtitle: At the top.
        reached: Numbers that matter, with words.
        lead: What the verdict is called.
        verdict: Sentences or paragraphs.
        notes: What must be kept in mind.
        pictures, tables: In order; those that are None are left out.
        command: That makes the page.
        facts: Settings and versions, nested as you like.
    """

    title: str
    subtitle: str
    reached: Sequence[tuple[str, str]]
    lead: str
    verdict: Sequence[str]
    pictures: Sequence[Picture]
    tables: Sequence[Table]
    command: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_page(page: Page, out: Path) -> Path:
    """Write a page, whole or absent; the same page gives the same bytes.

    Args:
        page: What to show.
        out: The file; its folder is made if need be.

    Returns:
        `out`.
    """
    text = (
        environment()
        .get_template("page.html")
        .render(page=page, title=page.title, style=packaged("report.css"), light=LIGHT, dark=DARK)
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_or_absent(out) as file:
        file.write(text.encode("utf-8", errors="replace"))
    return out
