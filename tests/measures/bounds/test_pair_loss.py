"""Parts of the pair loss: the identities of theory section 1 that the bounds rest on, at any margin."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rankstill.measures.bounds.pair_loss import (
    even_part,
    label_entropy,
    largest_loss,
    log_one_plus_exp,
)
from rankstill.measures.group_entropy import margin_entropy
from tests.measures.bounds.worlds import h, psi, sigma


@pytest.mark.parametrize("u", [-9.0, -1.0, 0.0, 0.3, 5.0])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_the_loss_is_log_2_plus_a_labelled_and_an_even_part(p: float, u: float):
    """[1.2]"""
    assert psi(p, u) == pytest.approx(math.log(2) - (p - 0.5) * u + float(even_part(np.array(u))), abs=1e-12)


def test_the_even_part_is_below_both_of_its_bounds():
    x = np.geomspace(1e-6, 1e3, 200)
    assert (even_part(x) <= x / 2).all()
    assert (even_part(x) <= x**2 / 8 + 1e-15).all()
    assert even_part(np.array(0.0)) == 0
    assert even_part(np.array([2.0])) == pytest.approx(math.log(math.cosh(1)), rel=1e-14)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_the_largest_loss_is_at_an_end(p: float):
    reach = 2.5
    found = float(largest_loss(np.array(reach), np.array(max(p, 1 - p))))
    assert found == pytest.approx(max(psi(p, u) for u in np.linspace(-reach, reach, 101)), rel=1e-12)


def test_entropy_of_a_margin_is_that_of_its_probability():
    margins = np.array([-30.0, -2, 0, 0.5, 8])
    expected = [h(sigma(v)) for v in margins]
    assert margin_entropy(margins) == pytest.approx(expected, rel=1e-8)
    assert label_entropy(np.array([0.0, 0.25, 0.5, 1])) == pytest.approx([0, h(0.25), math.log(2), 0], rel=1e-14)
    assert np.isfinite(margin_entropy(np.array([1e6, -1e6]))).all()


def test_the_loss_spans_exactly_the_margin():
    """[1.6]: A(B) - A(-B) = B."""
    for b in (0.1, 3.0, 40.0, 800.0):
        assert log_one_plus_exp(b) - log_one_plus_exp(-b) == pytest.approx(b, rel=1e-14)
