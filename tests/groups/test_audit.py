"""The audit: near duplicates equal comparing all with all, every check finds what was planted, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankstill.collection.store import Texts, write_texts
from rankstill.errors import DataError, SpecError
from rankstill.files import path_fingerprint, run_stage
from rankstill.groups.audit import alike
from rankstill.groups.audit.alike import near_duplicates
from rankstill.groups.audit.cut import open_reader
from rankstill.groups.audit.findings import CHECKS, every
from rankstill.groups.audit.places import place_of
from rankstill.groups.audit.run import AuditSpec, audit, found_any
from rankstill.groups.audit.words import Keys, normalised, shingles
from rankstill.groups.build import GroupSpec, build_groups
from rankstill.groups.filters.rules import FilterSpec
from rankstill.randomness import rng_for
from rankstill.records import Groups, Pairs
from tests.tiny_collections import make_collection, word_collection
from tests.tiny_folders import beir_folder
from tests.tiny_models import tiny_bi_encoder


def _texts(folder: Path, name: str, texts: list[str]) -> Texts:
    write_texts(folder / name, ((str(i), text) for i, text in enumerate(texts)), "documents")
    return Texts(folder / name, "documents")


def runs(text: str, width: int) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    words += [""] * (width - len(words))
    return {tuple(words[n : n + width]) for n in range(len(words) - width + 1)}


def one_by_one(left: list[str], right: list[str], similarity: float, width: int) -> dict[int, int]:
    """Compare all with all."""
    sets = [runs(text, width) for text in right]
    found = {}
    for row, own in enumerate(runs(text, width) for text in left):
        alike = (k for k, other in enumerate(sets) if len(own & other) / len(own | other) >= similarity)
        first = next(alike, None)
        if first is not None:
            found[row] = first
    return found


def salad(seed: str, count: int) -> list[str]:
    """Make texts that are changed copies of twelve."""
    rng, stems = rng_for(1, "audit", seed), rng_for(1, "audit").integers(0, 40, (12, 30))
    texts = []
    for _ in range(count):
        words = stems[rng.integers(12)][: rng.integers(1, 31)].copy()
        changed = rng.random(len(words)) < rng.choice([0, 0.05, 0.3])
        words[changed] = rng.integers(0, 40, changed.sum())
        texts.append(" ".join(f"w{word}" for word in words))
    return texts


@pytest.mark.parametrize("similarity", [0.3, 0.6, 0.8, 1.0])
@pytest.mark.parametrize("width", [1, 3])
def test_near_duplicates_equal_comparing_all_with_all(tmp_path, monkeypatch, similarity, width):
    left, right = salad("left", 200), salad("right", 150)
    a, b = _texts(tmp_path, "a", left), _texts(tmp_path, "b", right)
    expected = one_by_one(left, right, similarity, width)
    assert len(expected) > 0
    for block in (1 << 25, 500):
        found = near_duplicates(a, every(a), b, every(b), similarity=similarity, width=width, block=block)
        assert dict(zip(found.left.tolist(), found.right.tolist(), strict=True)) == expected
        for i, j, s in zip(found.left, found.right, found.similarity, strict=True):
            x, y = runs(left[i], width), runs(right[j], width)
            assert s == pytest.approx(len(x & y) / len(x | y))
    monkeypatch.setattr(alike, "_PAIRS", 7)
    again = near_duplicates(a, every(a), b, every(b), similarity=similarity, width=width)
    assert again.right.tolist() == list(expected.values())


def test_near_duplicates_of_some_rows(tmp_path):
    texts = _texts(tmp_path, "a", ["one two three four", "one two three four", "five", "one two three four"])
    found = near_duplicates(
        texts, np.array([1, 2], np.uint32), texts, np.array([3, 0], np.uint32), similarity=1, width=3
    )
    assert (found.left.tolist(), found.right.tolist()) == ([1], [3])


@given(st.lists(st.text("ab ,A", max_size=12), max_size=8), st.integers(1, 3))
@settings(deadline=None)
def test_shingles_are_the_sets_of_runs(texts, width):
    found = shingles(texts, width)
    assert len(found.starts) == len(texts) + 1
    numbers: dict[tuple[str, ...], int] = {}
    for i, text in enumerate(texts):
        codes = found[i].tolist()
        assert codes == sorted(set(codes))
        assert len(codes) == len(runs(text, width))
        alone = shingles([text], width)[0].tolist()
        assert alone == codes, "the other texts change nothing"
        if len(codes) == 1:
            assert numbers.setdefault(next(iter(runs(text, width))), codes[0]) == codes[0]


def test_keys_do_not_see_case_punctuation_and_space(tmp_path):
    texts = _texts(tmp_path, "a", ["The cat, sat.", "the  CAT\nsat", "the cats at", "...", ""])
    keys = Keys().of(texts).tolist()
    assert keys[0] == keys[1] != keys[2]
    assert keys[3:] == [0, 0]
    assert normalised("The cat, sat.") == "the cat sat"


FILLER = {f"f{i}": f"filler number {i} about thing{i} and its part{i}" for i in range(6)}
LONG = "a fairly long document about the wing and the slip stream of a jet in a heated flow over a plate"
DOCUMENTS = {
    **{"pos": "the answer", "copy": "The ANSWER!", "other": "another answer", "empty": "—", "q": "what is lift"},
    **{"t": "the test's answer", "long": LONG},
    **FILLER,
}
QUERIES = {"a": "what is lift", "b": "what is drag", "c": "What is drag?", "d": "what is a boundary layer now"}
JUDGED = [
    *[("train", "a", "pos", 1), ("train", "b", "other", 1), ("train", "d", "long", 1)],
    *[("test", "c", "t", 1), ("test", "b", "pos", 1)],
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A training collection in which everything is wrong, and a test collection that shares some of it."""
    root = tmp_path_factory.mktemp("audit")
    training = make_collection(root / "training", DOCUMENTS, QUERIES, JUDGED)
    documents = {"x": "THE answer", "y": LONG.replace("heated", "cooled"), "z": "something else entirely here"}
    queries = {"t1": "what is a boundary layer", "t2": "what is drag"}
    test = make_collection(root / "test", documents, queries, [("test", "t1", "y", 1), ("test", "t2", "z", 1)], "other")
    return training, test


def _audit(place_args, tmp_path, spec=None):
    place = place_of(*place_args, tmp_path)
    return audit(place, spec or AuditSpec(document_similarity=0.6), tmp_path / "audit.json")


def _found(summary) -> dict[tuple[str, str], int]:
    return {(c["check"], c["where"]): c["found"] for c in summary["checks"] if c["found"]}


def test_everything_planted_is_found_and_nothing_else(world, tmp_path):
    training, test = world
    summary = _audit(([], str(training.path), [str(test.path)], "train"), tmp_path)
    assert _found(summary) == {
        ("shared-queries", "training and test other"): 1,
        ("alike-queries", "training and test other"): 1,
        ("shared-documents", "training and test other"): 2,
        ("alike-documents", "training and test other"): 1,
        ("same-text", "training: queries"): 1,
        ("same-text", "training: documents"): 1,
        ("empty-texts", "training: documents"): 1,
        ("own-query", "training: documents"): 1,
    }
    by_name = {(c["check"], c["where"]): c for c in summary["checks"]}
    shared = by_name["shared-documents", "training and test other"]
    assert [(e["training"]["id"], e["test"]["id"]) for e in shared["examples"]] == [("pos", "x"), ("copy", "x")]
    assert "0 of those matched are relevant" in shared["says"]
    alike = by_name["alike-queries", "training and test other"]["examples"][0]
    assert (alike["training"]["id"], alike["test"]["id"], alike["similarity"]) == ("d", "t1", round(5 / 6, 4))
    near = by_name["alike-documents", "training and test other"]
    assert near["examples"][0]["test"]["id"] == "y"
    assert "1 of those matched are relevant" in near["says"]
    same = by_name["same-text", "training: documents"]["examples"]
    assert same == [{"ids": ["pos", "copy"], "times": 2, "text": "the answer"}]
    assert by_name["own-query", "training: documents"]["examples"][0]["document"]["id"] == "q"
    assert found_any(summary)
    assert {c["check"] for c in summary["checks"]} < set(CHECKS)


def test_the_same_data_give_the_same_bytes(world, tmp_path):
    training, test = world
    args = ([], str(training.path), [str(test.path)], "train")
    _audit(args, tmp_path)
    first = (tmp_path / "audit.json").read_bytes()
    _audit(args, tmp_path)
    assert (tmp_path / "audit.json").read_bytes() == first
    assert json.loads(first)["format"] == 1


def test_one_collection_shares_its_documents_on_purpose(world, tmp_path):
    path = str(world[0].path)
    summary = _audit(([], f"{path}#split=train", [f"{path}#split=test"], "train"), tmp_path)
    found = {name: n for (name, where), n in _found(summary).items() if "test" in where}
    # `pos` is relevant in both; query b is judged in both. Query c says the same, but does not train.
    assert found == {"shared-queries": 1, "shared-documents": 1}


def test_a_clean_collection_is_clean(tmp_path):
    training = make_collection(tmp_path / "a", FILLER, {"q": "which part"}, [("train", "q", "f0", 1)])
    test = make_collection(tmp_path / "b", {"x": "unlike"}, {"r": "whose"}, [("test", "r", "x", 1)])
    summary = _audit(([], str(training.path), [str(test.path)], "train"), tmp_path)
    assert _found(summary) == {}
    assert not found_any(summary)
    assert len(summary["checks"]) == 4 + 2 * 5


def _stage(out: Path, collection, stage: str, pairs: Pairs) -> Path:
    def build(work: Path):
        pairs.write(work / ("candidates.parquet" if stage == "sample" else "scores.parquet"))
        return {"teacher": "handmade"}

    spec = {"strategy": "bm25", "split": "train"} if stage == "sample" else {"teacher": "f1"}
    return run_stage(out, stage=stage, spec=spec, inputs={"collection": collection.path}, build=build)


def _groups(tmp_path, collection, drawn, filters=None) -> Path:
    """Build groups of the given documents (by id) for query a; the teacher scores them 0, 1, 2, ..."""
    docs = collection.documents.rows([*drawn, "pos"])
    query = np.zeros(len(docs), np.uint32)
    score = np.arange(len(docs), dtype=np.float32)
    candidates = _stage(tmp_path / "cand", collection, "sample", Pairs(query[:-1], docs[:-1], score[:-1]))
    scores = _stage(tmp_path / "scores", collection, "score", Pairs(query, docs, score))
    spec = GroupSpec(size=3, filters=filters or FilterSpec())
    return build_groups(collection.path, candidates, scores, tmp_path / "groups", spec)


def test_positives_among_negatives(world, tmp_path):
    training, _ = world
    groups = _groups(tmp_path, training, ["copy", "f1"])
    summary = _audit(([training.path, groups], None, [], "train"), tmp_path)
    check = summary["checks"][0]
    assert (check["check"], check["found"], check["of"]) == ("positives-among-negatives", 1, 2)
    assert check["examples"][0]["negative"]["id"] == "copy"
    assert check["examples"][0]["positive"]["id"] == "pos"
    assert summary["training"]["queries"] == 1
    assert summary["training"]["documents"] == 3
    # Query a is judged in train; its other split, test, is a test. Its document `pos` is relevant there.
    assert _found(summary)["shared-documents", "training and test tiny test"] == 2
    candidates = _audit(([training.path, tmp_path / "cand"], None, [], "train"), tmp_path)
    assert candidates["checks"][0]["found"] == 1


def test_filters_show_their_examples(world, tmp_path):
    training, _ = world
    # Scores 0 to 3; the positive has 4.
    groups = _groups(tmp_path, training, ["f1", "f2", "f3", "f4"], FilterSpec(margin=2.0))
    summary = _audit(([training.path, groups], None, [], "train"), tmp_path)
    known, margin = summary["filters"]
    assert (known["filter"], known["dropped"], known["examples"]) == ("known", 0, [])
    assert (margin["strategy"], margin["filter"], margin["dropped"], margin["of"]) == ("bm25", "margin", 2, 4)
    example = margin["examples"][0]
    assert example["query"] == {"id": "a", "text": "what is lift"}
    assert example["positive"] == {"id": "pos", "text": "the answer"}
    assert example["dropped"]["id"] == "f4"
    assert (example["score"], example["positive_score"]) == (3.0, 4.0)


def test_folders_of_another_collection_are_refused(world, tmp_path):
    training, test = world
    groups = _groups(tmp_path, training, ["f1", "f2"])
    with pytest.raises(DataError, match="another collection"):
        place_of([test.path, groups], None, [], "train", tmp_path)
    with pytest.raises(SpecError, match="one training collection, 0 were given"):
        place_of([groups], None, [], "train", tmp_path)
    with pytest.raises(SpecError, match="nothing to audit"):
        place_of([training.path, tmp_path / "scores"], None, [], "train", tmp_path)
    with pytest.raises(SpecError, match="unknown split 'deb'"):
        place_of([], str(training.path), [f"{test.path}#split=deb"], "train", tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"skip": ("same-texts",)}, "unknown check 'same-texts'"),
        ({"query_similarity": 0.0}, "above 0"),
        ({"max_length": 3}, "only 3 tokens"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(SpecError, match=message):
        AuditSpec(**settings)


def test_checks_can_be_left_out(world, tmp_path):
    training, test = world
    args = ([], str(training.path), [str(test.path)], "train")
    summary = _audit(args, tmp_path, AuditSpec(skip=tuple(CHECKS)))
    assert summary["checks"] == []


def test_what_a_model_does_not_read_is_counted(tmp_path):
    collection = word_collection(tmp_path / "c", documents=20)
    tiny_bi_encoder(tmp_path / "model")
    reader = open_reader("tiny", tmp_path / "model")
    assert reader is not None
    lengths = [len(reader.tokenizer.encode(text, add_special_tokens=False).ids) + 2 for text in collection.documents]
    middle = sorted(lengths)[10]
    spec = AuditSpec(models=(str(tmp_path / "model"),), max_length=middle)
    summary = _audit(([collection.path], None, [], "train"), tmp_path, spec)
    (check,) = (c for c in summary["checks"] if c["check"] == "cut-texts")
    assert check["found"] == sum(n > middle for n in lengths)
    assert check["of"] == 20
    unread = sum(n - middle for n in lengths if n > middle) / (sum(lengths) - 2 * 20)
    assert f"{unread:.1%} of all tokens" in check["says"]
    assert all(e["tokens"] > e["read"] for e in check["examples"])


def test_a_teacher_without_a_folder_is_noted(world, tmp_path, capfd):
    training, _ = world
    place = replace(place_of([training.path], None, [], "train", tmp_path), teacher="run:first.trec")
    summary = audit(place, AuditSpec(), tmp_path / "audit.json")
    assert "how much the teacher run:first.trec reads is not known" in " ".join(capfd.readouterr().err.split())
    assert "cut-texts" not in {c["check"] for c in summary["checks"]}


def test_the_command(rankstill, tmp_path):
    """A whole output folder: one training query is a test query too, and its first words differ from none."""
    data = beir_folder(tmp_path / "data", 40, train=range(12), test=range(10, 16))
    tiny_bi_encoder(tmp_path / "teacher")
    arguments = ["--collection", data, "--teacher", "teacher", "--start", "teacher", "--student", "static"]
    arguments += ["--size", 4, "--depth", 10, "--out", "out", "--margin", "-5", "--spare", 2]
    done = rankstill("distill", *arguments)
    assert done.code == 0, done.err
    assert "filter margin: dropped 0 of" in done.err
    audited = rankstill("audit", "out")
    assert (audited.code, audited.out) == (0, "out/audit.json\n")
    assert "shared-queries" in audited.err
    summary = json.loads(Path("out/audit.json").read_text())
    assert [f["filter"] for f in summary["filters"]] == ["known", "margin"]
    assert [t["name"] for t in summary["tests"]] == ["test data test"]
    names = [c["says"].split(" of which ")[1].split()[0] for c in summary["checks"] if c["check"] == "cut-texts"]
    assert names == ["model", "teacher"]
    strict = rankstill("audit", "out", "--strict", "--out", "a.json")
    assert (strict.code, strict.out) == (1, "a.json\n")
    everything = [part for name in CHECKS for part in ("--skip", name)]
    assert rankstill("audit", "out", "--strict", *everything).code == 0
    groups = Groups.read(Path("out/negatives/bm25/groups/groups.parquet"))
    assert groups.size == 4
    assert path_fingerprint(Path("out/collection"))


@pytest.mark.shared
def test_scifact_trains_on_two_of_its_test_queries(shared_data, tmp_path):
    place = f"{shared_data('scifact')}#split=train", [f"{shared_data('scifact')}#split=test"]
    summary = _audit(([], *place, "train"), tmp_path, AuditSpec())
    found = _found(summary)
    assert found["shared-queries", "training and test scifact test"] == 2
    assert ("shared-documents", "training and test scifact test") in found
