"""Judgements from files, in the two forms that people have.

BEIR: three columns, query id, document id, grade, under a line of column names (which may lack). TREC: four columns,
query id, iteration (ignored), document id, grade. The number of columns of the first line tells which.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rankstill.collection.lines import lines
from rankstill.errors import DataError

_SUFFIX = r"\.(?:tsv|trec|txt|qrels)(?:\.gz)?"
_INSIDE = re.compile(rf"(?P<split>[^.].*?){_SUFFIX}")
_BESIDE = re.compile(rf"qrels(?:[._-](?P<split>.+?))?{_SUFFIX}")
_NUMBER = re.compile(r"[+-]?\d{1,9}")
_GRADE_NAMES = {"score", "grade", "relevance", "rel", "label"}
UNNAMED = "test"
"""The split of a file that names none, such as qrels.tsv: people publish test judgements that way."""


def judgements(path: Path, split: str) -> Iterator[tuple[str, str, str, int]]:
    """Yield (split, query id, document id, grade) of a qrels file, plain or gzipped.

    Raises:
        DataError: A line has another number of columns than the first, or a grade that is not a whole number.
    """
    width = 0
    for number, line in lines(path):
        columns = line.split()
        if not width:
            width = len(columns)
            if width not in (3, 4):
                raise DataError(
                    f"{path}, line {number}: {width} columns, not 3 (query, document, grade) "
                    "or 4 (query, 0, document, grade)"
                )
            if columns[-1].lower() in _GRADE_NAMES:
                continue
        if len(columns) != width:
            raise DataError(f"{path}, line {number}: {len(columns)} columns, the lines before have {width}")
        if not _NUMBER.fullmatch(columns[-1]):
            raise DataError(f"{path}, line {number}: the grade {columns[-1]!r} is not a whole number")
        yield split, columns[0], columns[-2], int(columns[-1])


def all_judgements(files: Mapping[str, Path]) -> Iterator[tuple[str, str, str, int]]:
    """Yield the judgements of all splits, one file after the other."""
    for split, path in files.items():
        yield from judgements(path, split)


def qrels_files(folder: Path) -> dict[str, Path]:
    """Find the qrels files of a folder by split, in the order of the splits' names.

    They are `qrels/SPLIT.tsv`, `qrels.SPLIT.tsv`, or `qrels.tsv`, whose split is `test`; `.trec`, `.txt` and `.qrels`
    serve as well as `.tsv`, and all of them may be gzipped. What is inside, not the suffix, tells the form.

    Raises:
        DataError: Two files hold the same split, or a folder qrels/ holds none.
    """
    inside = folder / "qrels"
    found = list(_named(sorted(inside.iterdir()), _INSIDE)) if inside.is_dir() else []
    if inside.is_dir() and not found:
        raise DataError(
            f"{inside} holds no judgements", hint="name them SPLIT.tsv, such as test.tsv, or remove the folder"
        )
    found += _named(sorted(folder.iterdir()), _BESIDE)
    files: dict[str, Path] = {}
    for split, path in sorted(found):
        if split in files:
            raise DataError(f"two files hold the judgements of split {split!r}: {files[split]} and {path}")
        files[split] = path
    return files


def _named(paths: Iterable[Path], pattern: re.Pattern[str]) -> Iterator[tuple[str, Path]]:
    for path in paths:
        if (match := pattern.fullmatch(path.name)) and path.is_file():
            yield match["split"] or UNNAMED, path
