"""rankstill at work on the bench, by the same protocol as the rivals: `python -m benchmarks.speed.ours DATA`."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
import torch
import worker
from benchmarks.speed.data import student_spec
from worker import Data, Request

from rankstill.collection.store import Collection
from rankstill.records import Groups
from rankstill.students.passes import Passes, score_batch
from rankstill.students.train import _Run, set_threads
from rankstill.students.train_spec import TrainSpec
from rankstill.teachers import Encoder, open_scorer

FOLDERS = {"cross-encoder": "cross", "bi-encoder": "bi", "static": "static"}
loaded = {}


def train(data: Data, request: Request) -> dict:
    """Train on given groups; the harness charges the steps for tokenising, which is done once before them."""
    facts, architecture = data._read("facts.json"), request["architecture"]
    groups = Groups.read(Path(facts["groups"]) / "groups.parquet")
    # A static student starts from a transformer's token vectors, not from a bag of them: the same weights.
    start = "minilm" if architecture == "static" else data.model(FOLDERS[architecture])
    spec = TrainSpec(
        student_spec(architecture, start),
        temperature=facts["temperature"],
        student_temperature=worker.student_temperature(request),
        weight_decay=0.0,
        # Our KL carries the factor temperature squared (Hinton et al.); the rivals' does not: the same clipping.
        clip=worker.student_temperature(request) ** 2,
        precision=request["precision"],
    )
    with tempfile.TemporaryDirectory() as folder:
        run = _Run(Collection(Path(facts["collection"])), groups, spec, Path(folder), float("inf"))
        steps = [np.array(rows) for rows in request["steps"]]
        run._rows = lambda step: steps[step]
        for part in run.optimizer.param_groups:
            # With that factor gradients are smaller, and Adam's epsilon is not: the same steps need a smaller one.
            part["eps"] *= spec.student_temperature**2
        object.__setattr__(spec, "rate", lambda step, _: request["rates"][step])
        run.student.module.train()
        clock, losses = worker.Clock(), []
        for step in range(len(steps)):
            # KL times the temperature squared is what the loss is; the others' KL has no such factor.
            losses.append(run._step(step)["loss"] / spec.student_temperature**2)
            clock.tick()
        rows = np.array(request.get("check", []), np.int64)
        run.student.module.eval()
        with torch.inference_mode():
            passes = Passes(torch.float32, run.passes.budget)
            scores = score_batch(run.student, run.data.batch(rows), passes).tolist() if len(rows) else []
    return {"seconds": clock.seconds, "losses": losses, "scores": scores}


def _scorer(data: Data, request: Request):
    key = request["precision"]
    if key not in loaded:
        loaded[key] = open_scorer(data.model("cross"), precision=key)
    return loaded[key]


def _predict(data: Data, request: Request, pairs: list) -> np.ndarray:
    return _scorer(data, request)(*map(list, zip(*pairs, strict=True)))


def score(data: Data, request: Request) -> dict:
    seconds, scores = worker.timed(lambda pairs: _predict(data, request, pairs), data.pairs)
    return {"seconds": seconds, "scores": scores.tolist()}


def rerank(data: Data, request: Request) -> dict:
    def predict(sets):
        # All sets of an evaluation at once: one order by length over all of them.
        scores = iter(_predict(data, request, [pair for one in sets for pair in one]).tolist())
        return [[next(scores) for _ in one] for one in sets]

    seconds, scores = worker.timed(predict, data.sets, warm=[data.sets[0][: worker.WARM_UP]])
    return {"seconds": seconds, "scores": scores}


def encode(data: Data, request: Request) -> dict:
    key = ("bi", request["precision"])
    if key not in loaded:
        loaded[key] = Encoder(data.model("bi"), request["precision"])
    seconds, vectors = worker.timed(lambda texts: loaded[key].encode(texts), data.texts)
    path = tempfile.mkstemp(suffix=".npy")[1]
    np.save(path, vectors)
    return {"seconds": seconds, "vectors": path}


def rates(data: Data, request: Request) -> dict:
    """Tell the learning rates of a default run of so many steps."""
    spec = TrainSpec(student_spec(request["architecture"], "minilm"))
    return {"rates": [spec.rate(step, request["of"]) for step in range(request["of"])]}


def tokenising(data: Data, request: Request) -> dict:
    """Tell how long the texts of all groups take to tokenise, per document of the groups."""
    from rankstill.students.architectures import build_student
    from rankstill.students.group_texts import GroupTexts

    facts = data._read("facts.json")
    groups = Groups.read(Path(facts["groups"]) / "groups.parquet")
    student = build_student(student_spec("cross-encoder", "minilm"), 1)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        GroupTexts(Collection(Path(facts["collection"])), groups, student, Path(folder))
        return {"seconds": (time.perf_counter() - begun) / groups.doc.size}


if __name__ == "__main__":
    set_threads()
    worker.serve(
        {
            "train": train,
            "score": score,
            "rerank": rerank,
            "encode": encode,
            "rates": rates,
            "tokenising": tokenising,
            "about": lambda data, request: worker.about("rankstill"),
        }
    )
