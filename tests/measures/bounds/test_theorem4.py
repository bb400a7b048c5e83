"""Theorem 4: by hand, where it is sharp, and against SGD itself in small worlds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rankstill.errors import SpecError
from rankstill.measures.bounds.theorem4 import sgd_bound, sgd_step
from tests.measures.bounds.worlds import h, kl, sigma, world


def test_by_hand():
    """|w*| = 3, D̄ = 1, τ = 1/2: B* = 6, β = 1; n = 100."""
    soft = sgd_bound(100, 3.0, 1.0, 0.5, entropy=0.2)
    assert list(soft.terms.values()) == pytest.approx([0, 36 / 800, 0])
    assert (soft.trivial, soft.confidence) == (math.log(2) - 0.2, None)
    misfit = sgd_bound(100, 3.0, 1.0, 0.5, entropy=0.2, comparator_excess=0.02)
    assert list(misfit.terms.values()) == pytest.approx([0.02, 0.045, 6 * math.sqrt(0.02 / 200)])
    hard = sgd_bound(100, 3.0, 1.0, 0.5, entropy=0.2, comparator_excess=0.02, labels="hard", largest_distance=1.0)
    assert hard.terms["noise of gradients"] == pytest.approx(6 * math.sqrt((0.01 + 0.2 / (4 * math.log(2))) / 100))
    split = sgd_bound(100, 3.0, 1.0, 0.5, entropy=0.2, labels="hard", largest_distance=2.0, independent_labels=3)
    assert split.terms["noise of gradients"] == pytest.approx(6 * math.sqrt(4 * 0.2 / (4 * math.log(2)) / 300))
    known = sgd_bound(100, 3.0, 1.0, 0.5, entropy=0.2, labels="hard", label_noise=0.25)
    assert known.terms["noise of gradients"] == pytest.approx(6 * 0.5 / 10)
    assert sgd_bound(100, 3.0, 1.0, 0.5, entropy=1.0, list_size=4).trivial == pytest.approx(math.log(4) - 1)
    assert sgd_step(100, 3.0, 1.0, 0.5) == 1
    assert sgd_step(100, 3.0, 1.0, 0.5, gradient_noise=0.6) == pytest.approx(1 / 3)


def test_after_one_group_it_is_sharp():
    """n = 1: the average is w = 0, whose excess is log 2 - h, and B*²/8 as B* goes to 0. No constant can be halved."""
    reach = 0.01
    bound = sgd_bound(1, reach, 1.0, 1.0, entropy=h(sigma(reach))).value
    actual = kl(sigma(reach), 0.5)
    assert 0.999 * bound < actual <= bound


def test_after_many_groups_half_of_it_is_reached():
    """Directions at right angles, each seen once: what is learnt of one says nothing of another."""
    n, dimension, reach = 1000, 1000, 0.05
    vectors, norm, tau = np.eye(dimension), reach * math.sqrt(dimension), 1.0
    best = np.full(dimension, reach)
    w, total = np.zeros(dimension), np.zeros(dimension)
    eta = sgd_step(n, norm, 1.0, tau)
    rng = np.random.default_rng(0)
    for axis in rng.integers(0, dimension, n):
        total += w
        w = w - eta * (1 / (1 + np.exp(-(w @ vectors[axis]))) - sigma(reach)) * vectors[axis]
        w *= min(1, norm / np.linalg.norm(w))
    u = total / n
    actual = float(np.mean([kl(sigma(b), sigma(a)) for a, b in zip(u, best, strict=True)]))
    bound = sgd_bound(n, norm, 1.0, tau, entropy=h(sigma(reach))).value
    assert 0.5 * bound < actual <= bound


@pytest.mark.parametrize("labels", ["soft", "hard"])
@pytest.mark.parametrize("seed", range(3))
def test_sgd_itself_stays_below(labels, seed):
    """A realisable world: mean over 60 runs of K at the average iterate."""
    w, n, tau = world(seed, groups=40), 50, 1.0
    rng = np.random.default_rng(seed)
    best = rng.normal(size=2)
    norm = float(np.linalg.norm(best))
    z = np.stack([w.vectors[:, i] - w.vectors[:, j] for i, j in ((0, 1), (0, 2), (1, 2))], axis=1)
    v = z @ best
    p = 1 / (1 + np.exp(-v))
    entropy = float(np.mean([h(x) for x in p.ravel()]))
    squared = (z**2).sum(axis=2)
    across = math.sqrt(squared.mean(axis=1).max())
    noise = math.sqrt((p * (1 - p) * squared).mean() / 3) if labels == "hard" else 0.0
    eta = sgd_step(n, norm, across, tau, gradient_noise=noise)
    found = []
    for _ in range(60):
        head, total = np.zeros(2), np.zeros(2)
        for g in rng.integers(0, 40, n):
            total += head
            y = p[g] if labels == "soft" else (rng.random(3) < p[g]).astype(float)
            head = head - eta * ((1 / (1 + np.exp(-(z[g] @ head))) - y) @ z[g]) / 3
            head *= min(1, norm / max(np.linalg.norm(head), 1e-300))
        u = z @ (total / n)
        found.append((np.logaddexp(0, u) - np.logaddexp(0, v) - p * (u - v)).mean())
    bound = sgd_bound(n, norm, across, tau, entropy=entropy, labels=labels, largest_distance=2.0, independent_labels=3)
    assert np.mean(found) <= bound.value


def test_refusals():
    good = {"groups": 10, "norm": 1.0, "group_diameter": 1.0, "temperature": 1.0, "entropy": 0.1}
    for change in (
        {"groups": 0},
        {"norm": -1.0},
        {"norm": math.nan},
        {"group_diameter": math.inf},
        {"temperature": 0.0},
        {"entropy": 0.7},
        {"entropy": math.nan},
        {"comparator_excess": -0.1},
        {"labels": "hard"},
        {"labels": "hard", "largest_distance": -1.0},
        {"labels": "hard", "label_noise": math.nan},
        {"labels": "hard", "largest_distance": 2.0, "independent_labels": 0},
        {"labels": "hard", "largest_distance": 2.0, "list_size": 4},
        {"labels": "human"},
        {"list_size": 1},
    ):
        with pytest.raises(SpecError):
            sgd_bound(**{**good, **change})
    with pytest.raises(SpecError):
        sgd_step(10, 0.0, 1.0, 1.0)
