"""The tables that cross folders: orders and joins by hand, what is refused, and the way to disk and back."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from rankstill.errors import DataError
from rankstill.records import Groups, Pairs, Qrels, read_parquet, row_keys, rows_of, write_parquet


def pairs(*rows: tuple[int, int, float]) -> Pairs:
    query, doc, score = zip(*rows, strict=True) if rows else ((), (), ())
    return Pairs(np.array(query, np.uint32), np.array(doc, np.uint32), np.array(score, np.float32))


def rows(table: Pairs) -> list[tuple[int, int, float]]:
    return list(zip(table.query.tolist(), table.doc.tolist(), table.score.tolist(), strict=True))


def groups(score, label=None) -> Groups:
    score = np.array(score, np.float32)
    doc = np.arange(score.size, dtype=np.uint32).reshape(score.shape)
    label = np.eye(1, score.shape[1], dtype=np.float32).repeat(len(score), 0) if label is None else label
    return Groups(np.arange(len(score), dtype=np.uint32), doc, score, label)


def test_columns_of_one_table_are_of_one_length():
    two, three = np.zeros(2, np.uint32), np.zeros(3, np.float32)
    with pytest.raises(DataError, match=r"differ in length: \{'query': 2, 'doc': 2, 'score': 3\}"):
        Pairs(two, two, three)
    with pytest.raises(DataError, match="differ in length"):
        Qrels(two, two, np.zeros(3, np.int32))


def test_ranked_by_hand():
    table = pairs((2, 9, 0.5), (1, 4, 0.1), (2, 3, 0.5), (1, 7, 0.9), (2, 1, -3.0), (1, 2, 0.1))
    assert [(q, d) for q, d, _ in rows(table.ranked())] == [(1, 7), (1, 2), (1, 4), (2, 3), (2, 9), (2, 1)]


def test_ranking_does_not_depend_on_the_order_of_the_rows():
    rng = np.random.default_rng(0)
    # Scores in few distinct values: most of them tie.
    table = Pairs(
        np.repeat(np.arange(20, dtype=np.uint32), 30),
        np.tile(np.arange(30, dtype=np.uint32), 20),
        rng.integers(4, size=600).astype(np.float32),
    )
    order = rng.permutation(600)
    shuffled = Pairs(table.query[order], table.doc[order], table.score[order])
    assert rows(shuffled.ranked()) == rows(table.ranked()) == rows(table.ranked().ranked())
    assert len(table.ranked().per_query()) == 20


def test_scores_that_differ_in_the_last_bit_do_not_tie():
    low = np.float32(0.7)
    high = np.nextafter(low, np.float32(1))
    assert [d for _, d, _ in rows(pairs((0, 1, low), (0, 2, high)).ranked())] == [2, 1]


def test_each_querys_stretch():
    table = pairs((5, 1, 0), (5, 2, 0), (3, 1, 0), (9, 4, 0), (9, 1, 0), (9, 2, 0))
    assert table.per_query() == {5: slice(0, 2), 3: slice(2, 3), 9: slice(3, 6)}
    assert Pairs.empty().per_query() == {}
    with pytest.raises(DataError, match=r"do not stand together \(2 queries are split\)"):
        pairs((1, 1, 0), (2, 1, 0), (1, 2, 0), (2, 2, 0)).per_query()


def test_keys_join_and_sort_as_query_then_document():
    table = pairs((2, 3, 0), (2, 4, 0), (3, 0, 0), (2**32 - 1, 2**32 - 1, 0))
    assert table.key().tolist() == [2 * 2**32 + 3, 2 * 2**32 + 4, 3 * 2**32, 2**64 - 1]
    assert (np.diff(table.key().astype(object)) > 0).all()


def test_joining_end_to_end():
    first, second = pairs((1, 1, 0.5)), pairs((0, 2, 1.5), (0, 1, 2.5))
    assert rows(Pairs.concatenate([first, Pairs.empty(), second])) == [*rows(first), *rows(second)]
    assert rows(Pairs.concatenate([])) == []
    assert Pairs.concatenate([]).query.dtype == np.uint32


def test_positives_and_judged_queries():
    query, doc, grade = np.array([(7, 3, 1), (2, 9, 0), (7, 1, 2), (4, 4, 2), (7, 2, 0)]).T
    qrels = Qrels(query.astype(np.uint32), doc.astype(np.uint32), grade.astype(np.int32))
    assert qrels.queries().tolist() == [2, 4, 7]
    assert {q: d.tolist() for q, d in qrels.positives().items()} == {4: [4], 7: [1, 3]}
    assert {q: d.tolist() for q, d in qrels.positives(2).items()} == {4: [4], 7: [1]}
    assert qrels.positives(3) == {}


def test_groups_are_checked():
    with pytest.raises(DataError, match=r"differ in size: \(2, 3\), \(2, 3\), \(2, 2\)"):
        groups(np.zeros((2, 3)), np.zeros((2, 2), np.float32))
    bad = np.zeros((4, 3))
    bad[1, 2], bad[3, 0] = math.nan, math.inf
    with pytest.raises(DataError, match=r"2 of 4 groups hold a teacher score that is not finite \(first: row 1\)"):
        groups(bad)


@pytest.mark.parametrize("table", [pairs((3, 1, 0.25), (0, 2**32 - 1, math.nan), (1, 1, -math.inf)), Pairs.empty()])
def test_pairs_come_back_as_they_were(tmp_path, table):
    table.write(tmp_path / "pairs.parquet")
    back = Pairs.read(tmp_path / "pairs.parquet")
    for name in ("query", "doc", "score"):
        was, now = getattr(table, name), getattr(back, name)
        assert was.dtype == now.dtype
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("scores", [[[0.5, -1.0, 2.0], [1.0, 0.0, 3.5]], np.zeros((0, 4))])
def test_groups_come_back_as_they_were(tmp_path, scores):
    table = groups(scores)
    table.write(tmp_path / "groups.parquet")
    back = Groups.read(tmp_path / "groups.parquet")
    assert (len(back), back.size) == np.shape(scores)
    for name in ("query", "doc", "score", "label"):
        was, now = getattr(table, name), getattr(back, name)
        assert was.dtype == now.dtype
        np.testing.assert_array_equal(was, now)


def test_the_same_values_are_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    table = groups(rng.normal(size=(500, 16)))
    table.write(tmp_path / "one")
    other = Groups(*(np.array(getattr(table, c), order="F") for c in ("query", "doc", "score", "label", "probability")))
    other.write(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_file_that_is_not_the_table_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    with pytest.raises(DataError, match=r"there is no file .*table\.parquet"):
        Pairs.read(path)
    path.write_bytes(b"PAR1 but not for long")
    with pytest.raises(DataError, match=r"table\.parquet is not the table it should be"):
        Pairs.read(path)
    pairs((1, 1, 1)).write(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"table\.parquet is not the table it should be"):
        Pairs.read(path)
    write_parquet(path, {"query": np.zeros(2, np.uint32), "doc": np.zeros(2, np.uint32)})
    with pytest.raises(DataError, match="score"):
        Pairs.read(path)
    assert set(read_parquet(path, ["doc"])) == {"doc"}


def test_lists_of_any_length_are_no_groups(tmp_path):
    path = tmp_path / "groups.parquet"
    lists = pa.array([[1, 2], [3]])
    write_parquet(path, {"query": np.zeros(2, np.uint32), "doc": lists, "score": lists, "label": lists})
    with pytest.raises(DataError, match="does not hold groups: doc, score and label are not lists of one fixed size"):
        Groups.read(path)
    two, three = (pa.FixedSizeListArray.from_arrays(np.zeros(6, np.float32), size) for size in (2, 3))
    write_parquet(path, {"query": np.zeros(2, np.uint32), "doc": three, "score": three, "label": two.slice(0, 2)})
    with pytest.raises(DataError, match="'label': 2"):
        Groups.read(path)


def test_two_rows_are_one_number_and_back():
    query, doc = np.array([0, 1, 2**32 - 1], np.uint32), np.array([5, 0, 2**32 - 1], np.int64)
    keys = row_keys(query, doc)
    assert keys.tolist() == [5, 2**32, 2**64 - 1]
    assert [rows.tolist() for rows in rows_of(keys)] == [query.tolist(), doc.tolist()]
    assert all(rows.dtype == np.uint32 for rows in rows_of(keys))
