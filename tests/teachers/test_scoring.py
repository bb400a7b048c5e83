from __future__ import annotations

import json

import numpy as np
import pytest

from rankstill.collection.store import Collection
from rankstill.errors import DataError, MissingScores, OutputError
from rankstill.files import read_manifest
from rankstill.records import Pairs
from rankstill.teachers import open_teacher
from rankstill.teachers.scored import lookup
from rankstill.teachers.scoring import score
from rankstill.teachers.store import ScoreStore
from rankstill.teachers.store_verify import verify
from tests.tiny_collections import make_collection, word_collection
from tests.tiny_models import tiny_bi_encoder, tiny_cross_encoder


def calls(scores):
    """Count a finished stage's pairs: asked for, unique among them, and texts' pairs from the store and scored."""
    counts, cost = read_manifest(scores)["counts"], json.loads((scores / "cost.json").read_text())
    return {key: (counts | cost)[key] for key in ("asked", "unique", "from_store", "scored")}


class Counting:
    """A teacher that counts: a score is the query's length times 100 plus the document's, in letters."""

    name, kind, by_text = "counting", "cross-encoder", True

    def __init__(self, chunk=4, fingerprint="ab" * 32):
        self.chunk, self.fingerprint, self.asked = chunk, fingerprint, []

    def value(self, query: str, doc: str, place: int) -> float:
        return 100 * len(query) + len(doc)

    def score(self, collection, query, doc, shown=None):
        pairs = list(zip(collection.queries.take(query), collection.documents.take(doc), strict=True))
        values = np.array([self.value(*pair, place) for place, pair in enumerate(pairs)], np.float32)
        self.asked += pairs
        return values

    def prepared(self, collection, query, doc, folder):
        return self


@pytest.fixture
def collection(tmp_path) -> Collection:
    documents = {f"d{i}": "wing " * i + "!" for i in range(12)} | {"copy": "wing wing !"}
    return make_collection(tmp_path / "collection", documents, {"q0": "a", "q1": "bcd", "q2": "a"})


def pairs(*rows: tuple[int, int]) -> Pairs:
    table = np.array(rows, np.uint32).reshape(-1, 2)
    return Pairs(table[:, 0], table[:, 1], np.zeros(len(table), np.float32))


def every(collection: Collection) -> Pairs:
    return pairs(*[(q, d) for q in range(len(collection.queries)) for d in range(len(collection.documents))])


def read(folder) -> dict[tuple[int, int], float]:
    table = Pairs.read(folder / "scores.parquet")
    assert (np.diff(table.key().astype(object)) > 0).all(), "sorted by query, then document, each pair once"
    return {(int(q), int(d)): float(s) for q, d, s in zip(table.query, table.doc, table.score, strict=True)}


def test_the_union_of_all_pairs_is_scored_each_once(tmp_path, collection):
    teacher = Counting()
    asked = [pairs((1, 3), (0, 5)), pairs((0, 5), (0, 1)), pairs((1, 3))]
    out = score(collection.path, asked, teacher, tmp_path / "out")
    assert read(out) == {(0, 1): 106, (0, 5): 126, (1, 3): 316}
    assert len(teacher.asked) == len(set(teacher.asked)) == 3
    assert read_manifest(out)["counts"] == {"asked": 5, "unique": 3, "queries": 2, "teacher": teacher.name}
    assert calls(out) == {"asked": 5, "unique": 3, "from_store": 0, "scored": 3}
    assert sorted(p.name for p in out.iterdir()) == ["cost.json", "manifest.json", "scores.parquet"]


def test_equal_texts_are_scored_once_whatever_their_ids(tmp_path, collection):
    """q0 and q2 are one text, d2 and copy another: four pairs of ids, one pair of texts."""
    teacher = Counting()
    out = score(collection.path, pairs((0, 2), (0, 12), (2, 2), (2, 12), (0, 1)), teacher, tmp_path / "out")
    assert read(out) == {(0, 1): 106, (0, 2): 111, (0, 12): 111, (2, 2): 111, (2, 12): 111}
    assert len(teacher.asked) == 2
    assert calls(out) == {"asked": 5, "unique": 5, "from_store": 0, "scored": 2}


def test_no_pair_is_scored_twice_for_one_store(tmp_path, collection):
    teacher, store = Counting(), tmp_path / "store"
    score(collection.path, pairs((0, 1), (0, 2), (1, 2)), teacher, tmp_path / "a", store)
    out = score(collection.path, every(collection), teacher, tmp_path / "b", store)
    assert len(teacher.asked) == len(set(teacher.asked)) == 2 * 12
    assert calls(out) == {"asked": 39, "unique": 39, "from_store": 3, "scored": 21}
    # Another collection with the same texts under other ids in another order.
    texts = list(collection.documents)[::-1]
    other = make_collection(tmp_path / "other", {f"x{i}": t for i, t in enumerate(texts)}, {"p": "bcd", "r": "a"})
    again = score(other.path, every(other), teacher, tmp_path / "c", store)
    assert len(teacher.asked) == 24
    assert read(again)[0, 12] == read(out)[1, 0]
    fresh = Counting(fingerprint="cd" * 32)
    score(other.path, every(other), fresh, tmp_path / "d", store)
    assert len(fresh.asked) == 24


def test_what_another_process_stores_meanwhile_is_not_stored_again(tmp_path, collection):
    """Another process scores the very pairs while this one does, after it has asked the store."""
    # In other chunks: the same ones would be the same files.
    other = Counting(chunk=5)

    class Late(Counting):
        def score(self, collection, query, doc, shown=None):
            if not self.asked:
                score(collection.path, every(collection), other, tmp_path / "other", tmp_path / "store")
            return super().score(collection, query, doc, shown)

    late = Late()
    out = score(collection.path, every(collection), late, tmp_path / "out", tmp_path / "store")
    assert sorted(late.asked) == sorted(other.asked)
    assert read(out) == read(tmp_path / "other")
    found = verify(ScoreStore(tmp_path / "store", late.fingerprint))
    assert (found.pairs, found.repeated) == (len(other.asked), 0)


def test_the_result_does_not_depend_on_what_the_store_knew(tmp_path, collection):
    cold = score(collection.path, every(collection), Counting(), tmp_path / "cold", tmp_path / "store")
    warm = score(collection.path, every(collection), Counting(), tmp_path / "warm", tmp_path / "store")
    without = score(collection.path, every(collection), Counting(), tmp_path / "without")
    for name in ("scores.parquet", "manifest.json"):
        assert (cold / name).read_bytes() == (warm / name).read_bytes() == (without / name).read_bytes()
    assert calls(warm)["scored"] == 0


class Company(Counting):
    """A teacher whose scores depend on the pairs beside a pair, as bfloat16 ones may; it is killed now and then."""

    def __init__(self, die_after):
        super().__init__()
        self.die_after = die_after

    def value(self, query, doc, place):
        if len(self.asked) >= self.die_after:
            raise KeyboardInterrupt
        return super().value(query, doc, place) + place / 8


@pytest.mark.parametrize("with_store", [True, False])
@pytest.mark.parametrize("die_after", [0, 4, 8, 20])
def test_a_killed_stage_continues_and_ends_with_the_same_bytes(tmp_path, collection, die_after, with_store):
    known, asked = pairs((0, 3), (1, 4), (1, 5)), every(collection)
    results = []
    for name, deaths in (("whole", []), ("killed", [die_after])):
        store = tmp_path / name / "store" if with_store else None
        score(collection.path, known, Company(99), tmp_path / name / "before", store)
        for death in deaths:
            with pytest.raises(KeyboardInterrupt):
                score(collection.path, asked, Company(death), tmp_path / name / "out", store)
        if deaths and store:
            # Meanwhile another process scores some of the waiting pairs, in other company.
            score(collection.path, pairs((1, 9), (1, 10), (1, 11)), Company(99), tmp_path / name / "other", store)
        finisher = Company(99)
        out = score(collection.path, asked, finisher, tmp_path / name / "out", store)
        results.append([(out / file).read_bytes() for file in ("scores.parquet", "manifest.json")])
        if deaths:
            assert len(finisher.asked) == (21 if with_store else 24) - die_after
        assert calls(out)["scored"] == (21 if with_store else 24)
    assert results[0] == results[1]


@pytest.mark.parametrize("moment", ["append", "Pairs.write", "write_json", "shutil.rmtree", "manifest"])
def test_a_kill_between_two_writes_does_no_harm(tmp_path, collection, monkeypatch, moment):
    whole = score(collection.path, every(collection), Counting(), tmp_path / "whole", tmp_path / "store1")
    target = {
        "append": "rankstill.teachers.store.ScoreStore.append",
        "Pairs.write": "rankstill.records.Pairs.write",
        "write_json": "rankstill.teachers.scoring.write_json",
        "shutil.rmtree": "rankstill.teachers.scoring.shutil.rmtree",
        "manifest": "rankstill.files.versions",
    }[moment]

    def die(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(target, die)
        with pytest.raises(KeyboardInterrupt):
            score(collection.path, every(collection), Counting(), tmp_path / "out", tmp_path / "store2")
    out = score(collection.path, every(collection), Counting(), tmp_path / "out", tmp_path / "store2")
    for name in ("scores.parquet", "manifest.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert calls(out) == calls(whole)
    later = score(collection.path, every(collection), Counting(), tmp_path / "later", tmp_path / "store2")
    assert calls(later)["scored"] == 0, "the store has everything"


def test_a_long_run_merges_the_parts_that_it_adds(tmp_path, collection, monkeypatch):
    """24 pairs in 12 chunks: each five parts become one; nothing is stored twice, nothing scored again."""
    monkeypatch.setattr("rankstill.teachers.scoring._MANY", 5)
    store = tmp_path / "store"
    score(collection.path, pairs((0, 1)), Counting(), tmp_path / "before", store)
    out = score(collection.path, every(collection), Counting(chunk=2), tmp_path / "out", store)
    kept = ScoreStore(store, Counting().fingerprint)
    assert sorted(len(part) for part in kept.opened()) == [1, 1, 2, 10, 10]
    assert verify(kept).repeated == 0
    again = score(collection.path, every(collection), Counting(), tmp_path / "again", store)
    assert calls(again)["scored"] == 0
    assert (again / "scores.parquet").read_bytes() == (out / "scores.parquet").read_bytes()


def test_a_store_outlives_a_damaged_leftover(tmp_path, collection):
    teacher, store = Counting(), tmp_path / "store"
    score(collection.path, pairs((0, 1), (0, 2)), teacher, tmp_path / "a", store)
    (store / teacher.fingerprint[:16] / "part-0123.parquet.ffff.part").write_bytes(b"cut sho")
    out = score(collection.path, pairs((0, 1), (0, 2)), teacher, tmp_path / "b", store)
    assert calls(out)["from_store"] == 2


class Answering(Counting):
    """A teacher with a given way to answer."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def score(self, collection, query, doc, shown=None):
        return self.answer(super().score(collection, query, doc))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused_by_its_pair(tmp_path, collection, bad):
    def answer(values):
        return np.where(values == 316, np.float32(bad), values)

    with pytest.raises(DataError, match=r"counting gives 1 of 3 pairs .* \(first: query q1, document d3: "):
        score(collection.path, pairs((0, 1), (1, 3), (1, 4)), Answering(answer), tmp_path / "out", tmp_path / "store")
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "store").glob("*/part-*"))


def test_a_constant_teacher_is_refused(tmp_path, collection):
    with pytest.raises(DataError, match="counting is constant: all 2 pairs get the score 7"):
        score(collection.path, pairs((0, 1), (0, 2)), Answering(lambda v: v * 0 + 7), tmp_path / "a")
    # One document a query, or equal texts, say nothing about the teacher.
    score(collection.path, pairs((0, 1), (1, 2)), Answering(lambda v: v * 0 + 7), tmp_path / "b")
    score(collection.path, pairs((0, 2), (0, 12)), Answering(lambda v: v * 0 + 7), tmp_path / "c")


@pytest.mark.parametrize("answer", [lambda v: v[:-1], lambda v: v[:, None], lambda v: np.append(v, 1)])
def test_an_answer_of_another_length_is_refused(tmp_path, collection, answer):
    with pytest.raises(DataError, match="for 2 pairs"):
        score(collection.path, pairs((0, 1), (0, 2)), Answering(answer), tmp_path / "out")


def test_no_pairs_and_pairs_of_another_collection_are_refused(tmp_path, collection):
    for nothing in (Pairs.empty(), []):
        with pytest.raises(DataError, match="no pair to score"):
            score(collection.path, nothing, Counting(), tmp_path / "out")
    with pytest.raises(DataError, match=r"row 13, and .* has 13 documents"):
        score(collection.path, pairs((0, 13)), Counting(), tmp_path / "out")
    with pytest.raises(DataError, match=r"row 3, and .* has 3 queries"):
        score(collection.path, pairs((3, 1)), Counting(), tmp_path / "out")


def test_pairs_come_as_tables_files_or_folders_of_stages(tmp_path, collection):
    asked = pairs((0, 1), (1, 3))
    (tmp_path / "sampled").mkdir()
    asked.write(tmp_path / "sampled" / "candidates.parquet")
    out = score(collection.path, asked, Counting(), tmp_path / "out")
    # The same pairs make the same stage, however they come: the finished output is taken.
    for same in ([asked], tmp_path / "sampled", [tmp_path / "sampled" / "candidates.parquet"]):
        assert score(collection.path, same, Counting(), tmp_path / "out") == out
    again = score(collection.path, [out, pairs((1, 4))], Counting(), tmp_path / "again")
    assert list(read(again)) == [(0, 1), (1, 3), (1, 4)]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="holds no pairs"):
        score(collection.path, tmp_path / "nothing", Counting(), tmp_path / "other")


def test_another_teacher_needs_another_folder(tmp_path, collection):
    score(collection.path, pairs((0, 1)), Counting(), tmp_path / "out")
    with pytest.raises(OutputError, match="teacher"):
        score(collection.path, pairs((0, 1)), Counting(fingerprint="cd" * 32), tmp_path / "out")


def test_a_run_as_teacher_is_never_kept_by_text(tmp_path, collection):
    """d2 and copy have one text and two scores in the run: both come out as they are."""
    (tmp_path / "r.trec").write_text("q0 Q0 d2 1 5 t\nq0 Q0 copy 2 4 t\n")
    out = score(collection.path, pairs((0, 2), (0, 12)), f"run:{tmp_path}/r.trec", tmp_path / "out", tmp_path / "store")
    assert read(out) == {(0, 2): 5, (0, 12): 4}
    assert not (tmp_path / "store").exists()
    with pytest.raises(MissingScores, match="1 of 1 pairs"):
        score(collection.path, pairs((1, 2)), f"run:{tmp_path}/r.trec", tmp_path / "other")


@pytest.mark.parametrize("make", [tiny_cross_encoder, tiny_bi_encoder])
def test_a_models_scores_are_the_same_through_the_stage(tmp_path, make):
    collection = word_collection(tmp_path / "c", documents=30, queries=4)
    teacher = open_teacher(str(make(tmp_path / "model")))
    asked = every(collection)
    half = Pairs(*(getattr(asked, c)[::2] for c in ("query", "doc", "score")))
    score(collection.path, half, teacher, tmp_path / "half", tmp_path / "store")
    out = score(collection.path, asked, teacher, tmp_path / "out", tmp_path / "store")
    direct = teacher.score(collection, asked.query, asked.doc)
    assert (Pairs.read(out / "scores.parquet").score == direct).all()
    assert calls(out) == {"asked": 120, "unique": 120, "from_store": 60, "scored": 60}


def test_lookup_finds_and_refuses(collection):
    table = Pairs(np.uint32([1, 1, 0]), np.uint32([2, 0, 5]), np.float32([0.1, 0.2, 0.3]))

    def find(query, doc, among=table):
        return lookup(collection, among, np.uint32(query), np.uint32(doc))

    assert find([0, 1, 1], [5, 2, 2]).tolist() == np.float32([0.3, 0.1, 0.1]).tolist()
    assert find([], []).shape == (0,)
    first = f"query {collection.queries.id(0)}, document {collection.documents.id(2)}"
    with pytest.raises(MissingScores, match=rf"2 of 3 pairs have no teacher score \(first: {first}\)"):
        find([1, 0, 2], [2, 2, 7])
    with pytest.raises(MissingScores, match="1 of 1"):
        find([0], [0], Pairs.empty())


def test_the_cost_tells_what_was_paid(tmp_path, collection):
    out = score(collection.path, pairs((0, 1)), Counting(), tmp_path / "out")
    cost = json.loads((out / "cost.json").read_text())
    assert (cost["from_store"], cost["scored"]) == (0, 1)
    assert cost["seconds"] >= 0
