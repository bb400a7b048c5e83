"""Filters against false negatives: the rules' laws, what a judge does, and what is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rankstill.errors import DataError, SpecError
from rankstill.files import read_manifest, run_stage
from rankstill.groups.build import GroupSpec, build_groups
from rankstill.groups.filters.apply import Parts, filter_candidates
from rankstill.groups.filters.dropped import DROPPED, Dropped
from rankstill.groups.filters.rules import (
    Candidate,
    FilterSpec,
    JudgeSpec,
    after_rank,
    at_most,
    below_margin,
    below_ratio,
    first_to_drop,
    rules,
)
from rankstill.records import Groups, Pairs
from tests.tiny_collections import make_collection

# Sixteenths: sums and products with a power of two are exact, so that laws hold to the last bit.
SIXTEENTHS = st.integers(-16_000, 16_000).map(lambda n: n / 16)
POSITIVE = st.integers(0, 16_000).map(lambda n: n / 16)


def scores(elements=SIXTEENTHS):
    return arrays(np.float32, st.integers(0, 12), elements=elements.map(np.float32))


@given(scores(), SIXTEENTHS, SIXTEENTHS, SIXTEENTHS)
def test_a_larger_margin_never_keeps_more(score, positive, a, b):
    small, large = sorted((a, b))
    assert (below_margin(score, positive, large) <= below_margin(score, positive, small)).all()


@given(scores(), SIXTEENTHS, SIXTEENTHS, SIXTEENTHS)
def test_a_margin_does_not_see_a_shift_of_all_scores(score, positive, margin, shift):
    shifted = below_margin(score + np.float32(shift), positive + shift, margin)
    assert shifted.tolist() == below_margin(score, positive, margin).tolist()


@given(scores(POSITIVE), POSITIVE, st.integers(1, 32).map(lambda n: n / 16), st.integers(-8, 8))
def test_a_ratio_does_not_see_a_common_factor(score, positive, ratio, power):
    factor = 2.0**power
    scaled = below_ratio(score * np.float32(factor), positive * factor, ratio)
    assert scaled.tolist() == below_ratio(score, positive, ratio).tolist()


@given(scores(POSITIVE), POSITIVE, *[st.integers(1, 32).map(lambda n: n / 16)] * 2)
def test_a_smaller_ratio_never_keeps_more(score, positive, a, b):
    small, large = sorted((a, b))
    assert (below_ratio(score, positive, small) <= below_ratio(score, positive, large)).all()


@given(scores(), SIXTEENTHS, SIXTEENTHS)
def test_a_lower_maximum_never_keeps_more(score, a, b):
    assert (at_most(score, min(a, b)) <= at_most(score, max(a, b))).all()


specs = st.builds(
    FilterSpec,
    skip_ranks=st.integers(0, 3),
    max_score=st.none() | POSITIVE,
    margin=st.none() | SIXTEENTHS,
    ratio=st.none() | st.integers(1, 32).map(lambda n: n / 16),
)


@given(scores(POSITIVE), specs, POSITIVE | st.just(np.nan), st.randoms())
def test_the_order_of_the_candidates_changes_nothing(score, spec, positive, random):
    seen = Candidate(score, np.full(len(score), positive), np.arange(1, len(score) + 1))
    order = np.array(random.sample(range(len(score)), len(score)), np.int64)
    other = Candidate(score[order], seen.positive[order], seen.rank[order])
    for (name, keep), (same, moved) in zip(rules(spec, seen), rules(spec, other), strict=True):
        assert name == same
        assert moved.tolist() == keep[order].tolist()


@given(scores(POSITIVE), specs)
def test_together_the_rules_keep_what_each_keeps(score, spec):
    seen = Candidate(score, np.full(len(score), 100.0), np.arange(1, len(score) + 1))
    masks = [keep for _, keep in rules(spec, seen)]
    together = first_to_drop(masks, len(score)) < 0
    assert together.tolist() == [all(mask[i] for mask in masks) for i in range(len(score))]


def test_hand_worked():
    score = np.array([1.0, 4.0, 5.0, 6.0, np.nan], np.float32)
    assert below_margin(score, 5.0, 0.0).tolist() == [True, True, False, False, True]
    assert below_margin(score, 5.0, 1.0).tolist() == [True, False, False, False, True]
    assert below_margin(score, 5.0, -0.5).tolist() == [True, True, True, False, True]
    assert below_ratio(score, 5.0, 0.8).tolist() == [True, False, False, False, True]
    assert at_most(score, 5.0).tolist() == [True, True, True, False, True]
    assert after_rank(np.arange(1, 6), 2).tolist() == [False, False, True, True, True]


def test_without_a_positives_score_margin_and_ratio_keep_everything():
    score = np.array([1, 2, 3], np.float32)
    assert below_margin(score, np.nan, 0).all()
    assert below_ratio(score, np.nan, 0.5).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": float("nan")}, "margin is nan"),
        ({"max_score": float("inf")}, "max_score is inf"),
        ({"ratio": 0.0}, "drops everything"),
        ({"skip_ranks": -1}, "cannot skip -1"),
        ({"margin": 1.0, "judge": JudgeSpec(suspicious=1.0)}, "nothing would be judged"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(SpecError, match=message):
        FilterSpec(**settings)


def test_an_unknown_action_is_named():
    with pytest.raises(SpecError, match="unknown judge's action 'relable'") as error:
        JudgeSpec(action="relable")
    assert "did you mean 'relabel'" in error.value.hint


DOCUMENTS = {f"d{i}": f"text {i}" for i in range(8)} | {"d8": "text 0"}
QUERIES = {"q0": "first", "q1": "second"}
JUDGED = [("train", "q0", "d0", 1), ("train", "q0", "d1", 1), ("train", "q1", "d1", 1)]
# q0's positives score 5 and 6. q1's positive scores 2.
SCORED = [
    *[(0, 0, 6), (0, 1, 5), (0, 2, 7), (0, 3, 5), (0, 4, 4), (0, 5, 1), (0, 6, 0), (0, 8, 6)],
    *[(1, 1, 2), (1, 2, 0), (1, 3, 1), (1, 4, 1.5), (1, 5, 3), (1, 6, 0.5)],
]
DRAWN = [(0, 2, 9), (0, 3, 8), (0, 4, 7), (0, 5, 6), (0, 6, 5), (1, 5, 9), (1, 4, 8), (1, 3, 7), (1, 6, 6), (1, 2, 5)]


def _pairs(rows) -> Pairs:
    query, doc, score = zip(*rows, strict=True)
    return Pairs(np.array(query, np.uint32), np.array(doc, np.uint32), np.array(score, np.float32))


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("filters") / "collection", DOCUMENTS, QUERIES, JUDGED)


class Judge:
    """Calls the documents of some rows relevant, and remembers what it was asked."""

    name, kind, fingerprint, by_text, chunk = "judge", "cross-encoder", "j" * 64, True, 2

    def __init__(self, *relevant: int) -> None:
        self.relevant = relevant
        self.asked: list[tuple[int, int]] = []

    def score(self, collection, query, doc, shown=None):
        self.asked += list(zip(query.tolist(), doc.tolist(), strict=True))
        return np.isin(doc, self.relevant).astype(np.float32)

    def prepared(self, collection, query, doc, folder):
        return self


def _folder(out: Path, stage: str, name: str, pairs: Pairs) -> Path:
    def build(work: Path):
        pairs.write(work / name)
        return {"teacher": "handmade"}

    spec = {"strategy": "bm25"} if stage == "sample" else {"teacher": "f1"}
    return run_stage(out, stage=stage, spec=spec, inputs={}, build=build)


def _build(tmp_path, collection, filters, *, judge=None, drawn=DRAWN, scored=SCORED, **options) -> Path:
    candidates = _folder(tmp_path / "candidates", "sample", "candidates.parquet", _pairs(drawn))
    taught = _folder(tmp_path / "scores", "score", "scores.parquet", _pairs(scored))
    spec = GroupSpec(**{"size": 3, "filters": filters} | options)
    return build_groups(
        collection.path, candidates, taught, tmp_path / "groups", spec, judge=judge, store=tmp_path / "store"
    )


def test_the_lowest_positive_counts_and_what_was_dropped_is_kept(tmp_path, collection):
    out = _build(tmp_path, collection, FilterSpec(margin=1.0))
    dropped = Dropped.read(out / DROPPED)
    # Against 5 - 1 and 2 - 1.
    assert list(zip(dropped.query.tolist(), dropped.doc.tolist(), strict=True)) == [
        *[(0, 2), (0, 3), (0, 4)],
        *[(1, 5), (1, 4), (1, 3)],
    ]
    assert dropped.score.tolist() == [7, 5, 4, 3, 1.5, 1]
    assert dropped.positive.tolist() == [1, 1, 1, 1, 1, 1]
    assert dropped.positive_score.tolist() == [5, 5, 5, 2, 2, 2]
    assert dropped.rank.tolist() == [1, 2, 3, 1, 2, 3]
    assert set(dropped.filter.tolist()) == {"margin"}
    counts = read_manifest(out)["counts"]
    assert counts["filters"] == {"known": {"dropped": 0, "of": 10}, "margin": {"dropped": 6, "of": 10}}
    assert counts["strategy"] == "bm25"
    groups = Groups.read(out / "groups.parquet")
    assert [set(row) for row in groups.doc[:, 1:].tolist()] == [{5, 6}, {6, 2}]


def test_each_filter_is_counted_on_what_the_ones_before_it_left(tmp_path, collection):
    out = _build(tmp_path, collection, FilterSpec(skip_ranks=1, max_score=4.5, margin=0.5))
    assert read_manifest(out)["counts"]["filters"] == {
        "known": {"dropped": 0, "of": 10},
        "ranks": {"dropped": 2, "of": 10},
        "maximum": {"dropped": 1, "of": 8},
        "margin": {"dropped": 1, "of": 7},
    }


def test_parts_of_a_compound_strategy_are_counted_apart(collection, tmp_path):
    parts = Parts(np.array([0, 1] * 5, np.uint8), ["bm25", "random"])
    positives = {0: np.array([0, 1], np.uint32), 1: np.array([1], np.uint32)}
    spec = FilterSpec(margin=1.0, judge=JudgeSpec(suspicious=10.0))
    found = filter_candidates(
        collection, _pairs(DRAWN), _pairs(SCORED), positives, spec, judge=Judge(5), folder=tmp_path, parts=parts
    )
    # Dropped by the margin: rows 0, 1, 2, 5, 6, 7. Left and judged: 3, 4, 8, 9. Relevant: 3.
    assert found.counts["margin"]["parts"] == {"bm25": {"dropped": 3, "of": 5}, "random": {"dropped": 3, "of": 5}}
    assert found.counts["judge"]["parts"] == {"bm25": {"dropped": 0, "of": 2}, "random": {"dropped": 1, "of": 2}}


def test_no_filter_writes_what_it_always_wrote(tmp_path, collection):
    out = _build(tmp_path, collection, FilterSpec())
    manifest = read_manifest(out)
    assert manifest["spec"] == {"size": 3, "seed": 1, "split": "train", "on_short": "refuse"}
    assert set(manifest["counts"]) == {
        *("groups", "dropped_short", "stand_ins"),
        *("strategy", "teacher", "teacher_fingerprint"),
    }
    assert set(manifest["files"]) == {"groups.parquet"}


def test_too_few_left_are_refused_or_dropped(tmp_path, collection):
    with pytest.raises(DataError, match=r"2 of 2 queries have fewer than the 3 .* after the filters") as error:
        _build(tmp_path / "a", collection, FilterSpec(margin=1.0), size=4)
    assert "--negatives" in error.value.hint
    out = _build(tmp_path / "b", collection, FilterSpec(margin=4.5), size=2, on_short="drop")
    assert read_manifest(out)["counts"]["dropped_short"] == 1
    assert Groups.read(out / "groups.parquet").query.tolist() == [0]


def test_known_positives_and_their_copies_are_never_negatives(tmp_path, collection):
    drawn = [*DRAWN[:5], (0, 0, 4), (0, 8, 3), *DRAWN[5:], (1, 1, 4)]
    out = _build(tmp_path, collection, FilterSpec(margin=-100.0), drawn=drawn, size=6)
    assert read_manifest(out)["counts"]["filters"]["known"] == {"dropped": 3, "of": 13}
    groups = Groups.read(out / "groups.parquet")
    assert not set(groups.doc[0, 1:].tolist()) & {0, 1, 8}
    assert 1 not in groups.doc[1, 1:].tolist()


def test_where_nobody_judged_the_teachers_best_stands_in_and_stays(tmp_path, collection):
    out = _build(tmp_path, collection, FilterSpec(max_score=4.5, margin=2.5), split="", size=2)
    groups = Groups.read(out / "groups.parquet")
    assert groups.doc[:, 0].tolist() == [2, 5]
    dropped = Dropped.read(out / DROPPED)
    assert dropped.positive_score.tolist() == [7, 3, 3, 3]
    # 5 is above the maximum; 1.5, 1 and 0.5 are not below 3 - 2.5.
    assert dropped.score.tolist() == [5, 1.5, 1, 0.5]
    assert groups.doc[1].tolist() == [5, 2]


def test_a_ratio_of_scores_below_zero_is_refused(tmp_path, collection):
    scored = [(q, d, s - 1) for q, d, s in SCORED]
    message = r"gives 3 of 10 candidates .* a score below 0 \(first: query q0, -1\), of which a ratio means nothing"
    with pytest.raises(DataError, match=message) as error:
        _build(tmp_path, collection, FilterSpec(ratio=0.9), scored=scored)
    assert "--margin" in error.value.hint


def test_ranks_of_a_list_without_order_are_refused(tmp_path, collection):
    drawn = [(q, d, np.nan) for q, d, _ in DRAWN]
    with pytest.raises(SpecError, match="have no order"):
        _build(tmp_path, collection, FilterSpec(skip_ranks=1), drawn=drawn)


def test_a_judge_is_asked_only_about_what_is_suspicious_and_once(tmp_path, collection):
    judge = Judge(2)
    spec = FilterSpec(judge=JudgeSpec(suspicious=1.0))
    out = _build(tmp_path, collection, spec, judge=judge)
    assert judge.asked == [(0, 2), (0, 3), (0, 4), (1, 5), (1, 4), (1, 3)]
    assert read_manifest(out)["counts"]["filters"]["judge"] == {
        **{"dropped": 1, "of": 6, "judged": 6, "by": "judge"},
        **{"action": "drop", "queries": 1},
    }
    dropped = Dropped.read(out / DROPPED)
    assert (dropped.doc.tolist(), dropped.judge_score.tolist(), dropped.filter.tolist()) == ([2], [1.0], ["judge"])
    again = Judge(2)
    _build(tmp_path / "again", collection, spec, judge=again)
    assert len(again.asked) == 6, "another store"
    (tmp_path / "groups").rename(tmp_path / "before")
    stored = Judge(2)
    _build(tmp_path, collection, spec, judge=stored)
    assert stored.asked == [], "the store knows"
    for name in ("groups.parquet", DROPPED, "manifest.json"):
        assert (tmp_path / "groups" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()


def test_equal_texts_are_judged_once(tmp_path):
    copies = make_collection(
        tmp_path / "c", {"a": "x", "b": "y", "c": "y", "d": "z"}, {"q": "x?"}, [("t", "q", "a", 1)]
    )
    judge, drawn = Judge(), _pairs([(0, 1, 3), (0, 2, 2), (0, 3, 1)])
    scored = _pairs([(0, 0, 0), (0, 1, 1), (0, 2, 1), (0, 3, 1)])
    spec, positives = FilterSpec(judge=JudgeSpec()), {0: np.array([0], np.uint32)}
    found = filter_candidates(copies, drawn, scored, positives, spec, judge=judge, folder=tmp_path)
    assert judge.asked == [(0, 1), (0, 3)]
    assert found.counts["judge"]["judged"] == 2
    assert found.counts["judge"]["of"] == 3


def test_a_relabelled_document_is_a_second_positive(tmp_path, collection):
    judge = Judge(2, 3, 5)
    out = _build(tmp_path, collection, FilterSpec(judge=JudgeSpec(action="relabel")), judge=judge, size=6)
    groups = Groups.read(out / "groups.parquet")
    assert groups.doc[0, 1:].tolist() == [2, 3, 4, 5, 6]
    assert groups.label.tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0]]
    dropped = Dropped.read(out / DROPPED)
    assert dropped.doc.tolist() == [2, 3, 5], "what it called relevant is there to look at"


def test_a_group_always_has_a_negative(tmp_path, collection):
    judge = Judge(2, 3, 4, 5)
    spec = FilterSpec(judge=JudgeSpec(action="relabel", suspicious=10.0))
    out = _build(tmp_path, collection, spec, judge=judge, size=2)
    groups = Groups.read(out / "groups.parquet")
    assert groups.label.tolist() == [[1, 0], [1, 0]]
    with pytest.raises(DataError, match=r"first: q0 with 0"):
        _build(tmp_path / "b", collection, spec, judge=Judge(2, 3, 4, 5, 6), size=2)


def test_the_judge_can_drop_the_whole_query(tmp_path, collection):
    spec = FilterSpec(judge=JudgeSpec(action="drop-query"))
    out = _build(tmp_path, collection, spec, judge=Judge(3))
    assert Groups.read(out / "groups.parquet").query.tolist() == [1]
    counts = read_manifest(out)["counts"]
    assert (counts["groups"], counts["dropped_short"], counts["filters"]["judge"]["queries"]) == (1, 0, 1)
    with pytest.raises(DataError, match="no query is left"):
        _build(tmp_path / "b", collection, spec, judge=Judge(3, 5))


def test_a_judge_must_be_given_and_must_answer(tmp_path, collection):
    with pytest.raises(SpecError, match="none was given"):
        _build(tmp_path, collection, FilterSpec(judge=JudgeSpec()))
    silent = Judge()
    silent.score = lambda collection, query, doc, shown=None: np.full(len(query), np.nan, np.float32)
    with pytest.raises(DataError, match=r"not finite \(first: query q0, document d2\)"):
        _build(tmp_path, collection, FilterSpec(judge=JudgeSpec()), judge=silent)


def test_examples_are_the_highest_above_their_positive_a_query_each():
    query = np.array([0, 0, 1, 2, 2], np.uint32)
    score = np.array([9, 8, 3, 2, 7], np.float32)
    zeros = np.zeros(5, np.uint32)
    table = Dropped(
        query,
        np.arange(5, dtype=np.uint32),
        score,
        zeros,
        np.zeros(5, np.float32),
        zeros,
        np.full(5, np.nan, np.float32),
        np.array(["margin", "margin", "margin", "margin", "ratio"]),
    )
    assert table.examples("margin", 3).doc.tolist() == [0, 2, 3]
    assert table.examples("margin", 4).doc.tolist() == [0, 2, 3, 1]
    assert table.examples("ratio").doc.tolist() == [4]


random_tables = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(0, 64).map(lambda n: n / 16)), max_size=20
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random_tables, specs, st.sets(st.integers(0, 8)), st.sampled_from(["drop", "relabel", "drop-query"]))
def test_whatever_the_filters_no_known_positive_is_a_negative(collection, tmp_path, rows, spec, relevant, action):
    """And the positive, judged or standing in, is never dropped."""
    table = {(q, d): s for q, d, s in rows}
    drawn = sorted((q, d, 1.0) for q, d in table)
    if not drawn:
        return
    positives = {0: np.array([0, 1], np.uint32)}
    scored = _pairs([(q, d, s) for (q, d), s in ({(0, 0): 2.0, (0, 1): 3.0} | table).items()])
    judged = FilterSpec(spec.skip_ranks, spec.max_score, None, spec.ratio, JudgeSpec(action=action, suspicious=1.0))
    found = filter_candidates(
        collection, _pairs(drawn), scored, positives, judged, judge=Judge(*relevant), folder=tmp_path
    )
    kept = set(zip(found.kept.query.tolist(), found.kept.doc.tolist(), strict=True))
    assert not kept & {(0, 0), (0, 1), (0, 8)}
    best = max(((s, -d) for (q, d), s in table.items() if q == 1), default=None)
    if best is not None and 1 not in found.without:
        assert (1, -best[1]) in kept
    gone = set(zip(found.dropped.query.tolist(), found.dropped.doc.tolist(), strict=True))
    if action == "drop":
        assert kept | gone == {(q, d) for q, d, _ in drawn}
        assert not kept & gone
