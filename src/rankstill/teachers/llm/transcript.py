"""Every answer that was paid, one line of JSON each, so that none is paid twice.

The file only grows. A line is written in one piece and synced before its answer is used, so a kill loses at most the
requests in flight; a last line that was torn is cut off by the next writer. One process asks at a time: a second one
waits, and then finds the first one's answers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import filelock

from rankstill.errors import DataError
from rankstill.files import writing_errors
from rankstill.progress import say
from rankstill.teachers.llm.answer import Answer
from rankstill.teachers.llm.budget import Budget

_PATIENCE = 1.0


@dataclass(frozen=True)
class _Place:
    """Where an answer's line stands in the file, in bytes."""

    start: int
    length: int


class Transcript:
    """The answers of one teacher's model, kept in a file.

    Args:
        path: The file; made when the first answer comes.
        budget: Told of every request that the file holds.
    """

    def __init__(self, path: Path, budget: Budget) -> None:
        self.path, self._budget = path, budget
        self._places: dict[str, _Place] = {}
        self._read_to = 0
        self._file = -1
        self._lock = Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one process that asks and writes; read first what others wrote since.

        Raises:
            DataError: A line is none of a transcript.
            OutputError: The file cannot be written.
        """
        with writing_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _alone(self.path.with_name(f".{self.path.name}.lock"), self.path):
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
                try:
                    self._catch_up()
                    yield
                finally:
                    os.close(self._file)
                    self._file = -1

    def _catch_up(self) -> None:
        size = os.fstat(self._file).st_size
        if size < self._read_to:
            # Someone removed the file, or cut it: begin anew.
            self._places.clear()
            self._read_to = 0
            self._budget.reset()
        with self.path.open("rb") as file:
            file.seek(self._read_to)
            for line in file:
                if not line.endswith(b"\n"):
                    os.ftruncate(self._file, self._read_to)
                    return
                self._note(line, self._read_to)
                self._read_to += len(line)

    def _note(self, line: bytes, start: int) -> None:
        try:
            entry = json.loads(line)
            key, (prompt, answer), problem = entry["request"], entry["counted"], entry["problem"]
            counted = int(prompt), int(answer)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{self.path} is no transcript of rankstill at byte {start}: {type(error).__name__}: {error}",
                hint="remove that line (its answer is asked again), or name another file: transcript=FILE",
            ) from None
        self._budget.add(counted)
        if problem is None:
            self._places.setdefault(key, _Place(start, len(line)))

    def find(self, key: str) -> Answer | None:
        """Find the answer to a request by its hash."""
        place = self._places.get(key)
        if place is None:
            return None
        entry = json.loads(os.pread(self._file, place.length, place.start))
        top = entry["top"] and [(token, value) for token, value in entry["top"]]
        return Answer(entry["answer"], top, entry["finish"], entry["usage"] and tuple(entry["usage"]))

    def append(self, key: str, entry: dict[str, Any]) -> None:
        """Add a line, durably, and count it: `counted` tokens, a `problem` or None, and what is worth keeping.

        Raises:
            OutputError: The file cannot be written.
        """
        line = json.dumps({"request": key, **entry}, allow_nan=False).encode() + b"\n"
        with self._lock:
            start = self._read_to
            # Also where the writing fails: it was paid.
            self._budget.add(entry["counted"])
            with writing_errors(self.path):
                self._write(line)
            self._read_to += len(line)
            if entry["problem"] is None:
                self._places.setdefault(key, _Place(start, len(line)))

    def _write(self, line: bytes) -> None:
        try:
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)
        except OSError:
            # A full disk: what was written of the line would spoil the next one.
            os.ftruncate(self._file, self._read_to)
            raise


@contextmanager
def _alone(path: Path, what: Path) -> Iterator[None]:
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=_PATIENCE)
    except filelock.Timeout:
        say(f"waiting for another process that asks for {what}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
