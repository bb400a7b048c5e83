"""`rankstill scores`: listing, checking, merging, exporting and throwing away."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rankstill.collection.store import Collection, text_key
from rankstill.errors import DataError, SpecError
from rankstill.teachers import store_parts
from rankstill.teachers.pair_keys import PairKeys
from rankstill.teachers.store import ScoreStore
from rankstill.teachers.store_care import compact, held, open_stores
from rankstill.teachers.store_export import export
from rankstill.teachers.store_parts import encode
from rankstill.teachers.store_verify import verify
from rankstill.teachers.table import open_table
from tests.teachers.test_store import TEACHER, keys, random_keys
from tests.tiny_collections import make_collection

OTHER = "cd" * 32


@pytest.fixture
def collection(tmp_path) -> Collection:
    """Two of the documents, and two of the queries, have one text."""
    documents = {"d0": "wing", "d1": "jet", "d2": "wing", "d3": "cone"}
    return make_collection(tmp_path / "c", documents, {"q0": "flow", "q1": "heat", "q2": "flow"})


@pytest.fixture
def root(tmp_path, collection) -> Path:
    """Two teachers: one scored four pairs of the collection, and three pairs that it does not have; the other one."""
    store = ScoreStore(tmp_path / "store", TEACHER, "strict", "cross-encoder")
    rows = np.array([[0, 0], [0, 1], [1, 3]], np.uint32)
    store.append(PairKeys.of(collection, rows[:, 0], rows[:, 1]), np.float32([1.5, -2, 0.25]))
    store.append(random_keys(3, 1), np.float32([7, 8, 9]))
    one = PairKeys.of(collection, np.uint32([1]), np.uint32([1]))
    store.append(one, np.float32([4]))
    ScoreStore(tmp_path / "store", OTHER, "lenient", "bi-encoder").append(one, np.float32([5]))
    return tmp_path / "store"


def _all(store: ScoreStore) -> dict[bytes, float]:
    """Every stored pair and its score; none may come twice."""
    found: dict[bytes, float] = {}
    for part in store.opened():
        mine = {k.tobytes(): float(s) for k, s in zip(part.keys().halves, part.score, strict=True)}
        assert not found.keys() & mine.keys()
        found |= mine
    return found


def _damage(part: Path, at: int) -> None:
    data = bytearray(part.read_bytes())
    data[at] ^= 1
    part.write_bytes(data)


def test_ls_says_what_there_is(rankstill, root):
    old = time.time() - 3 * 86400
    for part in ScoreStore(root, OTHER).parts():
        os.utime(part, (old, old))
    done = rankstill("scores", "ls", root)
    assert done.code == 0
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0] == ["fingerprint", "name", "kind", "parts", "pairs", "bytes", "age"]
    assert [row[:5] for row in rows[1:]] == [
        [TEACHER[:16], "strict", "cross-encoder", "3", "7"],
        [OTHER[:16], "lenient", "bi-encoder", "1", "1"],
    ]
    sizes = [sum(p.stat().st_size for p in (root / row[0]).glob("part-*")) for row in rows[1:]]
    assert [int(row[5]) for row in rows[1:]] == sizes
    assert rows[2][6:] == ["3", "d"]
    missing = rankstill("scores", "ls", root / "nothing")
    assert missing.code == 1
    assert "no score store" in missing.err


def test_verify_names_what_is_damaged(rankstill, root):
    done = rankstill("scores", "verify", root)
    assert done.code == 0
    assert done.out.splitlines()[0] == f"{TEACHER[:16]} strict: 3 sound parts, 7 scores, 0 damaged"
    store = ScoreStore(root, TEACHER)
    part = store.parts()[0]
    whole = part.read_bytes()
    # One bit of a score, which a lookup would not see; then half of the file.
    _damage(part, whole.rindex(np.float32(store_parts.Part.open(part).score[0]).tobytes()))
    for cut in (len(whole), len(whole) // 2):
        part.write_bytes(part.read_bytes()[:cut])
        done = rankstill("scores", "verify", root)
        assert done.code == 1
        assert "1 of 4 parts are damaged" in done.err
        assert part.name in done.err
        assert "hint: remove these files" in done.err
        assert f"damaged: {part}" in done.out
    part.unlink()
    assert rankstill("scores", "verify", root).code == 0


def test_verify_sees_scores_and_rows_that_should_not_be(root):
    store = ScoreStore(root, TEACHER)
    for score, order, wrong in ((np.nan, [0, 1], "not finite"), (1.0, [1, 0], "not in order")):
        some = random_keys(2, 8)
        some = some.take(some.order()).take(np.array(order))
        data = encode(some, np.float32([0.5, score]))
        part = store.folder / f"part-{hashlib.sha256(data).hexdigest()}.arrow"
        part.write_bytes(data)
        ((path, why),) = verify(store).damaged
        assert path == part
        assert wrong in why
        part.unlink()


def _disagreeing(tmp_path: Path) -> ScoreStore:
    """Copy three stores together that agree on pair 1, disagree on pair 2, and have each a pair of their own."""
    together = ScoreStore(tmp_path / "together", TEACHER, "copied")
    for number in range(3):
        other = ScoreStore(tmp_path / f"machine{number}", TEACHER, "copied")
        other.append(keys((1, 1), (1, 2), (2, number)), np.float32([0.5, number, number]))
        shutil.copytree(other.folder, together.folder, dirs_exist_ok=True)
    return together


def test_verify_counts_pairs_that_stand_twice(tmp_path, rankstill):
    store = _disagreeing(tmp_path)
    counted = store.lookup(keys((1, 2)))[0]
    found = verify(store)
    assert (found.pairs, found.repeated, found.disagreeing) == (9, 4, 2)
    assert found.example.endswith(f": {counted:g} and {next(n for n in _later(store) if n != counted):g}")
    done = rankstill("scores", "verify", store.folder.parent)
    assert done.code == 0, "every part is sound"
    assert "4 repeated (2 of them disagree)" in done.out
    assert "2 pairs" in done.err


def _later(store: ScoreStore) -> list[float]:
    """Give the scores of pair (1, 2), in the order of the parts' names."""
    asked = keys((1, 2)).halves[0].tolist()
    return [float(p.score[i]) for p in store.opened() for i in range(len(p)) if p.keys().halves[i].tolist() == asked]


def test_compacting_keeps_every_answer_and_stores_no_pair_twice(tmp_path, rankstill):
    store = _disagreeing(tmp_path)
    asked = keys((1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 3))
    before = store.lookup(asked)
    newest = held(store).newest
    assert compact(store) == (3, 1)
    np.testing.assert_array_equal(store.lookup(asked), before)
    assert len(_all(store)) == 5
    assert held(store).newest == newest, "the age is that of the scores"
    files = {p.name: p.read_bytes() for p in store.folder.iterdir()}
    assert compact(store) == (1, 1)
    assert {p.name: p.read_bytes() for p in store.folder.iterdir()} == files
    done = rankstill("scores", "compact", store.folder.parent)
    assert done.out == f"{TEACHER[:16]} copied: 1 parts before, 1 now\n"


def test_hundreds_of_parts_become_a_few_sorted_ones(tmp_path, monkeypatch):
    """With little rooms for little parts: runs of joined neighbours, several merged parts, mapped files."""
    monkeypatch.setattr(store_parts, "ROWS", 1000)
    monkeypatch.setattr(store_parts, "MAPPED", 4096)
    monkeypatch.setattr(store_parts, "_OPEN", 16)
    store = ScoreStore(tmp_path, TEACHER)
    for number in range(120):
        store.append(random_keys(30, number), np.full(30, number, np.float32))
    asked = PairKeys.concatenate([random_keys(30, number) for number in range(130)])
    before = store.lookup(asked)
    assert compact(store) == (120, 4)
    np.testing.assert_array_equal(store.lookup(asked), before)
    assert np.isnan(before[-300:]).all()
    assert (before[:-300] == np.repeat(np.arange(120), 30)).all()
    ends = sorted(tuple(part.mixed(np.array([0, len(part) - 1])).tolist()) for part in store.opened())
    assert all(a[1] < b[0] for a, b in itertools.pairwise(ends)), "they follow each other"
    assert sorted(p.suffix for p in store.folder.iterdir()) == ["", ".arrow", ".arrow", ".arrow", ".arrow", ".json"]
    found = verify(store)
    assert (found.parts, found.pairs, found.repeated, found.damaged) == (4, 3600, 0, [])


@pytest.mark.parametrize("moment", ["write", "plan", "rename", "unlink", "done"])
def test_a_merging_that_dies_is_undone_or_done_by_the_next_writer(tmp_path, monkeypatch, moment):
    store = _disagreeing(tmp_path)
    asked = keys((1, 1), (1, 2), (2, 0), (2, 1), (2, 2))
    before = store.lookup(asked)

    def die(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        target = {
            "write": "os.fsync",
            "plan": "rankstill.teachers.store.write_json",
            "rename": "os.utime",
            "unlink": "pathlib.Path.unlink",
            "done": "rankstill.teachers.store.ScoreStore._names",
        }[moment]
        patched.setattr("rankstill.teachers.store.ScoreStore.mend", lambda self: None)
        if moment == "done":
            store.folder.joinpath("replace.json").write_text(json.dumps({"add": [], "drop": [], "newest": 0}))
        patched.setattr(target, die)
        with pytest.raises(KeyboardInterrupt):
            compact(store)
    np.testing.assert_array_equal(store.lookup(asked), before)
    assert held(store).parts in (1, 3)
    store.append(keys((9, 9)), np.float32([3]))
    np.testing.assert_array_equal(store.lookup(asked), before)
    assert not [p for p in store.folder.iterdir() if p.suffix == ".part" or p.name == "replace.json"]
    assert compact(store)[1] == 1
    np.testing.assert_array_equal(store.lookup(asked), before)


def test_of_a_replacement_at_any_point_the_answers_are_the_same(tmp_path):
    """With the new part and any of the old ones that are left, from the first name on."""
    store = _disagreeing(tmp_path)
    asked = keys((1, 1), (1, 2), (2, 0), (2, 1), (2, 2))
    before, old = store.lookup(asked), {p: p.read_bytes() for p in store.parts()}
    compact(store)
    for left in range(len(old) + 1):
        for path, data in list(old.items())[:left]:
            path.write_bytes(data)
        np.testing.assert_array_equal(store.lookup(asked), before)


def test_export_by_the_ids_of_a_collection(tmp_path, rankstill, root, collection):
    """q0 and q2, d0 and d2 have one text: a score of one pair stands under each of its four."""
    expected = [
        ("q0", "d0", 1.5),
        ("q0", "d1", -2.0),
        ("q0", "d2", 1.5),
        ("q1", "d1", 4.0),
        ("q1", "d3", 0.25),
        ("q2", "d0", 1.5),
        ("q2", "d1", -2.0),
        ("q2", "d2", 1.5),
    ]
    for name in ("s.parquet", "s.tsv"):
        args = ("--collection", collection.path, "--teacher", TEACHER[:4], "--out", tmp_path / name)
        done = rankstill("scores", "export", root, *args)
        assert done.code == 0, done.err
        assert done.out == f"{tmp_path / name}\n"
    table = pq.read_table(tmp_path / "s.parquet")
    assert [tuple(r.values()) for r in table.to_pylist()] == expected
    assert table.column_names == ["query", "document", "score"]
    # The .tsv can teach: it gives each pair the same score.
    teacher = open_table(tmp_path / "s.tsv", "labels")
    rows = np.array([(int(q[1]), int(d[1])) for q, d, _ in expected], np.uint32)
    assert teacher.score(collection, rows[:, 0], rows[:, 1]).tolist() == [s for _, _, s in expected]


def test_export_by_keys(tmp_path, root):
    (store,) = open_stores(root, TEACHER)
    assert export(store, tmp_path / "k.parquet") == export(store, tmp_path / "k.tsv") == 7
    table = pq.read_table(tmp_path / "k.parquet").to_pylist()
    assert {r["qkey"] + r["dkey"]: r["score"] for r in table} == _all(store)
    lines = [line.split("\t") for line in (tmp_path / "k.tsv").read_text().splitlines()]
    assert lines[0] == ["qkey", "dkey", "score"]
    assert {bytes.fromhex(q + d): float(s) for q, d, s in lines[1:]} == _all(store)


def test_export_refuses(tmp_path, rankstill, root):
    bare = make_collection(tmp_path / "bare", {"x": "other"}, {"y": "words"})
    done = rankstill("scores", "export", root, "--out", "s.tsv")
    assert (done.code, "2 teachers" in done.err, "--teacher" in done.err) == (2, True, True)
    done = rankstill("scores", "export", root, "--out", "s.csv", "--teacher", OTHER)
    assert (done.code, ".parquet nor a .tsv" in done.err) == (2, True)
    done = rankstill("scores", "export", root, "--out", "s.tsv", "--teacher", OTHER, "--collection", bare.path)
    assert (done.code, "no score of a pair" in done.err) == (1, True)
    assert not Path("s.tsv").exists()
    assert not list(Path().glob("*.part"))
    done = rankstill("scores", "export", root, "--out", "s.tsv", "--teacher", "ee")
    assert (done.code, "begins with 'ee' (2 have others)" in done.err) == (1, True)


def test_gc_says_first_and_throws_away_with_yes(rankstill, root, collection):
    """Of the seven scores of one teacher, three are of texts that the collection does not have."""
    args = ("scores", "gc", root, "--keep-only", collection.path)
    before = {p: p.read_bytes() for p in root.rglob("part-*")}
    done = rankstill(*args)
    assert done.out == f"{TEACHER[:16]} strict: 3 of 7 scores would go\n"
    assert "--yes throws these 3 scores away" in done.err
    assert {p: p.read_bytes() for p in root.rglob("part-*")} == before
    done = rankstill(*args, "--yes")
    assert done.out == f"{TEACHER[:16]} strict: 3 of 7 scores thrown away\n"
    kept = _all(ScoreStore(root, TEACHER))
    assert sorted(kept.values()) == [-2, 0.25, 1.5, 4]
    assert kept[text_key("flow") + text_key("wing")] == 1.5
    assert len(_all(ScoreStore(root, OTHER))) == 1
    assert rankstill(*args, "--yes").out == ""


def test_gc_of_teachers(rankstill, root):
    assert rankstill("scores", "gc", root).code == 2
    old = time.time() - 3 * 86400
    for part in ScoreStore(root, OTHER).parts():
        os.utime(part, (old, old))
    assert rankstill("scores", "gc", root, "--older-than", 4, "--yes").out == ""
    done = rankstill("scores", "gc", root, "--older-than", 2)
    assert done.out == f"{OTHER[:16]} lenient: 1 of 1 scores would go\n"
    assert rankstill("scores", "gc", root, "--older-than", 2, "--yes").code == 0
    assert [s.about["name"] for s in open_stores(root)] == ["strict"]
    assert rankstill("scores", "gc", root, "--teacher", TEACHER[:5], "--teacher", TEACHER[:6], "--yes").out == (
        f"{TEACHER[:16]} strict: 7 of 7 scores thrown away\n"
    )
    assert open_stores(root) == []
    store = ScoreStore(root, TEACHER, "strict", "cross-encoder")
    store.append(keys((1, 1)), np.float32([2]))
    assert rankstill("scores", "ls", root).out.splitlines()[1].split()[3:5] == ["1", "1"]


def test_a_broken_teacher_json_is_named(root):
    (root / OTHER[:16] / "teacher.json").write_text("{")
    with pytest.raises(DataError, match=r"teacher.json is damaged") as caught:
        open_stores(root)
    assert "remove that file" in caught.value.hint


def test_an_unknown_ending_is_refused(root, tmp_path):
    with pytest.raises(SpecError, match=r"neither a .parquet nor a .tsv"):
        export(open_stores(root, OTHER)[0], tmp_path / "x.json")


def test_an_id_with_a_quotation_mark_fits_in_no_tsv(tmp_path):
    odd = make_collection(tmp_path / "c", {'d"1': "wing"}, {"q": "flow"})
    store = ScoreStore(tmp_path / "store", TEACHER)
    store.append(PairKeys.of(odd, np.uint32([0]), np.uint32([0])), np.float32([1]))
    with pytest.raises(DataError, match="cannot hold an id"):
        export(store, tmp_path / "s.tsv", odd)
    assert export(store, tmp_path / "s.parquet", odd) == 1
    assert sorted(p.name for p in tmp_path.glob("s.*")) == ["s.parquet"]


def test_an_arrow_file_of_other_columns_is_damaged(root):
    store = ScoreStore(root, OTHER)
    table = pa.table({"a": [1]})
    with pa.ipc.new_file(store.folder / "part-00.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match=r"part-00.arrow is damaged: its columns are \['a'\]"):
        store.lookup(keys((1, 1)))


def test_while_parts_go_the_answer_stays(tmp_path, monkeypatch):
    """Of two parts that disagree the first name counts, also while old parts are taken away one by one."""
    store = ScoreStore(tmp_path, TEACHER)
    store.folder.mkdir()
    pair = random_keys(1, 1)
    # Names are hashes. The merged part's sorts behind both, so that it does not hide them.
    for number in itertools.count(2):
        both = PairKeys.concatenate([pair, random_keys(1, number)])
        both = both.take(both.order())
        own = (both.halves == pair.halves).all(axis=1)
        counts, other, merged = (pair, np.float32([1])), (both, np.float32(own * 2)), (both, np.float32(own * 1))
        paths = [store._path(encode(*content)) for content in (counts, other, merged)]
        if paths == sorted(paths):
            break
    for path, content in zip(paths, (counts, other), strict=False):
        path.write_bytes(encode(*content))
    seen, unlink = [], Path.unlink

    def watched(path, **options):
        unlink(path, **options)
        if path.suffix == ".arrow":
            seen.append(float(store.lookup(pair)[0]))

    monkeypatch.setattr(Path, "unlink", watched)
    assert compact(store) == (2, 1)
    assert store.parts() == paths[2:]
    assert seen == [1, 1]
