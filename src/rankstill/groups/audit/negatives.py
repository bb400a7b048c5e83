"""Checks of negatives: positives among them, and what the filters dropped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rankstill.collection.store import Collection
from rankstill.files import read_manifest
from rankstill.groups.audit.findings import EXAMPLES, Example, Finding, text
from rankstill.groups.audit.words import NO_WORDS, Keys
from rankstill.groups.filters.dropped import DROPPED, Dropped
from rankstill.records import Groups, Pairs, row_keys


def negatives_in(folder: Path) -> Pairs:
    """Read the negatives of a folder of the stage `group` (documents with label 0) or `sample` (all of them)."""
    if (folder / "groups.parquet").is_file():
        groups = Groups.read(folder / "groups.parquet")
        row, column = np.nonzero(groups.label <= 0)
        return Pairs(groups.query[row], groups.doc[row, column], groups.score[row, column])
    return Pairs.read(folder / "candidates.parquet")


def positives_among(name: str, negatives: Pairs, collection: Collection, keys: Keys) -> Finding:
    """Find negatives that any split judges relevant to their query, or that say what such a document says.

    Args:
        name: The strategy's, as the tables call it.
        negatives: Queries and documents.
        collection: Where the texts and judgements are.
        keys: Of the texts.
    """
    judged = [collection.qrels(split) for split in collection.splits]
    relevant = [(q.query[keep], q.doc[keep]) for q in judged for keep in (q.grade >= collection.relevant_from,)]
    query = np.concatenate([np.empty(0, np.uint32), *(q for q, _ in relevant)])
    doc = np.concatenate([np.empty(0, np.uint32), *(d for _, d in relevant)])
    documents = keys.of(collection.documents)
    same_row = np.isin(row_keys(negatives.query, negatives.doc), row_keys(query, doc))
    # Texts are numbered, so that a query and a text make one key of 64 bits. Texts without words equal nothing.
    _, number = np.unique(documents, return_inverse=True)
    worded = documents != NO_WORDS
    same_text = (
        np.isin(row_keys(negatives.query, number[negatives.doc]), row_keys(query, number[doc])) & worded[negatives.doc]
    )
    found = np.flatnonzero(same_row | same_text)
    examples = []
    for i in found[:EXAMPLES]:
        row, own = int(negatives.doc[i]), doc[query == negatives.query[i]]
        match = row if same_row[i] else int(own[number[own] == number[row]][0])
        examples.append(
            {
                "query": text(collection.queries, int(negatives.query[i])),
                "negative": text(collection.documents, row),
                "positive": text(collection.documents, match),
            }
        )
    says = (
        "negatives judged relevant to their query in some split, or with the words of such a document "
        f"({int(same_row.sum()):,} and {int((same_text & ~same_row).sum()):,})"
    )
    return Finding("positives-among-negatives", f"negatives of {name}", len(found), len(negatives), says, examples)


def dropped_by_filters(groups: Mapping[str, tuple[Path, Collection]]) -> list[Example]:
    """List each strategy's filters, with what they dropped of how many, and ten examples each.

    Args:
        groups: Folders of the stage `group`, each with the collection of its texts, by strategy.
    """
    found: list[Example] = []
    for strategy, (folder, collection) in groups.items():
        counts = read_manifest(folder)["counts"].get("filters", {})
        table = Dropped.read(folder / DROPPED) if (folder / DROPPED).is_file() else None
        for name, count in counts.items():
            examples = [] if table is None else _examples(table.examples(name, EXAMPLES), collection)
            found.append({"strategy": strategy, "filter": name, **count, "examples": examples})
    return found


def _examples(table: Dropped, collection: Collection) -> list[Example]:
    return [
        {
            "query": text(collection.queries, int(table.query[i])),
            "positive": text(collection.documents, int(table.positive[i])),
            "dropped": text(collection.documents, int(table.doc[i])),
            "score": round(float(table.score[i]), 4),
            "positive_score": round(float(table.positive_score[i]), 4),
        }
        | ({} if np.isnan(table.judge_score[i]) else {"judge_score": round(float(table.judge_score[i]), 4)})
        for i in range(len(table))
    ]
