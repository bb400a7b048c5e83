"""`rankstill audit`: all checks, in order, and the file and the table that show what they found.

Each text is read a few times and never held: what grows with a collection are 64-bit keys of its texts. See `alike` for
the memory of near duplicates.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankstill.collection.store import Collection
from rankstill.errors import ModelError, SpecError, unknown_name
from rankstill.files import write_json
from rankstill.groups.audit.cut import check_lengths, open_reader
from rankstill.groups.audit.findings import CHECKS, Finding, Side, same_documents
from rankstill.groups.audit.negatives import dropped_by_filters, negatives_in, positives_among
from rankstill.groups.audit.places import Place, place_of, test_sides, training_side
from rankstill.groups.audit.shared import shared
from rankstill.groups.audit.table import audit_table
from rankstill.groups.audit.texts import check_texts
from rankstill.groups.audit.words import Keys
from rankstill.models import resolve_model
from rankstill.progress import console, note

AUDIT = "audit.json"
FORMAT = 1


@dataclass(frozen=True)
class AuditSpec:
    """How to look.

    Attributes:
        document_similarity: Jaccard similarity of runs of three words from which two documents are alike.
        query_similarity: Jaccard similarity of words from which two queries are alike.
        models: References of further models whose length counts, besides the students and the teacher found.
        max_length: Tokens that the models read, where not what their folders say; 0 for what they say.
        skip: Names of checks to leave out.
    """

    document_similarity: float = 0.8
    query_similarity: float = 0.8
    models: tuple[str, ...] = ()
    max_length: int = 0
    skip: tuple[str, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        for name in self.skip:
            if name not in CHECKS:
                raise unknown_name("check", name, CHECKS)
        for value in (self.document_similarity, self.query_similarity):
            if not 0 < value <= 1:
                raise SpecError(f"a similarity is above 0 and at most 1: got {value:g}")
        if self.max_length and self.max_length < 8:
            raise SpecError(f"no model reads only {self.max_length} tokens", hint="--max-length takes 8 or more")


def audit(place: Place, spec: AuditSpec, out: Path) -> dict[str, Any]:
    """Check everything and write what was found as JSON; the same data give the same bytes.

    Args:
        place: What to look at.
        spec: How.
        out: The file to write.

    Returns:
        What was written: `checks`, one for each check and each thing that it looked at, and `filters`.
    """
    training, tests = training_side(place), test_sides(place)
    findings = list(_findings(place, spec, training, tests))
    summary = {
        "format": FORMAT,
        "training": _counts(training),
        "tests": [_counts(test) for test in tests],
        "document_similarity": spec.document_similarity,
        "query_similarity": spec.query_similarity,
        "skipped": list(spec.skip),
        "checks": findings,
        "filters": dropped_by_filters({n: (f, Collection(place.collection(n))) for n, f in _groups(place).items()}),
    }
    write_json(out, summary)
    return {**summary, "checks": [vars(f) for f in findings]}


def audit_command(
    folders: Sequence[Path], collection: str | None, tests: Sequence[str], split: str, spec: AuditSpec, out: Path | None
) -> tuple[dict[str, Any], Path]:
    """Audit what a command line names (see `place_of`), print the tables on stderr, and say where the file is."""
    with tempfile.TemporaryDirectory(prefix="rankstill-audit-") as scratch:
        place = place_of(folders, collection, tests, split, Path(scratch))
        inside = len(folders) == 1 and place.training.parent == folders[0]
        path = out or (folders[0] / AUDIT if inside else Path(AUDIT))
        summary = audit(place, spec, path)
    console.print(audit_table(summary))
    return summary, path


def found_any(summary: Mapping[str, Any]) -> bool:
    """Tell whether any check found anything; what filters dropped is no finding."""
    return any(check["found"] for check in summary["checks"])


def _findings(place: Place, spec: AuditSpec, training: Side, tests: Sequence[Side]) -> Iterator[Finding]:
    keys, skip = Keys(), set(spec.skip)
    if "positives-among-negatives" not in skip:
        for strategy, folder in place.negatives.items():
            collection = Collection(place.extended[strategy]) if strategy in place.extended else training.collection
            yield positives_among(strategy, negatives_in(folder), collection, keys)
    similarity = {"queries": spec.query_similarity, "documents": spec.document_similarity}
    for test in tests:
        yield from shared(training, test, similarity, keys, skip, whole=not place.negatives)
    yield from check_texts("training", training.collection, keys, skip)
    checked = [training.collection]
    for test in tests:
        if not any(same_documents(test.collection, known) for known in checked):
            yield from check_texts(test.name, test.collection, keys, skip)
            checked.append(test.collection)
    if "cut-texts" not in skip:
        yield from _cut(place, spec, training)


def _cut(place: Place, spec: AuditSpec, training: Side) -> Iterator[Finding]:
    folders = dict(place.models) | {reference: resolve_model(reference) for reference in spec.models}
    readers = [open_reader(name, folder, spec.max_length or None) for name, folder in folders.items()]
    if place.teacher and place.teacher not in folders:
        try:
            readers.append(open_reader(place.teacher, resolve_model(place.teacher), spec.max_length or None))
        except ModelError:
            # A run, an LLM, an ensemble, or a model that has gone: what it reads is not known here.
            note(f"how much the teacher {place.teacher} reads is not known; no text is called too long for it")
    if not folders and not readers:
        note("no model is known, so no text can be too long for one; name it: --model REFERENCE")
    for reader in readers:
        if reader is not None:
            yield check_lengths(training, reader)


def _groups(place: Place) -> dict[str, Path]:
    return {name: folder for name, folder in place.negatives.items() if (folder / "groups.parquet").is_file()}


def _counts(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "collection": side.collection.manifest["spec"]["name"],
        "queries": len(side.queries),
        "documents": len(side.documents),
        "relevant": len(side.relevant),
    }
