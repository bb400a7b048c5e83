"""A run's documents, by rank; what the collection lacks is refused or skipped."""

import pytest

from rankstill.candidates import open_strategy
from rankstill.errors import DataError, SpecError
from tests.candidates.requests import check_probability, docs, request
from tests.tiny_collections import make_collection


@pytest.fixture
def collection(tmp_path):
    texts = {f"d{i}": f"text {i}" for i in range(9)} | {"copy": "text 0"}
    return make_collection(tmp_path / "c", texts, {"q": "x", "other": "y"}, [("train", "q", "d0", 1)])


@pytest.fixture
def run(tmp_path):
    """Ranks q's documents d8, d7, ... d0; the positive d0 and its copy stand second and third."""
    path = tmp_path / "a run.trec"
    order = ["d8", "d0", "copy", "d7", "d6", "d5", "d4", "d3", "d2", "d1"]
    path.write_text("".join(f"q Q0 {doc} {r} {10 - r} tag\n" for r, doc in enumerate(order, 1)))
    return path


def draw(reference, asked):
    return open_strategy(reference).sample(asked)


def test_all_documents_come_in_the_order_of_the_ranks_without_positives(collection, run):
    drawn = draw(f"run:{run}", request(collection, negatives=8))
    assert docs(drawn) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert drawn.score.tolist() == [9, 6, 5, 4, 3, 2, 1, 0]
    assert set(drawn.probability.tolist()) == {1.0}


def test_the_rank_range_counts_allowed_documents(collection, run):
    assert docs(draw(f"run:{run}#skip=2,depth=5", request(collection, negatives=3))) == [6, 5, 4]


def test_the_stated_probability_is_the_frequency(collection, run):
    stated = check_probability(f"run:{run}#skip=1,depth=6", lambda seed: request(collection, negatives=2, seed=seed))
    assert stated == {doc: pytest.approx(2 / 5) for doc in (7, 6, 5, 4, 3)}


def test_a_short_list_gives_all_it_has(collection, run):
    drawn = draw(f"run:{run}#skip=6", request(collection, negatives=4))
    assert docs(drawn) == [2, 1]
    assert set(drawn.probability.tolist()) == {1.0}


def test_a_rank_range_that_is_too_small_is_refused(collection, run):
    with pytest.raises(SpecError, match="cannot draw 3 documents from the ranks 5 to 6"):
        draw(f"run:{run}#skip=4,depth=6", request(collection, negatives=3))


def test_a_query_that_the_run_lacks_gets_nothing(collection, run):
    drawn = draw(f"run:{run}", request(collection, queries=(1, 0)))
    assert docs(drawn, 1) == []
    assert len(docs(drawn, 0)) == 3


def test_the_draw_does_not_depend_on_where_the_file_lies(collection, run, tmp_path):
    (moved := tmp_path / "elsewhere" / "b.trec").parent.mkdir()
    moved.write_bytes(run.read_bytes())
    for seed in range(5):
        asked = request(collection, negatives=3, seed=seed)
        assert docs(draw(f"run:{run}", asked)) == docs(draw(f"run:{moved}", asked))


def test_unknown_documents_are_refused_or_skipped(collection, run, capfd):
    run.write_text(run.read_text() + "q Q0 alien 11 -5 tag\n")
    with pytest.raises(DataError, match=r"1 of 11 lines name documents .* \(first: alien\)") as refused:
        draw(f"run:{run}", request(collection))
    assert "missing=skip" in refused.value.hint
    assert docs(draw(f"run:{run}#missing=skip", request(collection, negatives=8))) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert "1 of 11 lines name documents that the collection does not have" in "".join(
        capfd.readouterr().err.split("\n")
    )


def test_a_run_that_is_not_there_is_refused(collection, tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        draw(f"run:{tmp_path}/none.trec", request(collection))
