"""A bound from the log of a single epoch: every group is a test before it is a lesson. Any network, any optimiser."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rankstill.errors import SpecError
from rankstill.measures.bounds.bound import Bound
from rankstill.measures.bounds.losses import Values, losses_within, said_of_range
from rankstill.measures.checks import check_between, check_positive

GRID = tuple(2.0**power for power in range(-6, 3))
"""Values of a that the bound is the best of, at the price of log 9: small ones pay off where the losses are large."""


def prequential_bound(
    losses: Values,
    *,
    highest: float,
    delta: float = 0.05,
    grid: Sequence[float] = GRID,
    convex: bool = False,
    clip: bool = False,
    trivial: float | None = None,
) -> Bound:
    """Bound the mean risk of the checkpoints of a one-epoch training, from its own losses [7.3].

    (a·mean + M log(J/δ)/n)/(1 - e^-a), at the best of J values of a. Give it the excess KL (loss minus the pair's
    entropy), not the loss: the loss holds the teacher's entropy, which does not fall with n and hides the fast rate.

    Args:
        losses: (n,) each group's mean loss under the student as it was just before training on the group's batch.
        highest: M, the largest loss possible, known beforehand.
        delta: The probability, at most, that the bound fails.
        grid: Values of a, above 0, fixed beforehand; each gets delta over their number.
        convex: Whether the loss is convex in what is trained (a linear head on frozen features): then the bound holds
            for the average of the checkpoints as well.
        clip: Count losses above `highest` as `highest`, and say so, rather than refuse them.
        trivial: What is known without data, such as log 2 - H for excess KL; `highest` if not given.

    Raises:
        DataError: There are no losses, or some are not finite or out of range.
        SpecError: A setting is out of range.
    """
    values = losses_within(losses, highest, clip=clip, least=1)
    check_between(0, 1, delta=delta)
    if convex and clip:
        raise SpecError(
            "a loss cut at the highest value is not convex, so nothing is known of the average of the checkpoints",
            hint="leave `convex` out, or state a highest loss that needs no cutting",
        )
    if not len(grid):
        raise SpecError("the grid of a is empty", hint="take 1.0, or leave the grid out")
    for a in grid:
        check_positive(a=a)
    mean = float(values.mean())
    cost = highest * math.log(len(grid) / delta) / len(values)
    a = min(grid, key=lambda a: (a * mean + cost) / -math.expm1(-a))
    terms = {"loss in training": a * mean / -math.expm1(-a), "uncertainty": cost / -math.expm1(-a)}
    bounded = "a student drawn at random from the checkpoints" + (", or their average" if convex else "")
    assumptions = [
        "each group was used once, and its loss taken before the student was trained on it",
        "groups are drawn independently from the law of training, one per query",
        said_of_range(highest, clip=clip),
        f"what is bounded is the mean risk of {bounded}, on the sampled law",
    ]
    if convex:
        assumptions.append("the loss is convex in what was trained: a linear head on features fixed beforehand")
    return Bound(
        "risk during one epoch",
        "theory [7.3]",
        terms,
        tuple(assumptions),
        highest if trivial is None else trivial,
        1 - delta,
    )
