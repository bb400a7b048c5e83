"""The paragraph of advice, from hand-made diagnoses, sentence by sentence."""

from __future__ import annotations

import pytest

from rankstill.studies.diagnosis.advice import advice
from rankstill.studies.diagnosis.words import words


def interval(mean, half=0.01, n=60):
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n}


def entry(name, calls=16.0, excess=0.15, **more):
    return {
        "name": name,
        "cost": {"calls": calls, "seconds": 2.0, "drawing_seconds": 0.1, "call_seconds": None, "money": None},
        "probe": {"target": None if excess is None else interval(excess)},
        "score": {"groups": 700, "vacuous": True, "groups_needed": None, "total": 0.9, "room": 0.2},
        "false_negatives": None,
        **more,
    }


def against(name, best, mean, *, apart=False, good=False, needed=150):
    return {
        "name": name, "against": best, "difference": interval(mean), "told_apart": apart, "as_good": good,
        "queries_needed": needed,
    }  # fmt: skip


def diagnosis(*strategies, comparisons=(), **more):
    names = [s["name"] for s in strategies]
    return {
        "strategies": list(strategies), "ranking": names, "score_ranking": names, "comparisons": list(comparisons),
        "margin": 0.004, "spec": {"worth": 0.02}, "budget": {"amount": 700.0, "unit": "groups"}, "crossovers": [],
        "mixtures": [], "target": {"origin": "BM25", "depth": 100}, **more,
    }  # fmt: skip


def test_the_best_is_used_where_the_others_are_worse():
    found = advice(diagnosis(entry("a"), entry("b"), comparisons=[against("b", "a", 0.05, apart=True)]))
    assert found.startswith("Use a: a linear head trained on its groups is 0.15 nats (0.14 to 0.16) from the teacher")
    assert "closer than with any other strategy here" in found
    assert "How sure: b is 0.05 nats further from the teacher than a (interval of the difference 0.04 to 0.06" in found
    assert "no clear difference" not in found


@pytest.mark.parametrize("reason", [{"apart": False}, {"apart": True, "good": True}])
def test_what_is_no_better_by_much_is_not_paid_for(reason):
    dear, cheap = entry("a", calls=100.0), entry("b", calls=16.0)
    found = advice(diagnosis(dear, cheap, comparisons=[against("b", "a", 0.003, **reason)]))
    assert found.startswith("Use b")
    assert "a is not better by more than 0.004 nats, 2% of what is at stake, as far as these queries show" in found
    assert "costs as much or more" in found
    assert "A group takes 16 calls of the teacher; a takes 100." in found


def test_what_is_worse_is_not_used_however_cheap():
    dear, cheap = entry("a", calls=100.0), entry("b", calls=1.0)
    assert advice(diagnosis(dear, cheap, comparisons=[against("b", "a", 0.3, apart=True)])).startswith("Use a")


def test_between_equals_of_about_the_same_cost_the_better_one_is_used():
    a, b = entry("a", calls=16.1), entry("b", calls=16.0)
    assert advice(diagnosis(a, b, comparisons=[against("b", "a", 0.003)])).startswith("Use a")


def test_how_sure_speaks_of_the_one_that_is_used_and_says_what_would_tell():
    strategies = [entry("a", calls=100.0), entry("b", calls=50.0), entry("c", calls=16.0)]
    compared = [against("b", "a", 0.001), against("c", "a", 0.002, needed=1234)]
    found = advice(diagnosis(*strategies, comparisons=compared))
    assert "How sure: c is 0.002 nats further from the teacher than a" in found
    assert "no clear difference; 1,234 queries would show one of that size" in found
    nearest = advice(diagnosis(*strategies, comparisons=[against("b", "a", 0.1, apart=True), compared[1]]))
    assert "How sure: c is" in nearest


def test_too_few_queries_make_no_claim():
    found = advice(diagnosis(entry("a", excess=None), entry("b", excess=None)))
    assert found.startswith("Too few queries were tested")
    assert "closer" not in found
    assert "How sure" not in found


def test_the_bound_is_said_to_prove_something_only_if_it_does():
    fine = {"groups": 9000, "vacuous": False, "groups_needed": 5000, "total": 0.11, "room": 0.2}
    found = advice(diagnosis(entry("a", score=fine)))
    assert "at 9,000 groups a linear head is at most 0.11 nats above the floor, against 0.2" in found
    assert "If fit and shift stay" in found
    assert "vacuous" not in found
    later = {"groups": 700, "vacuous": True, "groups_needed": 5000, "total": 0.9, "room": 0.2}
    found = advice(diagnosis(entry("a", score=later)))
    assert "vacuous at 700 groups (it takes 5,000 groups to say anything): it proves nothing." in found
    never = diagnosis(entry("a"), entry("b"), comparisons=[against("b", "a", 0.05, apart=True)])
    never["score_ranking"] = ["b", "a"]
    assert "its fit and shift alone exceed" in advice(never)
    assert "by its size, b would come first" in advice(never)


@pytest.mark.parametrize(("share", "said"), [(0.04, False), (0.05, True), (0.3, True)])
def test_many_suspected_false_negatives_ask_for_soft_labels_or_a_filter(share, said):
    found = advice(diagnosis(entry("a", false_negatives={"share": interval(share)})))
    assert (f"scores {100 * share:.0f}% of the negatives of a at or above the positive" in found) is said
    assert ("--margin" in found) is said


def test_what_would_change_it_names_crossovers_mixtures_and_the_lists():
    crossing = {"first": "b", "second": "a", "budgets": [5000.0], "winners": ["a", "b"]}
    elsewhere = {"first": "b", "second": "c", "budgets": [7777.0], "winners": ["b", "c"]}
    helping = {"first": "a", "second": "b", "best": 0.25, "helps": True}
    given = diagnosis(
        entry("a"), entry("b"), entry("c"), crossovers=[crossing, elsewhere], mixtures=[helping],
        comparisons=[against("b", "a", 0.05, apart=True), against("c", "a", 0.06, apart=True)],
    )  # fmt: skip
    found = advice(given)
    assert "a budget on the other side of 5,000 groups, where b and it change places by the bound" in found
    assert "7,777" not in found
    assert "25% b in a" in found
    assert found.endswith("other lists to rerank than BM25, 100 deep.")
    helping["helps"] = False
    assert "mixture" not in advice(given)


def test_the_cost_says_seconds_money_and_what_the_budget_buys():
    cost = {"calls": 16.0, "seconds": 2.5, "drawing_seconds": 0.1, "call_seconds": 0.1, "money": 0.032}
    given = diagnosis(entry("a", cost=cost), budget={"amount": 25.0, "unit": "money"})
    expected = "A group takes 16 calls of the teacher and 2.5 s and 0.032 in money; 25 money buy 700 groups."
    assert expected in advice(given)


def place(kind, where, share=0.02, bound=0.1):
    sure = {"sure": 0.5, "share": share, "bound": bound}
    return {"kind": kind, "where": where, "inversions": [sure, sure]}


def test_words_say_where_most_is_lost():
    fit = {"name": "fit", "what": "", **interval(0.05)}
    locality = {"name": "locality", "what": "", **interval(0.2)}
    shift = {"name": "shift, lists of x", "what": "", **interval(-0.005)}
    found = words({"gaps": [fit, locality, shift], "places": [place("seen", "s"), place("lists", "lists of x")]})
    assert found == [
        "On groups it has seen, the student is 0.050 nats (95%: 0.040 to 0.060) from its teacher.",
        "On groups drawn the same way for queries it has not seen, it is 0.200 nats (95%: 0.190 to 0.210) further away "
        "than on those it has seen.",
        "On the lists of x, it is 0.005 nats (95%: -0.005 to 0.015) closer, which is no clear difference, than on such "
        "unseen groups.",
        "Most is lost between queries it has seen and others: more training queries may help, more epochs not.",
        "Of all pairs, 2.0% are turned round although the teacher is sure of them, on the lists of x (at most 10% "
        "given the excess).",
    ]
    only = words({"gaps": [{**fit, "low": None, "high": None}], "places": [place("seen", "s")]})
    assert only[0] == "On groups it has seen, the student is 0.050 nats from its teacher."
    assert "larger student" in only[1]
    assert len(only) == 2
    far = words({"gaps": [fit, {**shift, **interval(0.3)}], "places": [place("seen", "s")]})
    assert "than on those it has seen" in far[1]
    assert "between what it was trained on and the lists of x" in far[2]
