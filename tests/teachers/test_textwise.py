from __future__ import annotations

import numpy as np
import pytest

from rankstill.errors import DataError
from rankstill.records import Pairs
from rankstill.teachers import open_teacher, score, textwise
from tests.tiny_collections import make_collection
from tests.tiny_models import tiny_late_interaction, tiny_sparse

DOCUMENTS = {"d1": "wing slip", "d2": "jet flow gas", "d3": "wing slip", "d4": "cone plate", "d5": "jet"}
ASKED = {"q1": "wing", "q2": "jet flow", "q3": "wing"}
QUERY, DOC = np.repeat(np.arange(3, dtype=np.uint32), 5), np.tile(np.arange(5, dtype=np.uint32), 3)


@pytest.fixture
def collection(tmp_path):
    return make_collection(tmp_path / "collection", DOCUMENTS, ASKED)


@pytest.fixture(params=[tiny_sparse, tiny_late_interaction])
def teacher(request, tmp_path):
    return open_teacher(str(request.param(tmp_path / "model")), precision="float32")


def counted(teacher):
    encoded, encode = [], teacher.coder.encode
    teacher.coder.encode = lambda texts, side: encoded.extend((side, t) for t in texts) or encode(texts, side)
    return encoded


def test_each_distinct_text_is_encoded_once(tmp_path, collection, teacher, monkeypatch):
    encoded = counted(teacher)
    everything = {("query", t) for t in ASKED.values()} | {("document", t) for t in DOCUMENTS.values()}
    scores = teacher.score(collection, QUERY, DOC)
    assert sorted(encoded) == sorted(everything)
    assert (scores == teacher.score_texts(collection.queries.take(QUERY), collection.documents.take(DOC))).all()
    encoded.clear()
    # Blocks of two texts, so that several are written.
    monkeypatch.setattr(textwise, "_CHUNK", 2)
    (tmp_path / "work").mkdir()
    prepared = teacher.prepared(collection, QUERY, DOC, tmp_path / "work")
    assert sorted(encoded) == sorted(everything)
    assert (prepared.score(collection, QUERY[::-2], DOC[::-2]) == scores[::-2]).all()
    # A killed run continues with the blocks that it lacks.
    encoded.clear()
    (tmp_path / "work" / "documents-000001.lengths.npy").unlink()
    again = teacher.prepared(collection, QUERY, DOC, tmp_path / "work")
    assert sorted(encoded) == [("document", "cone plate"), ("document", "jet")]
    assert (again.score(collection, QUERY, DOC) == scores).all()


def test_a_kill_between_the_two_files_of_a_block_costs_that_block_alone(tmp_path, collection, teacher, monkeypatch):
    written, save = [], np.save

    def killed(file, *args, **options):
        written.append(file.name)
        if len(written) == 2:
            raise KeyboardInterrupt
        save(file, *args, **options)

    monkeypatch.setattr(np, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        teacher.prepared(collection, QUERY, DOC, tmp_path)
    monkeypatch.undo()
    again = teacher.prepared(collection, QUERY, DOC, tmp_path)
    assert (again.score(collection, QUERY, DOC) == teacher.score(collection, QUERY, DOC)).all()


def test_the_stage_scores_through_the_store(tmp_path, collection, teacher):
    pairs = Pairs(QUERY, DOC, np.zeros(15, np.float32))
    out = score(collection.path, pairs, teacher, tmp_path / "scores", tmp_path / "store")
    expected = teacher.score(collection, QUERY, DOC)
    assert (Pairs.read(out / "scores.parquet").score == expected).all()
    encoded = counted(teacher)
    score(collection.path, pairs, teacher, tmp_path / "again", tmp_path / "store")
    assert not encoded


def test_values_that_are_not_finite_are_refused(tmp_path, collection, teacher):
    encode = teacher.coder.encode

    def broken(texts, side):
        codes = encode(texts, side)
        for code in codes:
            (code["weight"] if code.dtype.names else code)[:1] = np.nan
        return codes

    teacher.coder.encode = broken
    with pytest.raises(DataError, match="values that are not finite"):
        teacher.score(collection, QUERY, DOC)


def test_codes_are_found_in_blocks_of_their_own_size(tmp_path):
    """Texts 0 to 4 in blocks of two; text i became i numbers i, so the code of text 0 is empty."""
    files = textwise.CodeFiles(tmp_path, "documents", 2)
    codes = [np.full(i, i, np.float32) for i in range(5)]
    for block, texts in enumerate(([0, 1], [2, 3], [4])):
        assert not files.has(block)
        files.write(block, np.concatenate([codes[i] for i in texts]), np.array(texts))
        assert files.has(block)
    for opened in (files, textwise.CodeFiles(tmp_path, "documents", 2)):
        assert [opened[i].tolist() for i in (4, 0, 3, 1, 2)] == [codes[i].tolist() for i in (4, 0, 3, 1, 2)]


def test_a_block_of_texts_without_codes_can_be_read(tmp_path):
    files = textwise.CodeFiles(tmp_path, "queries", 2)
    files.write(0, np.empty((0, 16), np.float32), np.array([0, 0]))
    assert files[1].shape == (0, 16)
