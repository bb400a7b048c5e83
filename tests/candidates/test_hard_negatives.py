"""The file of mined negatives: good lines worked by hand, and every way in which a line can be bad."""

import gzip
import json

import numpy as np
import pytest

from rankstill.candidates import hard_negatives, open_strategy
from rankstill.errors import DataError, SpecError
from tests.candidates.requests import check_probability, docs, request
from tests.tiny_collections import make_collection


@pytest.fixture
def collection(tmp_path):
    """Numeric ids, as MS MARCO has them: documents 100 to 109 are the rows 0 to 9; row 10 has the text of row 3."""
    texts = {str(100 + i): f"text {i}" for i in range(10)} | {"110": "text 3"}
    queries = {"7": "x", "8": "y", "9": "z"}
    return make_collection(tmp_path / "c", texts, queries, [("train", "7", "100", 1)])


LINE = {
    "qid": 7,
    "pos": [103],
    "neg": {"bm25": [100, 103, 110, 105, 101, 105], "tas-b": [{"pid": 106, "score": 0.5}, {"id": "101"}, {"_id": 108}]},
}


def write(tmp_path, *lines, name="hard.jsonl"):
    path = tmp_path / name
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def draw(reference, asked):
    return open_strategy(reference).sample(asked)


def test_the_union_without_the_judged_and_the_file_s_positives_and_their_copies(collection, tmp_path):
    drawn = draw(f"hard-negatives:{write(tmp_path, LINE)}", request(collection, negatives=9))
    assert docs(drawn) == [5, 1, 6, 8]
    assert drawn.source.tolist() == [0, 0, 1, 1]
    assert drawn.sources == ("bm25", "tas-b")
    assert np.isnan(drawn.score).all()
    assert set(drawn.probability.tolist()) == {1.0}


def test_only_the_named_systems_are_read(collection, tmp_path):
    drawn = draw(f"hard-negatives:{write(tmp_path, LINE)}#systems=tas-b", request(collection, negatives=9))
    assert docs(drawn) == [6, 1, 8]
    assert drawn.sources == ("tas-b",)


def test_the_depth_counts_each_system_s_documents_without_positives(collection, tmp_path):
    drawn = draw(f"hard-negatives:{write(tmp_path, LINE)}#depth=1", request(collection, negatives=9))
    assert docs(drawn) == [5, 6]


def test_the_stated_probability_is_the_frequency(collection, tmp_path):
    path = write(tmp_path, LINE)
    stated = check_probability(f"hard-negatives:{path}", lambda s: request(collection, negatives=3, seed=s), 500)
    assert stated == {doc: pytest.approx(3 / 4) for doc in (5, 1, 6, 8)}


def test_a_gzipped_file_is_the_same(collection, tmp_path):
    path = write(tmp_path, LINE)
    (packed := tmp_path / "hard.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    asked = request(collection, negatives=2)
    assert docs(draw(f"hard-negatives:{packed}", asked)) == docs(draw(f"hard-negatives:{path}", asked))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_lines_are_looked_up_in_chunks_that_do_not_show(collection, tmp_path, monkeypatch, size):
    monkeypatch.setattr(hard_negatives, "_LINES", size)
    others = [{"qid": "8", "neg": {"new": [101], "bm25": [102, 103]}}, {"qid": 9, "pos": [], "neg": {"tas-b": []}}]
    drawn = draw(f"hard-negatives:{write(tmp_path, *others, LINE)}", request(collection, (0, 2, 1), 9))
    assert drawn.sources == ("new", "bm25", "tas-b")
    assert [docs(drawn, q) for q in (0, 1, 2)] == [[5, 1, 6, 8], [1, 2, 3], []]
    assert list(drawn.per_query()) == [0, 1]


def test_queries_that_are_not_asked_are_skipped_and_absent_ones_get_nothing(collection, tmp_path):
    path = write(tmp_path, {"qid": 999, "neg": {"other": [1, 2]}}, LINE)
    drawn = draw(f"hard-negatives:{path}", request(collection, queries=(1, 0), negatives=2))
    assert docs(drawn, 1) == []
    assert drawn.sources == ("bm25", "tas-b")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "not valid JSON"),
        ("[1]", "a JSON list, not an object"),
        ({"pos": [], "neg": {"a": [101]}}, "a query is not an id: 'None'"),
        ({"qid": 7.5, "neg": {"a": [101]}}, "a query is not an id: '7.5'"),
        ({"qid": True, "neg": {"a": [101]}}, "a query is not an id: 'True'"),
        ({"qid": 8, "pos": []}, 'no "neg" with systems in it'),
        ({"qid": 8, "neg": {}}, 'no "neg" with systems in it'),
        ({"qid": 8, "neg": [101]}, 'no "neg" with systems in it'),
        ({"qid": 8, "neg": {"a": 101}}, "documents are not a list: '101'"),
        ({"qid": 8, "neg": {"a": "101"}}, "documents are not a list: '101'"),
        ({"qid": 8, "neg": {"a": {"pid": 101}}}, "documents are not a list: "),
        ({"qid": 8, "neg": {"a": [None]}}, "a document is not an id: 'None'"),
        ({"qid": 8, "neg": {"a": [1.5]}}, "a document is not an id: '1.5'"),
        ({"qid": 8, "neg": {"a": [{"score": 3}]}}, "a document is not an id: .*score"),
        ({"qid": 8, "neg": {"a": [{"pid": [1]}]}}, "a document is not an id: .*pid"),
        ({"qid": 8, "pos": 101, "neg": {"a": [101]}}, "documents are not a list: '101'"),
        ({"qid": "7", "neg": {"a": [101]}}, r"query 7 comes a second time \(first: line 1\)"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(collection, tmp_path, line, message):
    path = write(tmp_path, LINE, line)
    with pytest.raises(DataError, match=rf"hard\.jsonl, line 2: {message}"):
        draw(f"hard-negatives:{path}", request(collection, queries=(0, 1)))


def test_a_file_of_other_queries_is_refused(collection, tmp_path):
    with pytest.raises(DataError, match="has none of the 1 queries"):
        draw(f"hard-negatives:{write(tmp_path, LINE)}", request(collection, queries=(1,)))


def test_a_system_that_the_file_lacks_is_refused(collection, tmp_path):
    with pytest.raises(SpecError, match=r"unknown system in .*: 'tasb'"):
        draw(f"hard-negatives:{write(tmp_path, LINE)}#systems=bm25+tasb", request(collection))


def test_unknown_documents_are_refused_or_skipped(collection, tmp_path, capfd):
    line = {"qid": 8, "pos": [555], "neg": {"a": [101, 999, 102], "b": [888]}}
    path = write(tmp_path, LINE, line)
    with pytest.raises(DataError, match=r"2 of 12 negatives are not in the collection \(first: 999, line 2\)"):
        draw(f"hard-negatives:{path}", request(collection, queries=(0, 1)))
    drawn = draw(f"hard-negatives:{path}#missing=skip,depth=2", request(collection, queries=(1,), negatives=2))
    assert docs(drawn, 1) == [1, 2]
    assert "2 of 4 negatives are not in the collection" in capfd.readouterr().err
