"""A whole diagnosis on word salads, and what it must and must not say."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from rankstill.candidates.strategy import Vectors
from rankstill.errors import SpecError
from rankstill.files import read_manifest
from rankstill.measures.entropy import pairwise_entropy
from rankstill.measures.locality import squared_diameters
from rankstill.measures.prescriptions.choice import TailLaw
from rankstill.records import Candidates, Groups, Pairs, read_parquet
from rankstill.studies.diagnosis.spec import Budget, DiagnoseSpec
from tests.tiny_folders import beir_folder
from tests.tiny_models import tiny_bi_encoder

STRATEGIES = ("random", "bm25", "teacher:bm25", "run:RUN#depth=20")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Write a collection, a teacher, an encoder, and a run of each query's first twenty documents by number."""
    root = tmp_path_factory.mktemp("world")
    beir_folder(root / "data", 70, train=range(30))
    tiny_bi_encoder(root / "model")
    lines = [f"q{q} Q0 d{(q + 1 + i) % 70} {i + 1} {30 - i} run\n" for q in range(30) for i in range(30)]
    (root / "run.trec").write_text("".join(lines))
    return root


@pytest.fixture(scope="module")
def diagnosed(world):
    """Diagnose once, in this process."""
    from rankstill.studies.diagnosis.diagnose import diagnose

    names = tuple(name.replace("RUN", str(world / "run.trec")) for name in STRATEGIES)
    model = str(world / "model")
    spec = DiagnoseSpec(
        str(world / "data"), names, model, model, size=6, depth=30, target_depth=30, budget=Budget(1000.0, "calls"),
        price=0.001,
    )  # fmt: skip
    return spec, world / "out", diagnose(spec, world / "out", command="rankstill diagnose ...")


def by_name(found, prefix):
    return next(s for s in found["strategies"] if s["name"].startswith(prefix))


def test_every_strategy_is_there_once_in_each_ranking(diagnosed):
    spec, _, found = diagnosed
    names = sorted(s["name"] for s in found["strategies"])
    assert len(names) == len(spec.strategies)
    assert sorted(found["ranking"]) == names
    assert sorted(found["score_ranking"]) == names
    assert json.loads(json.dumps(found, allow_nan=False)) == found, "valid JSON, without NaN or infinity"


def test_diameter_and_entropy_are_those_of_the_groups(diagnosed):
    _, out, found = diagnosed
    folder = out / "negatives" / "bm25"
    groups, vectors = Groups.read(folder / "groups" / "groups.parquet"), Vectors.open(folder / "documents")
    places = np.searchsorted(vectors.rows, groups.doc)
    entry = by_name(found, "bm25")
    rms = math.sqrt(squared_diameters(vectors.values, places).mean())
    assert entry["diameter"]["mean"] == pytest.approx(rms)
    expected = pairwise_entropy(groups.score, found["temperature"]).mean() / math.log(2)
    assert entry["entropy"]["mean"] == pytest.approx(expected)
    columns = read_parquet(folder / "assessment" / "per_query.parquet", ["query", "squared_diameter"])
    assert columns["query"].to_numpy().tolist() == groups.query.tolist()


def test_the_target_samples_are_two_disjoint_draws_from_the_lists_without_positives(diagnosed):
    _, out, _ = diagnosed
    target = Candidates.read(out / "target" / "samples" / "candidates.parquet")
    lists = Pairs.read(out / "target" / "first-stage" / "run.parquet")
    listed = {q: set(lists.doc[s].tolist()) for q, s in lists.per_query().items()}
    for query, span in target.per_query().items():
        docs = target.doc[span].tolist()
        assert len(set(docs)) == len(docs)
        assert set(docs) <= listed[query] - {query}, "query i's positive is document i"
        halves = target.source[span]
        assert (halves == 0).sum() == (halves == 1).sum() > 0
        assert target.probability[span] == pytest.approx(1 / len(listed[query] - {query}))


def test_kappa_is_exact_where_the_law_is_known_and_unknown_where_not(diagnosed):
    _, out, found = diagnosed
    lists = Pairs.read(out / "target" / "first-stage" / "run.parquet")
    pools = [len(set(lists.doc[s].tolist()) - {q}) for q, s in lists.per_query().items()]
    assert by_name(found, "random")["kappa"]["largest"] == pytest.approx(69 / min(pools))
    # The target is what bm25 draws from, but for the positive that stands in a list and frees a rank in the range.
    assert 1 <= by_name(found, "bm25")["kappa"]["largest"] <= 1.1
    assert by_name(found, "teacher")["kappa"] is None
    other = by_name(found, "run")["kappa"]
    assert other["largest"] is None
    assert other["infinite_share"] > 0.5


def test_a_group_costs_the_calls_that_its_teacher_makes(diagnosed):
    _, out, found = diagnosed
    hardest = by_name(found, "teacher")
    for entry, stages in ((by_name(found, "bm25"), ["scores"]), (hardest, ["scores", "candidates-wider-scores"])):
        slug = {"bm25": "bm25", "teacher:bm25": "teacher-bm25"}[entry["name"]]
        keys = [Pairs.read(out / "negatives" / slug / s / "scores.parquet").key() for s in stages]
        calls = len(np.unique(np.concatenate(keys))) / entry["groups"]
        assert entry["cost"]["calls"] == pytest.approx(calls)
        assert entry["cost"]["money"] == pytest.approx(calls * 0.001)
        assert entry["score"]["groups"] == math.floor(1000 / calls)
    assert hardest["cost"]["calls"] > 2 * by_name(found, "random")["cost"]["calls"]


def test_every_bound_says_whether_it_is_vacuous_and_what_it_assumes(diagnosed):
    _, _, found = diagnosed
    for entry in found["strategies"]:
        for bound in (entry["bound"], entry["probe"]["bound"]):
            assert bound["assumptions"]
            assert bound["terms"]
            assert bound["vacuous"] is not (bound["value"] is not None and bound["value"] < bound["trivial"])
        score = entry["score"]
        assert score["total"] == pytest.approx(score["fit"] + score["locality"] + score["shift"])
        assert score["vacuous"] is not (score["total"] < score["room"])
        assert score["room"] == pytest.approx(math.log(2) - entry["target_entropy"])
    assert "vacuous" in found["advice"], "thirty queries prove nothing, and that is said"


def test_delta_is_shared_by_strategies_and_radii_and_the_pairs_ratio_takes_the_place_of_w1(diagnosed):
    spec, out, found = diagnosed
    for entry in found["strategies"]:
        assert entry["bound"]["confidence"] == pytest.approx(1 - 0.05 / 4)
        assert entry["probe"]["bound"]["confidence"] == pytest.approx(1 - 0.05 / 4)
    entry, folder = by_name(found, "bm25"), out / "negatives" / "bm25" / "assessment"
    assert read_manifest(folder)["spec"]["pair_ratio"] == entry["kappa"]["pairs"] > entry["kappa"]["largest"] > 1
    terms = json.loads((folder / "assessment.json").read_text())["terms"]
    law = next(t["law"] for t in terms if t["radius"] == entry["score"]["radius"])
    share = spec.delta / len(spec.strategies) / len(terms)
    expected = entry["kappa"]["pairs"] * TailLaw(**law)(entry["score"]["groups"], share)
    assert entry["score"]["by"] == "kappa"
    assert entry["score"]["locality"] == pytest.approx(expected)


def test_a_pair_that_several_strategies_ask_for_is_scored_once(diagnosed):
    _, out, found = diagnosed
    folders = [p.parent for p in out.glob("negatives/*/*scores/scores.parquet")]
    keys = {p.parent: [] for p in folders}
    for folder in folders:
        keys[folder.parent].append(Pairs.read(folder / "scores.parquet").key())
    each = [np.unique(np.concatenate(of_one)) for of_one in keys.values()]
    assert found["pairs"] == {"asked": sum(map(len, each)), "scored": len(np.unique(np.concatenate(each)))}
    assert found["pairs"]["scored"] < found["pairs"]["asked"]


def test_a_mixture_must_beat_both_bounds_and_its_locality_starts_at_the_first_ones(diagnosed, monkeypatch):
    from rankstill.measures.prescriptions.mixing import Mixture
    from rankstill.studies.diagnosis import diagnose as job
    from rankstill.studies.diagnosis.gather import gather

    spec, out, _ = diagnosed
    gathered, asked = gather(spec, out), []

    def mixed(*_, **how):
        asked.append(how)
        locality = np.array([2.0, 1.0, 2.0]) * height
        return Mixture(np.array([0.0, 0.5, 1.0]), locality, np.zeros(3), 0.0, adding_helps=True, convexified=False)

    monkeypatch.setattr(job, "mixture_of", mixed)
    order = job.scored([job.Rated(s, spec.budget, 0.01) for s in gathered.strategies])
    height = 1e-9
    assert all(m["helps"] for m in job._mixtures(order, gathered, 1))
    height = 1e9
    assert not any(m["helps"] for m in job._mixtures(order, gathered, 1)), "the bound of one strategy is smaller"
    first = order[0]
    diameter = first.assessed.found["diameter"]["mean"]
    assert asked[0]["scale"] * diameter == pytest.approx(TailLaw(**first.terms["law"]).at(0.01).root)


def test_what_is_worth_paying_for_is_a_share_of_what_the_surest_strategy_leaves_at_stake(diagnosed):
    _, _, found = diagnosed
    least = min(math.log(2) - s["target_entropy"] for s in found["strategies"])
    assert found["margin"] == pytest.approx(0.02 * least)
    assert all(c["as_good"] is (c["difference"]["high"] <= found["margin"]) for c in found["comparisons"])


def test_the_shift_of_a_strategy_that_draws_from_the_target_is_not_above_chance(diagnosed):
    _, _, found = diagnosed
    own, other = (by_name(found, name)["shift"]["scores"] for name in ("bm25", "random"))
    assert own["value"]["mean"] <= own["null"]["high"]
    assert other["null"] == own["null"], "the same two samples for every strategy"


def test_the_advice_is_one_paragraph_that_names_a_strategy_a_cost_and_what_would_change_it(diagnosed):
    _, _, found = diagnosed
    advice = found["advice"]
    assert "\n" not in advice
    assert any(advice.startswith(f"Use {s['name']}") for s in found["strategies"])
    for part in ("calls of the teacher", "0.0", "How sure:", "What would change this:", "in money"):
        assert part in advice


def test_a_second_run_uses_everything_again_and_says_the_same(diagnosed):
    from rankstill.studies.diagnosis.diagnose import diagnose

    spec, out, found = diagnosed
    stages = {path: path.stat().st_mtime_ns for path in out.rglob("manifest.json")}
    assert diagnose(spec, out, command="rankstill diagnose ...") == found
    assert stages == {path: path.stat().st_mtime_ns for path in out.rglob("manifest.json")}


def test_the_page_is_whole_and_asks_for_nothing(diagnosed, tmp_path):
    from rankstill.studies.diagnosis.pages import write_diagnosis

    _, _, found = diagnosed
    page = write_diagnosis(found, tmp_path / "page.html").read_text("utf-8")
    for entry in found["strategies"]:
        assert entry["name"].replace("&", "&amp;") in page
    assert "vacuous" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert page.count("<svg") == 4, "the mark and three pictures"
    assert page == write_diagnosis(found, tmp_path / "again.html").read_text("utf-8")


def test_the_command_prints_the_page_to_stdout_and_the_rest_elsewhere(rankstill, world, tmp_path):
    model = world / "model"
    done = rankstill(
        "diagnose", "--collection", world / "data", "--out", "d", "--strategy", "random", "--teacher", model,
        "--model", model, "--size", 5, "--queries", 12, "--target-depth", 20,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.out.strip() == "d/diagnosis.html"
    assert "Only random was diagnosed" in " ".join(done.err.split())
    found = json.loads((tmp_path / "d" / "diagnosis.json").read_text())
    assert (found["queries"], found["of"]) == (12, 27), "of 30 training queries 3 are held out as dev"
    assert found["budget"] == {"amount": 27, "unit": "groups"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategies": ()}, "no strategy"),
        ({"strategies": ("bm25", "bm25#depth=0")}, "named twice"),
        ({"strategies": ("nosuch",)}, "nosuch"),
        ({"size": 2}, "two documents"),
        ({"delta": 1.0}, "delta"),
        ({"temperature": -1.0}, "temperature"),
        ({"price": -1.0}, "price"),
        ({"budget": Budget(5.0, "money")}, "price"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_paid(changes, message):
    with pytest.raises(SpecError, match=message):
        DiagnoseSpec(**{"collection": "x", "strategies": ("bm25",), **changes})


@pytest.mark.parametrize(
    ("text", "budget"),
    [("500 groups", Budget(500.0, "groups")), ("1e6calls", Budget(1e6, "calls")), ("25 money", Budget(25.0, "money"))],
)
def test_budgets_are_read(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "groups", "five groups", "5", "-1 calls", "inf seconds", "5 euros"])
def test_other_budgets_are_refused(text):
    with pytest.raises(SpecError, match="budget"):
        Budget.parse(text)


def test_a_budget_that_buys_nothing_is_refused(world):
    from rankstill.studies.diagnosis.diagnose import diagnose

    model = str(world / "model")
    spec = DiagnoseSpec(
        str(world / "data"), ("random",), model, model, size=5, queries=12, target_depth=20, budget=Budget(2.0, "calls")
    )
    with pytest.raises(SpecError, match="buys no group of random"):
        diagnose(spec, world / "poor")
