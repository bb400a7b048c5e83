"""The target pool: samples of the lists that a student will rerank, for the very queries whose groups are diagnosed.

mu of the theory: for each query, one document drawn uniformly from its first list. The known positives and copies of
their texts are left out, as they are from every strategy's draw. Two samples without a document in common are taken, so
that the distance between them says how large a distance is when there is nothing to find.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.candidates.sample import CANDIDATES
from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import fingerprint, read_manifest, run_stage
from rankstill.randomness import rng_for
from rankstill.records import Candidates, Rows
from rankstill.runs.first_stage import FirstStageSpec, first_stage
from rankstill.runs.run_files import read_run


@dataclass(frozen=True)
class TargetSpec:
    """What determines the samples, besides the collection and the queries.

    Attributes:
        documents: How many documents each of the two samples has at most; fewer where the list is short.
        depth: How deep the list is reranked.
        split: The judged split whose positives are left out; "" where there are no judgements.
        seed: Of the draws. A query's draw depends on the seed and the query's id only.
    """

    documents: int
    depth: int
    split: str
    seed: int


@dataclass(frozen=True)
class Target:
    """The target pool's folders and origin.

    Attributes:
        lists: The first lists, a run.
        samples: The stage `target`: candidates, whose `source` says which of the two samples a document is in and
            whose `probability` is how likely one draw is to take it.
        origin: Where the lists come from, in words.
    """

    lists: Path
    samples: Path
    origin: str

    def read(self) -> Candidates:
        """Read both samples."""
        return Candidates.read(self.samples / CANDIDATES)


def make_target(out: Path, collection: Path, queries: Rows, spec: TargetSpec) -> Target:
    """Rank the queries' first lists and draw two samples from each.

    Args:
        out: The folder under which both stages are written.
        collection: The collection's folder.
        queries: Rows of the queries.
        spec: How.

    Raises:
        DataError: No list has two documents that are not positives.
    """
    lists = first_stage(collection, queries, out / "first-stage", FirstStageSpec(depth=spec.depth))

    def build(work: Path) -> Mapping[str, Any]:
        opened = Collection(collection)
        drawn = _draw(opened, lists, queries, spec)
        drawn.write(work / CANDIDATES)
        return {"queries": len(np.unique(drawn.query)), "documents": len(drawn)}

    inputs: dict[str, Path | str] = {
        "collection": collection,
        "lists": lists,
        "queries": fingerprint(queries.tolist()),
    }
    samples = run_stage(out / "samples", stage="target", spec=spec, inputs=inputs, build=build)
    return Target(lists, samples, read_manifest(lists)["counts"]["origin"])


def positives_and_copies(collection: Collection, split: str, queries: Rows) -> dict[int, NDArray[np.int64]]:
    """List what no strategy draws for a judged query: its positives, and documents with a positive's text."""
    known = collection.qrels(split).positives(collection.relevant_from) if split else {}
    return {query: collection.documents.copies(known[query]) for query in map(int, queries) if query in known}


def pools(lists: Path, without: Mapping[int, NDArray[np.int64]]) -> dict[int, Rows]:
    """List each query's target pool, rising: the documents of its list but for those left out; none that is empty."""
    run, none = read_run(lists), np.empty(0, np.int64)
    found = {query: np.setdiff1d(run.doc[span], without.get(query, none)) for query, span in run.per_query().items()}
    return {query: docs.astype(np.uint32) for query, docs in found.items() if len(docs)}


def _draw(collection: Collection, lists: Path, queries: Rows, spec: TargetSpec) -> Candidates:
    pool = pools(lists, positives_and_copies(collection, spec.split, queries))
    found, empty = [], np.empty(0, np.uint32)
    for query, name in zip(map(int, queries), collection.queries.ids(queries), strict=True):
        docs = pool.get(query, empty)
        each = min(spec.documents, len(docs) // 2)
        if each:
            picked = rng_for(spec.seed, "target", name).permutation(docs)[: 2 * each]
            none = np.full(each, np.nan, np.float32)
            found += [Candidates.of(query, picked[i * each : (i + 1) * each], none, 1 / len(docs), i) for i in (0, 1)]
    if not found:
        raise DataError(
            f"none of {len(queries)} queries has a first list with two documents beside its positives",
            hint="check the collection's lists, or that queries and documents share words",
        )
    return Candidates.concatenate(found)
