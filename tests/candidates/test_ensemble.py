"""The union of several systems' lists, with reciprocal rank fusion worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankstill.candidates import open_strategy
from rankstill.candidates.ensemble import reciprocal_rank_fusion
from rankstill.candidates.strategy import Needs
from rankstill.errors import DataError, SpecError
from tests.candidates.requests import check_probability, docs, plane, request, rows, scored
from tests.tiny_collections import make_collection


def test_fusion_worked_by_hand():
    found, score, source = reciprocal_rank_fusion([rows(7, 3, 5), rows(3, 9), rows(5, 3)], 60)
    # 3: ranks 2, 1, 2; 5: ranks 3, 1; 7: rank 1; 9: rank 2.
    assert found.tolist() == [3, 5, 7, 9]
    assert score == pytest.approx([2 / 62 + 1 / 61, 1 / 63 + 1 / 61, 1 / 61, 1 / 62])
    assert source.tolist() == [1, 2, 0, 1]  # The list in which each stands highest.


def test_equal_fused_scores_stand_by_row_and_the_first_of_equal_sources_counts():
    found, _, source = reciprocal_rank_fusion([rows(4, 8, 6), rows(8, 6, 4), rows(6, 4, 8)], 60)
    # Each has the ranks 1, 2 and 3, in another order: the sums are equal to the last bit.
    assert found.tolist() == [4, 6, 8]
    assert source.tolist() == [0, 2, 1]
    assert reciprocal_rank_fusion([rows(1), rows(1)], 60)[2].tolist() == [0]


def test_no_lists_give_nothing():
    assert all(len(part) == 0 for part in reciprocal_rank_fusion([rows(), rows()], 60))


@given(st.lists(st.lists(st.integers(0, 15), unique=True, max_size=10), min_size=1, max_size=5), st.floats(0, 100))
def test_fusion_is_the_sum_by_the_definition(lists, constant):
    found, score, source = reciprocal_rank_fusion([rows(*own) for own in lists], constant)
    assert sorted(found.tolist()) == sorted({doc for own in lists for doc in own})
    for doc, value, system in zip(found.tolist(), score.tolist(), source.tolist(), strict=True):
        ranks = [own.index(doc) + 1 if doc in own else np.inf for own in lists]
        assert value == pytest.approx(sum(1 / (constant + rank) for rank in ranks), rel=1e-6)
        assert system == int(np.argmin(ranks))
    assert np.all(np.diff(score) <= 0)


@pytest.fixture
def collection(tmp_path):
    texts = {f"d{i}": f"text {i}" for i in range(12)} | {"copy": "text 0"}
    return make_collection(tmp_path / "c", texts, {"q": "x", "other": "y"}, [("train", "q", "d0", 1)])


@pytest.fixture
def runs(tmp_path):
    """Three runs; d0 is the positive, copy has its text."""
    lists = {"a": [0, 1, 2, 3, 4], "b": [5, 2, 0, 1, 6], "c": ["copy", 7, 2, 8, 9]}
    for name, order in lists.items():
        names = [doc if isinstance(doc, str) else f"d{doc}" for doc in order]
        lines = [f"q Q0 {doc} {r} {-r} {name}\n" for r, doc in enumerate(names, 1)]
        (tmp_path / f"{name}.trec").write_text("".join(lines))
    return f"{tmp_path}/*.trec"


def draw(reference, asked):
    return open_strategy(reference).sample(asked)


def test_the_union_has_every_system_s_first_documents_once(collection, runs):
    # Without positives: a = 1 2 3 4, b = 5 2 1 6, c = 7 2 8 9.
    drawn = draw(f"ensemble:{runs}#depth=2", request(collection, negatives=4))
    assert docs(drawn) == [2, 1, 5, 7]
    assert drawn.score == pytest.approx([3 / 62, 1 / 61, 1 / 61, 1 / 61])
    assert drawn.source.tolist() == [0, 0, 1, 2]
    assert [name.rpartition("/")[2] for name in drawn.sources] == ["a.trec", "b.trec", "c.trec"]


def test_the_stated_probability_is_the_frequency_over_the_union(collection, runs):
    reference = f"ensemble:{runs}#depth=3"
    # a = 1 2 3, b = 5 2 1, c = 7 2 8
    stated = check_probability(reference, lambda seed: request(collection, negatives=2, seed=seed), 400)
    assert stated == {doc: pytest.approx(2 / 6) for doc in (1, 2, 3, 5, 7, 8)}


def test_the_stated_probability_is_the_frequency_with_fusion(collection, runs):
    reference = f"ensemble:{runs}#depth=3,fuse=60"
    # 2 (ranks 2, 2, 2), 1 (1, 3), then of 5 and 7 (rank 1) the lower row.
    stated = check_probability(reference, lambda seed: request(collection, negatives=2, seed=seed), 400)
    assert stated == {doc: pytest.approx(2 / 3) for doc in (1, 2, 5)}


def test_strategies_are_systems_with_ranges_of_their_own(collection, runs):
    first = runs.replace("*", "a")
    given = {"query_vectors": plane(0, 0), "document_vectors": plane(*range(0, 130, 10))}
    asked = request(collection, negatives=3, depth=10, **given)
    # The run's ranks 2 and 3: 2 3; the nearest two by vectors: 1 2.
    drawn = draw(f"ensemble#of=(run:{first}#skip=1,depth=3)+(dense#depth=2)", asked)
    assert sorted(docs(drawn)) == [1, 2, 3]
    wider = scored(0, {9: 3.0, 8: 2.0, 7: 1.0})
    drawn = draw(f"ensemble#of=run:{first}+teacher,depth=2", request(collection, negatives=4, wider=wider))
    assert sorted(docs(drawn)) == [1, 2, 8, 9]


def test_a_query_that_only_some_runs_have(collection, runs, tmp_path):
    with (tmp_path / "b.trec").open("a") as file:
        file.write("other Q0 d3 1 1 b\nother Q0 d4 2 0 b\n")
    drawn = draw(f"ensemble:{runs}", request(collection, queries=(1, 0), negatives=3))
    assert docs(drawn, 1) == [3, 4]
    assert len(docs(drawn, 0)) == 3


def test_what_cannot_be_enough_is_refused(collection, runs):
    with pytest.raises(SpecError, match="cannot draw 8 documents: the strategy ensemble finds 6 at most"):
        draw(f"ensemble:{runs}#depth=2", request(collection, negatives=8))
    with pytest.raises(SpecError, match="cannot draw 3 documents: the strategy ensemble finds 2 at most"):
        draw(f"ensemble:{runs}#depth=2,fuse=60", request(collection, negatives=3))
    with pytest.raises(SpecError, match="skips all of its first 3 documents"):
        draw("ensemble#of=(bm25#skip=3)+(bm25#k1=1,depth=9),depth=3", request(collection, negatives=2))


def test_a_pattern_that_matches_too_few_runs_is_refused(collection, runs, tmp_path):
    with pytest.raises(SpecError, match="0 runs match"):
        draw(f"ensemble:{tmp_path}/*.none", request(collection))
    with pytest.raises(SpecError, match="1 runs match"):
        open_strategy(f"ensemble:{tmp_path}/a.*").needs()


def test_unknown_documents_are_refused_or_skipped_in_every_run(collection, runs, tmp_path, capfd):
    for name in "ab":
        with (tmp_path / f"{name}.trec").open("a") as file:
            file.write(f"q Q0 alien-{name} 0 9 t\n")
    with pytest.raises(DataError, match=r"a.trec: 1 of 6 lines .*alien-a"):
        draw(f"ensemble:{runs}", request(collection))
    drawn = draw(f"ensemble:{runs}#depth=2,missing=skip", request(collection, negatives=4))
    assert docs(drawn) == [2, 1, 5, 7]
    said = capfd.readouterr().err
    assert said.count("1 of 6 lines name documents") == 2


def test_it_needs_what_its_systems_need(runs):
    assert open_strategy(f"ensemble:{runs}").needs() == Needs()
    assert len(open_strategy(f"ensemble:{runs}").files()) == 3
    assert open_strategy("ensemble#of=dense+teacher:bm25").needs() == Needs("bm25", 0, "minilm", True)
