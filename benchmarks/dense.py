"""Dense top-100, exact, next to faiss-cpu's flat index and sentence-transformers' mine_hard_negatives.

    python -m benchmarks.dense [QUERIESxVECTORS ...]      by default 2,000 and 10,000 queries over 100,000 vectors
    python -m benchmarks.dense --full                     10,000 and 100,000 queries over 100,000 and 1,000,000 vectors

The vectors are drawn around 1,000 centres, 384 dimensions, float16, in a memory-mapped file. rankstill reads it in
chunks; the peers get it whole, as float32 of length 1, which is what they take. mine_hard_negatives compares whole
rows, so its memory grows with the queries of a batch times the vectors; it runs with its own defaults up to 2,000
queries over 100,000 vectors (13 GB of cosines otherwise) and with faiss. Each step runs in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from benchmarks.peers import ENVIRONMENTS, measured, row, seconds, tell

SIZES = ((2_000, 100_000), (10_000, 100_000))
FULL = tuple((queries, vectors) for vectors in (100_000, 1_000_000) for queries in (10_000, 100_000))
DIMENSION, CENTRES, DEPTH = 384, 1_000, 100
CHUNK = 50_000
MINED = 200_000_000
"""Most cosines that mine_hard_negatives is let hold at once without faiss."""
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


def unit(path: Path) -> np.ndarray:
    """Read vectors whole, at length 1."""
    from rankstill.candidates.strategy import unit_length

    return unit_length(np.load(path))


def ours(folder: Path) -> None:
    """Search with rankstill."""
    # Beforehand, as where the vectors were just made.
    import torch  # noqa: F401

    from rankstill.candidates.nearest import nearest
    from rankstill.candidates.strategy import Vectors

    documents = np.load(folder / "documents.npy", mmap_mode="r")
    queries = unit(folder / "queries.npy")
    took, (rows, scores) = seconds(
        lambda: nearest(queries, Vectors(np.arange(len(documents), dtype=np.uint32), documents), DEPTH)
    )
    np.savez(folder / "ours.npz", docs=np.stack(rows), scores=np.stack(scores))
    tell(seconds=took)


def flat(folder: Path) -> None:
    """Search with faiss."""
    sys.path.append(str(ENVIRONMENTS / "mining"))
    import faiss

    def search():
        index = faiss.IndexFlatIP(DIMENSION)
        index.add(unit(folder / "documents.npy"))
        return index.search(unit(folder / "queries.npy"), DEPTH)

    took, (scores, docs) = seconds(search)
    np.savez(folder / "flat.npz", docs=docs, scores=scores)
    tell(seconds=took)


class Given:
    """Stands in for a model: texts are numbers, their vectors are read from a file."""

    device = "cpu"
    model_card_data = SimpleNamespace(base_model="")

    def __init__(self, folder: Path) -> None:
        from sentence_transformers.util import cos_sim, pairwise_cos_sim

        self._documents, self._queries = folder / "documents.npy", folder / "queries.npy"
        self.similarity, self.similarity_pairwise = cos_sim, pairwise_cos_sim

    def encode_document(self, texts: list[str], **_: Any) -> np.ndarray:
        return unit(self._documents)

    def encode_query(self, texts: list[str], **_: Any) -> np.ndarray:
        return unit(self._queries)

    def get_embedding_dimension(self) -> int:
        return DIMENSION


def mined(folder: Path, *, use_faiss: bool) -> None:
    """Search with mine_hard_negatives; each query's positive is a document that it would not find."""
    sys.path.append(str(ENVIRONMENTS / "mining"))
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    vectors = np.load(folder / "documents.npy", mmap_mode="r")
    queries = np.load(folder / "queries.npy", mmap_mode="r")
    corpus = [f"d{number}" for number in range(len(vectors))]
    # The farthest of the first 1,000 is the positive: it takes no place among the nearest.
    near = unit(folder / "queries.npy") @ np.asarray(vectors[:1000], np.float32).T
    pairs = Dataset.from_dict(
        {"query": [f"q{n}" for n in range(len(queries))], "positive": [corpus[d] for d in near.argmin(axis=1)]}
    )
    del near
    took, found = seconds(
        lambda: mine_hard_negatives(
            pairs,
            Given(folder),
            corpus=corpus,
            num_negatives=DEPTH,
            output_format="n-tuple",
            use_faiss=use_faiss,
            verbose=False,
        )
    )
    docs = np.array([[int(name[1:]) for name in found[f"negative_{n}"]] for n in range(1, DEPTH + 1)]).T
    np.savez(folder / ("mined-faiss.npz" if use_faiss else "mined.npz"), docs=docs)
    tell(seconds=took)


def agreement(folder: Path, name: str) -> str:
    """Tell how many of the other's documents are ours; others may have equal or nearly equal ones beyond the cut."""
    a, b = np.load(folder / "ours.npz")["docs"], np.load(folder / name)["docs"]
    same = sum(len(np.intersect1d(x, y)) for x, y in zip(a, b, strict=True))
    return "yes" if same == a.size else f"all but {a.size - same:,} of {a.size:,}"


def compare(queries: int, vectors: int) -> None:
    """Measure one size and print its rows."""
    with tempfile.TemporaryDirectory(prefix="rankstill-bench-") as place:
        folder = Path(place)
        generate(folder, queries, vectors)
        ways = {"rankstill": "ours", "faiss-cpu, IndexFlatIP": "flat", "mine_hard_negatives, faiss": "mined-faiss"}
        if queries * vectors <= MINED:
            ways["mine_hard_negatives"] = "mined"
        for name, way in ways.items():
            told = measured(sys.executable, "benchmarks.dense", "--step", way, place)
            equal = "" if way == "ours" else agreement(folder, f"{way}.npz")
            took = told["seconds"]
            speed = 2 * queries * vectors * DIMENSION / took["cpu"] / 1e9
            figures = f"{took['clock']:.1f}", f"{took['cpu']:.1f}", f"{speed:.0f}", f"{told['peak_mb']:,.0f}"
            row(f"{queries:,}", f"{vectors:,}", name, *figures, equal)


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

    install()
    asked = [a for a in sys.argv[1:] if a != "--full"]
    sizes = [tuple(map(int, a.split("x"))) for a in asked] or (FULL if "--full" in sys.argv else SIZES)
    print(f"{hardware()}; {versions()}\n")
    row("queries", "vectors", "", "seconds", "CPU s", "GFLOP / CPU s", "peak MB", "the same documents")
    row(*["---"] * 8)
    for queries, vectors in sizes:
        compare(queries, vectors)


STEPS = {
    "ours": ours,
    "flat": flat,
    "mined": lambda folder: mined(folder, use_faiss=False),
    "mined-faiss": lambda folder: mined(folder, use_faiss=True),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        STEPS[sys.argv[2]](Path(sys.argv[3]))
    else:
        main()
