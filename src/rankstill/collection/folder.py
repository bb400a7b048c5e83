"""A folder as BEIR lays it out, and its near relatives.

| what | names, each optionally followed by .gz |
| --- | --- |
| documents | `corpus`, `documents` or `collection`, as .jsonl or .tsv; exactly one |
| queries | `queries.jsonl` or `queries.tsv`; where neither exists, all `queries.NAME.jsonl` or `.tsv` |
| judgements | `qrels/SPLIT.tsv`, `qrels.SPLIT.tsv` or `qrels.tsv` (see `qrels_files`); may lack |
| candidate lists | `candidates.jsonl`, `candidates.NAME.jsonl` (see `candidate_lists`); may lack |
"""

from __future__ import annotations

import re
from pathlib import Path

from rankstill.collection import files_source
from rankstill.collection.qrels_files import qrels_files
from rankstill.collection.source import Source
from rankstill.errors import DataError, SpecError

_DOCUMENTS = re.compile(r"(corpus|documents|collection)\.(jsonl|tsv)(\.gz)?")
_QUERIES = re.compile(r"queries\.(jsonl|tsv)(\.gz)?")
_SPLIT_QUERIES = re.compile(r"queries\.(.+)\.(jsonl|tsv)(\.gz)?")
_LISTS = re.compile(r"candidates(?:[._-](.+))?\.jsonl(\.gz)?")


def source(folder: Path, lists: str | Path | None = None) -> Source:
    """Describe the collection in a folder.

    Args:
        folder: The folder.
        lists: Which candidate lists to take: any file's path, or the NAME of `candidates.NAME.jsonl`, or that file's
            name, or `none`; None takes all of the folder.

    Raises:
        DataError: A file is missing, or two would serve.
        SpecError: There are no lists of that name.
    """
    queries = _matching(folder, _QUERIES)
    if len(queries) > 1:
        raise _two("queries", queries)
    queries = queries or _matching(folder, _SPLIT_QUERIES)
    if not queries:
        raise DataError(f"{folder} has no queries", hint="name them queries.jsonl or queries.tsv, optionally with .gz")
    return files_source.source(
        _documents(folder),
        queries,
        qrels_files(folder),
        _lists(folder, lists),
        name=folder.absolute().name,
    )


def has_documents(folder: Path) -> bool:
    """Tell whether a folder has a file of documents."""
    return bool(_matching(folder, _DOCUMENTS))


def _matching(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if pattern.fullmatch(path.name) and path.is_file()]


def _documents(folder: Path) -> Path:
    found = _matching(folder, _DOCUMENTS)
    if len(found) > 1:
        raise _two("documents", found)
    if found:
        return found[0]
    hint = "name them corpus.jsonl or corpus.tsv, optionally with .gz"
    if _matching(folder, _LISTS):
        hint = f"{hint}; or name one file of candidate lists: {_matching(folder, _LISTS)[0]}"
    raise DataError(f"{folder} has no documents", hint=hint)


def _lists(folder: Path, chosen: str | Path | None) -> list[Path]:
    if isinstance(chosen, Path):
        return [chosen]
    found = _matching(folder, _LISTS)
    if chosen is None:
        return found
    if chosen == "none":
        return []
    names = {path: _LISTS.fullmatch(path.name) for path in found}
    taken = [path for path, match in names.items() if match and chosen in (path.name, match[1])]
    if not taken:
        known = ", ".join(path.name for path in found) or "no lists"
        raise SpecError(f"{folder} has no candidate lists {chosen!r}", hint=f"there are: {known}; or none")
    return taken


def _two(what: str, found: list[Path]) -> DataError:
    names = ", ".join(path.name for path in found)
    return DataError(f"{found[0].parent} has {len(found)} files of {what}: {names}", hint="keep one of them there")
