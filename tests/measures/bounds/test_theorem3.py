"""Theorem 3: against its formulas written out, by hand, where it is sharp, and that it holds in small worlds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rankstill.errors import DataError, SpecError
from rankstill.measures.bounds.group_statistics import GroupStatistics
from rankstill.measures.bounds.group_terms import Head, per_group
from rankstill.measures.bounds.theorem3 import (
    Moments,
    empirical_bound,
    mean_bound,
    powers_of_two,
    radius_above,
    uniform_bound,
)
from tests.measures.bounds.worlds import by_definition, soft_labels, world

TERMS = ["fit", "labelled part", "even part", "deviation", "range"]


def sides(bound) -> list[float]:
    assert list(bound.terms) == TERMS
    return list(bound.terms.values())


def test_by_hand():
    """L/τ = 2, D = 2, so B = 4; n = 100; log(1/δ) = 2. E2 takes its second form where distances are small."""
    head, delta = Head(1.0, 0.5), math.exp(-2)
    moments = Moments(signed=0.09, saturating=0.25, fourth=0.16, excess=0.36, swing=0.25, entropy_spread=0.2)
    got = uniform_bound(moments, head, groups=100, fit=0.03, delta=delta, entropy=0.1)
    # K: M = min(0.6, 0.5 + 0.2), b = min(log(1 + e^4), 4 + log 2)
    assert sides(got) == pytest.approx([0.03, 0.06, 0.04, 0.12, math.log(1 + math.exp(4)) * 2 / 300])
    assert (got.trivial, got.confidence) == (math.log(2) - 0.1, 1 - delta)
    got = uniform_bound(moments, head, groups=100, fit=0.03, delta=delta, entropy=0.1, form="risk")
    assert sides(got) == pytest.approx([0.03, 0.06, 0.04, 0.1, 4 * 2 / 300])
    assert got.trivial == math.log(2)
    spread = Moments(signed=0.09, saturating=0.01, fourth=0.16, excess=0.36, swing=0.09, entropy_spread=0.2)
    got = uniform_bound(spread, head, groups=100, delta=delta, largest_excess=0.9)
    assert sides(got) == pytest.approx([0, 0.06, 0.02, 0.1, 0.9 * 2 / 300])
    hard = uniform_bound(spread, head, groups=100, delta=delta, labels="hard")
    assert sides(hard) == pytest.approx([0, 0.06, 0.02, 0.06, 4 * 2 / 300])
    assert (hard.trivial, hard.source) == (math.log(2), "theory [3.2]")
    assert list(mean_bound(moments, head, 100).terms.values()) == pytest.approx([0.06, 0.04])
    assert mean_bound(moments, head, 100).confidence is None


def by_formula(w, delta: float, excess: bool, soft: bool = True) -> list[float]:
    """[3.2e], written out with nothing shared."""
    groups = []
    for vectors, scores in zip(w.vectors, w.scores, strict=True):
        labels = soft_labels(scores, w.temperature)
        if not soft:
            labels = {pair: float(p > 0.5) for pair, p in labels.items()}
        groups.append(by_definition(vectors, labels, w.radius, w.temperature, soft=soft))
    n, e, d = len(groups), delta / 7, 2.0
    slope = w.radius / w.temperature
    b = slope * d

    def upper(values: list[float], most: float) -> float:
        mean = sum(values) / n
        variance = sum((x - mean) ** 2 for x in values) / (n - 1)
        found = mean + math.sqrt(2 * variance * math.log(2 / e) / n) + 7 * most * math.log(2 / e) / (3 * (n - 1))
        return min(found, most)

    signed = upper([g["signed"] for g in groups], d**2 / 4)
    even = min(
        slope * math.sqrt(upper([g["saturating"] for g in groups], d**2 * math.tanh(b / 2) ** 2)),
        slope**2 / 4 * math.sqrt(upper([g["fourth"] for g in groups], d**4)),
    )
    by_excess = math.sqrt(upper([g["excess"] ** 2 for g in groups], math.log(1 + math.exp(b)) ** 2))
    by_swing = math.sqrt(upper([g["swing"] ** 2 for g in groups], (b / 2 + math.log(math.cosh(b / 2))) ** 2))
    sd = float(np.std([g["entropy"] for g in groups], ddof=1)) + math.log(2) * math.sqrt(2 * math.log(1 / e) / (n - 1))
    by_entropy = min(sd, math.log(2) / 2) if soft else 0.0
    m, width = by_swing, b
    if excess or not soft:
        m = min(by_excess, by_swing + by_entropy)
    if excess and soft:
        width = min(math.log(1 + math.exp(b)), b + math.log(2))
    log = math.log(1 / e)
    deviation = m * math.sqrt(2 * log / n)
    return [0.0, slope * math.sqrt(signed) / math.sqrt(n), even / math.sqrt(n), deviation, width * log / (3 * n)]


@pytest.mark.parametrize("groups", [2, 60, 900])
@pytest.mark.parametrize("excess", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_empirical_form_against_its_formula(seed, excess, groups):
    """For groups of three documents. Any constant that were halved would show."""
    w = world(seed, groups=groups)
    statistics = GroupStatistics(w.radius, w.temperature)
    statistics.add(w.vectors, w.scores)
    got = empirical_bound(statistics, delta=0.1, form="excess" if excess else "risk")
    assert sides(got) == pytest.approx(by_formula(w, 0.1, excess), rel=1e-9, abs=1e-12)
    assert got.trivial == pytest.approx(math.log(2) - (statistics.entropy if excess else 0))


def test_the_empirical_form_of_hard_labels():
    w = world(4, groups=80)
    statistics = GroupStatistics(w.radius, w.temperature, labels="hard")
    statistics.add(w.vectors, w.scores)
    for form in ("excess", "risk"):
        got = empirical_bound(statistics, delta=0.1, form=form)
        assert sides(got) == pytest.approx(by_formula(w, 0.1, False, soft=False), rel=1e-6)
        assert got.name == "risk on the sampled law"


def test_the_empirical_form_ends_at_the_known_one():
    """With very many groups, estimating the moments costs nothing but the smaller delta."""
    w = world(7, groups=50)
    head = Head(w.radius, w.temperature)
    statistics = GroupStatistics(w.radius, w.temperature)
    for _ in range(400):
        statistics.add(w.vectors, w.scores)
    got = sides(empirical_bound(statistics, delta=0.07))
    moments = Moments.of(per_group(w.vectors, w.scores, head))
    expected = sides(uniform_bound(moments, head, groups=20_000, delta=0.01))
    assert all(1 - 1e-12 < a / b < 1.15 for a, b in zip(got[1:], expected[1:], strict=True))


def test_it_is_the_same_in_other_units():
    w = world(8)
    plain = GroupStatistics(w.radius, w.temperature)
    plain.add(w.vectors, w.scores)
    scaled = GroupStatistics(w.radius, 3 * w.temperature, unit=False, largest_distance=6.0)
    scaled.add(3 * w.vectors, 3 * w.scores)
    assert empirical_bound(scaled).value == pytest.approx(empirical_bound(plain).value, rel=1e-9)


def test_smaller_diameters_and_more_groups_tighten_it():
    w = world(9, groups=400)
    near = w.vectors + 3 * np.array([1.0, 0])
    values = []
    for vectors, groups in ((w.vectors, 400), (near, 400), (near, 100)):
        statistics = GroupStatistics(w.radius, w.temperature)
        statistics.add(vectors[:groups], w.scores[:groups])
        values.append(empirical_bound(statistics).value)
    assert values[1] < values[0]
    assert values[1] < values[2]


def test_it_holds_for_all_heads_at_once_in_small_worlds():
    """60 equally likely groups; 40 drawn, 300 times: K - Khat of the worst of 240 heads stays below the bound."""
    delta, n = 0.1, 40
    for seed in range(3):
        w = world(seed)
        head, heads = Head(w.radius, w.temperature), w.heads(120)
        losses = w.excess(heads)
        truth = losses.mean(axis=1)
        rng = np.random.default_rng(seed)
        draws = rng.integers(0, 60, (300, n))
        worst = np.array([(truth - losses[:, draw].mean(axis=1)).max() for draw in draws])
        known = uniform_bound(Moments.of(per_group(w.vectors, w.scores, head)), head, groups=n, delta=delta).value
        assert (worst > known).mean() <= delta
        assert worst.mean() <= mean_bound(Moments.of(per_group(w.vectors, w.scores, head)), head, n).value
        missed = 0
        for draw, gap in zip(draws[:40], worst, strict=False):
            statistics = GroupStatistics(w.radius, w.temperature)
            statistics.add(w.vectors[draw], w.scores[draw])
            missed += gap > empirical_bound(statistics, delta=delta).value
        assert missed <= delta * 40


def test_the_labelled_part_cannot_be_halved():
    """[3.1] is sharp: many dimensions, coin-toss labels, small margins. The best head has norm L along Σ(p - 1/2)z."""
    dimension, n, radius = 64, 200, 0.01
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(200):
        axes, sides_ = rng.integers(0, dimension, n), rng.choice([-1.0, 1.0], n)
        total = np.zeros(dimension)
        np.add.at(total, axes, sides_)  # twice the labelled sum: d = 2 along one axis, p = 0 or 1
        best = radius * total / np.linalg.norm(total)
        truth = math.log(2) + float(np.mean(np.log(np.cosh(best))))  # E over axes and coins
        sample = math.log(2) - float(np.mean(best[axes] * sides_)) + float(np.mean(np.log(np.cosh(best[axes]))))
        gaps.append(truth - sample)
    vectors = np.zeros((2 * dimension, 2, dimension))
    places = np.arange(dimension)
    vectors[places, 0, places], vectors[places, 1, places] = 1, -1
    vectors[dimension:] = vectors[:dimension]
    coins = np.repeat([0.0, 1.0], dimension)[:, None]
    head = Head(radius, 1.0)
    moments = Moments.of(per_group(vectors, None, head, labels="hard", pair_labels=coins))
    bound = mean_bound(moments, head, n).value
    assert 0.9 * bound < np.mean(gaps) <= bound


def test_radii_in_powers_of_two_share_delta():
    w = world(1)
    statistics = GroupStatistics(powers_of_two(0.25, 8), w.temperature)
    statistics.add(w.vectors, w.scores)
    for radius, power in ((0.5, 1), (2.0, 1), (0.25, 2), (8.0, 3)):
        got = empirical_bound(statistics, radius=radius, delta=0.1, union=True)
        alone = empirical_bound(statistics, radius=radius, delta=0.1 * 3 / (math.pi * power) ** 2)
        assert got.terms == pytest.approx(alone.terms)
        assert got.confidence == 0.9
    assert sum(2 * 3 / (math.pi * j) ** 2 for j in range(1, 100_000)) == pytest.approx(1, abs=1e-4)


def test_a_trained_head_finds_its_radius():
    assert powers_of_two(0.3, 5) == (0.25, 0.5, 2.0, 4.0, 8.0)
    assert powers_of_two(1, 1) == (2.0,)
    for norm, radius in ((0.3, 0.5), (0.5, 0.5), (0.7, 2.0), (1.0, 2.0), (2.0, 2.0), (2.1, 4.0)):
        assert radius_above(norm) == radius
        assert radius in powers_of_two(0.1, norm)


def test_refusals():
    w = world(1)
    statistics = GroupStatistics([1.0, 3.0], w.temperature)
    statistics.add(w.vectors, w.scores)
    for radius in (1.0, 3.0):
        with pytest.raises(SpecError, match="no power of two, or 1"):
            empirical_bound(statistics, radius=radius, union=True)
    for delta in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(SpecError, match="delta"):
            empirical_bound(statistics, radius=1.0, delta=delta)
    with pytest.raises(SpecError, match="fit"):
        empirical_bound(statistics, math.nan, radius=1.0)
    with pytest.raises(SpecError, match="'both'"):
        empirical_bound(statistics, radius=1.0, form="both")
    with pytest.raises(DataError, match="0 groups"):
        empirical_bound(GroupStatistics(1.0, 1.0))
    moments = Moments(1, 1, 1, 1, 1)
    for groups in (0, -1, 2.5):
        with pytest.raises(SpecError, match="number of groups"):
            uniform_bound(moments, Head(1.0, 1.0), groups=groups)
    with pytest.raises(SpecError, match="entropy"):
        uniform_bound(moments, Head(1.0, 1.0), groups=10, entropy=0.7)
    with pytest.raises(SpecError, match="fourth"):
        Moments(1, 1, -1, 1, 1)
    for bad in (0.0, math.nan, math.inf):
        with pytest.raises(SpecError):
            radius_above(bad)
        with pytest.raises(SpecError):
            powers_of_two(1.0, bad)
