"""A generated collection of any size, for measuring seconds and memory: `python benchmarks/generated.py FOLDER`.

Words follow the law of Zipf and Mandelbrot, p(rank) ~ 1 / (rank + 2.7), over 100,000 invented words, so that posting
lists have the lengths that real text gives them; documents have 30 words on average (Poisson, at least 5). A query is
the rarest 4 words of one document, its only positive: BM25 finds most of them, so effectiveness can be checked too.
Half of the queries are judged in the split train, half in test.

The same arguments give the same bytes. Documents are written 50,000 at a time; memory does not grow with their number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from rankstill.progress import track
from rankstill.randomness import rng_for

VOCABULARY = 100_000
MEAN_LENGTH = 30
SHORTEST = 5
QUERY_WORDS = 4
CHUNK = 50_000


def write_collection(folder: Path, documents: int, queries: int, seed: int = 0) -> Path:
    """Write a BEIR folder: corpus.jsonl, queries.jsonl, qrels/train.tsv, qrels/test.tsv.

    Args:
        folder: The folder; made if it is not there.
        documents: How many documents; ids d0, d1, ...
        queries: How many queries, at most as many as documents; ids q0, q1, ...
        seed: Another seed, another collection.

    Returns:
        `folder`.
    """
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    asked = np.sort(rng_for(seed, "queries").choice(documents, queries, replace=False))
    split_of = rng_for(seed, "splits").permutation(queries) % 2
    query = 0
    with (
        (folder / "corpus.jsonl").open("w", encoding="utf-8") as corpus,
        (folder / "queries.jsonl").open("w", encoding="utf-8") as questions,
        (folder / "qrels" / "train.tsv").open("w", encoding="utf-8") as train,
        (folder / "qrels" / "test.tsv").open("w", encoding="utf-8") as test,
    ):
        for file in (train, test):
            file.write("query-id\tcorpus-id\tscore\n")
        for start in track(range(0, documents, CHUNK), "generate", unit="chunks"):
            ranks, ends = _draw(min(CHUNK, documents - start), seed, start)
            corpus.writelines(_lines(_words()[ranks], ends, start))
            while query < queries and asked[query] < start + len(ends):
                row = int(asked[query]) - start
                rarest = np.unique(ranks[ends[row - 1] if row else 0 : ends[row]])[-QUERY_WORDS:]
                questions.write(json.dumps({"_id": f"q{query}", "text": " ".join(_words()[rarest])}) + "\n")
                (train, test)[split_of[query]].write(f"q{query}\td{asked[query]}\t1\n")
                query += 1
    return folder


@cache
def _words() -> NDArray[np.object_]:
    """Invent a word for every rank: three syllables, no two words alike."""
    syllables = np.array([c + v for c in "bdfghjklmnprstvwxyz" for v in "aeiou"], object)
    size = len(syllables)
    ranks = np.arange(VOCABULARY)
    low, middle, high = ranks % size, ranks // size % size, ranks // size**2
    return syllables[low] + syllables[middle] + syllables[high]


@cache
def _cumulative() -> NDArray[np.float64]:
    weights = 1.0 / (np.arange(VOCABULARY) + 2.7)
    total = np.cumsum(weights)
    return total / total[-1]


def _draw(count: int, seed: int, start: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the word ranks of `count` documents, end to end, and where each document ends."""
    rng = rng_for(seed, "documents", start)
    lengths = np.maximum(rng.poisson(MEAN_LENGTH, count), SHORTEST)
    ranks = np.searchsorted(_cumulative(), rng.random(lengths.sum()), side="right")
    return ranks, np.cumsum(lengths)


def _lines(words: NDArray[np.object_], ends: NDArray[np.int64], start: int) -> Iterator[str]:
    begin = 0
    for number, end in enumerate(ends.tolist(), start):
        yield f'{{"_id": "d{number}", "title": "", "text": "{" ".join(words[begin:end])}"}}\n'
        begin = end


if __name__ == "__main__":
    typer.run(write_collection)
