"""Small collections as files, as people keep them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.tiny_collections import WORDS


def beir_folder(folder: Path, documents: int, **splits: range) -> Path:
    """Write a BEIR folder of word salads; query i, in the split whose range has i, is the start of its document i."""
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, 12)) + f" report{i}" for i in range(documents)]
    queries = {i: " ".join(texts[i].split()[:4]) for rows in splits.values() for i in rows}
    folder.mkdir(parents=True)
    write_lines(folder / "corpus.jsonl", ({"_id": f"d{i}", "text": text} for i, text in enumerate(texts)))
    write_lines(folder / "queries.jsonl", ({"_id": f"q{i}", "text": text} for i, text in queries.items()))
    for split, rows in splits.items():
        write_qrels(folder / "qrels" / f"{split}.tsv", {f"q{i}": f"d{i}" for i in rows})
    return folder


def write_lines(path: Path, items) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(item) + "\n" for item in items))


def write_qrels(path: Path, positives: dict[str, str]) -> None:
    """Write one positive of grade 1 for each query, as BEIR does."""
    path.parent.mkdir(exist_ok=True)
    lines = ["query-id\tcorpus-id\tscore", *(f"{query}\t{doc}\t1" for query, doc in positives.items())]
    path.write_text("\n".join(lines) + "\n")
