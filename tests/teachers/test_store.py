from __future__ import annotations

import threading

import numpy as np
import pyarrow.parquet as pq
import pytest

from rankstill.collection.store import text_key
from rankstill.errors import DataError
from rankstill.teachers.store import PairKeys, ScoreStore
from tests.tiny_collections import make_collection

TEACHER = "ab" * 32


def keys(*pairs: tuple[int, int]) -> PairKeys:
    """Make keys of made-up numbers: the query's and the document's first halves."""
    halves = np.zeros((len(pairs), 4), np.uint64)
    halves[:, [0, 2]] = np.array(pairs, np.uint64).reshape(-1, 2)
    return PairKeys(halves)


def random_keys(count: int, seed: int) -> PairKeys:
    return PairKeys(np.random.default_rng(seed).integers(0, 2**64, (count, 4), np.uint64))


@pytest.fixture
def store(tmp_path) -> ScoreStore:
    return ScoreStore(tmp_path, TEACHER, "a teacher", "cross-encoder")


def test_what_is_stored_is_found_and_nothing_else(store):
    assert np.isnan(store.lookup(keys((1, 1)))).all()
    store.append(keys((1, 2), (1, 3)), np.array([0.5, -7], np.float32))
    store.append(keys((2, 2)), np.array([3], np.float32))
    asked = keys((2, 2), (1, 3), (3, 1), (1, 2), (1, 3), (2, 1))
    np.testing.assert_array_equal(store.lookup(asked), np.float32([3, -7, np.nan, 0.5, -7, np.nan]))
    assert store.missing(asked).tolist() == [False, False, True, False, False, True]
    assert store.lookup(keys()).shape == (0,)


def test_another_store_object_and_process_sees_it(store, tmp_path):
    store.append(keys((1, 2)), np.array([0.5], np.float32))
    assert ScoreStore(tmp_path, TEACHER).lookup(keys((1, 2))).tolist() == [0.5]
    assert np.isnan(ScoreStore(tmp_path, "cd" * 32).lookup(keys((1, 2)))).all()


def test_it_agrees_with_a_dictionary(store):
    expected = {}
    for part in range(5):
        some = random_keys(300, part)
        score = np.random.default_rng(part).normal(size=300).astype(np.float32)
        store.append(some, score)
        expected |= {tuple(k): s for k, s in zip(some.halves.tolist(), score, strict=True)}
    asked = np.concatenate([random_keys(300, 2).halves, random_keys(100, 99).halves, random_keys(300, 4).halves[::-1]])
    found = store.lookup(PairKeys(asked))
    np.testing.assert_array_equal(found, np.float32([expected.get(tuple(k), np.nan) for k in asked.tolist()]))


def test_pairs_that_agree_in_the_64_mixed_bits_are_told_apart(store):
    mix = 0x9E3779B97F4A7C15
    alike = keys((5, 10), ((5 + mix) % 2**64, 9), ((5 + 2 * mix) % 2**64, 8), (5, 11))
    assert len(set(alike.mixed()[:3])) == 1
    store.append(alike, np.array([1, 2, 3, 4], np.float32))
    assert store.lookup(alike).tolist() == [1, 2, 3, 4]
    other = ((5 + 3 * mix) % 2**64, 7)
    assert np.isnan(store.lookup(keys(other, (5, 10)))).tolist() == [True, False]


def test_the_keys_are_of_texts_whatever_their_ids(tmp_path, store):
    a = make_collection(tmp_path / "a", {"d1": "wing", "d2": "jet"}, {"q1": "flow"})
    b = make_collection(tmp_path / "b", {"x": "cone", "y": "jet"}, {"p": "heat", "q": "flow"})
    pair = PairKeys.of(a, np.array([0], np.uint32), np.array([1], np.uint32))
    assert pair.halves.tobytes() == text_key("flow") + text_key("jet")
    store.append(pair, np.array([2.5], np.float32))
    elsewhere = PairKeys.of(b, np.array([1, 1, 0], np.uint32), np.array([1, 0, 1], np.uint32))
    np.testing.assert_array_equal(store.lookup(elsewhere), np.float32([2.5, np.nan, np.nan]))


def test_a_part_is_plain_parquet(store):
    store.append(random_keys(4, 1), np.arange(4, dtype=np.float32))
    (part,) = store.parts()
    table = pq.read_table(part)
    assert [(f.name, str(f.type)) for f in table.schema] == [
        ("qkey", "fixed_size_binary[16]"),
        ("dkey", "fixed_size_binary[16]"),
        ("score", "float"),
    ]
    known = {k.tobytes(): float(s) for k, s in zip(random_keys(4, 1).halves, range(4), strict=True)}
    assert {r["qkey"] + r["dkey"]: r["score"] for r in table.to_pylist()} == known


def test_the_same_scores_twice_make_one_part(store):
    for order in ([0, 1, 2], [2, 0, 1]):
        where = np.array(order)
        store.append(random_keys(3, 1).take(where), np.arange(3, dtype=np.float32)[where])
    assert len(store.parts()) == 1


def test_of_two_scores_of_a_pair_always_the_same_one_counts(store):
    store.append(keys((1, 1)), np.array([1], np.float32))
    store.append(keys((1, 1), (1, 2)), np.array([2, 5], np.float32))
    first = pq.read_table(store.parts()[0]).to_pylist()
    expected = next(row["score"] for row in first if row["dkey"][0] == 1)
    assert store.lookup(keys((1, 1), (1, 2))).tolist() == [expected, 5]


def test_what_a_killed_writer_left_is_ignored(store):
    store.append(keys((1, 2)), np.array([0.5], np.float32))
    (part,) = store.parts()
    (store.folder / f"{part.name}.deadbeef.part").write_bytes(part.read_bytes()[:20])
    assert store.lookup(keys((1, 2))).tolist() == [0.5]
    assert len(store.parts()) == 1


def test_a_damaged_part_is_named(store):
    store.append(random_keys(100, 1), np.zeros(100, np.float32))
    (part,) = store.parts()
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(DataError, match="is damaged") as caught:
        store.lookup(random_keys(3, 1))
    assert part.name in caught.value.message


def test_only_finite_scores_are_kept(store):
    with pytest.raises(DataError, match="finite"):
        store.append(keys((1, 2)), np.array([np.nan], np.float32))
    assert not store.folder.exists()


def test_two_teachers_never_share_a_folder(store, tmp_path):
    store.append(keys((1, 2)), np.array([1], np.float32))
    with pytest.raises(DataError, match="another teacher"):
        ScoreStore(tmp_path, TEACHER[:16] + "0" * 48)


def test_many_writers_at_once_lose_nothing(tmp_path):
    """Eight writers, each its own scores and all one common part, through stores of their own."""
    common = random_keys(50, 77)

    def write(number: int) -> None:
        mine = ScoreStore(tmp_path, TEACHER)
        mine.append(common, np.ones(50, np.float32))
        mine.append(random_keys(200, number), np.full(200, number, np.float32))

    writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    store = ScoreStore(tmp_path, TEACHER)
    assert len(store.parts()) == 9
    assert (store.lookup(common) == 1).all()
    for number in range(8):
        assert (store.lookup(random_keys(200, number)) == number).all()
    assert not list(store.folder.glob("*.part"))
