from __future__ import annotations

import numpy as np

from rankstill.collection import judgements
from rankstill.collection.load import load
from rankstill.collection.store import Collection
from rankstill.randomness import rng_for

from .test_load import of


def test_many_batches_give_what_one_gives(tmp_path, monkeypatch):
    """Against a dictionary: 3,000 judgements of 60 queries and 80 documents, some of them twice."""
    rng = rng_for(5, "judgements")
    documents = [(f"d{i}", f"text {i}") for i in rng.permutation(80)]
    queries = [(f"q{i}", f"query {i}") for i in rng.permutation(60)]
    grade = {(f"q{q}", f"d{d}"): int(g) for q, d, g in rng.integers((0, 0, 0), (60, 80, 4), (3000, 3))}
    pairs = list(grade)
    entries = [("test", *pairs[i], grade[pairs[i]]) for i in rng.integers(0, len(pairs), 3000)]
    monkeypatch.setattr(judgements, "_BATCH", 7)
    collection = Collection(load(of(documents, queries, entries), tmp_path / "out"))
    qrels = collection.qrels("test")
    found = list(
        zip(collection.queries.ids(qrels.query), collection.documents.ids(qrels.doc), qrels.grade, strict=True)
    )
    assert len(found) == len(set(found))
    assert set(found) == {(q, d, g) for _, q, d, g in entries}
    assert collection.manifest["counts"]["repeated_judgements"] == 3000 - len(found)
    assert (np.diff(qrels.query.astype(np.int64) * 1000 + qrels.doc) > 0).all()
