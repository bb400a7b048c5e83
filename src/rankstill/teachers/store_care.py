"""Looking after a score store: which teachers are in it, how much of each, and tidying it up.

This, checking (`store_verify`) and throwing scores away (`store_gc`) may run while other processes score: readers find
the scores that stay at any moment, and writers wait for the folder's lock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rankstill.errors import DataError
from rankstill.teachers.store import ABOUT, ScoreStore
from rankstill.teachers.store_parts import Part, merged


def open_stores(root: Path, teacher: str = "") -> list[ScoreStore]:
    """Open the scores of every teacher in a store, in the order of their fingerprints.

    Args:
        root: The store's folder.
        teacher: The beginning of a fingerprint, to open only those teachers that have it.

    Raises:
        DataError: There is no such folder, none of its teachers has such a fingerprint, or a `teacher.json` is broken.
    """
    if not root.is_dir():
        raise DataError(f"there is no score store at {root}", hint="give the folder of --store, or OUT/store")
    opened = []
    for about in sorted(root.glob(f"*/{ABOUT}")):
        try:
            known = json.loads(about.read_text("utf-8"))
            opened.append(ScoreStore(root, known["fingerprint"], known["name"], known["kind"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{about} is damaged: {error}", hint="remove that file: the next scoring writes it again"
            ) from error
    chosen = [store for store in opened if store.about["fingerprint"].startswith(teacher)]
    if teacher and not chosen:
        raise DataError(
            f"no teacher in {root} has a fingerprint that begins with {teacher!r} ({len(opened)} have others)",
            hint=f"see them with `rankstill scores ls {root}`",
        )
    return chosen


@dataclass(frozen=True)
class Held:
    """What a store holds of one teacher.

    Attributes:
        fingerprint, name, kind: The teacher's.
        parts: Files.
        pairs: Scored pairs of texts.
        bytes: Of all parts.
        newest: When a score was last added, in seconds since 1970.
    """

    fingerprint: str
    name: str
    kind: str
    parts: int
    pairs: int
    bytes: int
    newest: float


def held(store: ScoreStore) -> Held:
    """Count what a store holds of one teacher, without reading it all."""
    store.mend()
    parts, pairs, size, newest = 0, 0, 0, 0.0
    for part in store.opened():
        stat = part.path.stat()
        parts, pairs, size, newest = parts + 1, pairs + len(part), size + stat.st_size, max(newest, stat.st_mtime)
    return Held(**store.about, parts=parts, pairs=pairs, bytes=size, newest=newest)


def compact(store: ScoreStore) -> tuple[int, int]:
    """Merge one teacher's parts into few. The same scores are found before and after, and at any moment between.

    Killed at any moment, the old parts are there, or the new ones. Meanwhile the disk holds both.

    Returns:
        How many parts there were, and how many there are.

    Raises:
        DataError: A part is damaged.
    """
    with store.writing():
        old = store.parts()
        merge_parts(store, old)
        return len(old), len(store.parts())


def merge_parts(store: ScoreStore, old: Sequence[Path]) -> list[str]:
    """Merge some parts, for who holds the lock; give the names of those that stand for them.

    Not all at once makes sense where no pair stands in two parts, as among those that `append` wrote.
    """
    parts = [Part.open(path) for path in old]
    return store.replace(old, (piece.distinct() for piece in merged(parts, store.folder)))
