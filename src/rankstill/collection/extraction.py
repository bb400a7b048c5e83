"""Pairs from many source files, on all cores.

Each worker is this module as a program of its own, which reads file names from stdin and writes pairs to stdout: unlike
a forked process it is safe beside the threads of torch, unlike a spawned one it does not run the caller's script again.
The results come back in the order of the files, so the number of workers does not show in them.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from rankstill.collection.docstrings import read_docstrings
from rankstill.collection.prose import Pair, pair_of
from rankstill.errors import DataError
from rankstill.files import cores

MOST_WORKERS = 8
_PORTION = 3 << 20
"""Bytes of source that one worker process reads: a second or two of work, against 0.1 s to start."""


class SourceFile(NamedTuple):
    """A file to read: its path, its module's qualified name, and its size in bytes."""

    path: str
    module: str
    size: int


class Extract(NamedTuple):
    """What one file gave.

    Attributes:
        docstrings: How many docstrings have two paragraphs; None where the file could not be used.
        pairs: Those that make a query and a document.
        left_out: The reasons why the file, or each of its other docstrings, was left out.
    """

    docstrings: int | None
    pairs: list[Pair]
    left_out: list[str]


def extract(file: SourceFile) -> Extract:
    """Read one file."""
    found = read_docstrings(Path(file.path), file.module)
    if isinstance(found, str):
        return Extract(None, [], [found])
    made = [pair_of(docstring) for docstring in found]
    pairs = [pair for pair in made if isinstance(pair, Pair)]
    return Extract(len(found), pairs, [reason for reason in made if isinstance(reason, str)])


def extract_all(files: Sequence[SourceFile]) -> Iterator[Extract]:
    """Read many files on all cores; yields one extract for each, in their order."""
    with ThreadPoolExecutor(min(cores(), MOST_WORKERS)) as pool:
        for extracts in pool.map(_in_a_process, _portions(files)):
            yield from extracts


def _portions(files: Sequence[SourceFile]) -> Iterator[list[SourceFile]]:
    portion: list[SourceFile] = []
    size = 0
    for file in files:
        portion.append(file)
        size += file.size
        if size >= _PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _in_a_process(files: list[SourceFile]) -> list[Extract]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    answer = subprocess.run(
        [sys.executable, "-P", "-X", "utf8", "-m", __name__],
        input=json.dumps(files),
        encoding="utf-8",
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    if answer.returncode:
        raise DataError(
            f"a worker that reads docstrings ended with code {answer.returncode} (files from {files[0].path})",
            hint="what it said stands above; code -9 means that memory ran out",
        )
    return [Extract(n, [Pair(*pair) for pair in pairs], left_out) for n, pairs, left_out in json.loads(answer.stdout)]


def main() -> None:
    """Be a worker: a JSON list of files on stdin, a JSON list of extracts on stdout."""
    gc.disable()  # Syntax trees make many objects and no cycles worth the collector's time.
    files = [SourceFile(*file) for file in json.load(sys.stdin)]
    sys.stdout.write(json.dumps([extract(file) for file in files]))


if __name__ == "__main__":
    main()
