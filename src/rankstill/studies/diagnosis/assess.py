"""The stage `assess`: everything that is measured of one strategy's groups before training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from rankstill.candidates.strategy import Vectors
from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import Json, read_manifest, run_stage, to_json, write_json
from rankstill.groups.build import GROUPS
from rankstill.measures.bounds.bound import Bound
from rankstill.measures.bounds.held_out import empirical_bernstein
from rankstill.measures.entropy import entropy, listwise_entropy, pairwise_entropy
from rankstill.measures.false_negatives import false_negative_rate
from rankstill.measures.fidelity import CLIP
from rankstill.measures.intervals import mean_interval
from rankstill.measures.locality import LocalityStream
from rankstill.measures.prescriptions.group_size import variance_parts
from rankstill.measures.probe import fit
from rankstill.measures.shift import shift_estimate, w1_embeddings, w1_scores
from rankstill.measures.temperature import calibrated_temperature
from rankstill.records import Groups, Pairs, write_parquet
from rankstill.studies.diagnosis.held_out_probe import PROBED, Probed, probe, shuffled
from rankstill.studies.diagnosis.material import Material, material
from rankstill.studies.diagnosis.target import Target
from rankstill.studies.diagnosis.terms import RADII, target_entropy, terms

ASSESSMENT = "assessment.json"
PER_QUERY = "per_query.parquet"


@dataclass(frozen=True)
class AssessSpec:
    """What determines an assessment, besides the groups, the target pool and the vectors.

    Attributes:
        temperature: τ of the teacher, the same for all strategies.
        delta: The probability with which any bound of this strategy may fail.
        seed: Of the bootstrap, the probe's halves, and what is matched.
        pair_ratio: How much likelier a pair is in the target than in the strategy's draw at most; None where it is
            unknown or infinite.
    """

    temperature: float
    delta: float = 0.05
    seed: int = 1
    pair_ratio: float | None = None


@dataclass(frozen=True)
class Inputs:
    """Folders that an assessment reads.

    Attributes:
        collection: The collection, with the texts that a strategy edited if it does so.
        groups: The stage `group`.
        target: The target pool.
        target_scores: The stage `score`, of the target pool's documents.
        queries, documents: The stage `encode`.
    """

    collection: Path
    groups: Path
    target: Target
    target_scores: Path
    queries: Path
    documents: Path

    def read(self, spec: AssessSpec) -> Material:
        """Read everything."""
        return material(
            Collection(self.collection),
            Groups.read(self.groups / GROUPS),
            self.target.read(),
            Pairs.read(self.target_scores / "scores.parquet"),
            Vectors.open(self.queries),
            Vectors.open(self.documents),
            temperature=spec.temperature,
            seed=spec.seed,
            stand_ins=bool(read_manifest(self.groups)["counts"]["stand_ins"]),
        )


def assess(out: Path, inputs: Inputs, spec: AssessSpec) -> Path:
    """Assess a strategy.

    Args:
        out: The folder to write: `assessment.json` and `per_query.parquet` (see docs/formats.md).
        inputs: What was made.
        spec: How.

    Raises:
        DataError: No query has both a group and a target pool, or as the measures say.
        MissingScores: A document of the target pool has no score.
    """

    def build(work: Path) -> Mapping[str, Any]:
        found = inputs.read(spec)
        if not found.matched:
            raise DataError(
                "no query has both a group and a list to rerank", hint="diagnose on queries whose lists are not empty"
            )
        summary, columns = _measured(found, spec)
        write_parquet(work / PER_QUERY, {"query": found.groups.query, **columns})
        write_json(work / ASSESSMENT, summary)
        return {"groups": len(found.groups), "matched": sum(len(part.rows) for part in found.matched)}

    read = {
        "groups": inputs.groups,
        "target": inputs.target.samples,
        "target_scores": inputs.target_scores,
        "queries": inputs.queries,
        "documents": inputs.documents,
    }
    return run_stage(out, stage="assess", spec=spec, inputs=read, build=build)


def _measured(found: Material, spec: AssessSpec) -> tuple[Json, dict[str, NDArray[np.float64]]]:
    probed = probe(found, seed=spec.seed)
    places = np.searchsorted(found.documents.rows, found.groups.doc)
    locality = LocalityStream.of(found.documents.values, places)
    columns = _columns(found, probed, locality)
    floor = float(target_entropy(found).mean())
    summary = {
        "groups": len(found.groups),
        "size": found.groups.size,
        "judged": found.shared > 0,
        "temperature": spec.temperature,
        "target_entropy": floor,
        **_diameters(locality, spec),
        **_labels(found),
        "shift": _shift(columns, spec),
        "probe": _probe(probed, columns, floor, spec),
        "terms": [t.to_json() for t in terms(found, probed.fits, delta=spec.delta, pair_ratio=spec.pair_ratio)],
        "variance": _variance(found, RADII[probed.chosen], seed=spec.seed),
    }
    return summary, columns


def _columns(found: Material, probed: Probed, locality: LocalityStream) -> dict[str, NDArray[np.float64]]:
    """Measure every query; NaN where it has no target pool, or was not probed."""
    n = len(found.groups)
    columns = {
        "squared_diameter": locality.squared_diameters(),
        "pairwise_entropy": pairwise_entropy(found.scores),
        "listwise_entropy": listwise_entropy(found.scores),
        "probe_own": probed.own[probed.chosen],
        "probe_target": probed.target[probed.chosen],
    }
    distances = {name: np.full(n, np.nan) for name in ("w1", "w1_null", "w1_scores", "w1_scores_null")}
    for part in found.matched:
        for rows in part.blocks():
            at = part.rows[rows]
            drawn = np.take_along_axis(found.groups.doc[at], part.drawn[rows], axis=1)
            first, second = (found.vectors(part.docs[i][rows]) for i in (0, 1))
            distances["w1"][at] = w1_embeddings(found.vectors(drawn), first)
            distances["w1_null"][at] = w1_embeddings(first, second)
        own = np.take_along_axis(found.scores[part.rows], part.drawn, axis=1)
        distances["w1_scores"][part.rows] = w1_scores(own, part.scores[0])
        distances["w1_scores_null"][part.rows] = w1_scores(*part.scores)
    return columns | distances


def _diameters(locality: LocalityStream, spec: AssessSpec) -> Json:
    measured = locality.result(spec.seed)
    return {
        "diameter": to_json(measured.rms),
        "robust_diameter": to_json(measured.robust),
        "reference_diameter": measured.reference,
    }


def _labels(found: Material) -> Json:
    """Measure entropy, and what only judgements tell: the teacher's best of what was drawn is no positive."""
    measured, groups = entropy(found.scores, 1.0), found.groups
    judged = found.shared > 0
    return {
        "entropy": to_json(measured.pairwise_normalised),
        "listwise_entropy": to_json(measured.listwise_normalised),
        "false_negatives": to_json(false_negative_rate(found.scores, groups.label)) if judged else None,
        "calibration": to_json(calibrated_temperature(groups.score, groups.label)) if judged else None,
    }


def _shift(columns: Mapping[str, NDArray[np.float64]], spec: AssessSpec) -> Json:
    found: Json = {}
    for name, (value, null) in {"embeddings": ("w1", "w1_null"), "scores": ("w1_scores", "w1_scores_null")}.items():
        there = np.isfinite(columns[value])
        found[name] = to_json(shift_estimate(columns[value][there], columns[null][there], seed=spec.seed))
    return found


def _probe(probed: Probed, columns: Mapping[str, NDArray[np.float64]], floor: float, spec: AssessSpec) -> Json:
    """Summarise the held-out excess; None where there are fewer than two queries to tell from."""
    own, target = (columns[name][np.isfinite(columns[name])] for name in ("probe_own", "probe_target"))
    told = len(own) > 1 and len(target) > 1
    bound = _held_out_bound(columns["probe_target"], probed.half, floor, spec)
    return {
        "radius": RADII[probed.chosen],
        "own": to_json(mean_interval(own, seed=spec.seed)) if told else None,
        "target": to_json(mean_interval(target, seed=spec.seed)) if told else None,
        "bound": bound.to_json() if bound else None,
        "training_sd": probed.training_sd if math.isfinite(probed.training_sd) else None,
        "by_radius": [
            {"radius": r, "fit": probed.fits[r], "own": float(np.nanmean(o)), "target": float(np.nanmean(t))}
            for r, o, t in zip(RADII, probed.own, probed.target, strict=True)
        ]
        if told
        else [],
    }


def _held_out_bound(
    target: NDArray[np.float64], half: NDArray[np.int8], floor: float, spec: AssessSpec
) -> Bound | None:
    """Bound each head's risk by the half that it did not learn from, at all radii at once; then take the mean.

    Not by both halves together: the heads depend on one another's tests. None where a half has fewer than two queries.
    """
    tests = [target[(half == which) & np.isfinite(target)] for which in (0, 1)]
    if min(map(len, tests)) < 2:
        return None
    first, second = (
        empirical_bernstein(
            test, highest=CLIP, delta=spec.delta, candidates=2 * len(RADII), clip=True, trivial=math.log(2) - floor
        )
        for test in tests
    )
    terms_ = {name: (value + second.terms[name]) / 2 for name, value in first.terms.items()}
    said = "what is bounded is the mean risk of two heads, each tested on the queries that the other learnt from"
    return replace(first, terms=terms_, assumptions=(*first.assumptions, said))


def _variance(found: Material, radius: float, *, seed: int) -> Json | None:
    """Split the variance of a head's loss between queries, documents and pairs [3.3], on groups it did not learn from.

    The shared positive is left out: the others are alike.
    """
    learnt, held_out = np.array_split(shuffled(found, seed=seed)[: PROBED // 2], 2)
    if found.groups.size - found.shared < 4 or len(held_out) < 2:
        return None
    head, bags = fit(found.bags(np.sort(learnt)), radius), found.bags(np.sort(held_out))
    u, v = (
        s[:, found.shared :, None] - s[:, None, found.shared :] for s in (bags.student_scores(head.weight), bags.scores)
    )
    parts: Json = to_json(variance_parts(np.logaddexp(0, u) - expit(v) * u))
    return parts
