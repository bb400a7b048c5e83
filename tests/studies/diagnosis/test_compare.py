"""Scores, rankings and comparisons from hand-made assessments."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from rankstill.errors import SpecError
from rankstill.measures.intervals import mean_interval
from rankstill.measures.prescriptions.choice import TailLaw
from rankstill.measures.prescriptions.group_size import VarianceParts, group_size
from rankstill.records import write_parquet
from rankstill.studies.diagnosis.compare import (
    Rated,
    best_group_size,
    comparisons,
    crossings,
    ranked,
    scored,
    training_sd,
)
from rankstill.studies.diagnosis.costs import Cost
from rankstill.studies.diagnosis.gather import Assessed
from rankstill.studies.diagnosis.spec import Budget

COST = Cost(calls=10.0, drawing=1.0, call=0.5, price=0.01, once=100.0)
BUDGET = Budget(1000.0, "groups")
LAW = {"mean": 1.0, "moment": 0.5, "span": 2.0}


def rated(
    folder: Path,
    name: str,
    excess: dict[int, float],
    *,
    terms=({"radius": 0.5, "fit": 0.1, "law": LAW, "shift": 0.2},),
    budget=BUDGET,
    cost=COST,
    ratio=None,
    paid=1,
    **found,
) -> Rated:
    (folder / name).mkdir()
    columns = {"query": np.array(list(excess), np.uint32), "probe_target": np.array(list(excess.values()), np.float64)}
    write_parquet(folder / name / "per_query.parquet", columns)
    summary = {
        "terms": list(terms), "target_entropy": 0.3, "size": 6, "judged": True, "variance": None,
        "probe": {"training_sd": None}, **found,
    }  # fmt: skip
    kappa = None if ratio is None else {"largest": 1.0, "pairs": ratio}
    return Rated(Assessed(name, None, folder / name, summary, cost, [folder] * paid, kappa), budget, 0.01)


def test_a_score_is_fit_and_locality_and_shift_at_what_the_budget_buys(tmp_path):
    one = rated(tmp_path, "a", {})
    locality = TailLaw(**LAW)(1000, 0.01)
    assert one.score.total == pytest.approx(0.1 + locality + 0.2)
    found = one.to_json()
    assert (found["groups"], found["by"], found["radius"]) == (1000, "W1", 0.5)
    assert found["room"] == pytest.approx(math.log(2) - 0.3)
    needed = found["groups_needed"]
    law = TailLaw(**LAW)
    assert law(needed, 0.01) < found["room"] - 0.3 <= law(needed - 1, 0.01)


def test_the_better_of_both_forms_at_the_better_radius_is_taken(tmp_path):
    terms = [
        {"radius": 0.5, "fit": 0.10, "law": LAW, "shift": 0.3},
        {"radius": 2.0, "fit": 0.05, "law": LAW, "shift": 0.9},
    ]
    locality = TailLaw(**LAW)(1000, 0.01)
    near = rated(tmp_path, "near", {}, terms=terms, ratio=1.21)
    assert near.to_json()["by"] == "kappa"
    assert near.to_json()["radius"] == 2.0
    assert near.score.total == pytest.approx(1.21 * (0.05 + locality)), "the ratio of pairs is squared already"
    far = rated(tmp_path, "far", {}, terms=terms, ratio=100.0)
    assert (far.to_json()["by"], far.to_json()["radius"]) == ("W1", 0.5)
    assert [r.name for r in scored([far, near])] == ["near", "far"]


@pytest.mark.parametrize(
    ("budget", "groups"),
    [("50 groups", 50), ("1000 calls", 100), ("160 seconds", 10), ("1 money", 10), ("0.3 money", 3)],
)
def test_what_a_budget_buys(tmp_path, budget, groups):
    # A group takes 10 calls, 1 s + 10 x 0.5 s, 0.10 in money; 100 s are spent once, whatever the number of groups.
    assert rated(tmp_path, "a", {}, budget=Budget.parse(budget)).groups == groups


def test_a_budget_that_is_spent_before_the_first_group_is_refused(tmp_path):
    with pytest.raises(SpecError, match="buys no group of a"):
        _ = rated(tmp_path, "a", {}, budget=Budget(100.0, "seconds")).score


def test_strategies_are_ranked_on_the_queries_that_all_of_them_have(tmp_path):
    # On what both have, `whole` is better everywhere; `easy` dropped the query that is hard for all.
    whole = rated(tmp_path, "whole", {1: 0.1, 2: 0.2, 3: 0.9})
    easy = rated(tmp_path, "easy", {1: 0.2, 2: 0.3})
    none = rated(tmp_path, "none", {1: math.nan})
    assert [r.name for r in ranked([none, easy, whole])] == ["whole", "easy", "none"]
    apart = rated(tmp_path, "apart", {7: 0.0})
    assert [r.name for r in ranked([whole, apart])] == ["apart", "whole"], "nothing in common: each by its own"


def test_a_comparison_is_paired_and_knows_the_noise_of_training_sets(tmp_path):
    rng = np.random.default_rng(1)
    hard, gap = rng.normal(5, 3, 60), rng.normal(0.02, 0.05, 60)
    best = rated(tmp_path, "best", dict(enumerate(hard)))
    other = rated(tmp_path, "other", dict(enumerate(hard + gap)))
    (quiet,) = comparisons([best, other], None, margin=0.1, delta=0.05, seed=1)
    (noisy,) = comparisons([best, other], 0.03, margin=0.1, delta=0.05, seed=1)
    expected = mean_interval(gap, seed=1)
    assert (quiet["difference"]["mean"], quiet["difference"]["low"]) == pytest.approx((expected.mean, expected.low))
    half = 1.959964 * 0.03 * math.sqrt(2)
    low = expected.mean - math.hypot(expected.mean - expected.low, half)
    assert noisy["difference"]["low"] == pytest.approx(low)
    assert noisy["difference"]["high"] == pytest.approx(expected.mean + math.hypot(expected.high - expected.mean, half))
    assert (quiet["told_apart"], noisy["told_apart"]) == (True, False)
    assert (quiet["as_good"], noisy["as_good"]) == (True, False)
    # 8.5, two-sided at 5% with power 80%: both variances, per query.
    factor = (1.959964 + NormalDist().inv_cdf(0.8)) ** 2 / expected.mean**2
    sd = gap.std(ddof=1)
    assert quiet["queries_needed"] == math.ceil(factor * sd**2)
    assert noisy["queries_needed"] == math.ceil(factor * (sd**2 + 2 * 60 * 0.03**2))
    # All sixty queries show no gap of this size by themselves unless sd²/60 leaves room for the seeds.
    left = 1 / factor - sd**2 / 60
    assert noisy["seeds_needed"] == (math.ceil(2 * 0.03**2 / left) if left > 0 else None)


def test_several_comparisons_hold_at_once(tmp_path):
    rng = np.random.default_rng(2)
    made = [rated(tmp_path, f"s{i}", dict(enumerate(rng.normal(i, 1, 40)))) for i in range(4)]
    first = comparisons(made, None, margin=0.0, delta=0.06, seed=1)[0]["difference"]
    values = np.array(list(made[1].target_excess.values())) - np.array(list(made[0].target_excess.values()))
    assert first["low"] == pytest.approx(mean_interval(values, seed=1, level=0.98).low)
    assert first["high"] - first["low"] > np.ptp([getattr(mean_interval(values, seed=1), e) for e in ("low", "high")])


@pytest.mark.parametrize(("common", "compared"), [(0, 0), (9, 0), (10, 1)])
def test_a_handful_of_queries_compares_nothing(tmp_path, common, compared):
    made = [rated(tmp_path, name, {q: 0.1 * q for q in range(start, start + 20)}) for name, start in
            (("a", 0), ("b", 20 - common))]  # fmt: skip
    assert len(comparisons(made, None, margin=0.0, delta=0.05, seed=1)) == compared


def test_the_noise_of_training_sets_is_pooled_as_variances(tmp_path):
    made = [rated(tmp_path, str(sd), {}, probe={"training_sd": sd}) for sd in (0.3, 0.4, None)]
    assert training_sd(made) == pytest.approx(math.sqrt((0.09 + 0.16) / 2))
    assert training_sd(made[2:]) is None


def test_neighbours_cross_where_their_scores_at_that_budget_are_equal(tmp_path):
    local = {"radius": 0.5, "fit": 0.1, "law": {"mean": 1.0, "moment": 0.5, "span": 0.0}, "shift": 0.4}
    wide = {"radius": 0.5, "fit": 0.1, "law": {"mean": 3.0, "moment": 0.5, "span": 0.0}, "shift": 0.1}
    made = [rated(tmp_path, "local", {}, terms=[local]), rated(tmp_path, "wide", {}, terms=[wide])]
    (found,) = crossings(made)
    # (c_1 - c_2)² / (shift_2 - shift_1)² of theory 8.2: the moments are equal, so that delta has no say.
    assert found["budgets"] == pytest.approx([(2.0 / 0.3) ** 2])
    assert found["winners"] == ["local", "wide"]
    steep = {**wide, "law": {"mean": 1.0, "moment": 2.0, "span": 0.0}}
    (found,) = crossings([made[0], rated(tmp_path, "steep", {}, terms=[steep])])
    # With the very delta of the scores, 0.01 each.
    assert found["budgets"] == pytest.approx([(1.5 * math.sqrt(2 * math.log(100)) / 0.3) ** 2])


def test_a_crossing_below_one_group_is_none(tmp_path):
    local = {"radius": 0.5, "fit": 0.1, "law": {"mean": 0.1, "moment": 0.0, "span": 0.0}, "shift": 0.9}
    wide = {"radius": 0.5, "fit": 0.1, "law": {"mean": 0.2, "moment": 0.0, "span": 0.0}, "shift": 0.1}
    made = [rated(tmp_path, "wide", {}, terms=[wide]), rated(tmp_path, "local", {}, terms=[local])]
    (found,) = crossings(made)
    assert (found["budgets"], found["winners"]) == ([], ["wide"])


def test_the_size_of_groups_counts_the_positive_and_what_is_paid_whatever_the_size(tmp_path):
    parts = {"between": 0.01, "document": 0.02, "pair": 0.05}
    found = best_group_size(rated(tmp_path, "a", {}, variance=parts))
    # Five drawn documents of six; of ten calls, five are made whatever the size, and a second of drawing.
    expected = group_size(VarianceParts(**parts), 1.0 + 5 * 0.5, 0.5)
    assert found["size"] == expected.size + 1
    assert found["unrounded"] == pytest.approx(expected.unrounded + 1)
    unjudged = best_group_size(rated(tmp_path, "b", {}, variance=parts, judged=False))
    assert unjudged["size"] == group_size(VarianceParts(**parts), 1.0 + 4 * 0.5, 0.5).size
    assert best_group_size(rated(tmp_path, "c", {}, variance=parts, paid=2)) is None, "the list is scored whole"
    assert best_group_size(rated(tmp_path, "d", {})) is None
    untimed = Cost(calls=10.0, drawing=1.0, call=None, price=None, once=0.0)
    assert best_group_size(rated(tmp_path, "e", {}, variance=parts, cost=untimed)) is None
