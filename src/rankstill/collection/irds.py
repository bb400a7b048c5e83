"""Any collection that ir_datasets knows, by its id.

An id with judgements, such as `msmarco-passage/dev/small`, has one split, named after the nearest part of its id that
is train, dev, test, or valid, validation, val (these mean dev); `test` where there is none, as for `cranfield`. An id
without judgements, such as `beir/scifact`, takes those of its parts (`beir/scifact/train`, `beir/scifact/test`) and,
where it has no queries of its own, their queries too. Texts are what ir_datasets calls their default text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import ir_datasets

from rankstill.collection.source import Source
from rankstill.errors import DataError, SpecError

_SPLITS = {"train": "train", "dev": "dev", "validation": "dev", "valid": "dev", "val": "dev", "test": "test"}


def source(name: str, lists: str | None = None) -> Source:
    """Describe an ir_datasets collection.

    Args:
        name: The id.
        lists: `none` to leave out the candidate lists that come with it, `all` to take them in any case. By default
            those of a train split are left out: msmarco-passage has 478 million pairs of them.

    Raises:
        DataError: There is no such id, or it has no documents or no queries.
        SpecError: `lists` is neither `all` nor `none`.
    """
    if lists not in (None, "all", "none"):
        raise SpecError(f"lists={lists} of {name}: an ir_datasets id takes lists=all or lists=none")
    dataset = _load(name)
    parts = _parts(name, dataset)
    asking = [dataset] if dataset.has_queries() else [part for part in parts.values() if part.has_queries()]
    if not dataset.has_docs() or not asking:
        known = sorted(i for i in ir_datasets.registry if i.startswith(f"{name}/"))
        raise DataError(
            f"ir_datasets id {name!r} has no {'queries' if dataset.has_docs() else 'documents'}",
            hint=f"take a part of it: {', '.join(known)}" if known else "take another id",
        )
    listing = [
        part
        for split, part in parts.items()
        if part.has_scoreddocs() and (lists == "all" or (lists is None and split != "train"))
    ]
    splits = {split: part for split, part in parts.items() if part.has_qrels()}
    return Source(
        name=name,
        documents=lambda: _documents(name, dataset),
        queries=lambda: _queries(name, asking),
        judgements=lambda: _judgements(name, splits),
        lists=(lambda: _lists(name, listing)) if listing else None,
        identity=f"ir_datasets {ir_datasets.__version__} {name}",
        facts={"kind": "ir_datasets", "id": name, "ir_datasets": ir_datasets.__version__, "lists": lists or "default"},
        expected=dataset.docs_count,
    )


def _load(name: str) -> Any:
    try:
        return ir_datasets.load(name)
    except KeyError:
        near = difflib.get_close_matches(name, list(ir_datasets.registry), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "check the path, or see https://ir-datasets.com"
        raise DataError(f"there is no file, folder or ir_datasets id {name!r}", hint=hint) from None


def _parts(name: str, dataset: Any) -> dict[str, Any]:
    """Map splits to what holds their judgements: the dataset itself, or its parts."""
    if dataset.has_qrels():
        return {split_of(name): dataset}
    parts: dict[str, Any] = {}
    for word, split in _SPLITS.items():
        if f"{name}/{word}" in set(ir_datasets.registry):
            parts.setdefault(split, ir_datasets.load(f"{name}/{word}"))
    return parts or {split_of(name): dataset}


def split_of(name: str) -> str:
    """Name the split of an ir_datasets id.

    >>> split_of("msmarco-passage/train/judged"), split_of("antique/train/split200-valid"), split_of("cranfield")
    ('train', 'dev', 'test')
    """
    for part in reversed(name.split("/")):
        for word, split in _SPLITS.items():
            if part == word or part.endswith(f"-{word}"):
                return split
    return "test"


def _given(name: str, items: Any) -> Iterator[Any]:
    """Pass on what ir_datasets yields; whatever it raises (no network, a changed file) becomes a DataError."""
    try:
        yield from items()
    except Exception as error:
        raise DataError(
            f"ir_datasets could not read {name}: {type(error).__name__}: {error}",
            hint=f"see what https://ir-datasets.com says about {name}: some collections must be fetched by hand",
        ) from error


def _documents(name: str, dataset: Any) -> Iterator[tuple[str, str]]:
    for doc in _given(name, dataset.docs_iter):
        yield doc.doc_id, doc.default_text().strip()


def _queries(name: str, asking: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield the queries of all parts; one that an earlier part has does not come again."""
    earlier: set[str] = set()
    for part in asking:
        here = set()
        for query in _given(name, part.queries_iter):
            here.add(query.query_id)
            if query.query_id not in earlier:
                yield query.query_id, query.default_text().strip()
        earlier |= here


def _judgements(name: str, splits: dict[str, Any]) -> Iterator[tuple[str, str, str, int]]:
    for split, part in splits.items():
        for judged in _given(name, part.qrels_iter):
            yield split, judged.query_id, judged.doc_id, int(judged.relevance)


def _lists(name: str, listing: list[Any]) -> Iterator[tuple[str, str, float]]:
    for part in listing:
        for listed in _given(name, part.scoreddocs_iter):
            yield listed.query_id, listed.doc_id, float(listed.score)
