from __future__ import annotations

import numpy as np
import pytest

from rankstill.files import run_stage
from rankstill.records import Groups
from tests.tiny_collections import word_collection
from tests.tiny_models import tiny_transformer


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    return str(tiny_transformer(tmp_path_factory.mktemp("start") / "model"))


@pytest.fixture(scope="session")
def collection(tmp_path_factory):
    return word_collection(tmp_path_factory.mktemp("words") / "c", documents=60, queries=24)


@pytest.fixture(scope="session")
def groups(tmp_path_factory, collection):
    """Eleven groups of four whose teacher prefers the first document, the only one that shares the query's words."""
    rng = np.random.default_rng(2)
    query = np.arange(11, dtype=np.uint32)
    doc = np.stack([rng.choice(60, 4, replace=False) for _ in query]).astype(np.uint32)
    doc[:, 0] = [(int(q) * 9 + 4) % 60 for q in query]
    score = rng.normal(size=doc.shape).astype(np.float32)
    score[:, 0] += 3
    label = np.zeros(doc.shape, np.float32)
    label[:, 0] = 1
    table = Groups(query, doc, score, label)

    def build(work):
        table.write(work / "groups.parquet")
        return {"strategy": "bm25", "teacher": "made up", "stand_ins": 0, "dropped_short": 0}

    out = tmp_path_factory.mktemp("groups") / "g"
    return run_stage(out, stage="group", spec={"size": 4}, inputs={"collection": collection.path}, build=build)
