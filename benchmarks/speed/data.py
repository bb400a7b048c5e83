"""What all libraries work on: groups of 16 from real documentation, three start models, pairs, texts and lists."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from rankstill.collection.store import Collection
from rankstill.measures.entropy import default_temperature
from rankstill.records import Groups
from rankstill.students.architectures import StudentSpec, build_student
from rankstill.students.train import set_threads
from rankstill.studies.distill import DistillSpec, groups_of
from rankstill.studies.steps import load_training
from rankstill.teachers import open_teacher

MAX_LENGTH = 256
GROUPS = 256
SPEC = DistillSpec(collection="pydocs#size=6000", size=16, queries=GROUPS, on_short="drop")
STUDENTS = {"cross": "cross-encoder", "bi": "bi-encoder", "static": "static"}
PAIRS, TEXTS, SETS, LISTS, DEPTH = 384, 512, 5, 1, 100


def student_spec(architecture: str, start: str) -> StudentSpec:
    return StudentSpec(architecture, start, layers=0, max_length=MAX_LENGTH)


def make(folder: Path) -> Path:
    """Make the data folder, once.

    groups/ and collection/ are for rankstill; groups.json, pairs.json, texts.json, sets.json and the model folders are
    for everyone, and hold the same texts and weights.
    """
    if (folder / "done").exists():
        return folder
    set_threads()
    training = load_training(folder, SPEC.collection, split=SPEC.split, limit=SPEC.queries)
    made = groups_of(folder, training, open_teacher(SPEC.teacher), "bm25", SPEC)
    collection, groups = Collection(training.path), Groups.read(made.groups / "groups.parquet")
    temperature = default_temperature(groups.score)
    for name, architecture in STUDENTS.items():
        build_student(student_spec(architecture, "minilm"), 1).save(folder / name)
    listed = [
        {
            "query": collection.queries[int(query)],
            "docs": collection.documents.take(docs),
            "scores": (scores.astype(np.float64) / temperature).tolist(),
        }
        for query, docs, scores in zip(groups.query, groups.doc, groups.score, strict=True)
    ]
    pairs = [[g["query"], doc] for g in listed for doc in g["docs"]]
    rng = np.random.default_rng(1)
    texts = list(dict.fromkeys(doc for g in listed for doc in g["docs"]))
    sets = [
        [[g["query"], texts[i]] for g in listed[s * LISTS : (s + 1) * LISTS] for i in rng.choice(len(texts), DEPTH)]
        for s in range(SETS)
    ]
    for name, content in {
        "groups": listed,
        "pairs": [pairs[i] for i in rng.choice(len(pairs), PAIRS, replace=False)],
        "texts": [texts[i] for i in rng.choice(len(texts), TEXTS, replace=False)],
        "sets": sets,
        "facts": {"groups": str(made.groups), "collection": str(training.path), "temperature": temperature},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "done").touch()
    return folder
