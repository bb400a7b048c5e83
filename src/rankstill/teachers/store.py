"""The score store: every score that a teacher ever gave, by the two texts.

A folder `STORE/FINGERPRINT[:16]/` belongs to one teacher. It holds `teacher.json` (fingerprint, name, kind) and parts,
`part-SHA256.arrow` (see `store_parts`): the keys of pairs (16 bytes of each text's BLAKE2b hash) and their scores.
Because the keys are hashes of texts, scores outlive changes of ids and serve every strategy, loss and study.

Who does what when:
- A part is written once and never changed, and named after its content: a damaged one can be told from its name.
- Who writes holds the folder's lock, `.lock`, which the operating system takes from a process that dies. Under it a
  writer first mends what a killed one left, and stores only pairs that no part has: no pair is stored twice.
- Parts are replaced by others (`replace`) in three steps: the new ones are written under passing names, `replace.json`
  says what comes and what goes, and then it is done. Killed before the second step, nothing has happened; killed after
  it, the next writer finishes.
- Who reads needs no lock. A part that has gone since it was listed has been replaced; the reader lists again.
Where parts that were copied together from several machines disagree, the part whose name comes first counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection as Names
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import numpy as np
from numpy.typing import NDArray

from rankstill.errors import DataError
from rankstill.files import whole_or_absent, write_json, writing_errors
from rankstill.records import Scores32
from rankstill.teachers.pair_keys import PairKeys
from rankstill.teachers.store_lookup import Asked
from rankstill.teachers.store_parts import Part, encode

__all__ = ["PairKeys", "ScoreStore", "write_once"]
ABOUT = "teacher.json"
_REPLACE = "replace.json"
_PART = re.compile(r"part-.*\.arrow")


class ScoreStore:
    """One teacher's scores on disk.

    Args:
        root: The store's folder, shared by all teachers; made when the first score is written.
        fingerprint: The teacher's.
        name, kind: What `teacher.json` tells people about it.

    Raises:
        DataError: The folder belongs to another teacher (their fingerprints begin alike).
    """

    def __init__(self, root: Path, fingerprint: str, name: str = "", kind: str = "") -> None:
        self.folder = root / fingerprint[:16]
        self.about = {"fingerprint": fingerprint, "name": name, "kind": kind}
        about = self.folder / ABOUT
        if about.is_file() and json.loads(about.read_text("utf-8"))["fingerprint"] != fingerprint:
            raise DataError(f"{self.folder} holds the scores of another teacher", hint="use another --store")

    def parts(self) -> list[Path]:
        """List the finished parts; what a killed process left behind is none."""
        return [self.folder / name for name in sorted(self._names()) if _PART.fullmatch(name)]

    def append(self, keys: PairKeys, score: Scores32, lacking: Names[str] = ()) -> str:
        """Add scores, durably: they are there when this returns, or not at all.

        Args:
            keys: n pairs. One that the store has already, or that came before, keeps the score it has.
            score: (n,) finite float32.
            lacking: Names of parts that are known to have none of these pairs, which saves looking there.

        Returns:
            The name of the new part; empty where all pairs were there.
        """
        if not np.isfinite(score).all():
            raise DataError("only finite scores are stored")
        with self.writing():
            new = np.flatnonzero(np.isnan(self._find(keys, lacking)))
            if not len(new):
                return ""
            keys, score = keys.take(new), np.asarray(score, np.float32)[new]
            order = keys.order()
            order = order[keys.take(order).first()]
            data = encode(keys.take(order), score[order])
            for path, content in ((self.folder / ABOUT, self._json()), (self._path(data), data)):
                if not path.exists():
                    with whole_or_absent(path) as file:
                        file.write(content)
            return path.name

    def lookup(self, keys: PairKeys) -> Scores32:
        """Find scores.

        Args:
            keys: n pairs, distinct or not.

        Returns:
            (n,) float32; NaN for a pair that is not in the store.
        """
        return self._find(keys, ())

    def missing(self, keys: PairKeys) -> NDArray[np.bool_]:
        """Tell which of n pairs are not in the store."""
        return np.isnan(self.lookup(keys))

    def opened(self, besides: Names[str] = ()) -> Iterator[Part]:
        """Open each part once, in the order of their names; those that appear meanwhile come after them.

        Args:
            besides: Names of parts to leave out.
        """
        done, listings = set(besides), 0
        while True:
            new = [path for path in self.parts() if path.name not in done]
            listings += 1
            # One listing may miss a part that came while it was made, and the one that went for it as well. So the
            # end is a second listing, or a later one, that shows nothing new.
            if not new and listings > 1:
                return
            for path in new:
                try:
                    part = Part.open(path)
                except FileNotFoundError:
                    continue
                done.add(path.name)
                yield part

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder's lock, as its only writer, after mending what a killed one left."""
        with writing_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / ".lock"):
                self._mend()
                try:
                    yield
                finally:
                    self._mend()

    def replace(self, old: Iterable[Path], new: Iterable[tuple[PairKeys, Scores32]]) -> list[str]:
        """Put other parts in the place of some, all at once; for who holds the lock.

        Args:
            old: Finished parts, in the order of their names.
            new: What each of the others holds: n distinct pairs in order, and their finite scores.

        Returns:
            The names of the others.
        """
        old = list(old)
        newest = max((path.stat().st_mtime_ns for path in old), default=0)
        added = [self._write_aside(encode(*content)) for content in new]
        gone = [path.name for path in old if path.name not in added]
        if gone:
            write_json(self.folder / _REPLACE, {"add": added, "drop": gone, "newest": newest})
            self._mend()
        return added

    def mend(self) -> None:
        """Finish what a killed writer began, if there is such a thing."""
        if (self.folder / _REPLACE).is_file():
            with self.writing():
                pass

    def _find(self, keys: PairKeys, besides: Names[str]) -> Scores32:
        asked = Asked(keys)
        for part in self.opened(besides):
            asked.fill(part)
        return asked.scores()

    def _write_aside(self, data: memoryview) -> str:
        path = self._path(data)
        if not path.exists():
            with _aside(path).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        return path.name

    def _mend(self) -> None:
        """Finish a replacement that is decided, and clear away what was never finished."""
        decided = self.folder / _REPLACE
        if decided.is_file():
            plan = json.loads(decided.read_text("utf-8"))
            for path in (self.folder / name for name in plan["add"]):
                if _aside(path).exists():
                    # The age of a score is not that of the tidying.
                    os.utime(_aside(path), ns=(plan["newest"], plan["newest"]))
                    _aside(path).replace(path)
            # From the last name on: of two parts that disagree, the one that counts goes last.
            for name in sorted(plan["drop"], reverse=True):
                (self.folder / name).unlink(missing_ok=True)
            decided.unlink()
        for name in self._names():
            if name.endswith(".part"):
                (self.folder / name).unlink()

    def _names(self) -> list[str]:
        return os.listdir(self.folder) if self.folder.is_dir() else []  # noqa: PTH208 -- there may be 100,000

    def _path(self, data: memoryview) -> Path:
        return self.folder / f"part-{hashlib.sha256(data).hexdigest()}.arrow"

    def _json(self) -> bytes:
        return json.dumps(self.about, indent=2).encode()


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def write_once(path: Path, data: bytes) -> None:
    """Write a file whose name promises its content: whole or absent, and harmless when two processes do it at once."""
    if path.exists():
        return
    # One writer at a time: what a killed one left has a name that the next one writes over.
    with filelock.FileLock(path.with_name(".lock")):
        if not path.exists():
            with whole_or_absent(path) as file:
                file.write(data)
