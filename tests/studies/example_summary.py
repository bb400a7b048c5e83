"""A made-up summary with the shape and the sizes of a real one: three strategies, two losses, four tests."""

from __future__ import annotations

from typing import Any

import numpy as np

MEASURES = ["nDCG@10", "RR@10", "AP", "R@100", "Judged@10"]
STRATEGIES = ["random", "bm25", "teacher"]
TESTS = [
    ("pydocs", "in domain", 400, 9_214, 100, "BM25 (k1 0.9, b 0.4)", (0.41, 0.49)),
    ("pydocs, unseen packages", "out of domain", 300, 6_120, 100, "BM25 (k1 0.9, b 0.4)", (0.39, 0.51)),
    ("scifact", "out of domain", 300, 5_183, 100, "BM25 (k1 0.9, b 0.4)", (0.66, 0.63)),
    ("dl19-passage", "out of domain", 43, 8_841_823, 100, "given list", (0.70, 0.88)),
]
_GAIN = {"random": -0.02, "bm25": 0.015, "teacher": 0.03}


def example(tests: int = 4) -> dict[str, Any]:
    """Build the summary; every call gives equal values."""
    rng = np.random.default_rng(20)
    systems = _systems()
    return {
        "title": "Which negatives are worth paying for?",
        "subtitle": "A 2-layer bi-encoder distilled from all-MiniLM-L6-v2 on the documentation of a Python environment",
        "command": "rankstill demo --out demo --seed 1 --strategy random --strategy bm25 --strategy teacher --loss kl",
        "verdict": [
            "On pydocs, BM25 has 0.410 and the teacher 0.490; teacher-kl has 0.452, above BM25 by 0.042.",
            "Interpolated with BM25 it has 0.487 (above it: +0.077, 95% interval +0.057 to +0.097).",
            "Random negatives make the widest groups (rms diameter 1.22), and their students lose to BM25.",
        ],
        "notes": ["scifact has 300 test queries and no training queries here: it is a transfer test only."],
        "collection": {
            "name": "pydocs", "documents": 9_214, "queries": 10_300, "training_queries": 1_200,
            "facts": {"packages": 14, "near duplicates dropped": 1_882, "fingerprint": "5d2c" * 16},
        },
        "teacher": {"name": "all-MiniLM-L6-v2", "kind": "bi-encoder", "fingerprint": "9f3a" * 16},
        "settings": {
            "group_size": 16, "depth": 200, "temperature": 0.05, "learning_rate": 3e-4, "batch": 8,
            "documents_seen": 38_400, "seeds": [1], "student": {"layers": 2, "pooling": "mean", "max_length": 128},
        },
        "tests": [
            {"name": n, "domain": d, "queries": q, "documents": docs, "depth": k, "first_stage": f,
             "relevant_from": 2 if n == "dl19-passage" else 1}
            for n, d, q, docs, k, f, _ in TESTS[:tests]
        ],
        "systems": systems,
        "measures": MEASURES,
        "headline": "RR@10",
        "results": _results(rng, systems, tests),
        "strategies": [_strategy(rng, i, name) for i, name in enumerate(STRATEGIES)],
        "curves": [_curve(rng, s) for s in systems if s["kind"] == "student"],
        "examples": _examples(),
        "cost": {
            "pairs_asked": 259_200, "pairs_scored": 171_404, "documents_seen": 230_400, "scoring_seconds": 148.2,
            "training_seconds": 171.9, "peak_memory_mb": 1_930.4,
        },
        "provenance": {
            "hardware": "2 cores of a server processor", "seed": 1,
            "versions": {"python": "3.11.9", "rankstill": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
            "fingerprints": {"collection": "5d2c" * 16, "scores": "77ab" * 16, "groups-bm25": "01fe" * 16},
        },
    }  # fmt: skip


def minimal() -> dict[str, Any]:
    """Build the least that makes a report: one student on one test."""
    return {
        "systems": [{"name": "student", "kind": "student"}],
        "tests": [{"name": "test"}],
        "measures": ["RR@10"],
        "results": [{"system": "student", "test": "test", "measure": "RR@10", "mean": 0.25}],
    }


def _systems() -> list[dict[str, Any]]:
    none: dict[str, Any] = dict.fromkeys(("strategy", "loss", "architecture", "parameters", "weight", "of"))
    students = [
        {**none, "name": f"{s}-{loss}", "kind": "student", "strategy": s, "loss": loss,
         "architecture": "2-layer bi-encoder", "parameters": 15_616_512, "dev": 0.4 + _GAIN[s]}
        for loss in ("lce", "kl") for s in STRATEGIES
    ]  # fmt: skip
    mixed = [
        {**none, "name": f"{of} + BM25", "kind": "interpolated", "strategy": of[:-3], "loss": "kl", "weight": w,
         "of": of}
        for of, w in (("bm25-kl", 0.35), ("teacher-kl", 0.4))
    ]  # fmt: skip
    return [
        *mixed, *students,
        {**none, "name": "all-MiniLM-L6-v2", "kind": "teacher", "architecture": "bi-encoder", "parameters": 22_713_216},
        {**none, "name": "BM25", "kind": "first stage"},
    ]  # fmt: skip


def _results(rng: np.random.Generator, systems: list[dict[str, Any]], tests: int) -> list[dict[str, Any]]:
    results = []
    for name, domain, queries, *_, (bm25, teacher) in TESTS[:tests]:
        base = rng.beta(2, 2 / bm25 - 2, queries)
        for system in systems:
            at = {"first stage": bm25, "teacher": teacher}.get(system["kind"])
            if at is None:
                at = bm25 + _GAIN[system["strategy"]] + 0.012 * (system["loss"] == "kl")
                at -= 0.02 * (domain != "in domain")
                at += 0.035 * (system["kind"] == "interpolated")
            for measure, shift in zip(MEASURES, (0.03, 0.0, -0.04, 0.2, 0.1), strict=True):
                values = base if system["kind"] == "first stage" else base + rng.normal(0, 0.18, queries)
                mean, other = min(0.99, at + shift), min(0.99, bm25 + shift)
                centred, yardstick = values - values.mean() + mean, base - base.mean() + other
                results.append(_result(system, name, measure, mean, centred, yardstick))
    return results


def _result(system: dict[str, Any], test: str, measure: str, mean: float, values: Any, base: Any) -> dict[str, Any]:
    half = 1.96 * values.std() / np.sqrt(len(values))
    apart = values - base
    first = system["kind"] == "first stage"
    arm = 1.96 * apart.std() / np.sqrt(len(values))
    return {
        "system": system["name"], "test": test, "measure": measure, "mean": float(mean), "low": float(mean - half),
        "high": float(min(1, mean + half)), "n": len(values),
        "difference": None if first else float(apart.mean()),
        "difference_low": None if first else float(apart.mean() - arm),
        "difference_high": None if first else float(apart.mean() + arm),
    }  # fmt: skip


def _strategy(rng: np.random.Generator, place: int, name: str) -> dict[str, Any]:
    diameter, entropy, gap = (1.22, 0.31, 0.42), (1.04, 0.55, 0.22), (0.93, 0.71, 0.13)
    d, h, g = (diameter, entropy, gap)[place]
    spread = rng.normal(0, 1, (300, 2)) @ np.array([[0.07, -0.06], [0.0, 0.07]])
    points = np.clip(np.array([d, h]) + spread, [0.2, 0.0], [2.0, 1.0])
    return {
        "name": name, "groups": 1_200, "size": 16, "diameter": {"mean": d, "low": d - 0.012, "high": d + 0.012},
        "robust_diameter": d + 0.19, "entropy": {"mean": h, "low": h - 0.015, "high": h + 0.015},
        "listwise_entropy": {"mean": h * 0.8, "low": h * 0.8 - 0.013, "high": h * 0.8 + 0.013},
        "pairs_asked": 19_200, "pairs_scored": [19_200, 17_731, 14_020][place], "points": points.round(4).tolist(),
        "negative_scores": rng.normal(0.62 - g, 0.11, 1_000).round(4).tolist(),
        "positive_scores": rng.normal(0.64, 0.12, 600).round(4).tolist(),
        "false_negative_share": [0.004, 0.071, 0.163][place],
    }  # fmt: skip


def _curve(rng: np.random.Generator, system: dict[str, Any]) -> dict[str, Any]:
    steps = np.arange(10, 2_401, 10)
    floor = 0.4 * STRATEGIES.index(system["strategy"])
    fall = (1.9 - 0.5 * STRATEGIES.index(system["strategy"])) * np.exp(-steps / 500) + 0.1
    fall *= np.exp(rng.normal(0, 0.12, len(steps)))
    loss = (fall + floor).round(4).tolist()
    excess = fall.round(4).tolist() if system["loss"] == "kl" else loss
    return {"system": system["name"], "steps": steps.tolist(), "loss": loss, "excess": excess}


def _examples() -> list[dict[str, Any]]:
    query = "Return a deep copy of the given object, following references to the objects it contains."
    positive = {
        "text": "copy.deepcopy (x, memo=None) See the module's documentation on memo.",
        "score": 0.71,
        "label": 1,
    }
    drawn = {
        "random": [("email.message.Message.get_boundary The boundary of a multipart message, or failobj.", 0.08),
                   ("asyncio.Queue.put_nowait If no free slot is immediately available, raise QueueFull.", 0.11),
                   ("turtle.bgcolor Arguments as for color: a name, or three numbers.", -0.02)],
        "bm25": [("copy.copy A shallow one: containers are new, the objects in them are the same as before.", 0.66),
                 ("weakref.WeakSet.copy Return a new set with references to the same objects.", 0.41),
                 ("gc.get_referents Objects directly referred to by any of the arguments.", 0.37)],
        "teacher": [("copy.copy A shallow one: containers are new, the objects in them are the same as before.", 0.66),
                    ("copyreg.__reduce_ex__ Helper for pickling and for deep copies of new-style objects. " * 6, 0.74),
                    ("torch.clone The result has the same data but shares no storage with its input.", 0.58)],
    }  # fmt: skip
    first = [{"query": query, "strategy": s, "documents": [positive, *_negatives(docs)]} for s, docs in drawn.items()]
    second = [
        {"query": "Split the string at the last occurrence of sep.", "strategy": s, "documents": [
            {"text": "str.rpartition Three parts: before, the separator itself, and after.", "score": 0.69, "label": 1},
            {"text": "str.rsplit A list of words; splits begin at the end of the string.", "score": 0.61, "label": 0},
        ]} for s in STRATEGIES
    ]  # fmt: skip
    return first + second


def _negatives(drawn: list[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"text": text, "score": score, "label": 0} for text, score in drawn]
