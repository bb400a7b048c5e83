"""What numbers must be: each edge on its right side, and a refusal that names the argument and its value."""

from __future__ import annotations

import math

import pytest

from rankstill.errors import SpecError
from rankstill.measures import checks

LOG2 = math.log(2)
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checks.check_finite, (-1e300, 0), (INF, -INF, NAN)),
        (checks.check_positive, (5e-324, 1e300), (0, -1, INF, NAN)),
        (checks.check_not_negative, (0, 1e300), (-5e-324, INF, NAN)),
        (lambda **v: checks.check_between(1, 2, **v), (1.001, 1.999), (1, 2, NAN)),
        (checks.check_share, (0, 0.3, 1), (-0.001, 1.001, NAN)),
        (checks.check_count, (1, 2.0, 10**20), (0, -1, 1.5, INF, NAN)),
        (lambda **v: checks.check_count(2, **v), (2,), (1,)),
        (checks.check_entropy, (0, LOG2, LOG2 * (1 + 1e-13)), (-1e-9, LOG2 * (1 + 1e-9), NAN)),
        (lambda **v: checks.check_entropy(math.log(8), **v), (math.log(8),), (math.log(8.001),)),
    ],
)
def test_edges(check, good: tuple, bad: tuple):
    for value in good:
        check(some_number=value)
    for value in bad:
        with pytest.raises(SpecError, match=f"^some number is {value}; it must be ".replace("+", r"\+")):
            check(some_number=value)
        with pytest.raises(SpecError, match="second is"):
            check(first=good[0], second=value)


def test_a_users_own_name_stays_as_it_is():
    with pytest.raises(SpecError, match=r"cost of my_strategy is 0; it must be above 0 and finite"):
        checks.check_positive(**{"cost of my_strategy": 0})
