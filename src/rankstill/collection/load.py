"""The stage `load`: any source becomes one collection folder.

>>> from rankstill.collection.load import load
>>> load("../shared/data/scifact", Path("scifact"))  # doctest: +SKIP
PosixPath('scifact')
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rankstill.collection import candidate_lists, folder
from rankstill.collection.judgements import resolve_judgements, resolve_lists
from rankstill.collection.lines import reading_errors
from rankstill.collection.reference import Reference
from rankstill.collection.source import Source
from rankstill.collection.store import Texts, write_qrels, write_texts
from rankstill.errors import DataError, RankstillError, SpecError
from rankstill.files import MANIFEST, Json, file_fingerprint, run_stage
from rankstill.progress import bar, say
from rankstill.records import Qrels

_STEP = 1 << 10
"""Texts between two movements of the progress bar."""
_MOST_EMPTY = 0.5
"""The share of empty documents above which a collection is taken for broken."""


def load(reference: str | Reference | Source, out: Path, *, relevant_from: int | None = None) -> Path:
    """Load a collection: texts into memory-mapped files, judgements and candidate lists into tables of rows.

    Memory does not grow with the texts: 65,536 of them stand in memory at a time, besides all ids.

    Args:
        reference: A reference such as `PATH_OR_ID#relevant_from=2`, or a ready source.
        out: The collection folder; complete afterwards, or absent.
        relevant_from: The lowest grade that counts as relevant, where the reference does not say; 1 by default.

    Returns:
        `out`.

    Raises:
        SpecError: A setting is unknown, contradicts another, or does not fit this kind of collection.
        DataError: The input is broken: ids that come twice or hold white space, empty queries, mostly empty documents,
            judgements or lists that name unknown ids or contradict each other, no judgement that counts as relevant.
        OutputError: `out` holds something else, or cannot be written.
    """
    if isinstance(reference, str):
        reference = Reference.parse(reference)
    level = _level(reference.relevant_from if isinstance(reference, Reference) else None, relevant_from)
    source = reference if isinstance(reference, Source) else find(reference)
    inputs: dict[str, Path | str] = {"source": source.identity} if source.identity else {}
    for name, path in source.files.items():
        with reading_errors(path):
            inputs[name] = file_fingerprint(path)
    return run_stage(
        Path(out),
        stage="load",
        spec={"name": source.name, "relevant_from": level, "facts": source.facts},
        inputs=inputs,
        build=lambda work: _build(source, level, work),
    )


def find(reference: Reference) -> Source:
    """Find what a reference names: `pydocs`, a folder, a file of candidate lists, or an ir_datasets id.

    A file of candidate lists beside a file of documents means that folder with these lists.

    Raises:
        SpecError: An option does not fit this kind of collection.
        DataError: There is no such collection.
    """
    path = Path(reference.location).expanduser()
    if reference.part is not None and reference.location != "pydocs":
        raise SpecError(f"{reference}: only pydocs has parts", hint="leave out part=")
    if reference.size is not None and reference.location != "pydocs":
        raise SpecError(f"{reference}: only pydocs has sizes", hint="leave out size=")
    if reference.lists is not None and (reference.location == "pydocs" or path.is_file()):
        raise SpecError(f"{reference}: there is no choice of candidate lists here", hint="leave out lists=")
    if reference.location == "pydocs":
        from rankstill.collection.pydocs import source as pydocs_source

        return pydocs_source(reference.part or "main", reference.size or "full")
    if path.is_dir():
        if (path / MANIFEST).is_file():
            raise DataError(
                f"{path} is an output of rankstill, not a source", hint="a loaded collection needs no loading"
            )
        return folder.source(path, reference.lists)
    if path.is_file():
        if folder.has_documents(path.absolute().parent):
            return folder.source(path.absolute().parent, path)
        return candidate_lists.source(path)
    # Imported here because ir_datasets takes a second to import.
    from rankstill.collection import irds

    return irds.source(reference.location, reference.lists)


def _level(said: int | None, asked: int | None) -> int:
    if said is not None and asked is not None and said != asked:
        raise SpecError(f"relevant_from is {said} in the reference and {asked} beside it", hint="give it once")
    level = said or asked or 1
    if level < 1:
        raise SpecError(f"relevant_from must be at least 1: got {level}")
    return level


def _build(source: Source, relevant_from: int, work: Path) -> Json:
    try:
        return _write(source, relevant_from, work)
    except RankstillError:
        # A broken source stays broken: there is nothing to continue, so nothing is left behind.
        shutil.rmtree(work, ignore_errors=True)
        raise


def _write(source: Source, relevant_from: int, work: Path) -> Json:
    # The queries first: they are few, so a mistake in them shows at once.
    asked, blank = _write_texts(source, "queries", source.queries(), None, work)
    if blank:
        raise DataError(_empty("queries", blank, asked), hint="remove them, or give them a text")
    stored, empty = _write_texts(source, "documents", source.documents(), source.expected(), work)
    if len(empty) > _MOST_EMPTY * stored:
        hint = "the text is expected under the key `text`, or in the last column"
        raise DataError(_empty("documents", empty, stored), hint=hint)
    if empty:
        say(f"{source.name}: {_empty('documents', empty, stored)}; they stay, as in the source")
    documents, queries = Texts(work / "documents.arrow", "documents"), Texts(work / "queries.arrow", "queries")
    splits, repeated = resolve_judgements(source, documents, queries)
    judged = {split: _count(qrels, relevant_from) for split, qrels in splits.items()}
    _judge_positives(source.name, judged, splits, relevant_from)
    write_qrels(work / "qrels.parquet", splits)
    lists = resolve_lists(source, documents, queries)
    if lists is not None:
        lists.write(work / "lists.parquet")
    return {
        "documents": stored,
        "queries": asked,
        "judgements": judged,
        "lists": 0 if lists is None else len(lists),
        "empty_documents": len(empty),
        "repeated_judgements": repeated,
        **source.counts(),
    }


def _write_texts(
    source: Source, what: str, items: Iterator[tuple[str, str]], expected: int | None, work: Path
) -> tuple[int, list[str]]:
    """Write documents or queries; return how many there are and the ids of the empty ones."""
    empty: list[str] = []

    def checked() -> Iterator[tuple[str, str]]:
        number = 0
        with bar(f"load {source.name} {what}", expected, what) as shown:
            for number, (item_id, text) in enumerate(items, 1):
                if len(item_id.split()) != 1:
                    raise DataError(
                        f"{source.name}: id {item_id!r} of entry {number} of the {what} is empty or holds white space",
                        hint="TREC files part their columns by white space, so ids must hold none",
                    )
                if not text or text.isspace():
                    empty.append(item_id)
                yield item_id, text
                if number % _STEP == 0:
                    shown.advance(_STEP)
            shown.advance(number % _STEP)

    return write_texts(work / f"{what}.arrow", checked(), what), empty


def _empty(what: str, ids: list[str], total: int) -> str:
    return f"{len(ids):,} of {total:,} {what} are empty (first: {ids[0]})"


def _count(qrels: Qrels, relevant_from: int) -> Json:
    positives = int(np.count_nonzero(qrels.grade >= relevant_from))
    return {"queries": len(qrels.queries()), "pairs": len(qrels), "positives": positives}


def _judge_positives(name: str, judged: Json, splits: dict[str, Qrels], relevant_from: int) -> None:
    """Refuse judgements none of which is relevant; mention any split of that kind."""
    without = [split for split, counts in judged.items() if not counts["positives"]]
    if without and len(without) == len(judged):
        highest = max(int(qrels.grade.max()) for qrels in splits.values())
        raise DataError(
            f"{name}: no judgement has a grade of at least {relevant_from}; the highest is {highest}",
            hint=f"lower relevant_from to {highest}" if highest > 0 else "check the column of the grades",
        )
    for split in without:
        say(f"{name}: split {split} has no judgement of grade {relevant_from} or more")
