"""Theorem 4: what one pass of SGD over the groups guarantees in expectation; at the fast rate 1/n for soft labels."""

from __future__ import annotations

import math

from rankstill.errors import SpecError
from rankstill.measures.bounds.bound import Bound
from rankstill.measures.bounds.group_terms import LabelKind, check_kind
from rankstill.measures.checks import check_count, check_entropy, check_not_negative, check_positive


def sgd_bound(
    groups: int,
    norm: float,
    group_diameter: float,
    temperature: float,
    *,
    entropy: float,
    comparator_excess: float = 0.0,
    labels: LabelKind = "soft",
    label_noise: float | None = None,
    largest_distance: float | None = None,
    independent_labels: int = 1,
    list_size: int | None = None,
) -> Bound:
    """Bound the expected excess risk of the average of one-pass SGD's iterates [3.4].

    E K(w̄) <= K(w*) + B*²/8n + |w*| sqrt((2βK(w*) + G_lab²)/n), with B* = |w*|D̄/τ and β = D̄²/4τ². Soft labels have
    no label noise G_lab, so where the comparator fits perfectly the rate is 1/n. For hard labels drawn from the
    teacher's probabilities, G_lab² <= D_max² H/(4 log 2 τ²): entropy enters the rate, multiplied by the diameter.

    Args:
        groups: n, each used once.
        norm: |w*| of the head that the student is compared with; the ball that SGD projects to holds it.
        group_diameter: D̄, an upper bound that holds for EVERY group: on its rms diameter (pairwise loss), on its
            largest distance (listwise loss).
        temperature: τ.
        entropy: H of the teacher on the sampled law, nats: per pair, or of the list for a listwise loss.
        comparator_excess: K(w*), the excess risk of the comparator; 0 if some head of that norm equals the teacher.
        labels: "soft" (the teacher's probabilities) or "hard" (one draw from them for each pair).
        label_noise: For hard labels, E|mean_p (Y-p)z|² if known, in squared distance; E tr Cov of φ under the
            teacher's softmax for a listwise loss, where it must be given. Otherwise D_max² H/4 log 2 is taken.
        largest_distance: D_max, over all pairs; needed for hard labels without `label_noise`.
        independent_labels: P, if a group's P pair labels are drawn independently; 1 assumes nothing.
        list_size: k for a listwise loss; None for pairwise.

    Returns:
        A bound that holds in expectation over groups; add the entropy for the risk itself.

    Raises:
        SpecError: A number is not finite or out of range, or hard labels lack what is said above.
    """
    check_count(number_of_groups=groups)
    check_not_negative(group_diameter=group_diameter, norm=norm, comparator_excess=comparator_excess)
    check_positive(temperature=temperature)
    top = _highest_entropy(list_size)
    check_entropy(top, entropy=entropy)
    noise = _label_noise(labels, label_noise, largest_distance, independent_labels, entropy, list_size)
    reach = norm * group_diameter / temperature
    misfit = reach**2 * comparator_excess / 2
    terms = {
        "comparator's excess": comparator_excess,
        "locality": reach**2 / (8 * groups),
        "noise of gradients": math.sqrt((misfit + (norm / temperature) ** 2 * noise) / groups),
    }
    kind = "listwise" if list_size else "pairwise"
    return Bound(
        f"excess risk after one pass, {kind}, {labels} labels",
        "theory [3.4]",
        terms,
        _assumptions(norm, group_diameter, comparator_excess, labels, kind),
        top - entropy,
    )


def sgd_step(
    groups: int, norm: float, group_diameter: float, temperature: float, *, gradient_noise: float = 0.0
) -> float:
    """The constant step that Theorem 4 is about: η = 1/(β + G* sqrt(n)/|w*|).

    Args:
        groups: n.
        norm: |w*|, above 0.
        group_diameter: D̄, above 0, as in `sgd_bound`.
        temperature: τ.
        gradient_noise: G*, root of the mean squared length of a group's gradient at w*; 0 if soft labels are met.
    """
    check_count(number_of_groups=groups)
    check_positive(norm=norm, group_diameter=group_diameter, temperature=temperature)
    check_not_negative(gradient_noise=gradient_noise)
    return 1 / (group_diameter**2 / (4 * temperature**2) + gradient_noise * math.sqrt(groups) / norm)


def _highest_entropy(list_size: int | None) -> float:
    if list_size is None:
        return math.log(2)
    check_count(2, list_size=list_size)
    return math.log(list_size)


def _label_noise(
    labels: LabelKind,
    noise: float | None,
    largest_distance: float | None,
    independent: int,
    entropy: float,
    list_size: int | None,
) -> float:
    """G_lab²τ², in squared distance."""
    check_kind(labels)
    if labels == "soft":
        return 0.0
    if noise is not None:
        check_not_negative(label_noise=noise)
        return noise
    if list_size is not None:
        raise SpecError("hard labels of lists need `label_noise`", hint="the mean of tr Cov of φ under softmax(g/τ)")
    if largest_distance is None:
        raise SpecError("hard labels need the largest distance", hint="2 holds for embeddings of length 1")
    check_positive(largest_distance=largest_distance)
    check_count(independent_labels=independent)
    return largest_distance**2 * entropy / (4 * math.log(2)) / independent


def _assumptions(norm: float, diameter: float, excess: float, labels: LabelKind, kind: str) -> tuple[str, ...]:
    across = "rms diameter" if kind == "pairwise" else "largest distance"
    drawn = {
        "soft": "labels are the teacher's probabilities",
        "hard": "labels are drawn from the teacher's probabilities",
    }
    return (
        "the student is a linear head on features fixed before training",
        "it is the average of the iterates of SGD from 0 with the constant step of theory [3.4], kept in a ball with "
        f"radius {norm:.4g} or more",
        "each group is used once, and groups are drawn independently, one per query",
        f"no group's {across} exceeds {diameter:.4g}",
        f"some head of norm {norm:.4g} or less has excess risk {excess:.4g} or less on the sampled law",
        drawn[labels],
    )
