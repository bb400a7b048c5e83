"""What `rankstill scores` does, as lines for stdout."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.progress import note, say
from rankstill.teachers.store import ScoreStore
from rankstill.teachers.store_care import compact, held, open_stores
from rankstill.teachers.store_export import export
from rankstill.teachers.store_gc import Dropped, drop, drop_pairs, older
from rankstill.teachers.store_verify import Soundness, verify

_MANY = 64
"""Parts from which merging them is worth a word."""
_UNITS = {"d": 86400, "h": 3600, "min": 60, "s": 1}


def ls_lines(root: Path) -> Iterator[str]:
    """Yield a table of a store's teachers: what it holds of each, and how long ago a score was added."""
    rows = [("fingerprint", "name", "kind", "parts", "pairs", "bytes", "age")]
    for store in open_stores(root):
        about = held(store)
        numbers = (str(about.parts), str(about.pairs), str(about.bytes), _age(time.time() - about.newest))
        rows.append((about.fingerprint[:16], about.name or "-", about.kind or "-", *numbers))
        if about.parts >= _MANY:
            say(f"{about.name} has {about.parts} parts; `rankstill scores compact {root}` makes lookups faster")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        names = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        yield "  ".join(names + [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)])


def _age(seconds: float) -> str:
    seconds = max(seconds, 0)
    unit = next((name for name, size in _UNITS.items() if seconds >= size), "s")
    return f"{seconds / _UNITS[unit]:.0f} {unit}"


def verify_lines(root: Path, teacher: str) -> Iterator[str]:
    """Check the parts of a store's teachers; yield a line for each teacher and each damaged part.

    Raises:
        DataError: A part is damaged.
    """
    damaged: list[tuple[Path, str]] = []
    parts = 0
    for store in open_stores(root, teacher):
        found = verify(store)
        damaged += found.damaged
        parts += found.parts + len(found.damaged)
        yield _sound_line(store, found)
        yield from (f"damaged: {path}: {wrong}" for path, wrong in found.damaged)
        if found.disagreeing:
            note(
                f"{found.disagreeing} pairs of {store.folder.name} have another score in a later part (first: "
                f"{found.example}); the first one counts, and `rankstill scores compact` drops the others"
            )
    if damaged:
        raise DataError(
            f"{len(damaged)} of {parts} parts are damaged (first: {damaged[0][0]}: {damaged[0][1]})",
            hint="remove these files, or copy them back from elsewhere; what they held is scored again when asked for",
        )


def _sound_line(store: ScoreStore, found: Soundness) -> str:
    name = f"{store.folder.name} {store.about['name']}".rstrip()
    repeated = f", {found.repeated} repeated ({found.disagreeing} of them disagree)" if found.repeated else ""
    return f"{name}: {found.parts} sound parts, {found.pairs} scores{repeated}, {len(found.damaged)} damaged"


def compact_lines(root: Path, teacher: str) -> Iterator[str]:
    """Merge the parts of a store's teachers; yield a line for each teacher."""
    for store in open_stores(root, teacher):
        before, after = compact(store)
        yield f"{store.folder.name} {store.about['name']}: {before} parts before, {after} now"


def export_scores(root: Path, out: Path, teacher: str, collection: Path | None) -> None:
    """Write one teacher's scores as a table.

    Raises:
        SpecError: The store has several teachers, and none is chosen.
        DataError: There is nothing to write.
    """
    stores = open_stores(root, teacher)
    if len(stores) > 1:
        names = ", ".join(f"{store.folder.name} ({store.about['name']})" for store in stores[:5])
        raise SpecError(f"{root} holds the scores of {len(stores)} teachers: {names}", hint="choose one by --teacher")
    if not stores:
        raise DataError(f"{root} holds no scores", hint="fill it: rankstill score --store")
    count = export(stores[0], out, Collection(collection) if collection else None)
    say(f"{count} scores by {stores[0].about['name'] or stores[0].folder.name}")


def gc_lines(
    root: Path, teachers: Sequence[str], days: float | None, keep: Sequence[Path], *, really: bool
) -> Iterator[str]:
    """Throw scores away; yield a line for each teacher that loses some.

    Args:
        root: The store.
        teachers: Beginnings of fingerprints; of all teachers where empty.
        days: Only teachers to whose scores nothing was added for so many days.
        keep: Collections whose pairs stay; where empty, nothing of the chosen teachers stays.
        really: Or only say what would go.

    Raises:
        SpecError: Nothing says what to throw away.
    """
    if not teachers and days is None and not keep:
        raise SpecError(
            "nothing says what to throw away", hint="choose by --teacher, --older-than, --keep-only, or several of them"
        )
    # A dictionary: a teacher may be meant by several prefixes.
    stores = list({store.folder: store for prefix in teachers or [""] for store in open_stores(root, prefix)}.values())
    if days is not None:
        stores = older(stores, days)
    kept = [Collection(path) for path in keep]
    done = [drop_pairs(store, kept, really=really) if kept else drop(store, really=really) for store in stores]
    yield from (_dropped_line(one, really=really) for one in done if one.pairs)
    total = sum(one.pairs for one in done)
    if not really:
        say(f"nothing was thrown away; --yes throws these {total} scores away" if total else "there is nothing to do")


def _dropped_line(one: Dropped, *, really: bool) -> str:
    name = f"{one.store.folder.name} {one.store.about['name']}".rstrip()
    return f"{name}: {one.pairs} of {one.of} scores {'thrown away' if really else 'would go'}"
