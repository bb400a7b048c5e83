"""The size of groups."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.errors import DataError, SpecError
from rankstill.measures.prescriptions.group_size import VarianceParts, group_size, variance_parts

PART = st.floats(0.001, 5)


def test_the_variance_of_a_group_by_hand():
    """[3.3] at k = 2: s_B² + zeta_2; at k = 4: s_B² + (8 zeta_1 + 2 zeta_2)/12."""
    parts = VarianceParts(1.0, 0.3, 0.9)
    assert parts.variance(2) == pytest.approx(1.9)
    assert parts.variance(4) == pytest.approx(1 + (8 * 0.3 + 2 * 0.9) / 12)


def test_the_optimum_of_theory_8_6():
    """4 · 25 · 16/(1 · 1): k* = 40."""
    found = group_size(VarianceParts(1.0, 25.0, 50.0), query_cost=16.0, document_cost=1.0, budget=5600)
    assert found.unrounded == pytest.approx(40)
    assert abs(found.size - 40) <= 2
    assert found.groups == pytest.approx(5600 / (16 + found.size))


@given(between=PART, document=PART, extra=st.floats(0, 5), query=st.floats(0, 99), cost=st.floats(0.1, 9))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_no_other_size_is_better(between, document, extra, query, cost):
    parts = VarianceParts(between, document, 2 * document + extra)  # zeta_2 >= 2 zeta_1 always
    found = group_size(parts, query, cost, budget=1000.0, largest=40)
    others = [parts.variance(k) * (query + k * cost) / 1000 for k in range(2, 41)]
    assert found.variance == pytest.approx(min(others))
    dearer_query = group_size(parts, query * 2 + 1, cost, largest=40)
    dearer_document = group_size(parts, query, cost * 2, largest=40)
    assert dearer_document.size <= found.size <= dearer_query.size


def test_limits_and_extremes():
    alike = group_size(VarianceParts(0.0, 1.0, 2.0), 5.0, 1.0, largest=16)
    assert (alike.size, alike.unrounded) == (16, math.inf)
    # Documents do not differ: one pair is as good as many.
    assert group_size(VarianceParts(1.0, 0.0, 0.0), 5.0, 1.0).size == 2
    assert group_size(VarianceParts(1.0, -0.01, -0.02), 5.0, 1.0).size == 2
    assert group_size(VarianceParts(1.0, 0.0, 0.0), 5.0, 1.0, smallest=8).size == 8
    assert math.isnan(group_size(VarianceParts(0.0, 0.0, 0.0), 5.0, 1.0).unrounded)


def test_parts_by_enumeration():
    """Independently: all products of two pairs are written out and averaged by how many documents they share."""
    rng = np.random.default_rng(3)
    half = rng.normal(size=(3, 5, 5))
    values = half + half.transpose(0, 2, 1)
    pairs = list(itertools.permutations(range(5), 2))
    by_shared = {0: [], 1: [], 2: []}
    for (i, j), (a, b) in itertools.product(pairs, pairs):
        by_shared[len({i, j} & {a, b})].append((values[:, i, j] * values[:, a, b]).mean())
    none, one, two = (np.mean(by_shared[s]) for s in range(3))
    means = [np.mean([values[q, i, j] for i, j in pairs]) for q in range(3)]
    product = np.mean([a * b for a, b in itertools.permutations(means, 2)])
    found = variance_parts(values)
    assert (found.between, found.document, found.pair) == pytest.approx((none - product, one - none, two - none))


def test_parts_predict_the_variance_of_larger_groups():
    """a(x, x') = m_q + g(x) + g(x') with g a fair sign: the parts are 1/4, 1 and 2."""
    rng = np.random.default_rng(5)

    def draw(groups, size):
        means, signs = rng.choice([0.0, 1.0], groups), rng.choice([-1.0, 1.0], (groups, size))
        return means[:, None, None] + signs[:, :, None] + signs[:, None, :]

    found = variance_parts(draw(20_000, 4))
    assert (found.between, found.document, found.pair) == pytest.approx((0.25, 1.0, 2.0), abs=0.05)
    upper = np.triu_indices(9, 1)
    means = draw(20_000, 9)[:, upper[0], upper[1]].mean(axis=1)
    assert found.variance(9) == pytest.approx(means.var(), rel=0.05)


def test_invariances():
    rng = np.random.default_rng(7)
    half = rng.normal(size=(6, 5, 5))
    values = half + half.transpose(0, 2, 1)
    base = variance_parts(values)
    order = rng.permutation(5)
    shuffled = values[::-1][:, order][:, :, order].copy()
    shuffled[:, np.arange(5), np.arange(5)] = math.nan  # the diagonal is not read
    for changed, factor in ((shuffled, 1), (values + 3, 1), (values * -2, 4)):
        got = variance_parts(changed)
        assert (got.between, got.document, got.pair) == pytest.approx(
            (base.between * factor, base.document * factor, base.pair * factor)
        )


def test_refusals():
    for shape in ((1, 5, 5), (3, 3, 3), (3, 5, 4), (3, 5)):
        with pytest.raises(SpecError, match="expected pair values"):
            variance_parts(np.zeros(shape))
    broken = np.zeros((3, 4, 4))
    broken[0, 1, 2] = math.nan
    with pytest.raises(DataError, match="1 pair values are not finite"):
        variance_parts(broken)
    broken[0, 1, 2] = 1.0
    with pytest.raises(DataError, match="order of the pair"):
        variance_parts(broken)
    parts = VarianceParts(1.0, 1.0, 2.0)
    for options, says in (
        ({"query_cost": -1.0, "document_cost": 1.0}, "query cost"),
        ({"query_cost": 1.0, "document_cost": 0.0}, "document cost"),
        ({"query_cost": 1.0, "document_cost": 1.0, "smallest": 1}, "no size"),
        ({"query_cost": 1.0, "document_cost": 1.0, "smallest": 9, "largest": 8}, "no size"),
    ):
        with pytest.raises(SpecError, match=says):
            group_size(parts, **options)
    with pytest.raises(SpecError, match="size is 1"):
        parts.variance(1)
