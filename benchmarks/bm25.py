"""BM25 top-200 next to plain bm25s on the same texts: queries per second, peak memory, and whether they agree.

    python -m benchmarks.bm25 [DOCUMENTSxQUERIES ...]     by default 10,000 and 100,000 documents
    python -m benchmarks.bm25 --full                      up to 1,000,000 documents and 100,000 queries

Documents have the lengths of MS MARCO's passages (log-normal, mean 56 words), their words follow the law of Zipf and
Mandelbrot as in `generated`, and the 33 most frequent ones are English stop words, which both leave out. A query is
words of one document, six on average. Each step runs in a process of its own, on one thread.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from benchmarks.peers import measured, python_with, row, seconds, tell

SIZES = ((10_000, 1_000), (100_000, 1_000), (100_000, 10_000))
FULL = tuple((documents, queries) for documents in (10_000, 100_000, 1_000_000) for queries in (1_000, 10_000, 100_000))
DEPTH = 200
MEAN, SPREAD, SHORTEST, LONGEST = 56, 0.42, 5, 250
CHUNK = 50_000


def generate(folder: Path, documents: int, queries: int) -> None:
    """Write documents.txt and queries.txt, a text on each line, and load them as a collection."""
    from benchmarks.generated import _cumulative, _words
    from bm25s.stopwords import STOPWORDS_EN

    from rankstill.collection.load import load
    from rankstill.collection.source import Source
    from rankstill.randomness import rng_for

    words = np.concatenate([np.array(STOPWORDS_EN, object), _words()])[: len(_words())]
    asked = np.sort(rng_for(0, "asked").integers(documents, size=queries))
    with (folder / "documents.txt").open("w") as texts, (folder / "queries.txt").open("w") as questions:
        for start in range(0, documents, CHUNK):
            rng = rng_for(0, "documents", start)
            count = min(CHUNK, documents - start)
            drawn = rng.lognormal(np.log(MEAN) - SPREAD**2 / 2, SPREAD, count)
            lengths = np.clip(drawn, SHORTEST, LONGEST).astype(np.int64)
            ends = np.cumsum(lengths)
            ranks = np.searchsorted(_cumulative(), rng.random(ends[-1]), side="right")
            for begin, end in zip(ends - lengths, ends, strict=True):
                texts.write(" ".join(words[ranks[begin:end]]) + "\n")
            for row_ in asked[(asked >= start) & (asked < start + count)] - start:
                own = ranks[ends[row_] - lengths[row_] : ends[row_]]
                questions.write(" ".join(words[rng.choice(own, 1 + rng.poisson(5))]) + "\n")

    def numbered(name: str):
        with (folder / name).open() as file:
            yield from ((str(number), line.rstrip("\n")) for number, line in enumerate(file))

    source = Source(
        "generated",
        lambda: numbered("documents.txt"),
        lambda: numbered("queries.txt"),
        lambda: iter(()),
        identity=f"{documents} {queries}",
    )
    load(source, folder / "collection")


def ours(folder: Path) -> None:
    """Index and rank with rankstill."""
    from rankstill.candidates.bm25 import Index
    from rankstill.collection.store import Collection

    collection = Collection(folder / "collection")
    indexing, index = seconds(lambda: Index(collection.documents))
    docs = np.full((len(collection.queries), DEPTH), -1, np.int64)
    scores = np.zeros(docs.shape, np.float32)

    def rank() -> None:
        for number, query in enumerate(collection.queries):
            found, values = index.top(query, DEPTH)
            docs[number, : len(found)], scores[number, : len(found)] = found, values

    ranking, _ = seconds(rank)
    np.savez(folder / "ours.npz", docs=docs, scores=scores)
    tell(indexing=indexing, ranking=ranking)


def theirs(folder: Path, backend: str) -> None:
    """Index and rank with bm25s."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    texts = (folder / "documents.txt").read_text().splitlines()
    queries = (folder / "queries.txt").read_text().splitlines()
    retriever = bm25s.BM25(k1=1.2, b=0.75, method="lucene", backend=backend)

    def index() -> None:
        tokens = bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)
        retriever.index(tokens, show_progress=False)

    def rank(asked: list[str]):
        tokens = bm25s.tokenize(asked, stopwords="en", stemmer=stemmer, show_progress=False, return_ids=False)
        return retriever.retrieve(tokens, k=DEPTH, show_progress=False, n_threads=0)

    indexing, _ = seconds(index)
    rank(queries[:2])  # numba compiles at the first call.
    ranking, found = seconds(lambda: rank(queries))
    np.savez(folder / f"bm25s-{backend}.npz", docs=found.documents, scores=found.scores)
    tell(indexing=indexing, ranking=ranking)


def agreement(folder: Path, name: str) -> str:
    """Compare the results: the scores at every rank, and the documents above the last score."""
    a, b = np.load(folder / "ours.npz"), np.load(folder / name)
    scores = np.where(b["scores"] > 0, b["scores"], 0)
    if not np.allclose(a["scores"], scores, rtol=1e-5, atol=1e-6):
        return "NO: scores differ"
    for ours, theirs, own, cut in zip(a["docs"], b["docs"], scores, scores[:, -1] * (1 + 1e-5), strict=True):
        if set(ours[own > cut]) != set(theirs[own > cut]):
            return "NO: documents differ"
    return "yes"


def compare(documents: int, queries: int) -> None:
    """Measure one size and print its rows."""
    with tempfile.TemporaryDirectory(prefix="rankstill-bench-") as place:
        folder = Path(place)
        generate(folder, documents, queries)
        numba = python_with("bm25", ["numpy", "numba", "bm25s", "PyStemmer"])
        ways = {
            "rankstill": (sys.executable, "ours"),
            "bm25s": (sys.executable, "numpy"),
            "bm25s, numba": (numba, "numba"),
        }
        for name, (python, way) in ways.items():
            told = measured(python, "benchmarks.bm25", "--step", way, place)
            equal = "" if way == "ours" else agreement(folder, f"bm25s-{way}.npz")
            index, rank = told["indexing"], told["ranking"]
            speeds = f"{queries / rank['clock']:,.0f}", f"{queries / rank['cpu']:,.0f}"
            peak = f"{told['peak_mb']:,.0f}"
            row(f"{documents:,}", f"{queries:,}", name, f"{index['cpu']:.1f}", *speeds, peak, equal)


def main() -> None:
    """Measure every size."""
    from rankstill.files import hardware, versions

    asked = [a for a in sys.argv[1:] if a != "--full"]
    sizes = [tuple(map(int, a.split("x"))) for a in asked] or (FULL if "--full" in sys.argv else SIZES)
    print(f"{hardware()}; {versions()}\n")
    row("documents", "queries", "", "index CPU s", "queries/s", "queries/CPU s", "peak MB", "the same results")
    row(*["---"] * 8)
    for documents, queries in sizes:
        compare(documents, queries)


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = "1"
    if sys.argv[1:2] == ["--step"]:
        step, place = sys.argv[2:]
        ours(Path(place)) if step == "ours" else theirs(Path(place), step)
    else:
        main()
