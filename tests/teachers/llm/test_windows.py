from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.teachers.llm.windows import slide, windows


def test_windows_by_hand():
    assert list(windows(30, 20, 10)) == [(10, 30), (0, 20)]
    assert list(windows(25, 20, 10)) == [(5, 25), (0, 15)]
    assert list(windows(7, 4, 2)) == [(3, 7), (1, 5), (0, 3)]
    assert list(windows(20, 20, 10)) == [(0, 20)]
    assert list(windows(3, 20, 10)) == [(0, 3)]
    assert list(windows(1, 20, 10)) == []
    assert list(windows(0, 20, 10)) == []


shapes = st.tuples(st.integers(0, 120), st.integers(2, 30)).flatmap(
    lambda t: st.tuples(st.just(t[0]), st.just(t[1]), st.integers(1, t[1] - 1))
)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(shapes)
def test_windows_overlap_and_reach_every_place(shape):
    count, size, stride = shape
    found = list(windows(count, size, stride))
    covered = {place for start, stop in found for place in range(start, stop)}
    assert covered == (set(range(count)) if count > 1 else set())
    assert all(stop - start <= size for start, stop in found)
    assert all(later[1] > earlier[0] for earlier, later in itertools.pairwise(found))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(shapes, st.randoms(use_true_random=False))
def test_a_perfect_judge_brings_the_best_to_the_front(shape, random):
    """With a true order, one pass finds exactly the size - stride best, in order, wherever they stood."""
    count, size, stride = shape
    worth = list(range(count))
    random.shuffle(worth)
    ranked = slide(count, size, stride, lambda places: sorted(places, key=lambda p: -worth[p]))
    assert sorted(ranked) == list(range(count))
    sure = min(size - stride, count) if count > size else count
    assert [worth[p] for p in ranked[:sure]] == sorted(worth, reverse=True)[:sure]


def test_a_judge_that_changes_nothing_keeps_the_first_order():
    assert slide(50, 10, 5, lambda places: places) == list(range(50))
