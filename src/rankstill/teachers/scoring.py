"""The stage `score`: the teacher's score of every asked pair, each distinct pair of texts scored once.

What is promised about bytes:
1. The same command, killed anywhere and run again, ends with the same bytes. When the stage begins it writes down what
   the store knew (`known.npy`); from then on the pairs to score, and their split into chunks, are fixed. A finished
   chunk is a file here and a part of the store; a chunk that was cut short is scored again whole.
2. On a processor a pair's score does not depend on the pairs beside it (see `batches` and `precision`), so it does not
   matter either which stage scored it first. On a GPU its last bits may, as they may between machines.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rankstill.collection.store import Collection
from rankstill.errors import DataError
from rankstill.files import COST, run_stage, whole_or_absent, write_json
from rankstill.progress import bar
from rankstill.records import Pairs, Rows, Scores32, rows_of
from rankstill.teachers import recheck as again
from rankstill.teachers.chunks import chunk_scores
from rankstill.teachers.distinct import distinct_pairs
from rankstill.teachers.store import PairKeys, ScoreStore
from rankstill.teachers.store_care import merge_parts
from rankstill.teachers.teacher import Teacher, keep_in, open_teacher

SCORES = "scores.parquet"
_MANY = 1000
"""Parts that one run adds to the store before it merges them: files in one folder make each addition slower."""
_TABLES = ("candidates.parquet", SCORES, "run.parquet")


def score(
    collection: Path,
    pairs: Path | Pairs | Sequence[Path | Pairs],
    teacher: Teacher | str,
    out: Path,
    store: Path | None = None,
    recheck: int = 0,
) -> Path:
    """Score pairs.

    Args:
        collection: The collection's folder.
        pairs: What to score: tables, Parquet files, or folders of the stages sample, score or rank; their union.
        teacher: A teacher, or a reference to one (see `open_teacher`).
        out: The folder to write: `scores.parquet`, sorted by query, then document. Its manifest counts the pairs asked
            for and the unique ones among them. What depends on the store's state stands in its `cost.json`, beside the
            seconds: how many pairs of texts came `from_store`, and how many were `scored`.
        store: The score store; where None, nothing is kept beyond `out`.
        recheck: Score so many of the pairs a second time, also where `out` is finished already, and say in `cost.json`
            and on stderr how the scores differ; 0 for none.

    Raises:
        DataError: There is no pair, a row is not in the collection, or the teacher gives scores that are not finite,
            too few, or all the same.
        MissingScores: The teacher has no score for some pairs.
    """
    opened = open_teacher(teacher) if isinstance(teacher, str) else teacher
    tables = [pairs] if isinstance(pairs, Path | Pairs) else list(pairs)
    asked = np.sort(Pairs.concatenate([_read(table) for table in tables]).key())
    keys = np.unique(asked)
    query, doc = rows_of(keys)
    keep_in(opened, store)
    kept = ScoreStore(store, opened.fingerprint, opened.name, opened.kind) if store and opened.by_text else None

    def build(work: Path) -> Mapping[str, Any]:
        if not (work / SCORES).is_file():
            found = Collection(collection)
            _refuse_bad_rows(found, query, doc)
            job = _Job(found, query, doc, opened, kept, work)
            scores = job.run()
            write_json(work / COST, job.cost())
            Pairs(query, doc, scores).write(work / SCORES)
        shutil.rmtree(work / "chunks", ignore_errors=True)
        return {"asked": len(asked), "unique": len(keys), "queries": len(np.unique(query)), "teacher": opened.name}

    inputs: dict[str, Path | str] = {
        "collection": collection,
        "pairs": hashlib.sha256(asked.astype("<u8").tobytes()).hexdigest(),
    }
    done = run_stage(out, stage="score", spec={"teacher": opened.fingerprint}, inputs=inputs, build=build)
    if recheck:
        found = again.recheck(Collection(collection), Pairs.read(done / SCORES), opened, recheck, store)
        again.report(found, done, opened.name)
    return done


def _read(pairs: Path | Pairs) -> Pairs:
    if isinstance(pairs, Pairs):
        return pairs
    if pairs.is_dir():
        held = [pairs / name for name in _TABLES if (pairs / name).is_file()]
        if not held:
            raise DataError(f"{pairs} holds no pairs (none of {', '.join(_TABLES)})", hint="give the folder of a stage")
        return Pairs.read(held[0])
    return Pairs.read(pairs)


def _refuse_bad_rows(collection: Collection, query: Rows, doc: Rows) -> None:
    if not len(query):
        raise DataError("there is no pair to score", hint="sample candidates first")
    collection.refuse_foreign(query, doc)


class _Job:
    """Scoring n distinct (query, document) rows, in chunks that outlive a kill."""

    def __init__(
        self, collection: Collection, query: Rows, doc: Rows, teacher: Teacher, store: ScoreStore | None, work: Path
    ) -> None:
        self.collection, self.teacher, self.store, self.chunks = collection, teacher, store, work / "chunks"
        self.chunks.mkdir(exist_ok=True)
        first, self.which = distinct_pairs(collection, query, doc, by_text=teacher.by_text)
        self.query, self.doc = query[first], doc[first]
        asked = collection.queries.same_text[self.query] if teacher.by_text else self.query
        self.several = len(first) > len(np.unique(asked))
        # Parts of the store that have none of the waiting pairs: those that were asked, and those of this run.
        self.lacking: frozenset[str] = frozenset()
        self.added: list[str] = []
        self.known = self._known()
        self.waiting = np.flatnonzero(np.isnan(self.known))

    def cost(self) -> dict[str, int]:
        """Tell where the scores came from."""
        return {"from_store": len(self.known) - len(self.waiting), "scored": len(self.waiting)}

    def run(self) -> Scores32:
        """Score what is not known, and return the scores of all n rows."""
        scores = self.known.copy()
        if len(self.waiting):
            query, doc = self.query[self.waiting], self.doc[self.waiting]
            teacher = self.teacher.prepared(self.collection, query, doc, self.chunks)
            chunks = [
                (self.waiting[start : start + teacher.chunk], self.chunks / f"{number:06d}.npy")
                for number, start in enumerate(range(0, len(query), teacher.chunk))
            ]
            with bar(f"scoring by {teacher.name}", len(query), "pairs") as shown:
                left = [(self.query[where], self.doc[where]) for where, path in chunks if not path.exists()]
                answers = chunk_scores(teacher, self.collection, left, shown)
                for where, path in chunks:
                    if path.exists():
                        shown.advance(len(where))
                    else:
                        found = next(answers)
                        self._refuse_bad_scores(found, where)
                        _save(path, np.asarray(found, np.float32))
                    scores[where] = np.load(path, allow_pickle=False)
                    self._keep(where, scores[where])
        if self.several and np.ptp(scores) == 0:
            raise DataError(
                f"the teacher {self.teacher.name} is constant: all {len(scores)} pairs get the score {scores[0]:g}",
                hint="it cannot tell documents apart, so there is nothing to learn; use another teacher",
            )
        return scores[self.which]

    def _known(self) -> Scores32:
        """Ask the store once, and hold on to the answer: what is scored must not change with it later."""
        path = self.chunks / "known.npy"
        if not path.exists():
            known = np.full(len(self.query), np.nan, np.float32)
            if self.store is not None:
                # What is listed before the lookup has none of the pairs that the lookup does not find.
                self.lacking = frozenset(part.name for part in self.store.parts())
                known = self.store.lookup(self._keys(slice(None)))
            _save(path, known)
        return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]

    def _keys(self, where: Any) -> PairKeys:
        return PairKeys.of(self.collection, self.query[where], self.doc[where])

    def _keep(self, where: Any, scores: Scores32) -> None:
        # Also a chunk found finished: the kill may have come before the store had it. Nothing is stored twice.
        if self.store is None:
            return
        self.added.append(self.store.append(self._keys(where), scores, {*self.lacking, *self.added}))
        if len(self.added) >= _MANY:
            with self.store.writing():
                there = [path for path in self.store.parts() if path.name in self.added]
                self.lacking |= {*merge_parts(self.store, there)}
            self.added = []

    def _refuse_bad_scores(self, scores: Scores32, where: Any) -> None:
        name = self.teacher.name
        if np.shape(scores) != (len(where),):
            raise DataError(
                f"the teacher {name} gave an answer of shape {np.shape(scores)} for {len(where)} pairs",
                hint="a teacher returns one score for each pair, in their order",
            )
        bad = np.flatnonzero(~np.isfinite(scores))
        if len(bad):
            query, doc = self.query[where[bad[0]]], self.doc[where[bad[0]]]
            raise DataError(
                f"the teacher {name} gives {len(bad)} of {len(where)} pairs a score that is not finite (first: query "
                f"{self.collection.queries.id(query)}, document {self.collection.documents.id(doc)}: {scores[bad[0]]})",
                hint="try --precision float32; if that fails too, the model is broken",
            )


def _save(path: Path, values: Scores32) -> None:
    with whole_or_absent(path) as file:
        np.save(file, values, allow_pickle=False)
