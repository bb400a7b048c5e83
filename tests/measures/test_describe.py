"""The stage `describe`: diameters, entropies and shares by hand, samples for pictures, and one example group."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rankstill.errors import DataError, SpecError
from rankstill.measures.describe import DescribeSpec, describe
from rankstill.records import Groups
from tests.tiny_collections import make_collection

SPEC = DescribeSpec(temperature=1.0)


@pytest.fixture
def collection(tmp_path) -> Path:
    documents = {f"d{i}": f"document {i} " + "x" * 400 for i in range(8)}
    return make_collection(tmp_path / "collection", documents, {f"q{i}": f"query {i}" for i in range(6)}).path


def write_groups(folder: Path, query, doc, score) -> Path:
    doc = np.array(doc, np.uint32)
    label = np.zeros(doc.shape, np.float32)
    label[:, 0] = 1
    folder.mkdir()
    Groups(np.array(query, np.uint32), doc, np.array(score, np.float32), label).write(folder / "groups.parquet")
    return folder


def write_embeddings(folder: Path, rows, vectors) -> Path:
    folder.mkdir()
    np.save(folder / "rows.npy", np.array(rows, np.uint32), allow_pickle=False)
    np.save(folder / "embeddings.npy", np.array(vectors, np.float16), allow_pickle=False)
    return folder


def read(folder: Path) -> dict:
    return json.loads((folder / "description.json").read_text())


def columns(folder: Path) -> dict[str, list]:
    return pq.read_table(folder / "per_group.parquet").to_pydict()


def test_entropies_by_hand(tmp_path, collection):
    """One group all alike, one decided; of three pairs with odds 1 : 3 : 3 one is a tie and two have p = 1/4."""
    scores = [[0.0, 0.0, 0.0], [90.0, 0.0, -90.0], np.log([1.0, 3.0, 3.0])]
    groups = write_groups(tmp_path / "groups", [0, 1, 2], [[0, 1, 2], [3, 4, 5], [5, 6, 7]], scores)
    found = describe(collection, groups, None, tmp_path / "out", SPEC)
    quarter = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    third = (2 * quarter + math.log(2)) / 3
    per_group = columns(found)
    assert per_group["query"] == [0, 1, 2]
    assert per_group["pairwise_entropy"] == pytest.approx([math.log(2), 0, third], abs=1e-6)
    sevenths = -(1 / 7 * math.log(1 / 7) + 2 * 3 / 7 * math.log(3 / 7))
    assert per_group["listwise_entropy"] == pytest.approx([math.log(3), 0, sevenths], abs=1e-6)
    said = read(found)
    assert (said["groups"], said["size"], said["temperature"]) == (3, 3, 1.0)
    assert said["entropy"]["mean"] == pytest.approx((1 + third / math.log(2)) / 3)
    assert said["listwise_entropy"]["mean"] == pytest.approx((1 + sevenths / math.log(3)) / 3)
    assert not {"diameter", "robust_diameter", "points"} & set(said), "there are no embeddings"
    assert "squared_diameter" not in per_group


def test_only_scores_over_temperature_matter_to_entropy(tmp_path, collection):
    scores = np.random.default_rng(0).normal(size=(6, 4))
    docs = [[0, 1, 2, 3]] * 6
    shifted = 8 * scores + np.arange(6)[:, None]
    one = describe(collection, write_groups(tmp_path / "g1", range(6), docs, scores), None, tmp_path / "o1", SPEC)
    groups = write_groups(tmp_path / "g2", range(6), docs, shifted)
    two = describe(collection, groups, None, tmp_path / "o2", replace(SPEC, temperature=8.0))
    for name in ("entropy", "listwise_entropy"):
        assert read(one)[name]["mean"] == pytest.approx(read(two)[name]["mean"], abs=1e-6)


def test_the_teachers_doubt_about_negatives_by_hand(tmp_path, collection):
    # At or above their own positive: one of three, none, and all three.
    scores = [[0.5, 0.5, 0.4, 0.1], [0.9, 0.8, 0.7, 0.6], [-1.0, 0.0, -0.5, -1.0]]
    groups = write_groups(tmp_path / "groups", [0, 1, 2], [[0, 1, 2, 3]] * 3, scores)
    said = read(describe(collection, groups, None, tmp_path / "out", SPEC))
    assert said["false_negative_share"] == pytest.approx(4 / 9)
    assert said["mean_positive_score"] == pytest.approx((0.5 + 0.9 - 1) / 3)
    assert said["mean_negative_score"] == pytest.approx((1.0 + 2.1 - 1.5) / 9)
    assert sorted(said["positive_scores"]) == pytest.approx([-1.0, 0.5, 0.9])
    assert sorted(said["negative_scores"]) == pytest.approx(sorted(s for row in scores for s in row[1:]), abs=1e-4)


def test_a_relabelled_document_is_no_negative(tmp_path, collection):
    """Its 0.8 is above the positive's 0.5; the two others' mean is 0.2, and neither is a false negative."""
    doc = np.array([[0, 1, 2, 3]], np.uint32)
    label = np.array([[1, 1, 0, 0]], np.float32)
    (tmp_path / "groups").mkdir()
    score = np.array([[0.5, 0.8, 0.3, 0.1]], np.float32)
    Groups(np.zeros(1, np.uint32), doc, score, label).write(tmp_path / "groups" / "groups.parquet")
    said = read(describe(collection, tmp_path / "groups", None, tmp_path / "out", SPEC))
    assert said["false_negative_share"] == 0
    assert said["mean_negative_score"] == pytest.approx(0.2)


def test_a_stand_in_counts_as_the_positive_and_further_positives_are_compared_too(tmp_path, collection):
    """Without judgements the first document stands in: 1 of 3. Of two positives, negatives beat one twice: 2 of 4."""
    score = np.array([[0.5, 0.6, 0.3, 0.1], [0.5, 0.2, 0.3, 0.3]], np.float32)
    label = np.array([[0, 0, 0, 0], [1, 1, 0, 0]], np.float32)
    (tmp_path / "groups").mkdir()
    groups = Groups(np.arange(2, dtype=np.uint32), np.array([[0, 1, 2, 3]] * 2, np.uint32), score, label)
    groups.write(tmp_path / "groups" / "groups.parquet")
    said = read(describe(collection, tmp_path / "groups", None, tmp_path / "out", SPEC))
    assert said["false_negative_share"] == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert said["mean_negative_score"] == pytest.approx((0.6 + 0.3 + 0.1 + 0.3 + 0.3) / 5)


def test_diameters_by_hand(tmp_path, collection):
    """Three orthogonal documents are sqrt(2) apart, three alike 0, two alike and their opposite 0, 2 and 2."""
    axes = np.eye(3)
    vectors = [axes[0], axes[1], axes[2], axes[0], 5 * axes[0], -axes[0]]
    embeddings = write_embeddings(tmp_path / "embeddings", [0, 1, 2, 4, 6, 7], vectors)
    groups = write_groups(tmp_path / "groups", [0, 1, 2], [[0, 1, 2], [4, 0, 6], [4, 7, 6]], np.eye(3))
    found = describe(collection, groups, embeddings, tmp_path / "out", SPEC)
    squared = [2, 0, (0 + 4 + 4) / 3]
    assert columns(found)["squared_diameter"] == pytest.approx(squared, abs=1e-6)
    said = read(found)
    assert said["diameter"]["mean"] == pytest.approx(math.sqrt(sum(squared) / 3))
    assert said["diameter"]["n"] == 3
    assert said["robust_diameter"]["maximum"] == pytest.approx(2)
    entropies = np.array(columns(found)["pairwise_entropy"]) / math.log(2)
    expected = [[math.sqrt(s), e] for s, e in zip(squared, entropies, strict=True)]
    assert np.allclose(said["points"], expected, atol=1e-3)


def test_the_order_of_the_embeddings_does_not_matter(tmp_path, collection):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(8, 5)).astype(np.float16)
    groups = write_groups(tmp_path / "groups", [0, 1], [[0, 3, 5], [7, 6, 2]], np.eye(2, 3))
    whole = write_embeddings(tmp_path / "whole", range(8), vectors)
    order = rng.permutation(8)
    shuffled = write_embeddings(tmp_path / "shuffled", order, vectors[order])
    one, two = (describe(collection, groups, e, tmp_path / f"of {e.name}", SPEC) for e in (whole, shuffled))
    assert columns(one) == columns(two)
    assert read(one) == read(two)


def test_a_document_without_embedding_is_named(tmp_path, collection):
    groups = write_groups(tmp_path / "groups", [0, 1], [[0, 5, 2], [1, 7, 2]], np.eye(2, 3))
    embeddings = write_embeddings(tmp_path / "embeddings", [0, 1, 2, 6], np.eye(4))
    with pytest.raises(DataError, match=r"2 of 6 documents have no embedding \(first: row 5\)") as error:
        describe(collection, groups, embeddings, tmp_path / "out", SPEC)
    assert error.value.hint == "embed the documents of these very groups"
    assert not (tmp_path / "out").exists()


def test_a_temperature_of_nothing_is_refused(tmp_path, collection):
    groups = write_groups(tmp_path / "groups", [0], [[0, 1]], [[1.0, 0.0]])
    with pytest.raises(SpecError, match="temperature is 0"):
        describe(collection, groups, None, tmp_path / "out", replace(SPEC, temperature=0.0))


def test_pictures_show_a_sample(tmp_path, collection):
    rng = np.random.default_rng(0)
    scores, docs = rng.normal(size=(700, 5)), np.argsort(rng.random((700, 8)))[:, :5]
    groups = write_groups(tmp_path / "groups", np.arange(700) % 6, docs, scores)
    embeddings = write_embeddings(tmp_path / "embeddings", range(8), rng.normal(size=(8, 5)))
    said = read(describe(collection, groups, embeddings, tmp_path / "out", SPEC))
    assert [len(said[name]) for name in ("points", "negative_scores", "positive_scores")] == [400, 2000, 700]
    assert set(said["negative_scores"]) <= set(scores[:, 1:].astype(np.float32).astype(float).round(4).ravel())
    # A fair sample: its mean is that of all 2,800, within three standard errors of 2,000 standard normal scores.
    assert np.mean(said["negative_scores"]) == pytest.approx(scores[:, 1:].mean(), abs=3 / math.sqrt(2000))
    other = read(describe(collection, groups, embeddings, tmp_path / "other", replace(SPEC, seed=2)))
    assert other["negative_scores"] != said["negative_scores"]
    assert other["entropy"] == said["entropy"], "the seed draws pictures and resamples, it does not change what is"


def test_the_example_is_one_query_for_every_strategy(tmp_path, collection):
    """Groups in another order, and of other documents, show the same query: what differs is the strategy's doing."""
    shown = set()
    for number, queries in enumerate(([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1])):
        docs = [[q, *((q + i + number) % 8 for i in (1, 2, 3))] for q in queries]
        groups = write_groups(tmp_path / f"g{number}", queries, docs, np.eye(4))
        shown.add(read(describe(collection, groups, None, tmp_path / f"o{number}", SPEC))["example"]["query"])
    assert len(shown) == 1


def test_the_example_has_the_positive_first_and_the_hardest_negatives_after_it(tmp_path, collection):
    scores = [[0.2, 0.1, 0.9, -1.0, 0.3, 0.123456, 0.9]]
    groups = write_groups(tmp_path / "groups", [4], [[7, 1, 2, 3, 4, 5, 6]], scores)
    example = read(describe(collection, groups, None, tmp_path / "out", SPEC))["example"]
    assert example["query"] == "query 4"
    assert [d["text"].split()[1] for d in example["documents"]] == ["7", "2", "6", "4", "5"]
    assert [d["score"] for d in example["documents"]] == [0.2, 0.9, 0.9, 0.3, 0.1235]
    assert [d["label"] for d in example["documents"]] == [1, 0, 0, 0, 0]
    assert all(len(d["text"]) == 300 for d in example["documents"])


def test_the_same_input_gives_the_same_bytes(tmp_path, collection):
    rng = np.random.default_rng(0)
    groups = write_groups(tmp_path / "groups", range(6), np.argsort(rng.random((6, 8)))[:, :4], rng.normal(size=(6, 4)))
    embeddings = write_embeddings(tmp_path / "embeddings", range(8), rng.normal(size=(8, 5)))
    one, two = (describe(collection, groups, embeddings, tmp_path / name, SPEC) for name in ("one", "two"))
    for name in ("description.json", "per_group.parquet", "manifest.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
