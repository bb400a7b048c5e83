"""Finding what a finished distillation left in its output folder, starting from the model that it made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rankstill.collection.reference import Reference
from rankstill.collection.splits import training_split
from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import MANIFEST, read_manifest
from rankstill.groups.filters.rules import FilterSpec, JudgeSpec
from rankstill.students.architectures import TEMPERATURES
from rankstill.studies.steps import Training

SUMMARY = "summary.json"


@dataclass(frozen=True)
class Lists:
    """A test's lists, ranked by teacher and student.

    Attributes:
        name: The folder's name.
        teacher: The stage `score` with the teacher's scores of every listed pair.
        student: The stage `rank` with the student's run.
    """

    name: str
    teacher: Path
    student: Path


@dataclass(frozen=True)
class Finished:
    """An output of `distill` or `demo`, and one model in it.

    Attributes:
        root: The output folder.
        model: The model's folder.
        groups: The folder of the groups that it was trained on.
    """

    root: Path
    model: Path
    groups: Path

    @cached_property
    def spec(self) -> Mapping[str, Any]:
        """How the groups were made, as the summary records it."""
        found: Mapping[str, Any] = json.loads((self.root / SUMMARY).read_text("utf-8"))["settings"]["spec"]
        return found

    @cached_property
    def trained(self) -> Mapping[str, Any]:
        """How the model was trained: its TrainSpec."""
        found: Mapping[str, Any] = read_manifest(self.model)["spec"]
        return found

    @property
    def strategy(self) -> str:
        """The strategy of its groups."""
        return str(read_manifest(self.groups)["counts"]["strategy"])

    @property
    def temperature(self) -> float:
        """The teacher's."""
        return float(self.trained["temperature"])

    @property
    def student_temperature(self) -> float:
        """The student's: its own setting, or what suits its architecture."""
        own = self.trained["student_temperature"]
        return float(own or TEMPERATURES[self.trained["student"]["architecture"]])

    @property
    def training(self) -> Training:
        """The training collection, without looking at where it was loaded from."""
        path, spec = self.root / "collection", self.spec
        reference = Reference.parse(spec["collection"])
        split = training_split(Collection(path), split=reference.split or spec["split"], limit=spec["queries"])
        return Training(path, split, reference)

    @property
    def collection(self) -> Path:
        """Where the groups' documents are: with the texts that the strategy edited, if it does so."""
        extended = self.groups.parent / "candidates-collection"
        return extended if (extended / MANIFEST).is_file() else self.training.path

    @property
    def filters(self) -> FilterSpec:
        """What was taken out of the candidates."""
        found = dict(self.spec.get("filters") or {})
        judge = found.pop("judge", None)
        return FilterSpec(**found, judge=JudgeSpec(**judge) if judge else None)

    def held_out(self) -> Training | None:
        """The same collection with the dev queries in place of the training ones; None where there are none."""
        training = self.training
        split = training.split
        if not len(split.dev):
            return None
        return replace(training, split=replace(split, train=split.dev, judged=split.dev_judged))

    def lists(self) -> list[Lists]:
        """List the tests that both teacher and student ranked, those of the training collection first."""
        own, found = read_manifest(self.model)["fingerprint"], []
        # A test of another collection has loaded it beside its runs.
        for test in sorted((self.root / "tests").glob("*"), key=lambda test: ((test / "collection").exists(), test)):
            scores = test / "teacher-scores"
            runs = [run.parent for run in sorted(test.glob(f"*/{MANIFEST}")) if _ranked_by(run.parent, own)]
            if (scores / MANIFEST).is_file() and runs:
                found.append(Lists(test.name, scores, runs[0]))
        return found


def finished(model: Path) -> Finished:
    """Find the output that a model is in.

    Raises:
        DataError: It is not a model of ours, or lies outside the output that made it.
    """
    manifest = read_manifest(model)
    if manifest["stage"] != "train":
        raise DataError(f"{model} is the output of the stage {manifest['stage']}, not a trained model")
    root = next((folder for folder in model.resolve().parents if (folder / SUMMARY).is_file()), None)
    if root is None:
        raise DataError(
            f"{model} does not lie in the output of a distillation",
            hint="name the model inside the folder that `rankstill distill` or `rankstill demo` wrote",
        )
    groups = _made_from(root, manifest["inputs"]["groups"])
    return Finished(root, model, groups)


def _made_from(root: Path, fingerprint: str) -> Path:
    for path in sorted(root.glob(f"negatives/*/groups/{MANIFEST}")):
        if read_manifest(path.parent)["fingerprint"] == fingerprint:
            return path.parent
    raise DataError(
        f"{root} no longer holds the groups that the model was trained on",
        hint="run the same distillation again; what is finished is kept",
    )


def _ranked_by(folder: Path, model: str) -> bool:
    manifest = read_manifest(folder)
    return bool(manifest["stage"] == "rank" and manifest["inputs"].get("model") == model)
