"""The summary: what a distillation did, counted from its folders, whole enough for the tables and the report."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from rankstill.files import read_manifest, write_json
from rankstill.records import Groups, Pairs, write_parquet
from rankstill.students.architectures import StudentSpec
from rankstill.studies import distill as job
from rankstill.studies import rows
from rankstill.studies.distill import Distilled, DistillSpec, distill
from rankstill.studies.steps import Negatives
from rankstill.studies.summary import Described, Trained, _curve, _paid
from tests.tiny_collections import make_collection
from tests.tiny_folders import beir_folder
from tests.tiny_models import tiny_bi_encoder, tiny_transformer


@pytest.fixture(scope="module")
def distilled(tmp_path_factory) -> Distilled:
    """Distil a static student from the hardest documents; twenty training queries, of which two are dev, and four."""
    root = tmp_path_factory.mktemp("distilled")
    data = beir_folder(root / "data", 60, train=range(20), test=range(20, 24))
    student = StudentSpec("static", str(tiny_transformer(root / "start")))
    teacher = str(tiny_bi_encoder(root / "teacher"))
    spec = DistillSpec(str(data), teacher, student, strategy="teacher", size=4, depth=10, test_depth=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "embedded_is_installed", lambda: False)
        return distill(spec, root / "out", command="rankstill distill")


@pytest.fixture
def out(distilled):
    return distilled.report.parent


def texts_of(path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


def test_it_is_plain_json_and_on_disk_as_it_was_returned(distilled, out):
    assert json.loads((out / "summary.json").read_text()) == distilled.summary


def test_the_tables_and_the_report_take_it(distilled):
    rows.checked(distilled.summary)
    results = distilled.summary["results"]
    systems, measures = [s["name"] for s in distilled.summary["systems"]], distilled.summary["measures"]
    # One entry for each system, test and measure, and no other.
    assert [(r["system"], r["test"], r["measure"]) for r in results] == [
        (system, "data", measure) for system in systems for measure in measures
    ]


def test_the_first_stage_leads_and_is_what_differences_are_taken_from(distilled):
    results = distilled.summary["results"]
    assert distilled.summary["systems"][0] == {"name": "BM25", "kind": "first stage"}
    first = {r["measure"]: r["mean"] for r in results if r["system"] == "BM25"}
    for r in results:
        if r["system"] != "BM25":
            assert r["difference"] == pytest.approx(r["mean"] - first[r["measure"]])


def test_dev_qualities_are_those_of_the_grid(distilled, out):
    (grid,) = (json.loads(path.read_text()) for path in (out / "tests" / "dev").glob("*.weight.json"))
    student, mixed = (s for s in distilled.summary["systems"] if s["kind"] in ("student", "interpolated"))
    assert student["dev"] == grid["tried"]["1.0"]
    assert mixed["weight"] == grid["weight"]
    assert mixed["dev"] == max(grid["tried"].values())


def test_counts_are_those_of_the_folders(distilled, out):
    told = distilled.summary
    assert {k: told["collection"][k] for k in ("name", "documents", "queries", "training_queries")} == {
        "name": "data",
        "documents": 60,
        "queries": 24,
        "training_queries": 18,
    }
    assert told["collection"]["facts"]["dev"].startswith("2 of the training queries, held out")
    (test,) = told["tests"]
    assert (test["queries"], test["documents"], test["depth"], test["domain"]) == (4, 60, 20, "in domain")
    groups = Groups.read(out / "negatives" / "teacher" / "groups" / "groups.parquet")
    (strategy,) = told["strategies"]
    assert (strategy["name"], strategy["groups"], strategy["size"]) == ("teacher", len(groups), groups.size)
    assert strategy["mean_positive_score"] == pytest.approx(groups.score[:, 0].mean())
    student = read_manifest(distilled.model)["counts"]
    assert told["systems"][2]["parameters"] == student["parameters"]
    # Five epochs of 18 groups of four documents.
    assert told["cost"]["documents_seen"] == student["documents_seen"] == 5 * 18 * 4
    assert told["cost"]["students"] == 1


def test_scored_pairs_are_the_distinct_pairs_of_texts(distilled, out):
    folder, data = out / "negatives" / "teacher", out.parent / "data"
    queries, documents = texts_of(data / "queries.jsonl"), texts_of(data / "corpus.jsonl")
    distinct = set()
    for name in ("candidates-wider-scores", "scores"):
        table = Pairs.read(folder / name / "scores.parquet")
        distinct |= {(queries[q], documents[d]) for q, d in zip(table.query, table.doc, strict=True)}
    assert distilled.summary["cost"]["pairs_scored"] == len(distinct)
    assert distilled.summary["strategies"][0]["pairs_scored"] == len(distinct)


def test_provenance_names_the_folders_that_are_there(distilled, out):
    told = distilled.summary["provenance"]["fingerprints"]
    folders = {
        "collection": out / "collection",
        "groups teacher": out / "negatives" / "teacher" / "groups",
        "student static, teacher, kl": out / "model",
    }
    assert told == {name: read_manifest(folder)["fingerprint"] for name, folder in folders.items()}
    assert (
        distilled.summary["teacher"]["fingerprint"]
        == read_manifest(folders["groups teacher"])["counts"]["teacher_fingerprint"]
    )


def test_the_example_and_the_verdict_are_of_this_run(distilled, out):
    (example,) = distilled.summary["examples"]
    assert example["strategy"] == "teacher"
    assert len(example["documents"]) == 4
    assert example["query"] in texts_of(out.parent / "data" / "queries.jsonl")
    (sentence,) = distilled.summary["verdict"]
    assert sentence.startswith("On data (4 queries, nDCG@10), BM25 has ")


def test_the_curve_is_that_of_the_training(distilled):
    (curve,) = distilled.summary["curves"]
    trained = pq.read_table(distilled.model / "training.parquet").to_pydict()
    assert curve["system"] == "static, teacher, kl"
    assert curve["steps"] == trained["step"]
    assert curve["loss"] == pytest.approx(trained["loss"], abs=1e-6)
    assert curve["excess"] == pytest.approx(trained["excess"], abs=1e-6)


def trained(folder, steps: int) -> Trained:
    folder.mkdir()
    step = np.arange(1, steps + 1, dtype=np.int32)
    loss = step.astype(np.float32)
    write_parquet(folder / "training.parquet", {"step": step, "loss": loss, "excess": loss - 1})
    return Trained("student", folder, "bm25", "kl", "static")


def test_a_long_curve_is_thinned_to_means_of_equal_stretches(tmp_path):
    # 360 steps in 120 stretches of three: the loss, equal to the step, has the means 2, 5, 8, ...
    curve = _curve(trained(tmp_path / "long", 360))
    assert curve["steps"] == list(range(3, 361, 3))
    assert curve["loss"] == list(range(2, 360, 3))
    assert curve["excess"] == list(range(1, 359, 3))


@pytest.mark.parametrize(("steps", "points"), [(1, 1), (119, 119), (120, 120), (121, 120), (1000, 120)])
def test_a_curve_ends_with_the_last_step_and_loses_none(tmp_path, steps, points):
    curve = _curve(trained(tmp_path / "model", steps))
    assert len(curve["steps"]) == len(curve["loss"]) == points
    assert curve["steps"][-1] == steps
    widths = np.diff([0, *curve["steps"]])
    assert np.average(curve["loss"], weights=widths) == pytest.approx((steps + 1) / 2, abs=1e-5)


def test_what_two_strategies_share_is_paid_by_the_first(tmp_path):
    """d0 and d3 are one text, and so are q0 and q2: a pair of texts costs once, whatever its ids and who asks."""
    documents = {"d0": "wing", "d1": "jet", "d2": "nose", "d3": "wing"}
    collection = make_collection(tmp_path / "c", documents, {"q0": "a", "q1": "b", "q2": "a"})

    def described(name: str, *pairs: tuple[int, int], asked: int) -> Described:
        folder = tmp_path / name
        folder.mkdir()
        query, doc = np.array(pairs, np.uint32).T
        Pairs(query, doc, np.zeros(len(pairs), np.float32)).write(folder / "scores.parquet")
        write_json(folder / "manifest.json", {"format": 1, "counts": {"asked": asked}})
        return Described(Negatives(name, folder, folder, folder), folder)

    first = described("bm25", (0, 0), (0, 1), (1, 0), (2, 3), asked=7)
    second = described("random", (0, 3), (1, 3), (1, 1), (2, 1), (0, 2), asked=5)
    # Texts: (a, wing), (a, jet), (b, wing); then new ones (b, jet) and (a, nose).
    assert [(p.asked, p.scored) for p in _paid(collection, [first, second])] == [(7, 3), (5, 2)]
    # In the other order: (a, wing), (b, wing), (b, jet), (a, jet), (a, nose); nothing is new after them.
    assert [(p.asked, p.scored) for p in _paid(collection, [second, first])] == [(5, 5), (7, 0)]
    wider = Described(Negatives("teacher", *[second.negatives.scores] * 3, wider=first.negatives.scores), tmp_path)
    assert [(p.asked, p.scored) for p in _paid(collection, [wider])] == [(12, 5)]
