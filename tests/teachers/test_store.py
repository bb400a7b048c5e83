from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pytest

from rankstill.collection.store import text_key
from rankstill.errors import DataError
from rankstill.teachers.store import PairKeys, ScoreStore
from rankstill.teachers.store_care import compact
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
    return ScoreStore(tmp_path / "store", TEACHER, "a teacher", "cross-encoder")


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
    assert ScoreStore(tmp_path / "store", TEACHER).lookup(keys((1, 2))).tolist() == [0.5]
    assert np.isnan(ScoreStore(tmp_path / "store", "cd" * 32).lookup(keys((1, 2)))).all()


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


def test_a_part_is_a_plain_arrow_file_named_after_its_content(store):
    store.append(random_keys(4, 1), np.arange(4, dtype=np.float32))
    (part,) = store.parts()
    assert part.name == f"part-{hashlib.sha256(part.read_bytes()).hexdigest()}.arrow"
    table = pa.ipc.open_file(part).read_all()
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


def test_a_pair_keeps_its_first_score_and_is_stored_once(store):
    store.append(keys((1, 1)), np.array([1], np.float32))
    name = store.append(keys((1, 1), (1, 2), (1, 2)), np.array([2, 5, 6], np.float32))
    assert store.lookup(keys((1, 1), (1, 2))).tolist() == [1, 5]
    assert pa.ipc.open_file(store.folder / name).read_all().num_rows == 1
    assert store.append(keys((1, 2), (1, 1)), np.array([7, 7], np.float32)) == ""
    assert len(store.parts()) == 2


def test_of_two_parts_that_disagree_the_first_name_counts(store, tmp_path):
    """Parts that were scored on two machines, and copied together."""
    for machine, score in (("a", 1), ("b", 2)):
        other = ScoreStore(tmp_path / machine, TEACHER)
        other.append(keys((1, 1), (1, score + 1)), np.array([score, 5], np.float32))
        shutil.copytree(other.folder, store.folder, dirs_exist_ok=True)
    first = {r["dkey"][0]: r["score"] for r in pa.ipc.open_file(store.parts()[0]).read_all().to_pylist()}
    assert store.lookup(keys((1, 1), (1, 2), (1, 3))).tolist() == [first[1], 5, 5]


@pytest.mark.parametrize("asked", [3, 40, 5000])
def test_few_and_many_asked_pairs_get_the_same_answers(store, asked):
    """Few are searched in a part, many are passed by; against a dictionary, also with keys that collide."""
    rng = np.random.default_rng(asked)
    some = rng.integers(0, 4, (3000, 4), np.uint64) * np.uint64(2**62)
    some[:1000] = random_keys(1000, 5).halves
    some = np.unique(some, axis=0)
    expected = {tuple(k): np.float32(i) for i, k in enumerate(some.tolist())}
    for piece in np.array_split(rng.permutation(len(some)), 3):
        store.append(PairKeys(some[piece]), piece.astype(np.float32))
    wanted = rng.integers(0, 4, (asked, 4), np.uint64) * np.uint64(2**62)
    wanted[::2] = some[rng.integers(0, len(some), len(wanted[::2]))]
    found = store.lookup(PairKeys(wanted))
    np.testing.assert_array_equal(found, np.float32([expected.get(tuple(k), np.nan) for k in wanted.tolist()]))


def test_a_part_that_goes_while_it_is_read_is_looked_for_again(store, monkeypatch):
    """Between a reader's list and its first look, another process merges the parts."""
    for number in range(3):
        store.append(random_keys(10, number), np.full(10, number, np.float32))
    listed = ScoreStore.parts

    def list_then_merge(self):
        found = listed(self)
        monkeypatch.setattr(ScoreStore, "parts", listed)
        assert compact(ScoreStore(self.folder.parent, TEACHER)) == (3, 1)
        return found

    monkeypatch.setattr(ScoreStore, "parts", list_then_merge)
    asked = PairKeys.concatenate([random_keys(10, number) for number in range(3)])
    assert store.lookup(asked).tolist() == [0] * 10 + [1] * 10 + [2] * 10


def test_a_listing_that_misses_the_old_and_the_new_is_not_the_end(store, monkeypatch):
    """A listing takes time: a merged part may come behind its back, and the old ones go before its eyes."""
    store.append(random_keys(10, 1), np.ones(10, np.float32))
    listings, listed = [], ScoreStore.parts
    monkeypatch.setattr(ScoreStore, "parts", lambda self: listings.append(1) or (listed(self) if listings[1:] else []))
    assert store.lookup(random_keys(10, 1)).tolist() == [1] * 10


def test_the_store_is_of_use_without_torch():
    script = "import sys, rankstill.teachers.store, rankstill.teachers.store_commands; "
    script += "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'scipy', 'sentence_transformers')))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_a_killed_writer_left_is_ignored(store):
    store.append(keys((1, 2)), np.array([0.5], np.float32))
    (part,) = store.parts()
    leftover = store.folder / f"{part.name}.deadbeef.part"
    leftover.write_bytes(part.read_bytes()[:20])
    assert store.lookup(keys((1, 2))).tolist() == [0.5]
    assert len(store.parts()) == 1
    store.append(keys((1, 3)), np.array([0.5], np.float32))
    assert not leftover.exists(), "the next writer clears it away"


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
        ScoreStore(tmp_path / "store", TEACHER[:16] + "0" * 48)


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
