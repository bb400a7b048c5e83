"""Whether to learn from the teacher's scores or from judgements, and whether soft or hard (theory 8.7)."""

from __future__ import annotations

from dataclasses import dataclass

from rankstill.errors import SpecError
from rankstill.measures.checks import check_count, check_finite, check_share


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """What labels to train on.

    Attributes:
        teacher_bias: |E(p_g - p*)u|, by how much the teacher's labels move the mean loss, in nats.
        judgement_bias: (rho/2)|E[u | false negative]|, by how much "every other document is irrelevant" does [5.4].
        crossover: n0 of [5.5]: below so many groups the teacher has the smaller mean squared error, above it
            judgements; None where unknown. It compares the teacher with complete judgements, not with unjudged
            negatives.
        groups: n, how many groups there are.
    """

    teacher_bias: float
    judgement_bias: float
    crossover: float | None
    groups: int

    @property
    def less_biased(self) -> str:
        """The source with the smaller bias: "teacher" or "judgements"; of equal ones, judgements."""
        return "teacher" if self.teacher_bias < self.judgement_bias else "judgements"

    @property
    def smaller_error(self) -> str | None:
        """The source with the smaller mean squared error at `groups`; None where the crossover is unknown."""
        if self.crossover is None:
            return None
        return "teacher" if self.groups < self.crossover else "judgements"

    def __str__(self) -> str:
        soft = (
            "where the teacher's scores are at hand, its soft labels: the same mean as labels drawn from them, and "
            "never more variance"
        )
        bias = (
            f"bias {self.teacher_bias:.3g} of the teacher against {self.judgement_bias:.3g} of unjudged negatives: "
            f"{self.less_biased}"
        )
        if self.crossover is None:
            return f"{soft}; {bias}"
        return (
            f"{soft}; {bias}; against complete judgements, {self.smaller_error} at {self.groups:,} groups "
            f"(n0 = {self.crossover:.3g})"
        )


def label_choice(
    *,
    false_negatives: float,
    margin_of_false_negatives: float,
    teacher_bias: float,
    groups: int,
    crossover: float | None = None,
) -> LabelChoice:
    """Compare the teacher's labels with judgements (theory 8.7), at a fixed student u.

    Args:
        false_negatives: rho, the share of sampled negatives that are relevant, from 0 to 1; without judgements, the
            share that the calibrated teacher scores at or above the positive. That proxy inherits the teacher's errors.
        margin_of_false_negatives: E[u | false negative], the student's mean margin, over the temperature, of the
            positive over a false negative.
        teacher_bias: E(p_g - p*)u, of either sign; 0 at the calibrated temperature for students in proportion to the
            teacher (theory 8.4).
        groups: n.
        crossover: n0 of [5.5], where judgements allow its estimate; infinite where the teacher has no bias. At or
            below 0, judgements win at any n.

    Raises:
        SpecError: A number is out of range.
    """
    check_finite(margin_of_false_negatives=margin_of_false_negatives, teacher_bias=teacher_bias)
    check_share(share_of_false_negatives=false_negatives)
    check_count(groups=groups)
    if crossover is not None and crossover != crossover:
        raise SpecError("the crossover is not a number; leave it out where it is unknown")
    return LabelChoice(abs(teacher_bias), false_negatives / 2 * abs(margin_of_false_negatives), crossover, groups)
