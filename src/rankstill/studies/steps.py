"""The stages of one or more trials in one output folder, with the folder's layout.

OUT/collection              the training collection
OUT/negatives/STRATEGY/     candidates, scores, groups, description; where the strategy needs them, the wider list with
                            its scores, and vectors; where it edits texts, the collection extended by these
OUT/embeddings              vectors of the groups' documents, for their diameters
OUT/models/NAME             trained students
OUT/tests/TEST/             collection, first-stage, and one run per system
OUT/store                   teacher scores by text, shared by everything above
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rankstill.candidates.sample import CANDIDATES, SampleSpec
from rankstill.collection.load import load
from rankstill.collection.reference import Reference
from rankstill.collection.splits import Split, positives_of, training_split
from rankstill.collection.store import Collection
from rankstill.errors import SpecError
from rankstill.files import fingerprint
from rankstill.groups.build import GroupSpec, build_groups
from rankstill.groups.filters.rules import FilterSpec
from rankstill.records import Candidates, Pairs, Rows
from rankstill.runs.first_stage import FirstStageSpec, first_stage
from rankstill.studies.draw import draw
from rankstill.teachers import Teacher, score

OnShort = Literal["refuse", "drop"]
_LONGEST = 100
"""Characters of a folder's name."""


@dataclass(frozen=True)
class Training:
    """A loaded training collection and its split."""

    path: Path
    split: Split
    reference: Reference

    def open(self) -> Collection:
        """Open the collection."""
        return Collection(self.path)

    def positives(self) -> Pairs:
        """List every training query with its positives, as pairs to score."""
        return positives_of(self.open(), self.split.judged, self.split.train)


@dataclass(frozen=True)
class Test:
    """A collection to evaluate on.

    Attributes:
        name: As the tables call it.
        path: The loaded collection.
        split: The judged split.
        queries: Rows of its judged queries.
        domain: "in domain" where it is the training collection itself, else "out of domain".
        folder: Where its runs go.
    """

    name: str
    path: Path
    split: str
    queries: Rows
    domain: str
    folder: Path

    __test__ = False


def load_training(out: Path, reference: str, *, split: str, limit: int) -> Training:
    """Load the training collection and choose its queries."""
    parsed = Reference.parse(reference)
    path = load(parsed, out / "collection")
    return Training(path, training_split(Collection(path), split=parsed.split or split, limit=limit), parsed)


def load_test(out: Path, reference: str, training: Training | None) -> Test:
    """Load a test collection; the training collection is not loaded twice.

    Raises:
        SpecError: It has no judgements, or several splits and no word on which.
    """
    parsed = Reference.parse(reference)
    own = training is not None and _same_texts(parsed, training.reference)
    folder = out / "tests" / slug(test_name(parsed))
    path = training.path if own and training is not None else load(parsed, folder / "collection")
    opened = Collection(path)
    split = parsed.split or _only_split(opened, reference)
    queries = opened.qrels(split).queries()
    return Test(test_name(parsed), path, split, queries, "in domain" if own else "out of domain", folder)


def dev_test(training: Training, out: Path) -> Test | None:
    """Make the test that chooses settings, of the training collection's dev queries; None where there are none."""
    split = training.split
    if not len(split.dev):
        return None
    return Test("dev", training.path, split.dev_judged, split.dev, "in domain", out / "tests" / "dev")


def _same_texts(a: Reference, b: Reference) -> bool:
    return replace(a, split=None, dev=None) == replace(b, split=None, dev=None)


def test_name(reference: Reference) -> str:
    """Name a test after its place, and its part or split where they are stated."""
    name = Path(reference.location).name.removesuffix(".gz").removesuffix(".jsonl") or reference.location
    if name.startswith("candidates"):
        name = f"{Path(reference.location).resolve().parent.name} {name.removeprefix('candidates').strip('.')}".strip()
    extra = [part for part in (reference.part, reference.split if reference.split != "test" else None) if part]
    return " ".join([name, *extra])


def slug(name: str) -> str:
    """Turn a name into a folder's name; a long one ends in a hash of the whole, which no file system cuts."""
    plain = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 9]}-{fingerprint(name)[:8]}"


def _only_split(collection: Collection, reference: str) -> str:
    splits = collection.splits
    if "test" in splits:
        return "test"
    if len(splits) == 1:
        return splits[0]
    if not splits:
        raise SpecError(f"{reference} has no judgements to evaluate with", hint="give it qrels, or leave it out")
    raise SpecError(
        f"{reference} has several judged splits: {', '.join(splits)}", hint=f"name one: {reference}#split={splits[0]}"
    )


@dataclass(frozen=True)
class Negatives:
    """What a strategy made: folders of its stages.

    Attributes:
        wider: The scores of the list that it chose from, for a strategy that chooses by them.
        extended: The collection with the texts that the strategy edited, for one that does.
    """

    strategy: str
    candidates: Path
    scores: Path
    groups: Path
    wider: Path | None = None
    extended: Path | None = None

    def collection(self, training: Training) -> Path:
        """Tell where the groups' documents are: in the training collection, unless the strategy edits texts."""
        return self.extended or training.path

    def paid(self) -> list[Path]:
        """List the folders of all scores that it took, in the order in which they were asked for."""
        return [self.scores] if self.wider is None else [self.wider, self.scores]


def make_groups(
    out: Path,
    training: Training,
    teacher: Teacher,
    strategy: str,
    *,
    size: int,
    depth: int,
    seed: int,
    on_short: OnShort,
    filters: FilterSpec | None = None,
    judge: Teacher | None = None,
    spare: int = 0,
) -> Negatives:
    """Sample a strategy's negatives, score them, and build groups.

    A strategy that chooses by the teacher's scores (`teacher`, `stratified`, ...) first has a wider list scored whole.
    So many `spare` candidates are drawn beyond those of a group, so that filters leave enough.
    """
    folder, split = out / "negatives" / slug(strategy), training.split
    # Where nobody judged, one more candidate is drawn: the teacher's best becomes the positive.
    wanted = (size - 1 if split.judged else size) + spare
    spec = SampleSpec(strategy, wanted, depth, seed, split.judged, on_short)
    drawn = draw(training.path, spec, split.train, folder / "candidates", store=out / "store", teacher=teacher)
    asked = [Candidates.read(drawn.candidates / CANDIDATES).pairs, training.positives()]
    scores = score_pairs(out, drawn.collection, asked, teacher, folder / "scores")
    group_spec = GroupSpec(size, seed, split.judged, on_short, filters or FilterSpec())
    groups = build_groups(
        drawn.collection, drawn.candidates, scores, folder / "groups", group_spec, judge=judge, store=out / "store"
    )
    extended = drawn.collection if drawn.collection != training.path else None
    return Negatives(strategy, drawn.candidates, scores, groups, drawn.wider, extended)


def score_pairs(out: Path, collection: Path, asked: Iterable[Pairs], teacher: Teacher, to: Path) -> Path:
    """Score pairs, each unique text pair once for the whole output folder."""
    return score(collection, list(asked), teacher, to, store=out / "store")


def first_stage_of(test: Test, depth: int) -> Path:
    """Rank a test's first lists."""
    return first_stage(test.path, test.queries, test.folder / "first-stage", FirstStageSpec(depth=depth))
