"""Reranking as a filter: lines of JSON in, lines of JSON out, so that a trained student is useful at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from rankstill.errors import DataError
from rankstill.teachers import open_scorer


def rerank_lines(
    lines: Iterable[str], model: str, precision: Literal["auto", "float32", "bfloat16"] = "auto"
) -> Iterator[str]:
    """Rerank one query per line.

    Args:
        lines: Each a JSON object `{"query": text, "documents": [...]}`; a document is a text, or an object with `text`
            and whatever else should come back (an `id`, say). Other keys of the line come back too.
        model: A model's folder, a hub id, or "minilm".
        precision: Of the model's body.

    Yields:
        The same objects, their documents best first, each with its `score`; equal scores keep their order.

    Raises:
        DataError: A line is not such an object; says which line.
    """
    score = open_scorer(model, precision=precision)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        asked = _parse(line, number)
        documents = [d if isinstance(d, dict) else {"text": d} for d in asked["documents"]]
        scores = score([asked["query"]] * len(documents), [d["text"] for d in documents])
        order = sorted(range(len(documents)), key=lambda i: -float(scores[i]))
        ranked = [{**documents[i], "score": round(float(scores[i]), 6)} for i in order]
        yield json.dumps({**asked, "documents": ranked}, ensure_ascii=False)


def _parse(line: str, number: int) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except ValueError as error:
        raise DataError(
            f"line {number} is not JSON: {error}", hint='write {"query": "...", "documents": ["...", ...]}'
        ) from None
    fine = isinstance(asked, dict) and isinstance(asked.get("query"), str) and isinstance(asked.get("documents"), list)
    if not fine or not all(isinstance(d.get("text") if isinstance(d, dict) else d, str) for d in asked["documents"]):
        raise DataError(
            f"line {number} is not a query with documents: {line.strip()[:80]}",
            hint='write {"query": "...", "documents": ["...", {"id": "d2", "text": "..."}]}',
        )
    return dict(asked)
