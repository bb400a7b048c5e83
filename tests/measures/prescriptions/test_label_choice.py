"""Which labels to learn from."""

import math

import numpy as np
import pytest

from rankstill.errors import SpecError
from rankstill.measures.prescriptions.label_choice import label_choice


def test_the_bias_test_by_hand():
    """rho 0.3, margin 2: 0.15 · 2 = 0.3 of bias; the teacher's is 0.2, of either sign."""
    for bias in (0.2, -0.2):
        found = label_choice(false_negatives=0.3, margin_of_false_negatives=2.0, teacher_bias=bias, groups=100)
        assert (found.judgement_bias, found.teacher_bias) == pytest.approx((0.3, 0.2))
        assert (found.less_biased, found.smaller_error) == ("teacher", None)
    found = label_choice(false_negatives=0.1, margin_of_false_negatives=2.0, teacher_bias=0.2, groups=100)
    assert found.less_biased == "judgements"


def test_the_bias_of_unjudged_negatives_is_that_of_theory_5_4():
    """Independently: the mean loss at label 1 less that at the true preference, over a world with false negatives."""
    rng = np.random.default_rng(1)
    margins, false = rng.normal(1, 2, 1000), rng.random(1000) < 0.3
    truth = np.where(false, 0.5, 1.0)
    loss = {"judged": np.logaddexp(0, margins) - margins, "true": np.logaddexp(0, margins) - truth * margins}
    found = label_choice(
        false_negatives=false.mean(), margin_of_false_negatives=margins[false].mean(), teacher_bias=0.0, groups=1
    )
    assert found.judgement_bias == pytest.approx(abs(loss["judged"].mean() - loss["true"].mean()))


def test_the_crossover_decides_by_the_number_of_groups():
    options = {"false_negatives": 0.3, "margin_of_false_negatives": 2.0, "teacher_bias": 0.2}
    assert label_choice(**options, groups=99, crossover=100.0).smaller_error == "teacher"
    assert label_choice(**options, groups=100, crossover=100.0).smaller_error == "judgements"
    assert label_choice(**options, groups=10**9, crossover=math.inf).smaller_error == "teacher"
    assert label_choice(**options, groups=1, crossover=-5.0).smaller_error == "judgements"


def test_it_reads_as_advice():
    found = label_choice(
        false_negatives=0.3, margin_of_false_negatives=2.0, teacher_bias=0.2, groups=1000, crossover=5.0
    )
    assert str(found).startswith("where the teacher's scores are at hand, its soft labels")
    assert str(found).endswith(
        "bias 0.2 of the teacher against 0.3 of unjudged negatives: teacher; against complete judgements, "
        "judgements at 1,000 groups (n0 = 5)"
    )


def test_refusals():
    good = {"false_negatives": 0.3, "margin_of_false_negatives": 2.0, "teacher_bias": 0.2, "groups": 9}
    for change, says in (
        ({"false_negatives": 1.2}, "share of false negatives is 1.2"),
        ({"false_negatives": math.nan}, "share of false negatives is nan"),
        ({"margin_of_false_negatives": math.inf}, "margin of false negatives"),
        ({"teacher_bias": math.nan}, "teacher bias"),
        ({"groups": 0}, "groups is 0"),
        ({"crossover": math.nan}, "crossover"),
    ):
        with pytest.raises(SpecError, match=says):
            label_choice(**good | change)
