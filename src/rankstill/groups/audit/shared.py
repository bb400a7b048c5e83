"""Contamination: what training and a test have in common (arXiv 2411.02284), exactly and nearly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rankstill.groups.audit.alike import near_duplicates
from rankstill.groups.audit.findings import EXAMPLES, Example, Finding, Side, same_documents, text
from rankstill.groups.audit.words import NO_WORDS, Keys
from rankstill.records import Rows

WIDTHS = {"queries": 1, "documents": 3}
"""Words in a shingle: queries are too short for runs of three, one changed word would change half of them."""


def shared(
    training: Side, test: Side, similarity: dict[str, float], keys: Keys, skip: set[str], *, whole: bool = False
) -> Iterator[Finding]:
    """Compare training with a test.

    Where both have the same documents, only those of the groups (without groups: those relevant to a training query)
    are compared with those relevant to a test query: the others are shared on purpose.

    Args:
        training: What trains.
        test: What tests.
        similarity: For "queries" and "documents", the similarity from which two are alike.
        keys: Of the texts.
        skip: Checks to leave out.
        whole: The training documents are all there are, and not those of groups.
    """
    own = same_documents(training.collection, test.collection)
    if own:
        test = test.narrowed()
        if whole:
            training = training.narrowed()
    for what in ("queries", "documents"):
        if {f"shared-{what}", f"alike-{what}"} <= skip:
            continue
        yield from _compare(training, test, what, similarity[what], keys, skip, own)


def _compare(
    training: Side, test: Side, what: str, similarity: float, keys: Keys, skip: set[str], own: bool
) -> Iterator[Finding]:
    (left, rows), (right, others) = training.texts(what), test.texts(what)
    rows, others = (r[keys.of(t)[r] != NO_WORDS] for t, r in ((left, rows), (right, others)))
    where = f"training and {test.name}"
    same, match = _equal(keys.of(left)[rows], keys.of(right)[others])
    of = "relevant documents" if own and what == "documents" else what

    def examples(a: Rows, b: Rows, alike: NDArray[np.floating] | None) -> list[Example]:
        return [
            {"training": text(left, int(a[i])), "test": text(right, int(b[i]))}
            | ({"similarity": round(float(alike[i]), 4)} if alike is not None else {})
            for i in range(min(len(a), EXAMPLES))
        ]

    if f"shared-{what}" not in skip:
        a, b = rows[same], others[match]
        says = f"training {what} equal to one of {len(others):,} test {of}{_relevant(test, b, what)}"
        yield Finding(f"shared-{what}", where, len(a), len(rows), says, examples(a, b, None))
    if f"alike-{what}" not in skip:
        found = near_duplicates(left, rows[~same], right, others, similarity=similarity, width=WIDTHS[what])
        kind = "words" if WIDTHS[what] == 1 else f"runs of {WIDTHS[what]} words"
        says = (
            f"training {what} not equal, but alike (Jaccard similarity of {kind} at least {similarity:g}) to one of "
            f"{len(others):,} test {of}{_relevant(test, found.right, what)}"
        )
        order = np.argsort(-found.similarity, kind="stable")
        shown = examples(found.left[order], found.right[order], found.similarity[order])
        yield Finding(f"alike-{what}", where, len(found.left), len(rows), says, shown)


def _equal(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Tell which left keys are among the right ones, (n,) bool; and where those come first, (those,) int64."""
    distinct, first = np.unique(right, return_index=True)
    if not len(distinct):
        return np.zeros(len(left), bool), np.empty(0, np.int64)
    at = np.minimum(np.searchsorted(distinct, left), len(distinct) - 1)
    same = distinct[at] == left
    return same, first[at[same]]


def _relevant(test: Side, matched: Rows, what: str) -> str:
    """Say how many of the matched test documents are relevant to a test query, where not all are."""
    if what == "queries" or not len(matched) or len(test.relevant) == len(test.documents):
        return ""
    count = len(np.intersect1d(matched, test.relevant))
    return f" ({count:,} of those matched are relevant to a test query)"
