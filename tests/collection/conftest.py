from __future__ import annotations

import json
from pathlib import Path

import pytest


def write_lines(path: Path, *items: object) -> Path:
    """Write one JSON object, or one string as it is, a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [item if isinstance(item, str) else json.dumps(item) for item in items]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """A BEIR folder of three documents and two queries."""
    folder = tmp_path / "tiny"
    write_lines(
        folder / "corpus.jsonl",
        {"_id": "d1", "title": "Flea", "text": "A flea lives a year."},
        {"_id": "d2", "title": "", "text": "Cats have fleas."},
        {"_id": "d3", "text": "Hydrogen boils at 20 K."},
    )
    write_lines(
        folder / "queries.jsonl",
        {"_id": "q1", "text": "how long does a flea live"},
        {"_id": "q2", "text": "when does hydrogen boil"},
    )
    write_lines(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q2\td3\t2", "q1\td2\t0", "q1\td1\t1")
    return folder


def listed(query: str, text: str, *candidates: tuple[str, str, float | None]) -> dict[str, object]:
    """Make one line of candidate lists."""
    return {
        "_id": query,
        "text": text,
        "candidates": [{"_id": d, "text": t, "score": s} for d, t, s in candidates],
    }
