"""Seeds by name: pinned across machines and versions, apart for different names, the same in every process."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np

from rankstill.randomness import rng_for, seed_for


def test_a_seed_is_pinned():
    # printf '7/candidates/q1' | sha256sum: 14a98beb d3e30c0a f227082b 225863aa ...; the first 16 bytes, lowest first.
    assert seed_for(7, "candidates", "q1") == 0xAA635822_2B0827F2_0A0CE3D3_EB8BA914


def test_a_seed_is_the_same_in_every_process():
    script = "from rankstill.randomness import rng_for; print(rng_for(3, 'a', 2).integers(2**62))"
    found = {
        int(subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, check=True).stdout)
        for env in ({"PYTHONHASHSEED": "0"}, {"PYTHONHASHSEED": "1"})
    }
    assert found == {int(rng_for(3, "a", 2).integers(2**62))}


def test_names_that_differ_in_anything_give_other_seeds():
    names = ["", "a", "b", "ab", "a/b", "a/", "/b", "/", "\\", "a\\", "\\/", "1", "q1", "Q1", "ä"]
    paths = [(), *itertools.product(names), *itertools.product(names, names), ("a", "b", "")]
    seeds = {seed_for(seed, *path) for seed in (0, 1, 11, -1) for path in paths}
    assert len(seeds) == 4 * len(paths)
    assert seed_for(1, "1") != seed_for(11)
    assert all(0 <= seed < 2**128 for seed in seeds)


def test_a_number_is_a_name_as_it_is_written():
    assert seed_for(1, "epoch", 2) == seed_for(1, "epoch", "2") == seed_for(1, "epoch", np.int64(2))


def test_one_draw_does_not_move_another():
    expected = rng_for(1, "queries", "q2").integers(1000, size=5).tolist()
    rng_for(1, "queries", "q1").random(1000)
    rng_for(1, "queries", "another").random(1000)
    assert rng_for(1, "queries", "q2").integers(1000, size=5).tolist() == expected


def test_neighbouring_names_and_seeds_look_independent():
    """First draws over 5,000 names fill ten equal bins evenly, and say nothing about those of the next seed."""
    draws = np.array([[rng_for(seed, "q", i).random() for i in range(5000)] for seed in (1, 2)])
    counts = np.array([np.histogram(row, 10, (0, 1))[0] for row in draws])
    # Standard deviation of a bin: sqrt(5000 · 0.1 · 0.9) = 21; of a correlation: 1/sqrt(5000) = 0.014.
    assert (np.abs(counts - 500) < 4 * 21.2).all()
    assert abs(np.corrcoef(draws)[0, 1]) < 4 * 0.0142
    assert abs(np.corrcoef(draws[0, 1:], draws[0, :-1])[0, 1]) < 4 * 0.0142
