"""A batch through a student and back in micro-batches: the gradient is that of one padded batch.

The loss needs the scores of the whole batch, the way back one micro-batch at a time. So all micro-batches go forward,
the loss is computed over what they gave, and each goes back alone, with its part of the loss's gradient. Where memory
does not hold what the way back needs of every micro-batch, the last ones run forward without keeping it and once more
before they go back: the same operations in the same order, so the same bytes, for a third more work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rankstill.students.architectures import Batch, MicroBatch, Student

Objective = Callable[[Tensor], Tensor]
"""From the scores (pairs,) of a batch to the loss, a scalar."""


@dataclass(frozen=True)
class Passes:
    """How batches go through a student.

    Attributes:
        precision: Of the student's body.
        budget: Tokens in a micro-batch, padding included, at most.
        room: Tokens of which everything that the way back needs may be kept at once; the first micro-batch always is.
    """

    precision: torch.dtype
    budget: int
    room: float = float("inf")


def score_batch(student: Student, batch: Batch, passes: Passes) -> Tensor:
    """Score pairs in one graph: (pairs,) float32."""
    micro = student.micro_batches(batch, passes.budget)
    outputs = torch.cat([student.outputs(m, passes.precision) for m in micro])
    return student.scores(outputs[_order(micro)], batch)


def accumulate(
    student: Student, batch: Batch, objective: Objective, passes: Passes, seed_of: Callable[[int], int]
) -> Tensor:
    """Add the gradient of a loss over a batch to that of the student's weights.

    Args:
        student: In training mode, or not.
        batch: Pairs.
        objective: The loss of their scores.
        passes: How.
        seed_of: From the number of a micro-batch to the seed of its dropout.

    Returns:
        The loss, without a graph.
    """
    micro = student.micro_batches(batch, passes.budget)
    kept: dict[int, Tensor] = {}
    outputs, held = [], 0

    def run(number: int) -> Tensor:
        torch.manual_seed(seed_of(number))
        return student.outputs(micro[number], passes.precision)

    for number, one in enumerate(micro):
        keep = number == 0 or held + one.tokens <= passes.room
        with torch.set_grad_enabled(keep):
            found = run(number)
        if keep:
            kept[number] = found
            held += one.tokens
        outputs.append(found.detach())
    order = _order(micro)
    whole = torch.cat(outputs)[order].requires_grad_()
    loss = objective(student.scores(whole, batch))
    if not bool(torch.isfinite(loss)):
        # There is no way back from here; the caller reports it.
        return loss.detach()
    loss.backward()  # type: ignore[no-untyped-call]
    assert whole.grad is not None
    for number in reversed(range(len(micro))):
        found = kept.pop(number) if number in kept else run(number)
        found.backward(whole.grad[torch.from_numpy(micro[number].items)])  # type: ignore[no-untyped-call]
    return loss.detach()


def _order(micro: Sequence[MicroBatch]) -> Tensor:
    """Find where each item's output stands among those of all micro-batches."""
    return torch.from_numpy(np.argsort(np.concatenate([m.items for m in micro])))
