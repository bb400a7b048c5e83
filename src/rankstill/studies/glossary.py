"""The words that a report uses, each in one or two plain sentences."""

from __future__ import annotations

from rankstill.studies import rows
from rankstill.studies.rows import Summary

_ALWAYS = {
    "first stage": (
        "The cheap ranking that finds the candidates. It is the yardstick here: a student that does not beat "
        "it is not worth running."
    ),
    "teacher": "The slow, strong ranker whose scores are the lesson. It is measured like everyone else.",
    "student": ("The fast ranker that learns to score as the teacher does. It reranks the first stage's candidates."),
    "95% interval": (
        "Where the mean over all such queries plausibly lies, given the queries at hand; a small test has a wide one."
    ),
    "difference": (
        "Mean over queries of the system's value minus the first stage's, paired query by query. ▲ and ▼: its "
        "95% interval excludes 0. ≈: it does not, so the two are not told apart. Every comparison stands for "
        "itself: of twenty with no real difference, about one is marked all the same."
    ),
}
_INTERPOLATED = (
    "A weighted sum of the student's and the first stage's scores, each shifted and scaled to mean 0 and "
    "standard deviation 1 within its list; the weight is chosen on development queries, never on a test."
)
_MEASURES = {
    "nDCG": (
        "Discounted gain of the judged grades in the first {k} ranks, over that of the best possible order; 0 to 1."
    ),
    "RR": "1 / rank of the first relevant document, or 0 if it is not in the first {k}; its mean is called MRR.",
    "AP": "Precision at each relevant document's rank, averaged over all relevant documents.",
    "R": (
        "Share of the relevant documents that are in the first {k}. Reranking a list no longer than that "
        "cannot change it."
    ),
    "Judged": (
        "Share of the first {k} that someone judged. Not a quality: where it is low, the other measures understate."
    ),
}
_STRATEGIES = {
    "strategy": "How the negatives of a training query are chosen.",
    "group": "One training example: a query, its positive, and negatives drawn by the strategy.",
    "diameter (locality)": (
        "Root-mean-square distance between two documents of a group in the embedding space: for unit vectors "
        "0 if all are alike, 1.41 if they are unrelated. Small means local: hard to tell apart."
    ),
    "robust diameter": "The distance that 95% of all pairs stay below, pooled over queries.",
    "pairwise entropy": (
        "How unsure the teacher is which of two documents is better, averaged over the group's pairs and "
        "divided by log 2: 0 is certain, 1 is a coin toss. It depends on the teacher's temperature."
    ),
    "listwise entropy": (
        "The same for the teacher's distribution over the whole group, divided by the log of its size; "
        "compare it between groups of equal size only."
    ),
    "false negative": (
        "An unlabelled positive among the negatives. Shown is what can be counted: the share of negatives "
        "that the teacher scores at or above their own positive, which also holds hard ones on which the "
        "teacher errs."
    ),
}
_LOSSES = {
    "lce": "Cross-entropy on the positive within its group; it uses the judgements and not the teacher's scores.",
    "ranknet": "Cross-entropy on every pair's order, with the teacher's preference as the target.",
    "margin_mse": "Squared error between the student's and the teacher's difference of positive and negative.",
    "kl": "Divergence of the student's distribution over the group from the teacher's.",
}
_EXCESS = (
    "Training loss minus the teacher's own entropy on the same groups: what the student still has to "
    "learn. Losses of different strategies do not compare, because their floors differ; excesses do."
)


def words(summary: Summary) -> list[tuple[str, str]]:
    """Define what this summary shows, and nothing else."""
    found = dict(_ALWAYS)
    if any(s.get("kind") == "interpolated" for s in summary["systems"]):
        found["interpolated"] = _INTERPOLATED
    for measure in summary["measures"]:
        stem, _, depth = str(measure).partition("@")
        if stem in _MEASURES:
            found[str(measure)] = _MEASURES[stem].format(k=depth or "ranks")
    if summary.get("strategies"):
        found.update(_STRATEGIES)
    for loss in dict.fromkeys(s.get("loss") for s in summary["systems"]):
        if loss in _LOSSES:
            found[rows.LOSS_NAMES[loss]] = _LOSSES[loss]
    if any(rows.has_excess(curve) for curve in summary.get("curves") or []):
        found["excess"] = _EXCESS
    return list(found.items())
