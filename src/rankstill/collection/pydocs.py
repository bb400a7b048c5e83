"""The collection `pydocs`: the documentation of your own Python environment, made on the spot, nothing downloaded.

Every function's and class's docstring of the standard library and of a fixed list of packages gives a query (its first
paragraph, as far as it is prose) and a document (the qualified name and the rest; `prose` says what is stripped). Left
out and counted: too short, too long or templated ones; deprecated definitions; documents that still contain their
query, or four fifths of it; near duplicates, which have 0.6 of all their runs of three words in common (the first one
stays); and all pairs whose query another document shares, since nobody could say which is meant.

Parts: `main` holds the training packages, with splits train, dev and test; `ood` (out of domain) holds packages that
are never trained on, with the split test. Both are cleaned together, so that no document of `ood` is a near copy of a
training document. Which split a query belongs to, and which documents a sample keeps, follows from hashes of its id
alone: another package or another size moves nobody.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from rankstill.collection.extraction import extract_all
from rankstill.collection.near_duplicates import first_of_alike
from rankstill.collection.packages import STANDARD_LIBRARY, package_files, package_roots, version
from rankstill.collection.prose import Pair, normalised
from rankstill.collection.source import Source
from rankstill.errors import SpecError, unknown_name
from rankstill.files import fingerprint
from rankstill.progress import track

RULES = 1
"""Counts up with every change of what is left out or stripped, so that an older output is not taken for this one."""

PACKAGES: dict[str, tuple[str, ...]] = {
    "main": (
        *(STANDARD_LIBRARY, "torch", "transformers", "sentence_transformers", "huggingface_hub", "numpy", "matplotlib"),
        *("sympy", "pyarrow", "rich", "jinja2", "fsspec"),
    ),
    "ood": ("scipy", "sklearn", "networkx"),
}
"""The packages of each part, by importable name. A near duplicate yields to those before it, so new ones go last."""

SPLITS: dict[str, dict[str, float]] = {"main": {"test": 0.05, "dev": 0.075, "train": 1.0}, "ood": {"test": 0.1}}
"""Where each split ends on the line from 0 to 1 on which the hashes of the ids lie: a twentieth of the documents of
`main` are asked for in tests, a tenth of those of `ood`, whose other documents are there to be told apart."""

DEMO_SIZE = {"main": 6000, "ood": 3000}
"""Documents in the samples that the demo encodes: some 300 test queries in either part."""

SIMILARITY = 0.6

Found = list[tuple[str, Pair]]
"""Pairs with the package that each is from."""


@dataclass(frozen=True)
class Extraction:
    """The clean pairs of all packages.

    Attributes:
        pairs: By package, in the order of the files' paths and lines.
        counts: By package: files read, docstrings of two paragraphs, pairs, and what was left out, by reason.
    """

    pairs: Mapping[str, list[Pair]]
    counts: Mapping[str, Counter[str]]


def source(part: str = "main", size: int | str = "full") -> Source:
    """Describe one part of the collection; the packages are read when its texts are first asked for.

    Args:
        part: `main` or `ood`.
        size: `full`, `demo`, or the number of documents to keep: those with the smallest hash of their id, so a plain
            sample. A number beyond what there is keeps everything.

    Raises:
        SpecError: The part or the size is unknown.
        DataError: A package of the list, of either part, is not installed.
    """
    if part not in PACKAGES:
        raise unknown_name("part of pydocs", part, PACKAGES)
    most = _most(part, size)
    roots = _roots()
    identity = _identity(roots)
    selection = _Selection(part, most, identity)
    facts = {
        "kind": "docstrings",
        "part": part,
        "size": size if most is None else most,
        "rules": RULES,
        "versions": {name: version(name) for name in PACKAGES[part]},
    }
    name = "pydocs" if part == "main" else f"pydocs-{part}"
    return Source(
        name=name,
        documents=selection.documents,
        queries=selection.queries,
        judgements=selection.judgements,
        identity=identity,
        facts=facts,
        counts=selection.counts,
    )


def _roots() -> dict[str, Path]:
    return package_roots(name for names in PACKAGES.values() for name in names)


def _identity(roots: Mapping[str, Path]) -> str:
    """Identify the source files by version, path and size, which is quick; their bytes show in the counts."""
    listing = {
        package: [version(package), [(file.module, file.size) for file in package_files(package, root)]]
        for package, root in roots.items()
    }
    return fingerprint({"rules": RULES, "packages": listing})


def _most(part: str, size: int | str) -> int | None:
    if size == "full":
        return None
    if size == "demo":
        return DEMO_SIZE[part]
    if not str(size).isdecimal() or int(size) < 1:
        raise SpecError(
            f"the size of pydocs must be `full`, `demo` or a number of documents: got {size!r}",
            hint="for example size=6000",
        )
    return int(size)


@lru_cache(maxsize=1)
def extract(identity: str) -> Extraction:
    """Read all packages and clean their pairs; kept in memory, since both parts need it.

    Args:
        identity: What the extraction is remembered by; see `source`.
    """
    files = [(package, file) for package, root in _roots().items() for file in package_files(package, root)]
    counts: dict[str, Counter[str]] = {package: Counter() for names in PACKAGES.values() for package in names}
    found: dict[str, tuple[str, Pair]] = {}
    extracts = extract_all([file for _, file in files])
    for (package, _), read in zip(files, track(extracts, "read docstrings", len(files), "files"), strict=True):
        counts[package].update(read.left_out)
        if read.docstrings is not None:
            counts[package].update(files=1, docstrings=read.docstrings)
        for pair in read.pairs:
            if found.setdefault(pair.id, (package, pair))[1] is not pair:
                counts[package]["defined again under the same name"] += 1
    clean = _without_shared_queries(_without_near_duplicates(list(found.values()), counts), counts)
    pairs: dict[str, list[Pair]] = {package: [] for package in counts}
    for package, pair in clean:
        pairs[package].append(pair)
        counts[package]["pairs"] += 1
    return Extraction(pairs, counts)


def _without_near_duplicates(found: Found, counts: Mapping[str, Counter[str]]) -> Found:
    first = first_of_alike([pair.body for _, pair in found], similarity=SIMILARITY).tolist()
    kept = [row == other for row, other in enumerate(first)]
    return _keep(found, kept, counts, "near duplicates")


def _without_shared_queries(found: Found, counts: Mapping[str, Counter[str]]) -> Found:
    queries = [normalised(pair.query) for _, pair in found]
    asked = Counter(queries)
    return _keep(found, [asked[query] == 1 for query in queries], counts, "query shared by several documents")


def _keep(found: Found, kept: list[bool], counts: Mapping[str, Counter[str]], reason: str) -> Found:
    for (package, _), is_kept in zip(found, kept, strict=True):
        if not is_kept:
            counts[package][reason] += 1
    return [item for item, is_kept in zip(found, kept, strict=True) if is_kept]


def split_of(pair_id: str, part: str) -> str | None:
    """Tell the split of a query from a hash of its id; None where the query is not asked."""
    place = _place("split", pair_id)
    return next((split for split, end in SPLITS[part].items() if place < end), None)


def _place(purpose: str, pair_id: str) -> float:
    """Map an id to [0, 1), evenly, for each purpose anew."""
    digest = hashlib.blake2b(f"{purpose}/{pair_id}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


@dataclass(frozen=True)
class _Selection:
    """The pairs of one part and size, with their splits."""

    part: str
    most: int | None
    identity: str

    @cached_property
    def rows(self) -> list[tuple[Pair, str | None]]:
        pairs = [pair for package in PACKAGES[self.part] for pair in extract(self.identity).pairs[package]]
        if self.most is not None:
            kept = {pair.id for pair in sorted(pairs, key=lambda p: (_place("sample", p.id), p.id))[: self.most]}
            pairs = [pair for pair in pairs if pair.id in kept]
        return [(pair, split_of(pair.id, self.part)) for pair in pairs]

    def documents(self) -> Iterator[tuple[str, str]]:
        return ((pair.id, pair.document) for pair, _ in self.rows)

    def queries(self) -> Iterator[tuple[str, str]]:
        return ((pair.id, pair.query) for pair, split in self.rows if split)

    def judgements(self) -> Iterator[tuple[str, str, str, int]]:
        return ((split, pair.id, pair.id, 1) for pair, split in self.rows if split)

    def counts(self) -> dict[str, Any]:
        """Count what was read and left out, package by package, and fingerprint what is left."""
        digest = hashlib.sha256()
        for pair, split in self.rows:
            digest.update(json.dumps([pair.id, pair.query, pair.document, split], ensure_ascii=False).encode() + b"\n")
        packages = extract(self.identity).counts
        return {"fingerprint": digest.hexdigest(), "packages": {n: dict(packages[n]) for n in PACKAGES[self.part]}}
