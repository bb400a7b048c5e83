"""The losses a student learns from: pure functions, scores in, one number to minimise out.

Every loss is called the same way, `loss(student, teacher, labels, mask=..., temperature=..., student_temperature=...)`:

- `student`, `teacher`, `labels`: (queries, group) floats; scores on any scale, higher is better; a label above 0 marks
  a positive; column 0 is the positive where a loss needs one. Gradients flow to `student` alone.
- `mask`: (queries, group) bool, True for a real document. What stands in the padding, NaN included, has no influence on
  the value, and its gradient is exactly 0. Without a mask every document is real.
- `temperature` divides the teacher's scores, `student_temperature` the student's; unless given, it is the same.
- The value is a mean over queries of a mean within the group (KL: its sum, a divergence in nats), so its scale depends
  neither on the batch nor on the size of a group. It is computed in float32, also for bfloat16 scores (float64 stays).
- A group of fewer than two real documents, or without the positive that the loss needs, is refused, not skipped.

No value depends on a shift of all scores of one query. Notation as in docs/theory.md: v and u are teacher's and
student's margins (g(x) - g(x'))/τ of a pair, s the logistic function, h(p) the entropy in nats of a coin with
probability p.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, Protocol, get_args

import torch
from torch import Tensor
from torch.nn import functional

from rankstill.errors import DataError, SpecError, unknown_name

Targets = Literal["teacher", "order", "labels"]


class Loss(Protocol):
    """What every loss looks like from outside; see the module for shapes."""

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor,
        labels: Tensor,
        *,
        mask: Tensor | None = None,
        temperature: float = 1.0,
        student_temperature: float | None = None,
    ) -> Tensor:
        """Return a scalar, lower is better."""
        ...


def lce(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    mask: Tensor | None = None,
    temperature: float = 1.0,
    student_temperature: float | None = None,
) -> Tensor:
    """Localized contrastive estimation: cross-entropy of the positive within its own group (arXiv 2101.08751).

    The teacher's scores are ignored. Of several positives each is set against the group's negatives alone, never
    against another positive, and the mean is taken. There is no factor τ²: the target has no temperature.

    Raises:
        SpecError: Shapes or temperatures are wrong.
        DataError: A group lacks a positive or a negative.
    """
    batch = _scaled(student, teacher, labels, mask, temperature, student_temperature)
    positive = batch.labels > 0
    negative = batch.mask & ~positive
    _require(positive.any(1), "have no positive", "lce needs a label above 0 in each group")
    _require(negative.any(1), "have no negative", "lce needs a document with label 0 in each group")
    against = torch.logsumexp(batch.student.masked_fill(~negative, -math.inf), 1, keepdim=True)
    return _mean_where(positive, -functional.logsigmoid(batch.student - against))


def ranknet(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    mask: Tensor | None = None,
    temperature: float = 1.0,
    student_temperature: float | None = None,
    targets: Targets = "teacher",
) -> Tensor:
    """RankNet: cross-entropy of pair preferences, mean over all unordered pairs of a group (Burges et al., ICML 2005).

    The target of a pair is p = s(v) (`teacher`), or 1, 0 and, at ties, 1/2 by the teacher's order (`order`) or by the
    labels (`labels`: all negatives tie with each other). How a pair is ordered changes nothing [1.0]. The value is the
    divergence KL(p || s(u)) plus h(p) [1.1]; the second part does not depend on the student: see `floor`. There is no
    factor τ²: gradients shrink as 1/τ² where both temperatures grow.

    Raises:
        SpecError: Shapes, temperatures or `targets` are wrong.
        DataError: A group has fewer than two real documents.
    """
    batch = _scaled(student, teacher, labels, mask, temperature, student_temperature)
    pairs = _pairs(batch.mask)
    target = _pair_targets(batch, pairs, targets)
    margins = batch.student[:, pairs.first] - batch.student[:, pairs.second]
    return _mean_where(pairs.real, functional.binary_cross_entropy_with_logits(margins, target, reduction="none"))


def margin_mse(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    mask: Tensor | None = None,
    temperature: float = 1.0,
    student_temperature: float | None = None,
) -> Tensor:
    """Squared error of the margins of column 0, the positive, over each other document (arXiv 2010.02666).

    Margins are divided by the temperatures first; labels are ignored.

    Raises:
        SpecError: Shapes or temperatures are wrong.
        DataError: A group has fewer than two real documents, or its column 0 is padding.
    """
    batch = _scaled(student, teacher, labels, mask, temperature, student_temperature)
    _require(batch.mask[:, 0], "have padding in column 0", "margin_mse takes column 0 for the positive")
    student_margins = batch.student[:, :1] - batch.student[:, 1:]
    teacher_margins = batch.teacher[:, :1] - batch.teacher[:, 1:]
    return _mean_where(batch.mask[:, 1:], (student_margins - teacher_margins).square())


def kl(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    mask: Tensor | None = None,
    temperature: float = 1.0,
    student_temperature: float | None = None,
) -> Tensor:
    """Divergence KL(softmax(teacher/τ) || softmax(student/τ_s)) · τ_s² (arXiv 1503.02531, section 2).

    The factor keeps the gradient's size when the temperatures grow; it is the student's where the two differ. Labels
    are ignored.

    Raises:
        SpecError: Shapes or temperatures are wrong.
        DataError: A group has fewer than two real documents.
    """
    batch = _scaled(student, teacher, labels, mask, temperature, student_temperature)
    log_p, log_q = (_log_softmax(scores, batch.mask) for scores in (batch.teacher, batch.student))
    divergence = (log_p.exp() * (log_p - log_q)).sum(1)
    return divergence.mean() * (temperature if student_temperature is None else student_temperature) ** 2


LOSSES: dict[str, Loss] = {
    "lce": lce,
    "ranknet": ranknet,
    "margin_mse": margin_mse,
    "kl": kl,
}


def floor(
    name: str,
    teacher: Tensor,
    labels: Tensor,
    *,
    mask: Tensor | None = None,
    temperature: float = 1.0,
    targets: Targets = "teacher",
) -> Tensor:
    """Return the least value that a loss can take on this batch, so that loss - floor is the student's excess.

    By [1.1] RankNet's floor is the mean entropy h(p) of its targets: with soft targets the teacher's pairwise entropy,
    with hard ones log 2 times the share of ties. KL and MarginMSE reach 0 at the teacher's own margins. LCE's floor is
    0 too, which no finite scores reach; the teacher has no part in it. Only excesses compare between sampling
    strategies, not losses: the floor changes with the pairs that a strategy draws [2.4].

    Args:
        name: A key of LOSSES.
        teacher: As given to the loss; so are the others.
        labels: (queries, group).
        mask: (queries, group) or None.
        temperature: The teacher's.
        targets: RankNet's.

    Returns:
        A scalar, at least 0.
    """
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    batch = _scaled(teacher, teacher, labels, mask, temperature, None)
    if name != "ranknet":
        return batch.teacher.new_zeros(())
    pairs = _pairs(batch.mask)
    target = _pair_targets(batch, pairs, targets)
    if targets == "teacher":
        margins = (batch.teacher[:, pairs.first] - batch.teacher[:, pairs.second]).abs()
        # From the margin, since p near 1 has lost what 1 - p needs: h = log(1 + e^-|v|) + |v| s(-|v|), both parts >= 0.
        entropy = margins * torch.sigmoid(-margins) - functional.logsigmoid(margins)
    else:
        entropy = math.log(2) * (target == 0.5).to(target.dtype)
    return _mean_where(pairs.real, entropy)


class _Batch(NamedTuple):
    """Checked scores, divided by their temperatures, with 0 in the padding; all (queries, group)."""

    student: Tensor
    teacher: Tensor
    labels: Tensor
    mask: Tensor


class _Pairs(NamedTuple):
    """The unordered pairs of a group: the columns (pairs,) of both, and (queries, pairs) True where both are real."""

    first: Tensor
    second: Tensor
    real: Tensor


def _scaled(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    temperature: float,
    student_temperature: float | None,
) -> _Batch:
    student_temperature = temperature if student_temperature is None else student_temperature
    _check_shapes(student, teacher, labels, mask)
    for name, value in (("temperature", temperature), ("student_temperature", student_temperature)):
        if not 0 < value < math.inf:
            raise SpecError(f"{name} is {value}; it must be above 0 and finite")
    if mask is None:
        mask = torch.ones_like(student, dtype=torch.bool)
    else:
        _require(mask.sum(1) >= 2, "have fewer than two real documents", "one document alone teaches nothing")
    precision = torch.promote_types(student.dtype, torch.float32)
    # `where` and not a product: a product with NaN is NaN, and so is its gradient.
    student, teacher, labels = (
        torch.where(mask, scores.to(precision), 0.0) for scores in (student, teacher.detach(), labels)
    )
    return _Batch(student / student_temperature, teacher / temperature, labels, mask)


def _check_shapes(student: Tensor, teacher: Tensor, labels: Tensor, mask: Tensor | None) -> None:
    shapes = {"student": student, "teacher": teacher, "labels": labels} | ({} if mask is None else {"mask": mask})
    got = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in shapes.items())
    if student.dim() != 2 or len({tensor.shape for tensor in shapes.values()}) > 1:
        raise SpecError(f"expected all of one shape (queries, group), got {got}")
    if student.shape[0] < 1 or student.shape[1] < 2:
        raise SpecError(f"expected at least one query and two documents, got {got}")
    if not student.is_floating_point():
        raise SpecError(f"expected floating-point student scores, got {student.dtype}")
    if mask is not None and mask.dtype != torch.bool:
        raise SpecError(f"expected a mask of torch.bool, got {mask.dtype}")


def _require(fine: Tensor, what: str, hint: str) -> None:
    """Refuse the batch unless `fine`, (queries,) bool, holds for every group."""
    if not bool(fine.all()):
        bad = (~fine).nonzero().flatten().tolist()
        raise DataError(f"{len(bad)} of {len(fine)} groups {what} (first: row {bad[0]} of the batch)", hint=hint)


def _mean_where(chosen: Tensor, values: Tensor) -> Tensor:
    """Average the chosen values of each query, then the queries; both (queries, n), at least one chosen in each."""
    return (torch.where(chosen, values, 0.0).sum(1) / chosen.sum(1)).mean()


def _log_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Normalise over the real documents of each group; 0 in the padding, where -inf would make inf - inf."""
    return torch.log_softmax(scores.masked_fill(~mask, -math.inf), 1).masked_fill(~mask, 0.0)


def _pairs(mask: Tensor) -> _Pairs:
    first, second = torch.triu_indices(mask.shape[1], mask.shape[1], 1, device=mask.device)
    return _Pairs(first, second, mask[:, first] & mask[:, second])


def _pair_targets(batch: _Batch, pairs: _Pairs, targets: Targets) -> Tensor:
    """Return p, the wanted probability that the first of a pair beats the second; (queries, pairs)."""
    if targets not in get_args(Targets):
        raise unknown_name("targets", targets, get_args(Targets))
    scores = batch.labels if targets == "labels" else batch.teacher
    margins = scores[:, pairs.first] - scores[:, pairs.second]
    return torch.sigmoid(margins) if targets == "teacher" else (torch.sign(margins) + 1) / 2
