"""Is a score store sound? Checksums, finite scores, order, and pairs that stand in it twice."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rankstill.errors import DataError
from rankstill.files import file_fingerprint
from rankstill.progress import track
from rankstill.teachers.store import ScoreStore
from rankstill.teachers.store_parts import Merged, Part, merged

_STRETCH = 1 << 18
"""Rows whose order is checked at once."""


@dataclass
class Soundness:
    """What `verify` found.

    Attributes:
        parts, pairs: Sound parts, and their rows.
        damaged: (part, what is wrong with it).
        repeated: Rows whose pair stands in an earlier part too, as after copying stores together.
        disagreeing: Those among them with another score.
        example: One of them, in words; empty where there is none.
    """

    parts: int = 0
    pairs: int = 0
    damaged: list[tuple[Path, str]] = field(default_factory=list)
    repeated: int = 0
    disagreeing: int = 0
    example: str = ""


def verify(store: ScoreStore) -> Soundness:
    """Check every part of one teacher's scores against its checksum, and the scores themselves.

    Args:
        store: One teacher's; nothing in it is changed.
    """
    store.mend()
    found = Soundness()
    sound = []
    paths = store.parts()
    for path in track(paths, f"verifying {store.folder.name}", unit="parts"):
        try:
            part = Part.open(path)
            wrong = _wrong(part)
        except FileNotFoundError:
            # Replaced meanwhile: what stands for it was checked when it was made.
            continue
        except DataError as error:
            wrong = error.message
        if wrong:
            found.damaged.append((path, wrong))
        else:
            sound.append(part)
    found.parts, found.pairs = len(sound), sum(map(len, sound))
    with tempfile.TemporaryDirectory(prefix="rankstill-") as scratch:
        for piece in merged(sound, Path(scratch)):
            _count_repeated(piece, found)
    return found


def _wrong(part: Part) -> str:
    """Say what is wrong with a part; nothing, where it is sound."""
    sha = file_fingerprint(part.path)
    if part.path.name != f"part-{sha}.arrow":
        return f"its content does not fit its name (its SHA-256 is {sha})"
    if bad := np.count_nonzero(~np.isfinite(part.score)):
        return f"{bad} of its {len(part)} scores are not finite"
    return "" if _in_order(part) else "its rows are not in order"


def _in_order(part: Part) -> bool:
    for start in range(0, len(part), _STRETCH):
        # With the last row of the stretch before.
        rows = slice(max(start - 1, 0), start + _STRETCH)
        keys = part.keys(rows)
        part.forget(rows)
        mixed = keys.mixed()
        if not ((mixed[1:] > mixed[:-1]) | ((mixed[1:] == mixed[:-1]) & keys.first()[1:])).all():
            return False
    return True


def _count_repeated(piece: Merged, found: Soundness) -> None:
    found.repeated += int(np.count_nonzero(~piece.first))
    other = piece.other()
    found.disagreeing += len(other)
    if len(other) and not found.example:
        row = int(other[0])
        leader = int(np.flatnonzero(piece.first[: row + 1])[-1])
        query, doc = (side.tobytes().hex() for side in (piece.keys.halves[row, :2], piece.keys.halves[row, 2:]))
        found.example = f"query {query}, document {doc}: {piece.score[leader]:g} and {piece.score[row]:g}"
