"""Groups matched with target samples, and the probe's halves, on made-up vectors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from rankstill.candidates.strategy import Vectors
from rankstill.measures.bounds.group_statistics import GroupStatistics
from rankstill.measures.bounds.group_terms import Head, per_group
from rankstill.measures.bounds.held_out import empirical_bernstein
from rankstill.measures.bounds.theorem3 import Moments, empirical_bound, uniform_bound
from rankstill.measures.fidelity import group_excess
from rankstill.measures.locality import LocalityStream
from rankstill.measures.probe import fit
from rankstill.measures.shift import w1_embeddings, w1_scores
from rankstill.randomness import rng_for
from rankstill.records import Candidates, Groups, Pairs
from rankstill.studies.diagnosis import assess, held_out_probe
from rankstill.studies.diagnosis.assess import AssessSpec, _held_out_bound, _variance
from rankstill.studies.diagnosis.held_out_probe import probe, shuffled
from rankstill.studies.diagnosis.material import Material, material
from rankstill.studies.diagnosis.mixtures import mixture_of
from rankstill.studies.diagnosis.terms import RADII, shift_costs, target_entropy, terms

DOCS, SIZE, DIMENSION, TEMPERATURE = 80, 6, 8, 0.5


def world(queries=range(20), *, stand_ins=False, each=4, seed=1) -> Material:
    """Make groups of random documents; query q's target samples are documents of its own as well."""
    rng = rng_for(seed, "world")
    everything = np.arange(40)
    vectors = Vectors(np.arange(DOCS, dtype=np.uint32), rng.standard_normal((DOCS, DIMENSION)).astype(np.float32))
    asked = Vectors(everything.astype(np.uint32), rng.standard_normal((40, DIMENSION)).astype(np.float32))
    table = rng.standard_normal((40, DOCS)).astype(np.float32)
    doc = np.stack([rng.permutation(DOCS)[:SIZE] for _ in everything]).astype(np.uint32)
    samples = [rng.permutation(DOCS)[: 2 * each].astype(np.uint32) for _ in everything]
    rows = np.array(queries)
    groups = Groups(
        rows.astype(np.uint32),
        doc[rows],
        table[rows[:, None], doc[rows]],
        np.tile(np.arange(SIZE) == 0, (len(rows), 1)).astype(np.float32),
    )
    none = np.full(each, np.nan, np.float32)
    target = Candidates.concatenate(
        [Candidates.of(q, samples[q][i * each :][:each], none, 0.1, i) for q in everything for i in (0, 1)]
    )
    scores = Pairs(target.query, target.doc, table[target.query, target.doc])
    return material(
        None, groups, target, scores, asked, vectors, temperature=TEMPERATURE, seed=1, stand_ins=stand_ins
    )  # fmt: skip


def test_a_judged_positive_is_in_every_target_bag_and_in_no_sample_of_the_draw():
    found = world()
    (part,) = found.matched
    bags = found.target_bags(part, np.arange(3))
    assert bags.documents.shape == (3, 5, DIMENSION)
    np.testing.assert_allclose(bags.documents[:, 0], found.vectors(found.groups.doc[part.rows[:3], :1])[:, 0])
    np.testing.assert_allclose(bags.scores[:, 0], found.groups.score[part.rows[:3], 0] / TEMPERATURE)
    assert part.drawn.min() == 1
    assert all(len(set(row)) == 4 for row in part.drawn.tolist())


def test_a_stand_in_is_one_of_the_drawn_and_no_part_of_the_target():
    found = world(stand_ins=True)
    (part,) = found.matched
    bags = found.target_bags(part, np.arange(3))
    np.testing.assert_allclose(bags.documents, found.vectors(part.docs[0][:3]))
    assert part.drawn.min() == 0, "the teacher's best was drawn like the others"
    assert world(stand_ins=True, each=1).matched == [], "one document makes no pair"
    assert world(each=1).matched[0].drawn.shape == (20, 1), "with a positive it does"


def test_without_judgements_nothing_is_said_of_labels_and_the_shift_has_no_shared_positive():
    fits = dict.fromkeys(RADII, 0.1)
    judged, unjudged = world(), world(stand_ins=True)
    assert assess._labels(unjudged)["false_negatives"] is assess._labels(unjudged)["calibration"] is None
    assert assess._labels(judged)["false_negatives"] is not None
    for found, share in ((judged, (SIZE - 1) / SIZE), (unjudged, 1.0)):
        for term in terms(found, fits, delta=0.05, pair_ratio=None)[:2]:
            widest = max(
                np.ptp(np.concatenate([found.scores[part.rows], *part.scores], axis=1), axis=1).max()
                for part in found.matched
            )
            expected = share * (2 * term.radius + widest) / 2
            assert term.shift_factor == pytest.approx(expected)
            assert term.shift == pytest.approx(expected * shift_costs(found, term.radius).mean())


def test_the_floor_is_the_entropy_of_positive_and_target_sample():
    found = world()
    (part,) = found.matched
    each = []
    for row, scores in zip(part.rows, part.scores[0], strict=True):
        s = [found.scores[row, 0], *scores]
        p = [1 / (1 + math.exp(s[j] - s[i])) for i in range(5) for j in range(i)]
        each.append(np.mean([-q * math.log(q) - (1 - q) * math.log(1 - q) for q in p]))
    np.testing.assert_allclose(target_entropy(found), each)


def test_the_bound_by_the_ratio_of_pairs_multiplies_fit_and_locality_by_it():
    found, fits = world(), dict.fromkeys(RADII, 0.01)
    plain = terms(found, fits, delta=0.05, pair_ratio=1.0)[0].bound
    twice = terms(found, fits, delta=0.05, pair_ratio=1.5)[0].bound
    floor = float(target_entropy(found).mean())
    assert twice.value - floor == pytest.approx(1.5 * (plain.value - floor))
    assert any("no pair of documents is more than 1.5 times" in a for a in twice.assumptions)
    by_distance = terms(found, fits, delta=0.05, pair_ratio=None)[0].bound
    assert terms(found, fits, delta=0.05, pair_ratio=1e6)[0].bound == by_distance, "the smaller of the two is taken"


def test_the_bound_at_any_radius_holds_with_the_same_probability():
    found, fits = world(), dict.fromkeys(RADII, 0.01)
    assert all(term.bound.confidence == pytest.approx(0.95) for term in terms(found, fits, delta=0.05, pair_ratio=None))


def test_what_a_strategy_dropped_moves_no_other_query():
    everything, some = world(), world(queries=[q for q in range(20) if q not in (3, 11)])
    orders = [m.groups.query[shuffled(m, seed=1)].tolist() for m in (everything, some)]
    assert [q for q in orders[0] if q not in (3, 11)] == orders[1]
    assert sorted(orders[0]) == list(range(20))


def test_the_fit_is_of_all_groups_whichever_the_head_learnt_from(monkeypatch):
    monkeypatch.setattr(held_out_probe, "PROBED", 8)
    monkeypatch.setattr(held_out_probe, "BLOCK", 7)
    found = world()
    probed = probe(found, seed=1)
    learnt = np.sort(shuffled(found, seed=1)[:8])
    head = fit(found.bags(learnt), RADII[0], iterations=30)
    assert probed.fits[RADII[0]] == pytest.approx(head.excess(found.bags(np.arange(20))).mean())
    assert probed.fits[RADII[-1]] > head.excess(found.bags(learnt)).mean(), "twelve groups were not fitted"
    assert (probed.half >= 0).sum() == 8
    assert np.isfinite(probed.own[0]).sum() == 8


def test_no_group_is_judged_by_a_head_that_learnt_from_it():
    found = world()
    probed = probe(found, seed=1)
    for which in (0, 1):
        tested, learnt = (np.flatnonzero(probed.half == half) for half in (which, 1 - which))
        assert len(tested) == 10
        head = fit(found.bags(learnt), RADII[0], iterations=30)
        np.testing.assert_allclose(probed.own[0, tested], head.excess(found.bags(tested)), rtol=1e-6)
        (part,) = found.matched
        at = np.flatnonzero(np.isin(part.rows, tested))
        np.testing.assert_allclose(
            probed.target[0, part.rows[at]], head.excess(found.target_bags(part, at)), rtol=1e-6
        )  # fmt: skip
    assert probed.chosen == int(np.argmin(probed.own.mean(axis=1)))


def test_the_noise_of_training_sets_is_that_of_thirds_brought_to_the_full_size():
    found = world()
    probed = probe(found, seed=1)
    first, second, test = np.array_split(shuffled(found, seed=1), 3)
    (part,) = found.matched
    bags = found.target_bags(part, np.flatnonzero(np.isin(part.rows, test)))
    means = [
        fit(found.bags(np.sort(third)), RADII[probed.chosen], iterations=30).excess(bags).mean()
        for third in (first, second)
    ]
    # Variance of a mean at a third of the groups: half that of the difference; a third of it with all groups.
    assert probed.training_sd == pytest.approx(math.sqrt((means[0] - means[1]) ** 2 / 2 / 3))
    assert math.isnan(probe(world(queries=range(8)), seed=1).training_sd)


def test_each_head_is_bounded_on_its_own_half_and_the_mean_taken():
    target = np.array([0.1, 0.2, 0.3, 0.6, 5.0, 0.4, math.nan])
    half = np.array([0, 0, 0, 1, 1, 1, 0], np.int8)
    found = _held_out_bound(target, half, 0.1, AssessSpec(1.0, delta=0.06))
    # One of twelve heads (two halves, six radii) each; above 1 nat counts as 1.
    ends = [empirical_bernstein(t, highest=1.0, delta=0.06 / 12) for t in ([0.1, 0.2, 0.3], [0.6, 1.0, 0.4])]
    assert found.value == pytest.approx((ends[0].value + ends[1].value) / 2)
    assert found.trivial == pytest.approx(math.log(2) - 0.1)
    assert found.confidence == pytest.approx(0.94)
    assert _held_out_bound(target[:4], half[:4], 0.1, AssessSpec(1.0)) is None


def test_the_parts_of_the_variance_are_of_drawn_documents_and_a_head_that_did_not_see_them():
    found = world(queries=range(40))
    parts = _variance(found, 0.5, seed=1)
    learnt, held_out = np.array_split(shuffled(found, seed=1), 2)
    bags = found.bags(np.sort(held_out))
    student = bags.student_scores(fit(found.bags(np.sort(learnt)), 0.5).weight)
    i, j = np.triu_indices(SIZE - 1, 1)
    u, v = (s[:, 1:][:, i] - s[:, 1:][:, j] for s in (student, bags.scores))
    loss = np.logaddexp(0, u) - u / (1 + np.exp(-v))
    # The parts together are the variance of one random pair's loss: of all pairs, between and within queries.
    total = parts["between"] + parts["pair"]
    assert total == pytest.approx(loss.var(), rel=0.05)
    assert _variance(world(queries=range(2)), 0.5, seed=1) is None


def test_mixtures_begin_and_end_with_the_strategies_themselves():
    first, second = world(), world(queries=range(5, 25))
    mixed = mixture_of(first, second, radius=1.0, factor=2.0, scale=0.5, budget=100.0, costs=(1.0, 4.0), seed=1)
    assert mixed.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert mixture_of(
        first, world(queries=range(30, 40)), radius=1.0, factor=2.0, scale=0.5, budget=1.0, costs=(1.0, 1.0), seed=1
    ) is None, "no query in common"  # fmt: skip
    # A group of the second costs four times as much: half the groups, hence twice the locality at equal diameters.
    same = mixture_of(first, first, radius=1.0, factor=2.0, scale=0.5, budget=100.0, costs=(1.0, 4.0), seed=1)
    assert same.locality[-1] == pytest.approx(2 * same.locality[0], rel=0.05)


def test_the_excess_of_a_bag_is_that_of_its_scores():
    found = world()
    bags = found.bags(np.arange(4))
    head = fit(bags, 1.0)
    np.testing.assert_array_equal(head.excess(bags), group_excess(bags.scores, bags.student_scores(head.weight)))


def test_shifts_are_from_the_draw_to_the_first_sample_and_chance_is_between_the_two():
    found = world()
    (part,) = found.matched
    places = np.searchsorted(found.documents.rows, found.groups.doc)
    locality = LocalityStream.of(found.documents.values, places)
    columns = assess._columns(found, probe(found, seed=1), locality)
    drawn = np.take_along_axis(found.groups.doc[part.rows], part.drawn, axis=1)
    first, second = (found.vectors(part.docs[i]) for i in (0, 1))
    np.testing.assert_allclose(columns["w1"][part.rows], w1_embeddings(found.vectors(drawn), first))
    np.testing.assert_allclose(columns["w1_null"][part.rows], w1_embeddings(first, second))
    own = np.take_along_axis(found.scores[part.rows], part.drawn, axis=1)
    np.testing.assert_allclose(columns["w1_scores"][part.rows], w1_scores(own, part.scores[0]))
    np.testing.assert_allclose(columns["w1_scores_null"][part.rows], w1_scores(*part.scores))


def test_the_law_is_theorem_3_with_the_moments_seen_and_the_bound_pays_for_the_choice_of_radius():
    found, fits = world(), dict.fromkeys(RADII, 0.01)
    groups = per_group(found.vectors(found.groups.doc), found.scores, Head(2.0, 1.0, 2.0))
    term = terms(found, fits, delta=0.05, pair_ratio=1.0)[1]
    expected = uniform_bound(Moments.of(groups), Head(2.0, 1.0, 2.0), groups=50, delta=0.02)
    assert term.law(50, 0.02) == pytest.approx(expected.value)
    seen = GroupStatistics(RADII, 1.0)
    seen.add(found.vectors(found.groups.doc), found.scores)
    local = empirical_bound(seen, radius=2.0, delta=0.05, union=True)
    assert term.bound.value == pytest.approx(0.01 + local.value + target_entropy(found).mean())


def test_a_mixture_without_any_of_the_second_has_the_first_ones_shift():
    first = world()
    part = first.matched[0]
    # The second draws the target's own documents: its end of the line is no shift at all.
    doc = first.groups.doc.copy()
    doc[part.rows, 1:5], doc[part.rows, 5] = part.docs[0], part.docs[0][:, 0]
    scores = first.scores.copy()
    scores[part.rows, 1:5], scores[part.rows, 5] = part.scores[0], part.scores[0][:, 0]
    second = replace(first, groups=replace(first.groups, doc=doc), scores=scores)
    mixed = mixture_of(first, second, radius=1.0, factor=2.0, scale=0.5, budget=100.0, costs=(1.0, 1.0), seed=1)
    assert mixed.shift[-1] < mixed.shift[2] < mixed.shift[0]


def test_of_a_group_with_more_than_the_target_has_any_documents_are_taken():
    (part,) = world(range(40), each=2).matched
    assert part.drawn.shape == (40, 2)
    assert set(part.drawn.reshape(-1).tolist()) == {1, 2, 3, 4, 5}, "not the first two, which may be the hardest"
