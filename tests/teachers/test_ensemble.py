from __future__ import annotations

import json

import numpy as np
import pytest

from rankstill.errors import DataError, MissingScores, SpecError
from rankstill.records import Pairs
from rankstill.teachers import open_teacher, score
from rankstill.teachers.store import ScoreStore
from tests.tiny_collections import word_collection
from tests.tiny_models import tiny_bi_encoder, tiny_cross_encoder

QUERY, DOC = np.repeat(np.arange(4, dtype=np.uint32), 5), np.tile(np.arange(5, dtype=np.uint32), 4)
ASKED = Pairs(QUERY, DOC, np.zeros(20, np.float32))


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return word_collection(tmp_path_factory.mktemp("c") / "c", documents=12, queries=4)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("m")
    return tiny_cross_encoder(folder / "cross"), tiny_bi_encoder(folder / "bi")


def run_file(path, skip=()):
    lines = [f"q{q} Q0 d{d} {d + 1} {9 - d - q / 8} t" for q in range(4) for d in range(5) if (q, d) not in skip]
    path.write_text("\n".join(lines))
    return path


def test_the_stage_adds_up_normalised_scores_and_keeps_each_members_own(tmp_path, collection, models):
    run = run_file(tmp_path / "r+s.trec")
    reference = f"ensemble:[{models[0]}]+[run:{run}#transform=linear]#weights=0.75+0.25,normalise=min-max"
    teacher = open_teacher(reference, precision="float32")
    store = tmp_path / "store"
    scored = Pairs.read(score(collection.path, ASKED, teacher, tmp_path / "s", store) / "scores.parquet")
    cross = open_teacher(str(models[0]), precision="float32")
    raw = cross.score(collection, QUERY, DOC).reshape(4, 5).astype(np.float64)
    scaled = (raw - raw.min(1, keepdims=True)) / np.ptp(raw, axis=1, keepdims=True)
    expected = 0.75 * scaled + 0.25 * np.array([1, 0.75, 0.5, 0.25, 0])
    np.testing.assert_allclose(scored.score.reshape(4, 5), expected, atol=1e-6)
    # In memory it is the same, in any order.
    back = np.arange(20)[::-1]
    np.testing.assert_array_equal(teacher.score(collection, QUERY[back], DOC[back])[back], scored.score)
    # The model's raw scores are in the store under the model's own name; the ensemble's are not.
    assert (store / cross.fingerprint[:16]).is_dir()
    assert not (store / teacher.fingerprint[:16]).exists()
    assert not list((tmp_path / "s").glob("**/member-*"))


def test_a_members_pairs_are_scored_once_whatever_asks_for_them(tmp_path, collection, models):
    store = tmp_path / "store"
    score(collection.path, ASKED, open_teacher(str(models[0]), precision="float32"), tmp_path / "alone", store)

    teacher = open_teacher(f"ensemble:[{models[0]}]+[{models[1]}]", precision="float32")
    asked = []
    member = teacher.members[0]
    original = member.score
    member.score = lambda *args: asked.append(args) or original(*args)
    score(collection.path, ASKED, teacher, tmp_path / "both", store)
    assert not asked


def test_without_normalisation_an_ensemble_is_a_function_of_texts(tmp_path, collection, models):
    teacher = open_teacher(f"ensemble:[{models[0]}]+[{models[1]}]#normalise=none,weights=1+2", precision="float32")
    assert teacher.by_text
    out = score(collection.path, ASKED, teacher, tmp_path / "s", tmp_path / "store")
    parts = [open_teacher(str(m), precision="float32").score(collection, QUERY, DOC) for m in models]
    found = Pairs.read(out / "scores.parquet").score
    np.testing.assert_allclose(found, parts[0] + 2 * parts[1], atol=1e-5)
    assert ScoreStore(tmp_path / "store", teacher.fingerprint).folder.is_dir()
    for how in ("z", "min-max", "rank", "affine"):
        assert not open_teacher(f"ensemble:[{models[0]}]+[{models[1]}]#normalise={how}").by_text
    run = run_file(tmp_path / "r.trec")
    assert not open_teacher(f"ensemble:[{models[0]}]+[{run}]#normalise=none").by_text


def test_a_missing_score_names_the_teacher_that_lacks_it(tmp_path, collection, models):
    run = run_file(tmp_path / "short.trec", skip={(2, 3)})
    teacher = open_teacher(f"ensemble:[{models[1]}]+[{run}]")
    what = r"teacher 2 of the ensemble, short\.trec: 1 of 20 pairs have no score .*query q2, document d3"
    with pytest.raises(MissingScores, match=what):
        teacher.score(collection, QUERY, DOC)
    with pytest.raises(MissingScores, match=what):
        score(collection.path, ASKED, teacher, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_file_names_what_no_bracket_can(tmp_path, collection):
    odd = run_file(tmp_path / "a]b.trec")
    other = run_file(tmp_path / "c.trec")
    spec = {"teachers": [str(odd), str(other)], "weights": [1, 3], "normalise": "z"}
    (tmp_path / "e.json").write_text(json.dumps(spec))
    teacher = open_teacher(f"ensemble:{tmp_path}/e.json")
    assert teacher.name == "1 x a]b.trec + 3 x c.trec (z)"
    assert np.isfinite(teacher.score(collection, QUERY, DOC)).all()
    for broken in ({"teachers": "minilm"}, {**spec, "normalise": 5}, {**spec, "weights": ["1", "3"]}, {**spec, "k": 1}):
        (tmp_path / "e.json").write_text(json.dumps(broken))
        with pytest.raises(DataError, match="does not describe an ensemble"):
            open_teacher(f"ensemble:{tmp_path}/e.json")
    with pytest.raises(DataError, match="there is no file"):
        open_teacher("ensemble:a+b")


def test_the_fingerprint_knows_all_that_changes_a_score(tmp_path):
    a, b = run_file(tmp_path / "a.trec"), run_file(tmp_path / "b.trec", skip={(0, 0)})
    forms = [f"[{a}]+[{b}]{o}" for o in ("", "#normalise=z", "#weights=1+2", "#weights=2+1")]
    forms += [f"[{b}]+[{a}]", f"[{a}#transform=linear]+[{b}]"]
    assert len({open_teacher(f"ensemble:{form}").fingerprint for form in forms}) == len(forms)
    half = open_teacher(f"ensemble:[{a}]+[{b}]#weights=0.5+0.5")
    assert half.fingerprint == open_teacher(f"ensemble:[{a}]+[{b}]").fingerprint


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("[{a}]", "two teachers at least"),
        ("[{a}]+[{a}]#weights=1", "2 teachers have 1 weights"),
        ("[{a}]+[{a}]#weights=1+0", "weight is above 0 and finite, not 0"),
        ("[{a}]+[{a}]#weights=1+nan", "weight is above 0 and finite, not nan"),
        ("[{a}]+[{a}]#weights=1+x", r"a weight in weights=1\+x must be a number: got 'x'"),
        ("[{a}]+[{a}]#normalise=softmax", "unknown normalisation"),
    ],
)
def test_broken_ensembles_are_refused(tmp_path, form, message):
    with pytest.raises(SpecError, match=message):
        open_teacher("ensemble:" + form.format(a=run_file(tmp_path / "a.trec")))


def test_an_ensemble_may_hold_another(tmp_path, collection):
    a, b = run_file(tmp_path / "a.trec"), run_file(tmp_path / "b.trec")
    nested = open_teacher(f"ensemble:[ensemble:[{a}]+[{b}]]+[{a}]")
    out = score(collection.path, ASKED, nested, tmp_path / "s")
    np.testing.assert_allclose(Pairs.read(out / "scores.parquet").score, np.tile([1, 0.75, 0.5, 0.25, 0], 4), atol=1e-6)
