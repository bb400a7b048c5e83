"""A collection from named files: documents, queries, and whatever judgements and candidate lists there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rankstill.collection.candidate_lists import listed_pairs
from rankstill.collection.lines import count_lines, reading_errors
from rankstill.collection.qrels_files import all_judgements
from rankstill.collection.source import Source
from rankstill.collection.text_files import texts
from rankstill.errors import DataError


def source(
    documents: Path,
    queries: Path | Sequence[Path],
    qrels: Mapping[str, Path] | None = None,
    lists: Sequence[Path] = (),
    *,
    name: str | None = None,
) -> Source:
    """Describe a collection made of files; all may be gzipped.

    Args:
        documents: JSONL (`_id` or `id`, `text`, optionally `title`) or TSV (id, text or id, title, text).
        queries: The same; several files are read one after the other.
        qrels: Judgements by split, each in the form of BEIR or of TREC.
        lists: Candidate lists, as in `candidate_lists`; only their ids and scores are read, the texts are those of
            `documents` and `queries`.
        name: The collection's name; that of the documents' folder unless given.

    Raises:
        DataError: A file is missing or cannot be read.
    """
    question_files = [queries] if isinstance(queries, Path) else list(queries)
    judged = dict(qrels or {})
    files = {
        "documents": documents,
        **_numbered("queries", question_files),
        **{f"qrels.{split}": path for split, path in judged.items()},
        **_numbered("lists", lists),
    }
    for path in files.values():
        _check_readable(path)
    return Source(
        name=name or documents.absolute().parent.name,
        documents=lambda: texts(documents),
        queries=lambda: (item for path in question_files for item in texts(path)),
        judgements=lambda: all_judgements(judged),
        lists=(lambda: listed_pairs(lists)) if lists else None,
        files=files,
        facts={"kind": "files", "files": {key: path.name for key, path in files.items()}},
        expected=lambda: count_lines(documents),
    )


def _numbered(key: str, paths: Sequence[Path]) -> dict[str, Path]:
    """Name the files of one role: the first by the role, the others by role and number."""
    return {key if n == 1 else f"{key}.{n}": path for n, path in enumerate(paths, 1)}


def _check_readable(path: Path) -> None:
    """Fail before any work starts if a file is missing."""
    with reading_errors(path):
        if path.is_dir():
            raise DataError(f"{path} is a folder, not a file", hint="name the file inside it")
        path.open("rb").close()
