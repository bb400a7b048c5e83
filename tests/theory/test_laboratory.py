"""The laboratory of docs/theory.md in a few worlds, and that it fails where it must. All of it: `make theory`."""

import numpy as np
import pytest
from theory.laboratory import run, statements
from theory.report import verdict
from theory.statement import Claim, Frequency, Statement, check_frequency, check_worlds
from theory.worlds import enumerate_groups, random_world

WORLDS, TRIALS = 40, 100


@pytest.fixture(scope="module")
def results():
    return run(WORLDS, seed=7, trials=TRIALS)


def test_every_statement_holds_and_every_broken_variant_is_caught(results):
    assert [f"[{r.statement.label}] {r.statement.title}" for r in results if not r.passed] == []
    assert verdict(results).rpartition("\n")[2].startswith("PASS")


def test_every_section_with_statements_is_covered(results):
    sections = {r.statement.label.partition(".")[0].rstrip("ab") for r in results}
    assert sections == {"1", "2", "3", "4", "5", "6", "7", "8"}
    assert {"3.1", "3.2", "3.2k", "3.2e", "3.3", "3.4", "3.4d", "3.5", "3.6"} <= {r.statement.label for r in results}


def test_functions_named_as_exercised_exist(results):
    import importlib

    for used in {name for r in results for name in r.statement.uses}:
        module, _, function = used.rpartition(".")
        assert hasattr(importlib.import_module(f"rankstill.measures.{module}"), function), used


def test_the_same_seed_gives_the_same_figures():
    first, second = (run(6, seed=3, only="3.", trials=20) for _ in range(2))
    assert [(r.worst, r.caught) for r in first] == [(r.worst, r.caught) for r in second]


def _checked(kind, claim):
    statement = Statement("0", "made up", kind, "made up", lambda world: claim)
    return check_worlds(statement, [random_world(0, 0)])


@pytest.mark.parametrize(
    ("kind", "claim"),
    [
        ("=", Claim(1.0, 1.0 + 1e-9, 2.0)),  # a false identity
        ("<=", Claim(1.0 + 1e-9, 1.0, 0.5)),  # a false inequality
        ("=", Claim(np.array([1.0, np.nan]), 1.0, 2.0)),  # not a number
        ("=", Claim(1.0, 1.0, 1.0 + 1e-9)),  # a broken variant that goes unseen
        ("<=", Claim(0.5, 1.0, 0.6)),
        ("<=", Claim(0.5, 1.0)),  # no broken variant at all
    ],
)
def test_what_is_false_or_untested_fails(kind, claim):
    assert not _checked(kind, claim).passed


def test_each_claim_of_a_statement_needs_its_broken_variant_caught():
    claims = [Claim(1.0, 1.0, 2.0), Claim(1.0, 1.0, 1.0)]
    statement = Statement("0", "made up", "=", "made up", lambda world: claims)
    result = check_worlds(statement, [random_world(0, 0)])
    assert result.caught == 1
    assert result.unseen == {1}
    assert not result.passed


@pytest.mark.parametrize(("kind", "claim"), [("=", Claim(3.0, 3.0, 2.0)), ("<=", Claim(1.0, 1.0, 0.5))])
def test_what_is_true_and_tested_passes(kind, claim):
    assert _checked(kind, claim).passed


@pytest.mark.parametrize(
    ("frequency", "passed"),
    [
        (Frequency(0.05, 1, 0.2, 0.05, exact=True), True),
        (Frequency(0.0501, 1, 0.2, 0.05, exact=True), False),  # exact probabilities get no slack
        (Frequency(60, 1000, 200, 0.05), True),  # 1.5 standard errors
        (Frequency(90, 1000, 200, 0.05), False),  # 5.8 standard errors
        (Frequency(0, 1000, 60, 0.05), False),  # the broken variant goes unseen
    ],
)
def test_frequencies_are_held_against_what_was_stated(frequency, passed):
    statement = Statement("0", "made up", "P", "made up", lambda rng, trials: frequency)
    assert check_frequency(statement, np.random.default_rng(0), 1000).passed is passed


def test_groups_are_enumerated_as_often_as_they_are_likely():
    groups = enumerate_groups(np.array([[0, 0, 1]]), 2)
    assert len(groups) == 9
    assert ((groups.docs == 0).all(1)).mean() == pytest.approx(4 / 9)
    distinct = enumerate_groups(np.array([[0, 1, 2]]), 3, "distinct")
    assert len(distinct) == 6
    assert (np.sort(distinct.docs, axis=1) == [0, 1, 2]).all()
    assert (enumerate_groups(np.array([[4, 1, 2]]), 3, "positive").docs[:, 0] == 4).all()


def test_statements_stand_in_the_order_of_the_text():
    labels = [s.label for s in statements()]
    assert labels.index("1.0") < labels.index("2.4") < labels.index("3.3") < labels.index("3.4") < labels.index("7.3")
