"""Runs all statements over the same random worlds."""

from __future__ import annotations

from rankstill.randomness import rng_for
from theory import section1, section2, section3, section34, section4, section5, section6, section7, section46  # noqa: F401  (importing registers the statements)
from theory.statement import REGISTRY, Result, Statement, check_frequency, check_worlds
from theory.worlds import World, random_world

TRIALS = 2_000


def run(worlds: int, seed: int, only: str = "", trials: int = TRIALS) -> list[Result]:
    """Check the statements whose label starts with `only`, in the order of docs/theory.md."""
    made = [random_world(seed, i) for i in range(worlds)]
    return [_check(s, made, seed, trials) for s in REGISTRY if s.label.startswith(only)]


def _check(statement: Statement, worlds: list[World], seed: int, trials: int) -> Result:
    if statement.kind == "P":
        rng = rng_for(seed, "frequency", statement.label, statement.title)
        return check_frequency(statement, rng, max(1, trials // statement.every))
    return check_worlds(statement, worlds[:: statement.every])
