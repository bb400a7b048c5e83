"""What an audit looks at: an output folder of `distill` or `demo`, folders of single stages, or collections."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rankstill.collection.load import load
from rankstill.collection.reference import Reference
from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError, unknown_name
from rankstill.files import MANIFEST, path_fingerprint, read_manifest
from rankstill.groups.audit.findings import Side, every
from rankstill.records import Groups, Pairs, Rows


@dataclass(frozen=True)
class Place:
    """What is there to look at.

    Attributes:
        training: The folder of the training collection.
        split: Its training split; "" where it has no judgements.
        negatives: Folders of the stages `group` or `sample`, by strategy.
        models: Folders of students, by name.
        teacher: How the teacher was named, where that is known.
        tests: Collections to test on, each with its judged split or None for all of them, by name.
        extended: The collections with the texts that strategies edited, by strategy, for those that do.
    """

    training: Path
    split: str
    negatives: dict[str, Path] = field(default_factory=dict)
    models: dict[str, Path] = field(default_factory=dict)
    teacher: str | None = None
    tests: dict[str, tuple[Path, str | None]] = field(default_factory=dict)
    extended: dict[str, Path] = field(default_factory=dict)

    def collection(self, strategy: str) -> Path:
        """Tell where a strategy's documents are."""
        return self.extended.get(strategy, self.training)


def place_of(folders: Sequence[Path], collection: str | None, tests: Sequence[str], split: str, scratch: Path) -> Place:
    """Find out what the command line means.

    Args:
        folders: One output folder, or folders of stages: load, sample, group, train.
        collection: The training collection, a loaded folder or a reference, where the folders do not hold it.
        tests: Further collections to test on, as references or loaded folders, perhaps with `#split=`.
        split: The training split, where no folder tells it.
        scratch: Where references are loaded to.

    Raises:
        SpecError: There is no training collection, or more than one; or a split is unknown.
        DataError: A folder is no output of rankstill, or belongs to another collection.
    """
    if len(folders) == 1 and (folders[0] / "collection" / MANIFEST).is_file():
        if collection is not None:
            raise SpecError(f"{folders[0]} holds its collection", hint="leave out --collection")
        place = _output(folders[0], split)
    else:
        place = _stages(folders, collection, split, scratch)
    named = dict(place.tests)
    for reference in tests:
        path, its = _loaded(reference, scratch)
        own = Collection(path)
        name = f"{own.manifest['spec']['name']} {its or ''}".strip()
        if its is not None and its not in own.splits:
            raise unknown_name("split", its, own.splits or ["(none)"])
        named[name if name not in named else f"{name} ({len(named)})"] = path, its
    found = replace(place, tests=named)
    _refuse_other_collections(found)
    return found


def _output(folder: Path, split: str) -> Place:
    groups = {p.parent.name: p for p in sorted(folder.glob("negatives/*/groups")) if (p / MANIFEST).is_file()}
    models = {
        p.name: p for p in [folder / "model", *sorted(folder.glob("models/*"))] if (p / "rankstill.json").is_file()
    }
    training = folder / "collection"
    tests: dict[str, tuple[Path, str | None]] = {
        p.parent.name: (p, None) for p in sorted(folder.glob("tests/*/collection")) if (p / MANIFEST).is_file()
    }
    summary = folder / "summary.json"
    settings = json.loads(summary.read_text("utf-8")).get("settings", {}) if summary.is_file() else {}
    teacher = settings.get("spec", {}).get("teacher")
    chosen = _split(Collection(training), groups, split)
    extended = {
        name: place
        for name, path in groups.items()
        for place in (path.with_name("candidates-collection"),)
        if (place / MANIFEST).is_file()
    }
    return Place(training, chosen, groups, models, teacher, _own_tests(training, chosen) | tests, extended)


def _own_tests(path: Path, split: str) -> dict[str, tuple[Path, str | None]]:
    """List the other judged splits of the training collection: they test."""
    collection = Collection(path)
    name = collection.manifest["spec"]["name"]
    return {f"{name} {other}": (path, other) for other in collection.splits if other != split}


def _stages(folders: Sequence[Path], collection: str | None, split: str, scratch: Path) -> Place:
    loaded = [] if collection is None else [_loaded(collection, scratch)]
    negatives, models = {}, {}
    for folder in folders:
        manifest = read_manifest(folder)
        stage = manifest["stage"]
        if stage in ("load", "extend"):
            loaded.append((folder, None))
        elif stage in ("sample", "group"):
            told = manifest["spec"] if stage == "sample" else manifest["counts"]
            name = str(told["strategy"])
            negatives[name if name not in negatives else str(folder)] = folder
        elif stage == "train":
            models[folder.name] = folder
        else:
            raise SpecError(
                f"{folder} is a folder of the stage {stage}, in which there is nothing to audit",
                hint="give an output folder of distill, or folders of load, sample, group or train",
            )
    if len(loaded) != 1:
        raise SpecError(
            f"an audit needs one training collection, {len(loaded)} were given",
            hint="rankstill audit OUTPUT, or rankstill audit --collection X --test Y",
        )
    path, its = loaded[0]
    chosen = its or _split(Collection(path), negatives, split)
    if its is not None and its not in Collection(path).splits:
        raise unknown_name("split", its, Collection(path).splits or ["(none)"])
    # A collection that is named trains as a whole, unless it says otherwise or has a training split.
    return Place(path, chosen, negatives, models, None, {} if collection is not None else _own_tests(path, chosen))


def _split(collection: Collection, negatives: dict[str, Path], split: str) -> str:
    told = {str(read_manifest(folder)["spec"]["split"]) for folder in negatives.values()}
    if told:
        return sorted(told)[0]
    return split if split in collection.splits else ""


def _loaded(reference: str, scratch: Path) -> tuple[Path, str | None]:
    """Find a loaded collection, or load one."""
    parsed = Reference.parse(reference)
    path = Path(parsed.location).expanduser()
    if (path / MANIFEST).is_file():
        return path, parsed.split
    return load(parsed, scratch / f"collection{len(list(scratch.glob('collection*')))}"), parsed.split


def _refuse_other_collections(place: Place) -> None:
    for strategy, folder in place.negatives.items():
        made_of = read_manifest(folder)["inputs"]["collection"]
        if made_of != path_fingerprint(place.collection(strategy)) and made_of != _extends(place.training):
            raise DataError(f"{folder} was made of another collection than {place.training}", hint="give its own one")


def _extends(collection: Path) -> str | None:
    """Tell which collection another one extends: its fingerprint; None where it extends none."""
    manifest = read_manifest(collection)
    return str(manifest["inputs"]["collection"]) if manifest["stage"] == "extend" else None


def training_side(place: Place) -> Side:
    """Say what trains: the queries and documents of the groups; without groups those of the training split.

    A collection without judgements, or without the training split, trains as a whole. Texts that a strategy edited are
    left out, and so is what they were made of where only the edited form trains: look at the base strategy for that.
    """
    collection = Collection(place.training)
    everything = every(collection.queries), every(collection.documents)
    relevant: Rows = np.empty(0, np.uint32)
    queries, documents = everything
    if place.split:
        qrels = collection.qrels(place.split)
        known = qrels.grade >= collection.relevant_from
        queries, relevant = np.unique(qrels.query[known]), np.unique(qrels.doc[known])
    elif collection.splits:
        relevant = _relevant(collection, None)
    if place.negatives:
        queries, documents = (np.unique(np.concatenate(part)) for part in zip(*_members(place), strict=True))
        documents = documents[documents < len(collection.documents)]
        if any((folder / "candidates.parquet").is_file() for folder in place.negatives.values()):
            documents = np.union1d(documents, relevant)
    return Side("training", collection, queries, documents, relevant)


def _members(place: Place) -> Iterator[tuple[Rows, Rows]]:
    for folder in place.negatives.values():
        if (folder / "groups.parquet").is_file():
            groups = Groups.read(folder / "groups.parquet")
            yield groups.query, groups.doc.reshape(-1)
        else:
            pairs = Pairs.read(folder / "candidates.parquet")
            yield pairs.query, pairs.doc


def test_sides(place: Place) -> list[Side]:
    """Say what tests: the judged queries of each test, all its documents, and the relevant ones among them."""
    found = []
    for name, (path, split) in place.tests.items():
        collection = Collection(path)
        splits = [split] if split else collection.splits
        judged = [collection.qrels(one).queries() for one in splits]
        queries = np.unique(np.concatenate(judged)) if judged else every(collection.queries)
        relevant = _relevant(collection, split)
        found.append(Side(f"test {name}", collection, queries, every(collection.documents), relevant))
    return found


def _relevant(collection: Collection, split: str | None) -> Rows:
    found = [np.empty(0, np.uint32)]
    for one in [split] if split else collection.splits:
        qrels = collection.qrels(one)
        found.append(qrels.doc[qrels.grade >= collection.relevant_from])
    return np.unique(np.concatenate(found))
