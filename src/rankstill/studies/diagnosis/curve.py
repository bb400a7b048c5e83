"""The prequential curve: the excess of each group before the student was trained on it, from the log of one epoch."""

from __future__ import annotations

import math

import numpy as np

from rankstill.files import Json, read_manifest
from rankstill.measures.bounds.prequential import prequential_bound
from rankstill.records import read_parquet
from rankstill.studies.diagnosis.finished import Finished

_POINTS = 200
"""Of the curve, at most."""
_COSINES = 2.0
"""The range of a student's scores that are cosines."""


def first_epoch(run: Finished, delta: float) -> Json | None:
    """Read the first epoch of a training log, in which every group is new, and bound the risk by it [7.3].

    Returns:
        `steps`, `groups` (seen so far), `mean` (of the excess so far, nats), all of at most 200 points; `bound`, or
        null with `why` there is none. None where the loss has no floor to be in excess of.
    """
    counts = read_manifest(run.model)["counts"]
    log = read_parquet(run.model / "training.parquet", ["step", "excess"])
    excess = np.asarray(log["excess"].to_numpy(), np.float64)
    if not np.isfinite(excess).all() or run.trained["loss"] not in ("kl", "ranknet"):
        return None
    groups = int(counts["groups"])
    batch = _batch(run, counts)
    excess = excess[: math.ceil(groups / batch)] / _factor(run)
    sizes = np.minimum(batch, groups - batch * np.arange(len(excess)))
    seen = np.cumsum(sizes)
    mean = np.cumsum(excess * sizes) / seen
    at = np.unique(np.linspace(0, len(excess) - 1, min(_POINTS, len(excess))).round().astype(int))
    found: Json = {
        "steps": (at + 1).tolist(),
        "groups": seen[at].tolist(),
        "mean": [round(float(v), 6) for v in mean[at]],
        "loss": run.trained["loss"],
    }
    highest, why = _highest(run, read_manifest(run.groups)["spec"]["size"])
    if highest is None:
        return {**found, "bound": None, "why": why}
    # The bound depends on the losses by their mean alone, so that a step's mean can stand for each of its groups.
    bound = prequential_bound(np.repeat(excess, sizes), highest=highest, delta=delta)
    return {**found, "bound": bound.to_json(), "why": why}


def _factor(run: Finished) -> float:
    """Tell by what the loss is multiplied for the sake of its gradients: kl by the student's squared temperature."""
    return run.student_temperature**2 if run.trained["loss"] == "kl" else 1.0


def _highest(run: Finished, size: int) -> tuple[float | None, str]:
    """Tell the largest excess that a group can have: none is known where scores have no range."""
    if run.trained["student"]["architecture"] == "cross-encoder":
        return None, "a cross-encoder's logits have no known range, and the log keeps means, which cannot be cut"
    if run.trained["student"].get("dropout"):
        return None, "dropout: the logged loss is not that of the student that would be used"
    if run.trained.get("correct"):
        return None, "the loss corrects for how likely each document was to be drawn, and has no known range"
    reach = _COSINES / run.student_temperature
    if run.trained["loss"] == "kl":
        # -log softmax is at most log k plus the range of the scores.
        return math.log(size) + reach, ""
    return float(np.logaddexp(0, reach)), ""


def _batch(run: Finished, counts: Json) -> int:
    from rankstill.students.train_spec import BATCH_GROUPS

    return int(run.trained["batch_groups"] or BATCH_GROUPS[run.trained["student"]["architecture"]])
