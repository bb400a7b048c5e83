from __future__ import annotations

import re

import numpy as np
import pytest

from rankstill.collection.near_duplicates import first_of_alike
from rankstill.randomness import rng_for


def runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    words += [""] * (3 - len(words))
    return {tuple(words[n : n + 3]) for n in range(len(words) - 2)}


def one_by_one(texts: list[str], similarity: float) -> list[int]:
    """Compare all with all."""
    sets = [runs(text) for text in texts]
    kept: list[int] = []
    first = []
    for row, own in enumerate(sets):
        alike = (k for k in kept if len(own & sets[k]) / len(own | sets[k]) >= similarity)
        first.append(next(alike, row))
        if first[-1] == row:
            kept.append(row)
    return first


def test_hand_worked():
    a = "the cat sat on the mat today"  # five runs of three words
    b = "the cat sat on the mat again"  # four of them: 4 / 6
    assert first_of_alike([a, b], similarity=4 / 6).tolist() == [0, 0]
    assert first_of_alike([a, b], similarity=0.67).tolist() == [0, 1]


def test_case_punctuation_and_space_do_not_matter():
    assert first_of_alike(["The cat, sat.", "the CAT\n sat", "a dog"], similarity=1).tolist() == [0, 0, 2]


def test_short_and_empty_texts():
    assert first_of_alike(["", "a", "a b", "a b", "", "a"], similarity=0.5).tolist() == [0, 1, 2, 2, 0, 1]
    assert first_of_alike([], similarity=0.5).tolist() == []


def test_alike_means_alike_to_one_that_is_kept():
    # b is alike to a, and c to b only: c stays.
    a, b, c = "1 2 3 4 5 6", "2 3 4 5 6 7", "3 4 5 6 7 8"
    assert first_of_alike([a, b, c], similarity=0.6).tolist() == [0, 0, 2]
    assert first_of_alike([b, a, c], similarity=0.6).tolist() == [0, 0, 0]


@pytest.mark.parametrize("similarity", [0.2, 0.5, 0.6, 0.9, 1.0])
def test_equals_comparing_all_with_all(similarity):
    rng = rng_for(1, "texts", similarity)
    stems = [rng.integers(0, 40, 30) for _ in range(12)]
    texts = []
    for _ in range(300):
        words = stems[rng.integers(12)][: rng.integers(1, 31)].copy()
        changed = rng.random(len(words)) < rng.choice([0, 0.05, 0.3])
        words[changed] = rng.integers(0, 40, changed.sum())
        texts.append(" ".join(f"w{word}" for word in words))
    found = first_of_alike(texts, similarity=similarity).tolist()
    assert found == one_by_one(texts, similarity)
    assert len(set(found)) < 300


def test_texts_added_at_the_end_change_nothing_before():
    rng = rng_for(2, "texts")
    texts = [" ".join(map(str, rng.integers(0, 4, 8))) for _ in range(200)]
    whole = first_of_alike(texts, similarity=0.5)
    assert np.array_equal(whole[:80], first_of_alike(texts[:80], similarity=0.5))
