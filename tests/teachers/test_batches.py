from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankstill.teachers.batches import batches, can_split, split


def test_batches_by_hand():
    # Padded lengths 8 16 16 8 16 32. Two of 16 fit a budget of 40, three do not; a text of just 8 tokens stands apart.
    lengths = np.array([3, 12, 9, 8, 15, 30])
    made = [(list(rows), width) for rows, width in batches(lengths, limit=64, budget=40)]
    assert made == [([5], 32), ([1, 2], 16), ([4], 16), ([3], 8), ([0], 8)]


def test_no_text_is_padded_beyond_the_models_limit():
    made = [(list(rows), width) for rows, width in batches(np.array([20, 17, 3]), limit=20, budget=99)]
    assert made == [([0], 20), ([1], 20), ([2], 8)]


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 100))
def test_every_text_is_in_one_batch_of_its_own_padded_length(lengths, budget):
    lengths = np.array(lengths, np.int64)
    made = list(batches(lengths, 512, budget))
    assert sorted(row for rows, _ in made for row in rows) == list(range(len(lengths)))
    for rows, width in made:
        assert width % 8 == 0
        assert all(width - 8 < max(1, n) <= width for n in lengths[rows])
        assert len(rows) == 1 or len(rows) * width <= budget
        assert len(set(lengths[rows] == width)) == 1


def features(rows: list[list[int]], left: bool = False) -> dict:
    width = max(map(len, rows))
    pads = [[0] * (width - len(row)) for row in rows]
    ids = torch.tensor([pad + row if left else row + pad for row, pad in zip(rows, pads, strict=True)])
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "modality": "text"}


def test_a_batch_holds_each_texts_own_tokens_wherever_the_padding_is():
    rows = [[7, 8], list(range(1, 12)), [5, 6, 1], list(range(1, 9))]
    for left in (False, True):
        seen = {}
        for where, batch in split(features(rows, left), 512, 0, "cpu"):
            assert batch["modality"] == "text"
            for row, ids, mask in zip(where, batch["input_ids"], batch["attention_mask"], strict=False):
                seen[int(row)] = ids[mask.bool()].tolist()
                assert bool(mask[-1 if left else 0])
        assert [seen[i] for i in range(4)] == rows


def test_a_small_batch_is_filled_up_with_its_own_rows(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    (where, batch), *rest = split(features([[1, 2], [3, 4]]), 512, 0, "cpu")
    assert not rest
    assert list(where) == [0, 1]
    assert batch["input_ids"].numel() >= 16 * 2
    assert batch["input_ids"][:4, :2].tolist() == [[1, 2], [3, 4], [1, 2], [3, 4]]


def test_only_rows_of_tokens_can_be_split():
    assert can_split(features([[1, 2], [3]]))
    assert not can_split({})
    assert not can_split({"input_ids": torch.arange(5), "offsets": torch.tensor([0, 2])})
    assert not can_split({**features([[1, 2], [3]]), "pixels": torch.zeros(2, 3, 4, 4)})
