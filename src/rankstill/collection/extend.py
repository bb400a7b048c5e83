"""The stage `extend`: a collection with more documents behind its own, which are not copied.

The rows of the first documents, the queries and the judgements stay what they were: the files are hard links, or, where
the file system has none, symbolic ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from rankstill.collection.store import Texts, files_of
from rankstill.errors import DataError
from rankstill.files import read_manifest, run_stage

EDITED = "edited.arrow"
"""The further documents, in the folder of the candidates that were drawn with them."""


def extend(collection: Path, candidates: Path, out: Path) -> Path:
    """Make a collection whose first documents are another's, and whose last ones came with candidates.

    Args:
        collection: The collection's folder; perhaps extended itself.
        candidates: A folder of the stage `sample` that has edited texts.
        out: The folder to write.

    Raises:
        DataError: An id of an edited text is in the collection already.
    """
    about = read_manifest(collection)

    def build(work: Path) -> dict[str, Any]:
        files = list(_files(collection))
        number = sum(file.name.startswith("documents.") for file in files)
        for file, name in [*((f, f.name) for f in files), (candidates / EDITED, f"documents.{number}.arrow")]:
            _link(file, work / name)
        _refuse_known_ids(Texts(collection / "documents.arrow", "documents"), Texts(candidates / EDITED, "texts"))
        documents = Texts(work / "documents.arrow", "documents")
        return {**about["counts"], "documents": len(documents)}

    inputs: dict[str, Path | str] = {"collection": collection, "candidates": candidates}
    return run_stage(out, stage="extend", spec=about["spec"], inputs=inputs, build=build)


def _files(collection: Path) -> Iterator[Path]:
    yield from files_of(collection / "documents.arrow")
    yield from files_of(collection / "queries.arrow")
    yield from (collection / name for name in ("qrels.parquet", "lists.parquet") if (collection / name).is_file())


def _link(file: Path, place: Path) -> None:
    # What a killed run linked is linked anew.
    place.unlink(missing_ok=True)
    source = file.resolve()
    try:
        place.hardlink_to(source)
    except OSError:
        place.symlink_to(source)


def _refuse_known_ids(known: Texts, more: Texts) -> None:
    # The small side is hashed, not the collection's millions.
    ids = more.id_column()
    doubled = [chunk.filter(pc.is_in(chunk, value_set=ids)) for chunk in known.id_column().chunks]
    if count := sum(map(len, doubled)):
        first = next(str(chunk[0]) for chunk in doubled if len(chunk))
        raise DataError(
            f"{count} of {len(more)} edited texts have an id that the collection has already (first: {first})",
            hint="draw from the collection that was not extended, or rename its documents",
        )
