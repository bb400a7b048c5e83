"""What determines a training run: the student, the loss, how much of the data, and how fast."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rankstill.errors import SpecError, unknown_name
from rankstill.students.architectures import StudentSpec
from rankstill.students.losses import LOSSES
from rankstill.teachers.precision import Precision

LEARNING_RATES = {"cross-encoder": 3e-4, "bi-encoder": 3e-4, "static": 5e-3}
EPOCHS = {"cross-encoder": 3, "bi-encoder": 3, "static": 5}
BATCH_GROUPS = {"cross-encoder": 8, "bi-encoder": 8, "static": 32}


@dataclass(frozen=True)
class TrainSpec:
    """What determines a training run, besides the groups.

    Attributes:
        student: What is trained.
        loss: A name in `LOSSES`.
        temperature: Divides the teacher's scores.
        student_temperature: Divides the student's scores; 0 for the architecture's own (logits 1, cosines 0.05).
        epochs: How often each group is seen; 0 for the architecture's default.
        documents: Stop after about so many documents, whatever `epochs` says; 0 for whole epochs.
        batch_groups: Groups per step; 0 for the architecture's default.
        learning_rate: At its peak; 0 for the architecture's default.
        warmup: Share of the steps in which it rises linearly; then it falls linearly to 0.
        weight_decay: AdamW's, on matrices only.
        clip: Gradients longer than this are shortened to it.
        seed: Of new weights, data order and dropout.
        precision: Of the student's body while training; its score head and the loss are float32 always.
        correct: Correct `lce` or `kl` for the draw: a document that was drawn with probability p counts 1/p times in
            the normaliser, as if its whole list stood in the group (the corrected softmax of CoRR, arXiv 2206.14649).
        in_batch: Let every document of a batch serve every query of it as a negative; for `lce`, and students that
            encode texts one by one.
    """

    student: StudentSpec
    loss: str = "kl"
    temperature: float = 1.0
    student_temperature: float = 0.0
    epochs: int = 0
    documents: int = 0
    batch_groups: int = 0
    learning_rate: float = 0.0
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 1
    precision: Precision = "auto"
    correct: bool = False
    in_batch: bool = False

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise unknown_name("loss", self.loss, LOSSES)
        if self.temperature <= 0 or self.student_temperature < 0:
            raise SpecError("temperatures are above 0")
        if min(self.batch_groups, self.epochs, self.documents, self.learning_rate) < 0:
            raise SpecError("batch_groups, epochs, documents and learning_rate are not negative")
        if self.correct and self.loss not in ("lce", "kl"):
            raise SpecError(f"only lce and kl have a normaliser to correct, not {self.loss}", hint="--loss kl")
        if self.in_batch and (self.loss != "lce" or self.student.architecture == "cross-encoder" or self.correct):
            raise SpecError(
                "in-batch negatives have no teacher scores and cost a cross-encoder a pass for each pair",
                hint="use them with --loss lce, a bi-encoder or static student, and no correction",
            )

    @property
    def batch(self) -> int:
        """Groups per step."""
        return self.batch_groups or BATCH_GROUPS[self.student.architecture]

    def steps(self, groups: int, size: int) -> int:
        """Count the steps over so many groups of so many documents."""
        if self.documents:
            return max(round(self.documents / (self.batch * size)), 1)
        return (self.epochs or EPOCHS[self.student.architecture]) * math.ceil(groups / self.batch)

    def documents_in(self, steps: int, groups: int, size: int) -> int:
        """Count the documents that so many steps see; the last step of an epoch may be short."""
        epochs, rest = divmod(steps, math.ceil(groups / self.batch))
        return (epochs * groups + rest * self.batch) * size

    def rate(self, step: int, steps: int) -> float:
        """Compute the learning rate of a step: linear warm-up, linear decay."""
        peak = self.learning_rate or LEARNING_RATES[self.student.architecture]
        rising = max(round(self.warmup * steps), 1)
        return peak * min((step + 1) / rising, (steps - step) / max(steps - rising, 1), 1.0)
