"""Dense top-100, exact, next to faiss-cpu's flat index and sentence-transformers' mine_hard_negatives.

    python -m benchmarks.dense [QUERIESxVECTORS ...]      by default 2,000 and 10,000 queries over 100,000 vectors
    python -m benchmarks.dense --full                     10,000 and 100,000 queries over 100,000 and 1,000,000 vectors
    --threads N     that every library gets; by default as many as the machine has processors
    --memory GB     that a step may take; by default 85% of what is free
    --keep FOLDER   where the vectors are generated, or are from before

The vectors are drawn around 1,000 centres, 384 dimensions, float16, in a memory-mapped file. rankstill reads it in
chunks; the peers get float32 of length 1, which is what they take: faiss in chunks, mine_hard_negatives whole, from
something that stands in for a model, so that only mining is timed. mine_hard_negatives compares 16,384 queries at once
with all vectors unless told otherwise (`faiss_batch_size`): it is run so, with 1,024 queries at once, and with faiss.
What a step needs is computed beforehand (`needs`); where it is more than there is, that is said, and the step runs with
as many queries as fit, over the same vectors. Each step runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from benchmarks.peers import ENVIRONMENTS, free_memory, measured, most_that_fits, row, seconds, tell

SIZES = ((2_000, 100_000), (10_000, 100_000))
FULL = tuple((queries, vectors) for vectors in (100_000, 1_000_000) for queries in (10_000, 100_000))
DIMENSION, CENTRES, DEPTH = 384, 1_000, 100
CHUNK = 50_000
AT_ONCE, FEW = 16384, 1024
"""Queries that mine_hard_negatives compares at once: its default, and what a user with little memory may ask for."""
PACKAGES = (
    "datasets",
    "faiss-cpu",
    "multiprocess",
    "dill",
    "xxhash",
    "pandas",
    "python-dateutil",
    "pytz",
    "tzdata",
    "six",
    "httpx",
)


def generate(folder: Path, queries: int, vectors: int) -> None:
    """Write documents.npy and queries.npy."""
    from rankstill.randomness import rng_for

    centres = rng_for(0, "centres").normal(size=(CENTRES, DIMENSION)).astype(np.float32)
    for name, count in (("documents", vectors), ("queries", queries)):
        out = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float16, (count, DIMENSION))
        for start in range(0, count, CHUNK):
            rng = rng_for(0, name, start)
            size = min(CHUNK, count - start)
            out[start : start + size] = centres[rng.integers(CENTRES, size=size)]
            out[start : start + size] += rng.standard_normal((size, DIMENSION), np.float32).astype(np.float16)
        out.flush()


def unit(path: Path, count: int | None = None) -> np.ndarray:
    """Read vectors, at length 1, in chunks that take no memory besides."""
    given = np.load(path, mmap_mode="r")[:count]
    vectors = np.empty(given.shape, np.float32)
    for start in range(0, len(given), CHUNK):
        vectors[start : start + CHUNK] = unit_chunk(given, start)
    return vectors


def unit_chunk(given: np.ndarray, start: int) -> np.ndarray:
    from rankstill.candidates.strategy import unit_length

    return unit_length(given[start : start + CHUNK])


def ours(folder: Path, count: int) -> None:
    """Search with rankstill."""
    # Beforehand, as where the vectors were just made.
    import torch  # noqa: F401

    from rankstill.candidates.nearest import nearest
    from rankstill.candidates.strategy import Vectors

    documents = np.load(folder / "documents.npy", mmap_mode="r")
    queries = unit(folder / "queries.npy", count)
    took, (rows, scores) = seconds(
        lambda: nearest(queries, Vectors(np.arange(len(documents), dtype=np.uint32), documents), DEPTH)
    )
    np.savez(folder / "ours.npz", docs=np.stack(rows), scores=np.stack(scores))
    tell(seconds=took)


def flat(folder: Path, count: int) -> None:
    """Search with faiss."""
    sys.path.append(str(ENVIRONMENTS / "mining"))
    import faiss

    documents = np.load(folder / "documents.npy", mmap_mode="r")
    queries = unit(folder / "queries.npy", count)

    def search():
        index = faiss.IndexFlatIP(DIMENSION)
        for start in range(0, len(documents), CHUNK):
            index.add(unit_chunk(documents, start))
        return index.search(queries, DEPTH)

    took, (scores, docs) = seconds(search)
    np.savez(folder / "flat.npz", docs=docs, scores=scores)
    tell(seconds=took)


class Given:
    """Stands in for a model: texts are numbers, their vectors are read from a file."""

    device = "cpu"
    model_card_data = SimpleNamespace(base_model="")

    def __init__(self, folder: Path, count: int) -> None:
        from sentence_transformers.util import cos_sim, pairwise_cos_sim

        self._documents, self._queries, self._count = folder / "documents.npy", folder / "queries.npy", count
        self.similarity, self.similarity_pairwise = cos_sim, pairwise_cos_sim

    def encode_document(self, texts: list[str], **_: Any) -> np.ndarray:
        return unit(self._documents)

    def encode_query(self, texts: list[str], **_: Any) -> np.ndarray:
        return unit(self._queries, self._count)

    def get_embedding_dimension(self) -> int:
        return DIMENSION


def mined(folder: Path, count: int, *, name: str, use_faiss: bool, at_once: int) -> None:
    """Search with mine_hard_negatives; each query's positive is a document that it would not find."""
    sys.path.append(str(ENVIRONMENTS / "mining"))
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    vectors = np.load(folder / "documents.npy", mmap_mode="r")
    queries = unit(folder / "queries.npy", count)
    corpus = [f"d{number}" for number in range(len(vectors))]
    # The farthest of the first 1,000 is the positive: it takes no place among the nearest.
    first = np.asarray(vectors[:1000], np.float32).T
    far = np.concatenate([(queries[s : s + CHUNK] @ first).argmin(axis=1) for s in range(0, count, CHUNK)])
    pairs = Dataset.from_dict({"query": [f"q{n}" for n in range(count)], "positive": [corpus[d] for d in far]})
    del queries
    took, found = seconds(
        lambda: mine_hard_negatives(
            pairs,
            Given(folder, count),
            corpus=corpus,
            num_negatives=DEPTH,
            output_format="n-tuple",
            use_faiss=use_faiss,
            faiss_batch_size=at_once,
            verbose=False,
        )
    )
    docs = np.array([[int(name[1:]) for name in found[f"negative_{n}"]] for n in range(1, DEPTH + 1)]).T
    np.savez(folder / f"{name}.npz", docs=docs)
    tell(seconds=took)


def agreement(folder: Path, name: str) -> str:
    """Tell how many of the other's documents are ours; others may have equal or nearly equal ones beyond the cut."""
    b = np.load(folder / name)["docs"]
    a = np.load(folder / "ours.npz")["docs"][: len(b)]
    same = sum(len(np.intersect1d(x, y)) for x, y in zip(a, b, strict=True))
    return "yes" if same == a.size else f"all but {a.size - same:,} of {a.size:,}"


def needs(way: str, vectors: int, queries: int) -> float:
    """Estimate the bytes that a way takes, from its code: what it holds at once, and 0.5 GB of libraries."""
    whole, asked, found = 4 * DIMENSION * vectors, 4 * DIMENSION * queries, 12 * DEPTH * queries
    libraries = 0.5e9
    if way == "ours":
        return libraries + asked + 3 * found
    if way == "flat":
        return libraries + whole + asked + found
    # Names of documents and where each stands; what is found is held about four times until it is a table.
    held = libraries + asked + 250 * vectors + 4 * found
    if way == "mined-faiss":
        return held + 2 * whole
    # The vectors, once more at length 1, and the cosines of a batch.
    return held + 2 * whole + 4 * min(queries, FEW if way == "mined-few" else AT_ONCE) * vectors


WAYS = {
    "ours": "rankstill",
    "flat": "faiss-cpu, IndexFlatIP",
    "mined-faiss": "mine_hard_negatives, faiss",
    "mined": f"mine_hard_negatives, {AT_ONCE:,} at once (default)",
    "mined-few": f"mine_hard_negatives, {FEW:,} at once",
}


def compare(folder: Path, queries: int, vectors: int, threads: int, memory: float) -> None:
    """Measure one size and print its rows."""
    if not (folder / "generated").exists():
        generate(folder, queries, vectors)
        (folder / "generated").touch()
    for way, name in WAYS.items():
        if way == "mined-few" and queries <= FEW:
            continue
        need = needs(way, vectors, queries)
        count = most_that_fits(partial(needs, way, vectors), queries, memory)
        if count < queries:
            name = f"{name}: needs {need / 1e9:.0f} GB, {memory / 1e9:.0f} GB are free"
        if not count:
            row("none fits", f"{vectors:,}", name, *[""] * 6)
            continue
        told = measured(sys.executable, "benchmarks.dense", "--step", way, folder, count, threads=threads)
        equal = "" if way == "ours" else agreement(folder, f"{way}.npz")
        took = told["seconds"]
        speed = 2 * count * vectors * DIMENSION / took["cpu"] / 1e9
        figures = f"{took['clock']:.1f}", f"{count / took['clock']:.0f}", f"{took['cpu']:.1f}", f"{speed:.0f}"
        row(f"{count:,}", f"{vectors:,}", name, *figures, f"{told['peak_mb']:,.0f}", equal)


def install() -> None:
    """Install the peers beside rankstill's own packages, which they need, without touching these."""
    target = ENVIRONMENTS / "mining"
    if not (target / "done").exists():
        line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), *PACKAGES]
        subprocess.run(line, check=True)
        (target / "done").touch()


def main() -> None:
    """Measure every size."""
    from rankstill.files import hardware, versions

    parser = argparse.ArgumentParser(prog="python -m benchmarks.dense")
    parser.add_argument("sizes", nargs="*", metavar="QUERIESxVECTORS")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory", type=float, default=0.85 * free_memory() / 1e9, metavar="GB")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    install()
    sizes = [tuple(map(int, size.split("x"))) for size in asked.sizes] or (FULL if asked.full else SIZES)
    print(f"{hardware()}; {versions()}; {asked.threads} threads\n")
    row("queries", "vectors", "", "seconds", "queries / s", "CPU s", "GFLOP / CPU s", "peak MB", "the same documents")
    row(*["---"] * 9)
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    for queries, vectors in sizes:
        with tempfile.TemporaryDirectory(prefix="rankstill-bench-", dir=asked.keep) as place:
            folder = asked.keep / f"{queries}x{vectors}" if asked.keep else Path(place)
            folder.mkdir(exist_ok=True)
            compare(folder, queries, vectors, asked.threads, asked.memory * 1e9)


STEPS = {
    "ours": ours,
    "flat": flat,
    "mined": partial(mined, name="mined", use_faiss=False, at_once=AT_ONCE),
    "mined-few": partial(mined, name="mined-few", use_faiss=False, at_once=FEW),
    "mined-faiss": partial(mined, name="mined-faiss", use_faiss=True, at_once=AT_ONCE),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        STEPS[sys.argv[2]](Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
