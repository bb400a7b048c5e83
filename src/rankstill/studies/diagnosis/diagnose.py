"""`rankstill diagnose`: what each strategy's data is worth, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rankstill.files import Json, hardware, to_json, versions, write_json
from rankstill.groups.build import GROUPS
from rankstill.measures.entropy import entropy
from rankstill.measures.prescriptions.choice import TailLaw
from rankstill.randomness import rng_for
from rankstill.records import Groups, read_parquet
from rankstill.studies.diagnosis.advice import advice
from rankstill.studies.diagnosis.assess import PER_QUERY
from rankstill.studies.diagnosis.compare import (
    Rated,
    best_group_size,
    comparisons,
    crossings,
    ranked,
    scored,
    training_sd,
)
from rankstill.studies.diagnosis.gather import Gathered, gather, scored_pairs
from rankstill.studies.diagnosis.mixtures import mixture_of
from rankstill.studies.diagnosis.spec import DIAGNOSIS, Budget, DiagnoseSpec
from rankstill.studies.diagnosis.terms import RADII

_POINTS = 400


def diagnose(spec: DiagnoseSpec, out: Path, *, command: str = "") -> Json:
    """Diagnose strategies.

    Args:
        spec: What.
        out: The output folder; a finished part of it is used again, a run that was killed continues.
        command: The command line, for the page.

    Returns:
        What `diagnosis.json` holds; see docs/formats.md.

    Raises:
        RankstillError: See `rankstill.errors`; nothing is half-written.
    """
    gathered = gather(spec, out)
    budget = spec.budget or Budget(float(gathered.all_queries), "groups")
    rated = [Rated(s, budget, gathered.how.delta / len(RADII)) for s in gathered.strategies]
    found = _diagnosis(spec, gathered, rated, command)
    found["advice"] = advice(found)
    write_json(out / DIAGNOSIS, found)
    return found


def _diagnosis(spec: DiagnoseSpec, gathered: Gathered, rated: Sequence[Rated], command: str) -> Json:
    asked, distinct = scored_pairs(gathered)
    by_probe, by_score = ranked(rated), scored(rated)
    seed_sd = training_sd(rated)
    margin = spec.worth * (math.log(2) - max(r.assessed.found["target_entropy"] for r in rated))
    return {
        "title": f"Which negatives are worth paying for: {gathered.training.open().manifest['spec']['name']}",
        "command": command,
        "spec": to_json(spec),
        "queries": len(gathered.training.split.train),
        "of": gathered.all_queries,
        "teacher": gathered.teacher,
        "target": {"origin": gathered.target.origin, "depth": spec.target_depth},
        "temperature": gathered.how.temperature,
        "budget": {"amount": rated[0].budget.amount, "unit": rated[0].budget.unit},
        "pairs": {"asked": asked, "scored": distinct},
        "strategies": [_entry(r, spec.seed) for r in rated],
        "ranking": [r.name for r in by_probe],
        "score_ranking": [r.name for r in by_score],
        "training_sd": seed_sd,
        "margin": margin,
        "comparisons": comparisons(by_probe, seed_sd, margin=margin, delta=spec.delta, seed=spec.seed),
        "crossovers": crossings(by_score),
        "mixtures": _mixtures(by_score, gathered, spec.seed),
        "hardware": hardware(),
        "versions": versions(),
    }


def _entry(rated: Rated, seed: int) -> Json:
    """Collect everything of a strategy."""
    found = rated.assessed.found
    kept = {key: value for key, value in found.items() if key not in ("terms", "variance")}
    return {
        "name": rated.name,
        **kept,
        "kappa": rated.assessed.kappa,
        "cost": rated.assessed.cost.to_json(),
        "score": rated.to_json(),
        "bound": rated.terms["bound"],
        "group_size": best_group_size(rated),
        "temperature_advice": _temperature(rated),
        "points": _points(rated, seed),
    }


def _temperature(rated: Rated) -> Json | None:
    """Give the calibrated temperature and the entropy that the groups would have at it (theory 8.4)."""
    calibration = rated.assessed.found["calibration"]
    if calibration is None or calibration["edge"]:
        return calibration and {**calibration, "entropy": None}
    scores = Groups.read(rated.assessed.inputs.groups / GROUPS).score
    return {**calibration, "entropy": entropy(scores, calibration["temperature"]).pairwise_normalised.mean}


def _points(rated: Rated, seed: int) -> list[list[float]]:
    """Draw some groups for the plane: diameter, and entropy from 0 to 1."""
    columns = read_parquet(rated.assessed.folder / PER_QUERY, ["squared_diameter", "pairwise_entropy"])
    across = np.sqrt(columns["squared_diameter"].to_numpy())
    up = columns["pairwise_entropy"].to_numpy() / np.log(2)
    rows = np.sort(rng_for(seed, "points").permutation(len(across))[:_POINTS])
    return [[round(float(across[i]), 4), round(float(up[i]), 4)] for i in rows]


def _mixtures(order: Sequence[Rated], gathered: Gathered, seed: int) -> list[Json]:
    """Mix the strategy of the best score with each other one, at the first one's radius."""
    if len(order) < 2:
        return []
    first, found = order[0], list[Json]()
    own = first.assessed.inputs.read(gathered.how)
    terms, diameter = first.terms, first.assessed.found["diameter"]["mean"]
    law = TailLaw(**terms["law"]).at(first.delta)
    for other in order[1:]:
        mixed = mixture_of(
            own,
            other.assessed.inputs.read(gathered.how),
            radius=terms["radius"],
            factor=terms["shift_factor"],
            scale=law.root / diameter,
            budget=first.budget.amount,
            costs=(first.strategy.cost, other.strategy.cost),
            seed=seed,
        )
        if mixed is not None:
            # A bound by kappa may be smaller than that of any mixture, which has none.
            better = terms["fit"] + float(mixed.total.min()) < min(first.score.total, other.score.total)
            found.append(
                {
                    "first": first.name,
                    "second": other.name,
                    "shares": mixed.shares.tolist(),
                    "total": mixed.total.tolist(),
                    "best": mixed.best,
                    "helps": mixed.mixing_helps and better,
                }
            )
    return found
