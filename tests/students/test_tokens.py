"""Tokens are computed once and mapped; micro-batches lose nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from rankstill.students.tokens import micro_batches, pad, padded_length, tokenise
from tests.tiny_collections import make_collection


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 2000))
def test_micro_batches_hold_everything_once_within_the_budget(lengths, budget):
    parts = micro_batches(np.array(lengths, np.int64), budget)
    assert sorted(i for part in parts for i in part) == list(range(len(lengths)))
    for part in parts:
        longest = padded_length(max(lengths[i] for i in part))
        assert len(part) == 1 or len(part) * longest <= budget


def test_padding_by_hand():
    ids, mask = pad([np.array([5, 6, 7]), np.array([8]), np.arange(16)], value=9)
    assert ids.shape == (3, 16)  # the next multiple of 16
    assert ids[:2].tolist() == [[5, 6, 7] + [9] * 13, [8] + [9] * 15]
    assert mask.sum(axis=1).tolist() == [3, 1, 16]
    assert pad([np.arange(17)])[0].shape == (1, 32)


def test_a_batch_is_filled_to_few_shapes():
    three = [np.array([5])] * 3
    assert pad(three, budget=1024)[0].shape == (4, 16)  # the next power of two
    assert pad(three, budget=48)[0].shape == (3, 16)  # full at three
    assert pad(three, budget=1024)[1][3].tolist() == [1] + [0] * 15  # an empty row has one token to attend to


@pytest.fixture
def tokenizer():
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "b": 2, "c": 3}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return words


def test_tokens_of_chosen_rows(tmp_path, tokenizer):
    collection = make_collection(tmp_path / "c", {"x": "a b c", "y": "c", "z": "b q"}, {"q": "a"})
    table = tokenise(collection.documents, np.array([0, 2], np.uint32), tokenizer, 2, tmp_path / "t", "tokens")
    assert table.places(np.array([2, 0], np.uint32)).tolist() == [1, 0]
    assert table[0].tolist() == [1, 2]  # cut to two tokens
    assert table[1].tolist() == [2, 0]
    assert table.lengths().tolist() == [2, 2]


def test_tokens_are_not_computed_twice(tmp_path, tokenizer):
    collection = make_collection(tmp_path / "c", {"x": "a b c"}, {"q": "a"})
    rows = np.array([0], np.uint32)
    tokenise(collection.documents, rows, tokenizer, 9, tmp_path / "t", "tokens")
    again = tokenise(collection.documents, rows, None, 9, tmp_path / "t", "tokens")  # no tokenizer: it is not asked
    assert again[0].tolist() == [1, 2, 3]


def test_texts_without_tokens(tmp_path, tokenizer):
    collection = make_collection(tmp_path / "c", {"x": "", "y": "a"}, {"q": "a"})
    table = tokenise(collection.documents, np.array([0, 1], np.uint32), tokenizer, 9, tmp_path / "t", "tokens")
    assert table[0].tolist() == []
    assert table[1].tolist() == [1]
