"""The terminal's view of an audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_WIDTH = 100
_EXAMPLES = 3
"""Examples of a filter that the terminal shows; the file has ten."""


def audit_table(summary: Mapping[str, Any]) -> Group:
    """Arrange what an audit found: a line for each check, one example each, and what the filters dropped.

    Args:
        summary: What `audit` returned.
    """
    parts: list[RenderableType] = [_checks(summary["checks"])]
    found = [check for check in summary["checks"] if check["found"]]
    for check in found:
        parts.append(Text(f"{check['check']}, {check['where']}: {check['found']:,} {check['says']}", style="bold"))
        parts.extend(_lines(check["examples"][0]) if check["examples"] else [])
    if not found:
        parts.append(Text("Nothing was found.", style="bold"))
    for entry in summary["filters"]:
        parts.extend(_filter(entry))
    return Group(*parts)


def _checks(checks: list[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for head in ("check", "where"):
        table.add_column(head)
    for head in ("found", "of", "share"):
        table.add_column(head, justify="right", no_wrap=True)
    for check in checks:
        share = check["found"] / check["of"] if check["of"] else 0.0
        table.add_row(
            *(Text(str(check[name])) for name in ("check", "where")),
            *(f"{check[name]:,}" for name in ("found", "of")),
            f"{share:.2%}",
            style="" if check["found"] else "dim",
        )
    return table


def _filter(entry: Mapping[str, Any]) -> Iterator[Text]:
    share = entry["dropped"] / entry["of"] if entry["of"] else 0.0
    did = "relabelled" if entry.get("action") == "relabel" else "dropped"
    head = (
        f"filter {entry['filter']} of {entry['strategy']}: {did} {entry['dropped']:,} of {entry['of']:,} ({share:.1%})"
    )
    yield Text(head, style="bold")
    for example in entry["examples"][:_EXAMPLES]:
        yield from _lines(example)
        scores = f"  the teacher gives it {example['score']:g}, the positive {example['positive_score']:g}"
        yield Text(scores + (f"; the judge {example['judge_score']:g}" if "judge_score" in example else ""))


def _lines(example: Mapping[str, Any]) -> Iterator[Text]:
    """Write an example: a line for each text, cut to the terminal's width."""
    if "ids" in example:
        example = {"same text": {"id": ", ".join(example["ids"]), "text": example["text"]}}
    elif "text" in example:
        example = {"text": example}
    for name, value in example.items():
        if isinstance(value, Mapping):
            line = " ".join(f"  {name:<9} {value['id']}: {value['text']}".split("\n"))
            yield Text(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…")
