"""Runs all statements over the same random worlds."""

from __future__ import annotations

import re
from importlib import import_module

from rankstill.randomness import rng_for
from theory.statement import REGISTRY, Result, Statement, check_frequency, check_worlds
from theory.worlds import World, random_world

TRIALS = 2_000
SECTIONS = (
    "section1",
    "section2",
    "section3",
    "section33",
    "section34",
    "section4",
    "section42",
    "section46",
    "section5",
    "section6",
    "section7",
    "section8",
    "printed",
)


def statements(only: str = "") -> list[Statement]:
    """The statements whose label starts with `only`, in the order of docs/theory.md."""
    for name in SECTIONS:
        import_module(f"theory.{name}")  # registers its statements
    return sorted((s for s in REGISTRY if s.label.startswith(only)), key=_place)


def run(worlds: int, seed: int, only: str = "", trials: int = TRIALS) -> list[Result]:
    """Check statements in as many random worlds; stated probabilities by as many trials."""
    made = [random_world(seed, i) for i in range(worlds)]
    return [_check(s, made, seed, trials) for s in statements(only)]


def _place(statement: Statement) -> tuple[int, int, str]:
    section, _, rest = statement.label.partition(".")
    number = re.match(r"\d+", rest)
    return int(section[0]), int(number[0]) if number else 0, rest or section


def _check(statement: Statement, worlds: list[World], seed: int, trials: int) -> Result:
    if statement.kind == "P":
        rng = rng_for(seed, "frequency", statement.label, statement.title)
        return check_frequency(statement, rng, max(1, trials // statement.every))
    return check_worlds(statement, worlds[:: statement.every])
