"""Tokens of texts, computed once per tokenizer and memory-mapped, so that no training step tokenises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rankstill.collection.store import Texts
from rankstill.files import whole_or_absent, write_json
from rankstill.progress import bar
from rankstill.records import Rows

MULTIPLE = 16
"""Tokens to whose multiple a batch is padded."""
DONE = "done.json"
"""What a finished table's folder holds, written last."""
_CHUNK = 4096
_BLOCK = 1 << 24


class TokenTable:
    """The tokens of some texts, end to end in one file, without special tokens.

    Attributes:
        rows: (n,) rising rows of the texts that the table holds.
    """

    def __init__(self, folder: Path) -> None:
        self.rows: Rows = np.load(folder / "rows.npy", allow_pickle=False)
        self._starts: NDArray[np.int64] = np.load(folder / "starts.npy", allow_pickle=False)
        size = int(self._starts[-1])
        self._tokens = (
            np.memmap(folder / "tokens.bin", np.uint32, "r", shape=(size,)) if size else np.empty(0, np.uint32)
        )

    def places(self, rows: Rows) -> NDArray[np.int64]:
        """Find where rows stand in the table; all must be in it."""
        return np.searchsorted(self.rows, rows)

    def __getitem__(self, place: int) -> NDArray[np.uint32]:
        return self._tokens[self._starts[place] : self._starts[place + 1]]

    def vocabulary(self) -> NDArray[np.int64]:
        """List the token ids that occur, in rising order."""
        counts = np.zeros(1, np.int64)
        for start in range(0, len(self._tokens), _BLOCK):
            found = np.bincount(self._tokens[start : start + _BLOCK], minlength=len(counts))
            found[: len(counts)] += counts
            counts = found
        return np.flatnonzero(counts)

    def lengths(self) -> NDArray[np.int64]:
        """Count the tokens of each text, in the order of `rows`."""
        return np.diff(self._starts)


def tokenise(texts: Texts, rows: Rows, tokenizer: Tokenizer, most: int, folder: Path, label: str) -> TokenTable:
    """Tokenise the texts of the given rows, unless `folder` has them already.

    Args:
        texts: All documents or all queries of a collection.
        rows: Rising rows, each once.
        tokenizer: A fast tokenizer; it is asked for no special tokens and no padding.
        most: Keep at most so many tokens of a text.
        folder: Where the table lies; made when missing, whole or absent.
        label: What the progress bar says.
    """
    done = folder / DONE
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        lengths = [np.zeros(1, np.int64)]
        with whole_or_absent(folder / "tokens.bin") as file, bar(label, len(rows), "texts") as shown:
            for start in range(0, len(rows), _CHUNK):
                chunk = rows[start : start + _CHUNK]
                encoded = [e.ids[:most] for e in tokenizer.encode_batch(texts.take(chunk), add_special_tokens=False)]
                lengths.append(np.array([len(ids) for ids in encoded], np.int64))
                file.write(np.concatenate([np.array(ids, np.uint32) for ids in encoded]).tobytes())
                shown.advance(len(chunk))
        for name, array in (("rows", rows), ("starts", np.concatenate(lengths).cumsum())):
            with whole_or_absent(folder / f"{name}.npy") as file:
                np.save(file, array, allow_pickle=False)
        write_json(done, {"texts": len(rows)})
    return TokenTable(folder)


def micro_batches(lengths: NDArray[np.integer], budget: int) -> list[NDArray[np.int64]]:
    """Split items into batches of similar length, none of more than `budget` tokens once padded (see `pad`).

    Longest first; an item longer than the budget gets a batch of its own. Equal lengths keep their order, so the split
    depends on the lengths only.
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    batches, start = [], 0
    while start < len(order):
        stop = start + max(budget // padded_length(int(lengths[order[start]])), 1)
        batches.append(order[start:stop])
        start = stop
    return batches


def padded_length(longest: int) -> int:
    """Round a length up to the next multiple of 16."""
    return max(-(-longest // MULTIPLE) * MULTIPLE, MULTIPLE)


def pad(
    sequences: Sequence[NDArray[np.integer]], value: int = 0, budget: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pad to few shapes, for which matrix libraries prepare themselves once.

    Preparing a product in bfloat16 takes longer than the product: in batches of any shape, most of the time.

    Args:
        sequences: n sequences of token ids.
        value: The token that pads.
        budget: The tokens of a full batch; a batch that is not full is filled with empty rows up to the next power of
            two, or to a full batch. 0 fills nothing.

    Returns:
        (rows, width) ids, and a mask of 1 for tokens, 0 for padding; the first n rows count. Empty rows have one token.
    """
    longest = padded_length(max((len(s) for s in sequences), default=0))
    rows = len(sequences)
    if budget:
        rows = max(rows, min(1 << (rows - 1).bit_length(), budget // longest))
    ids = np.full((rows, longest), value, np.int64)
    mask = np.zeros((rows, longest), np.int64)
    mask[len(sequences) :, 0] = 1
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return ids, mask
