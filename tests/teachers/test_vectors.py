"""Vectors are kept by text: found again bit for bit, never encoded twice."""

import numpy as np
import pytest

from rankstill.errors import DataError
from rankstill.teachers.encode import Encoder
from rankstill.teachers.vectors import VectorStore, keys_of
from tests.tiny_models import tiny_bi_encoder


def test_what_was_kept_is_found_and_nothing_else(tmp_path):
    store = VectorStore(tmp_path, "f" * 64, 3)
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    store.append(keys_of("", ["a", "b"]), vectors)
    found, which = VectorStore(tmp_path, "f" * 64, 3).lookup(keys_of("", ["b", "c", "a"]))
    assert which.tolist() == [True, False, True]
    assert found[[0, 2]].tolist() == vectors[[1, 0]].tolist()
    assert not store.lookup(keys_of("query: ", ["a"]))[1].any()  # another prompt is another text
    assert not VectorStore(tmp_path, "e" * 64, 3).lookup(keys_of("", ["a"]))[1].any()  # another model


def test_the_same_part_twice_is_one_file(tmp_path):
    store = VectorStore(tmp_path, "f" * 64, 2)
    for _ in range(2):
        store.append(keys_of("", ["a"]), np.ones((1, 2), np.float32))
    assert len(list(store.folder.glob("part-*"))) == 1


def test_a_damaged_part_is_named(tmp_path):
    store = VectorStore(tmp_path, "f" * 64, 2)
    store.folder.mkdir(parents=True)
    (store.folder / "part-00.arrow").write_bytes(b"torn")
    with pytest.raises(DataError, match="is damaged"):
        store.lookup(keys_of("", ["a"]))


def test_an_encoder_encodes_no_text_twice(tmp_path, monkeypatch):
    model = str(tiny_bi_encoder(tmp_path / "model"))
    texts = [f"wing flow report{i}" for i in range(9)]
    plain = Encoder(model).encode(texts, "document")
    first = Encoder(model)
    first.keep_in(tmp_path / "store")
    assert np.array_equal(first.encode(texts[:5], "document"), plain[:5])
    second, asked = Encoder(model), []
    second.keep_in(tmp_path / "store")
    inner = Encoder._encode
    monkeypatch.setattr(Encoder, "_encode", lambda self, new, *rest: (asked.extend(new), inner(self, new, *rest))[1])
    assert np.array_equal(second.encode(texts, "document"), plain)
    assert asked == texts[5:]
