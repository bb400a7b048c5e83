"""Pages, pictures and tables of a diagnosis and an explanation, with hostile names and with empty parts."""

from __future__ import annotations

import copy
import io

import pytest
from rich.console import Console

from rankstill.studies.diagnosis import figures
from rankstill.studies.diagnosis.pages import write_diagnosis, write_explanation
from rankstill.studies.diagnosis.tables import print_diagnosis, print_explanation
from tests.studies.test_page import HOSTILE, Tags


def interval(mean, half=0.01):
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": 9}


def bound(value=1.5, *more):
    return {
        "name": "risk", "source": "theory", "value": value, "terms": {"fit": value}, "factor": 1.0, "trivial": 0.69,
        "vacuous": True, "confidence": 0.95, "assumptions": ["groups are independent", *more],
    }  # fmt: skip


def strategy(name):
    return {
        "name": name, "groups": 9, "size": 6, "diameter": interval(0.8), "entropy": interval(0.5),
        "false_negatives": {"share": interval(0.1)},
        "shift": {"embeddings": {"value": interval(0.4), "null": interval(0.3)}},
        "kappa": {"largest": 92083.1, "mean": 2.0, "infinite_share": 0.0, "queries": 9, "pairs": 4.0},
        "probe": {"target": interval(0.15)},
        "cost": {
            "calls": 1016.1, "seconds": 2.0, "drawing_seconds": 1.0, "call_seconds": 0.1, "money": 0.3,
            "once_seconds": 5.0,
        },
        "score": {
            "radius": 0.5, "by": "W1", "groups": 700, "fit": 0.1, "locality": 0.2, "shift": 2.0, "floor": 0.4,
            "total": 2.3, "room": 0.29, "vacuous": True, "groups_needed": 5000,
        },
        "bound": bound(2.9, f"norm of {name}"), "group_size": {"size": 7, "unrounded": 6.5},
        "temperature_advice": {"temperature": 0.1, "edge": None, "entropy": 0.4}, "points": [[0.5, 0.4], [0.9, 0.6]],
    }  # fmt: skip


def diagnosis(*names):
    a, b = names
    return {
        "title": f"Which negatives: {a}", "command": f"rankstill {a}", "spec": {"teacher": b}, "queries": 9, "of": 90,
        "teacher": a, "target": {"origin": b, "depth": 100}, "temperature": 0.1,
        "budget": {"amount": 700.0, "unit": "groups"},
        "pairs": {"asked": 20, "scored": 10}, "strategies": [strategy(a), strategy(b)], "ranking": [a, b],
        "score_ranking": [a, b], "margin": 0.004, "training_sd": 0.01,
        "comparisons": [{
            "name": b, "against": a, "difference": interval(0.02), "sd": 0.1, "told_apart": True, "as_good": False,
            "queries_needed": 1500, "seeds_needed": 2,
        }],
        "crossovers": [{"first": a, "second": b, "budgets": [12345.0], "winners": [a, b]}],
        "mixtures": [{
            "first": a, "second": b, "shares": [0.0, 0.5, 1.0], "total": [1.0, 0.5, 2.0], "best": 0.5, "helps": True,
        }],
        "advice": f"Use {a}.", "hardware": b, "versions": {"numpy": "2"},
    }  # fmt: skip


def place(where, kind, **more):
    inversions = [{"sure": c, "share": 0.02, "bound": 0.5} for c in (0.25, 0.5, 0.75, 0.9)]
    return {
        "where": where, "kind": kind, "groups": 9, "excess": interval(0.1), "listwise_excess": interval(0.1),
        "entropy": interval(0.5), "tau": interval(0.6), "first": interval(0.5), "top": interval(0.7), "depth": 10,
        "inversions": inversions, "per_group": {"excess": [0.1], "tau": [0.5, None]}, **more,
    }  # fmt: skip


def explanation(name):
    return {
        "model": name, "strategy": name, "teacher": name, "loss": name, "student": {"architecture": name},
        "temperature": 0.1, "student_temperature": 0.05,
        "places": [place(name, "seen"), place(name, "held out", bound=bound()), place(f"lists of {name}", "lists")],
        "gaps": [{"name": name, "what": name, **interval(0.1)}],
        "curve": {"steps": [1, 2], "groups": [8, 16], "mean": [0.3, 0.2], "loss": name, "bound": bound(), "why": ""},
        "predicted": [{"what": name, "predicted": 0.1, "actual": None}], "words": [name], "versions": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("write", "made"),
    [(write_diagnosis, lambda text: diagnosis(text, f"{text} $x_")), (write_explanation, explanation)],
)
def test_hostile_names_stay_text(write, made, tmp_path):
    page = write(made(HOSTILE), tmp_path / "a.html").read_text("utf-8")
    tags = Tags(page).found
    assert "script" not in tags
    assert "onerror" not in tags
    assert "&lt;script&gt;" in page
    assert set(tags) == set(Tags(write(made("plain"), tmp_path / "b.html").read_text("utf-8")).found)
    assert "https://" not in page


def printed(write, found):
    console = Console(file=io.StringIO(), width=100)
    # The tables are printed wherever people look; a pipe gets a console of its own.
    console._force_terminal = True
    write(found, console)
    return console.file.getvalue()


def test_names_with_markup_are_printed_as_they_are():
    text = printed(print_diagnosis, diagnosis("[red]a", "[bold]b[nope]"))
    assert "[red]a" in text
    assert "[bold]b[nope]" in text
    assert "[bold]x" in printed(print_explanation, explanation("[bold]x"))


def test_the_page_says_every_assumption_of_every_bound_and_numbers_without_exponents(tmp_path):
    page = write_diagnosis(diagnosis("bm25", "random"), tmp_path / "a.html").read_text("utf-8")
    assert "Each of them assumes: groups are independent." in page
    assert "Some assume: norm of bm25; norm of random." in page
    for number in ("92,100", "1,020", "12,300 groups"):
        assert number in page
    assert "e+0" not in page.split("</style>")[1]
    assert "vacuous, p 0.95" in page
    assert "vacuous, p 0.95" in write_explanation(explanation("x"), tmp_path / "b.html").read_text("utf-8")


def emptied():
    """One strategy of which as little is known as can be."""
    found = diagnosis("a", "b")
    (one,) = found["strategies"] = found["strategies"][:1]
    one |= {"false_negatives": None, "kappa": None, "group_size": None, "temperature_advice": None}
    one["probe"] = {"target": None}
    one["cost"] |= {"call_seconds": None, "money": None, "once_seconds": 0.0}
    one["bound"] |= {"value": None, "confidence": 0.9}
    one["score"] |= {"groups_needed": None}
    return found | {"ranking": ["a"], "score_ranking": ["a"], "comparisons": [], "crossovers": [], "mixtures": []}


def test_what_is_not_known_is_left_out_or_named_so(tmp_path):
    found = emptied()
    page = write_diagnosis(found, tmp_path / "a.html").read_text("utf-8")
    assert "Choices" not in page
    assert "What a small student would learn" not in page
    for said in ("the strategy cannot say", "no call was timed", "at any number of groups", "∞", "–"):
        assert said in page
    assert "None" not in page.split("</style>")[1].split("<h2>Strategies")[1].split("<footer")[0].split("spec")[0]
    text = printed(print_diagnosis, found)
    assert "unknown" in text
    assert "no, never" in text


def test_a_kappa_that_is_infinite_says_for_how_many(tmp_path):
    found = emptied()
    found["strategies"][0]["kappa"] = {"largest": None, "mean": 2.0, "infinite_share": 0.25, "pairs": None}
    assert "for 25% of queries" in write_diagnosis(found, tmp_path / "a.html").read_text("utf-8")
    assert "∞" in printed(print_diagnosis, found)


def test_a_comparison_that_no_number_shows_says_so(tmp_path):
    found = diagnosis("a", "b")
    found["comparisons"][0] |= {"queries_needed": None, "seeds_needed": None, "told_apart": True, "as_good": True}
    page = write_diagnosis(found, tmp_path / "a.html").read_text("utf-8")
    assert "told apart, too little to pay for; no number of queries, no number of trainings show such a gap" in page
    assert "no number of queries shows it" in " ".join(printed(print_diagnosis, found).split())


@pytest.mark.parametrize(("edge", "said"), [("lowest", "the lowest temperature tried"), (None, "fits judgements best")])
def test_a_temperature_at_an_edge_is_no_minimum(tmp_path, edge, said):
    found = diagnosis("a", "b")
    for one in found["strategies"]:
        one["temperature_advice"] = {"temperature": 0.1, "edge": edge, "entropy": None if edge else 0.4}
    page = write_diagnosis(found, tmp_path / "a.html").read_text("utf-8")
    assert said in page
    assert ("no minimum" in page) is bool(edge)
    assert ("temperature 0.1 fits" in printed(print_diagnosis, found)) is not bool(edge)


def test_an_explanation_of_seen_groups_only_is_whole(tmp_path):
    found = explanation("x") | {"curve": None, "predicted": []}
    found["places"] = found["places"][:1]
    page = write_explanation(found, tmp_path / "a.html").read_text("utf-8")
    assert "Predicted and actual" not in page
    assert "Place by place" in page
    assert "first epoch" not in page
    assert "x" in printed(print_explanation, found)


def test_places_where_one_side_ties_everything_have_no_tau(tmp_path):
    found = explanation("x")
    for one in found["places"]:
        del one["tau"]
        one["per_group"]["tau"] = [None]
    page = write_explanation(found, tmp_path / "a.html").read_text("utf-8")
    assert "Agreement, query by query" in page
    assert "–" in printed(print_explanation, found)


def test_bars_are_cut_but_their_length_is_said():
    found = diagnosis("a", "b")
    long = copy.deepcopy(found)
    long["strategies"][0]["score"] |= {"shift": 12345.6, "total": 12345.9}
    (panel,) = figures.terms(long).panels
    assert "12,300" in panel.svg
    assert "It says nothing for any strategy" in figures.terms(found).caption
    found["strategies"][1]["score"]["vacuous"] = False
    assert "It says something for b." in figures.terms(found).caption


def test_the_best_head_is_named_and_the_line_is_what_knowing_nothing_costs():
    found = diagnosis("a", "b")
    found["strategies"][1]["probe"]["target"] = interval(0.05)
    caption = figures.excess(found).caption
    assert "It is least for b, 0.050 nats" in caption
    assert "a head that prefers nothing, 0.290" in caption
    for one in found["strategies"]:
        one["probe"]["target"] = None
    assert figures.excess(found) is None


def test_a_curve_needs_two_points_and_says_why_it_has_no_bound():
    found = explanation("x")
    found["curve"] |= {"bound": None, "why": "dropout"}
    assert "No bound: dropout." in figures.curve(found).caption
    found["curve"]["groups"] = [8]
    assert figures.curve(found) is None
