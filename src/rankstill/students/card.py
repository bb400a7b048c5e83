"""The card of a trained student: `README.md` for people, `rankstill.json` for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from rankstill.files import path_fingerprint, read_manifest, to_json, versions, whole_or_absent, write_json

CARD = "rankstill.json"
_LOADERS = {"cross-encoder": "CrossEncoder", "bi-encoder": "SentenceTransformer", "static": "SentenceTransformer"}

_TEXT = """---
library_name: sentence-transformers
tags: [rankstill, ranking, distillation]
---

# {name}, distilled with rankstill

```python
from sentence_transformers import {loader}

model = {loader}("path/to/this/folder")
```

| | |
| --- | --- |
| data | {collection} ({groups} groups of {size}, {documents_seen} documents seen) |
| negatives | {strategy} |
| loss | {loss}, temperature {temperature:g} |
| teacher | {teacher} |
| start | {start} |
| parameters | {parameters:,} |
| seed | {seed} |

Everything that made it, with fingerprints and versions, stands in `rankstill.json`; what it reaches, next to BM25 and
the teacher, in the report of the run.
"""


def write_card(folder: Path, spec: Any, counts: Mapping[str, Any], collection: Path, groups: Path) -> None:
    """Write both cards into a model's folder, `rankstill.json` last.

    Args:
        folder: Where the model is.
        spec: The run's TrainSpec.
        counts: What was counted while training.
        collection: The folder of the training collection.
        groups: The folder of the groups, beside whose manifest the strategy and the teacher are found.
    """
    loaded, grouped = read_manifest(collection), read_manifest(groups)
    facts = {
        "collection": loaded["spec"]["name"],
        "strategy": grouped["counts"]["strategy"],
        "teacher": grouped["counts"]["teacher"],
    }
    with whole_or_absent(folder / "README.md", "w") as file:
        file.write(
            _TEXT.format(
                **facts,
                name=spec.student.name.capitalize(),
                loader=_LOADERS[spec.student.architecture],
                size=grouped["spec"]["size"],
                groups=counts["groups"],
                documents_seen=counts["documents_seen"],
                parameters=counts["parameters"],
                loss=spec.loss,
                temperature=spec.temperature,
                start=spec.student.start,
                seed=spec.seed,
            )
        )
    write_json(
        folder / CARD,
        {
            **facts,
            "spec": to_json(spec),
            "group_size": grouped["spec"]["size"],
            "counts": dict(counts),
            "groups": grouped["counts"],
            "fingerprints": {"collection": path_fingerprint(collection), "groups": path_fingerprint(groups)},
            "versions": versions(),
        },
    )


def read_counts(folder: Path) -> dict[str, Any]:
    """Read what was counted while training the model in a folder."""
    return cast(dict[str, Any], json.loads((folder / CARD).read_text("utf-8"))["counts"])
