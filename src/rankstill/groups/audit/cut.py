"""Documents that are longer than a model reads: what it never sees, it cannot learn or rank by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from rankstill.errors import ModelError
from rankstill.groups.audit.findings import EXAMPLES, Finding, Side, text
from rankstill.groups.audit.words import chunks
from rankstill.models import model_kind
from rankstill.progress import bar

_ABSURD = 1 << 20
"""Above this a tokenizer's length means "no limit"."""


@dataclass(frozen=True)
class Reader:
    """How much a model reads.

    Attributes:
        name: As the tables call it.
        tokenizer: Its own, without truncation.
        length: Tokens at most, special ones included.
        pair: Whether they are of a query and a document together.
    """

    name: str
    tokenizer: Tokenizer
    length: int
    pair: bool


def open_reader(name: str, folder: Path, length: int | None = None) -> Reader | None:
    """Find out how much a model reads, from its folder.

    Args:
        name: As the tables call it.
        folder: A student of rankstill, or any model folder.
        length: Tokens, where the folder's own limit does not count.

    Returns:
        None where there is no limit.

    Raises:
        ModelError: The folder has no tokenizer.json.
    """
    path = next((p for p in (folder / "tokenizer.json", *sorted(folder.glob("*/tokenizer.json"))) if p.is_file()), None)
    if path is None:
        raise ModelError(f"{folder} has no tokenizer.json", hint="save the model with a fast tokenizer")
    tokenizer = Tokenizer.from_file(str(path))
    cut = tokenizer.truncation
    tokenizer.no_truncation()
    tokenizer.no_padding()
    length = length or _limit(folder, path.parent, cut)
    if length is None or length > _ABSURD:
        return None
    return Reader(name, tokenizer, length, model_kind(folder) == "cross-encoder")


def _limit(folder: Path, beside: Path, cut: dict[str, Any] | None) -> int | None:
    """Find the length in what rankstill, sentence-transformers or transformers wrote, in this order."""
    card = _json(folder / "rankstill.json")
    found = [card.get("spec", {}).get("student", {}).get("max_length")]
    found += [_json(p / "sentence_bert_config.json").get("max_seq_length") for p in (folder, beside)]
    found += [(cut or {}).get("max_length"), _json(beside / "tokenizer_config.json").get("model_max_length")]
    found += [_json(beside / "config.json").get("max_position_embeddings")]
    return next((int(value) for value in found if value), None)


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def check_lengths(side: Side, reader: Reader) -> Finding:
    """Count the training documents that a model reads only the beginning of.

    A cross-encoder's room is what the query of median length and the special tokens leave.
    """
    room, words = reader.length - reader.tokenizer.num_special_tokens_to_add(reader.pair), "tokens"
    if reader.pair:
        asked = _lengths(side, "queries", reader)
        median = int(np.median(asked)) if len(asked) else 0
        room, words = room - median, f"tokens beside a query of {median}"
    lengths = _lengths(side, "documents", reader)
    cut = np.flatnonzero(lengths > room)
    unread = int((lengths[cut] - room).sum())
    longest = cut[np.argsort(-lengths[cut], kind="stable")][:EXAMPLES]
    examples = [
        {"tokens": int(lengths[i]), "read": room, "document": text(side.collection.documents, int(side.documents[i]))}
        for i in longest
    ]
    share = unread / max(int(lengths.sum()), 1)
    says = f"documents of which {reader.name} reads the first {room} {words} ({share:.1%} of all tokens are not read)"
    return Finding("cut-texts", f"{side.name}: documents", len(cut), len(lengths), says, examples)


def _lengths(side: Side, what: str, reader: Reader) -> np.ndarray[Any, np.dtype[np.int64]]:
    texts, rows = side.texts(what)
    found = np.empty(len(rows), np.int64)
    done = 0
    with bar(f"lengths for {reader.name}", len(rows), "texts") as shown:
        for part, chunk in chunks(texts, rows):
            encoded = reader.tokenizer.encode_batch_fast(chunk, add_special_tokens=False)
            found[done : done + len(part)] = [len(e) for e in encoded]
            done += len(part)
            shown.advance(len(part))
    return found
