"""The stage `describe`: locality and teacher entropy of the groups that a strategy made, before any training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import run_stage, to_json, write_json
from rankstill.measures.entropy import EntropyStream
from rankstill.measures.false_negatives import false_negative_rate
from rankstill.measures.locality import LocalityStream
from rankstill.randomness import rng_for
from rankstill.records import Groups, Rows, write_parquet

DESCRIPTION = "description.json"
_POINTS, _SCORES = 400, 2000
"""How many groups and scores the report's pictures show at most."""


@dataclass(frozen=True)
class DescribeSpec:
    """What determines a description, besides the groups and the embeddings.

    Attributes:
        temperature: Of the teacher's scores, for the entropies.
        seed: Of the bootstrap and of the samples drawn for pictures.
    """

    temperature: float
    seed: int = 1


def describe(collection: Path, groups: Path, embeddings: Path | None, out: Path, spec: DescribeSpec) -> Path:
    """Describe groups.

    Args:
        collection: The collection's folder.
        groups: A folder of the stage `group`.
        embeddings: A folder of the stage `encode` (`embeddings.npy`, `rows.npy`) with every document of the groups;
            None where there is no embedding model: no diameters then.
        out: The folder to write: `description.json` and `per_group.parquet` (query, squared diameter, pairwise and
            listwise entropy in nats).
        spec: How.
    """

    def build(work: Path) -> Mapping[str, Any]:
        table = Groups.read(groups / "groups.parquet")
        summary, columns = _entropies(table, spec)
        if embeddings is not None:
            rows = np.load(embeddings / "rows.npy", allow_pickle=False)
            vectors = np.load(embeddings / "embeddings.npy", mmap_mode="r", allow_pickle=False)
            places = _places(rows, table.doc)
            measured = LocalityStream.of(vectors, places)
            found = measured.result(spec.seed)
            columns["squared_diameter"] = measured.squared_diameters()
            summary["diameter"] = to_json(found.rms)
            summary["robust_diameter"] = to_json(found.robust)
        summary |= _samples(table, columns, spec)
        summary["example"] = _example(Collection(collection), table, spec)
        write_parquet(work / "per_group.parquet", {"query": table.query, **columns})
        write_json(work / DESCRIPTION, summary)
        return {"groups": len(table), "size": table.size}

    inputs = {"collection": collection, "groups": groups} | ({"embeddings": embeddings} if embeddings else {})
    return run_stage(out, stage="describe", spec=spec, inputs=inputs, build=build)


def _places(rows: Rows, docs: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Find where documents stand among the embedded rows.

    Raises:
        DataError: Some have no embedding.
    """
    order = np.argsort(rows, kind="stable")
    places = order[np.minimum(np.searchsorted(rows, docs, sorter=order), len(rows) - 1)]
    missing = docs[rows[places] != docs]
    if len(missing):
        raise DataError(
            f"{len(missing)} of {docs.size} documents have no embedding (first: row {missing[0]})",
            hint="embed the documents of these very groups",
        )
    return places


def _entropies(table: Groups, spec: DescribeSpec) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    measured = EntropyStream(table.size, spec.temperature)
    measured.add(table.score)
    found = measured.result()
    # The first column is the positive, or stands in for one; a judge may have made further columns positives.
    positive = table.label > 0
    positive[:, 0] = True
    summary = {
        "groups": len(table),
        "size": table.size,
        "temperature": spec.temperature,
        "entropy": to_json(found.pairwise_normalised),
        "listwise_entropy": to_json(found.listwise_normalised),
        "false_negative_share": false_negative_rate(table.score, positive.astype(np.int8)).share.mean,
        "mean_negative_score": float(table.score[~positive].mean()),
        "mean_positive_score": float(table.score[:, 0].mean()),
    }
    columns = {
        "pairwise_entropy": measured.pairwise(),
        "listwise_entropy": measured.listwise(),
    }
    return summary, columns


def _samples(table: Groups, columns: Mapping[str, NDArray[np.float64]], spec: DescribeSpec) -> dict[str, Any]:
    """Draw what the pictures show: some groups as points, some scores."""
    rng = rng_for(spec.seed, "describe")
    rows = np.sort(rng.permutation(len(table))[:_POINTS])
    negatives = rng.permutation(table.score[:, 1:].reshape(-1))[:_SCORES]
    samples: dict[str, Any] = {
        "negative_scores": [round(float(s), 4) for s in negatives],
        "positive_scores": [round(float(s), 4) for s in rng.permutation(table.score[:, 0])[:_SCORES]],
    }
    if "squared_diameter" in columns:
        across = np.sqrt(columns["squared_diameter"][rows])
        up = columns["pairwise_entropy"][rows] / np.log(2)
        samples["points"] = [[round(float(x), 4), round(float(y), 4)] for x, y in zip(across, up, strict=True)]
    return samples


def _example(collection: Collection, table: Groups, spec: DescribeSpec) -> dict[str, Any]:
    """Show one group as a person reads it: the query whose id hashes lowest, the same one for every strategy."""
    ids = collection.queries.ids(table.query)
    row = min(range(len(ids)), key=lambda i: int(rng_for(spec.seed, "example", ids[i]).integers(2**62)))
    order = [0, *(1 + np.argsort(-table.score[row, 1:], kind="stable")[:4])]
    documents = [
        {
            "text": collection.documents[int(table.doc[row, i])][:300],
            "score": round(float(table.score[row, i]), 4),
            "label": int(table.label[row, i]),
        }
        for i in order
    ]
    return {"query": collection.queries[int(table.query[row])], "documents": documents}
