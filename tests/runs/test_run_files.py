"""Runs on disk: rank order is kept, ties included; TREC form is what other tools read."""

import ir_measures
import numpy as np

from rankstill.records import Pairs
from rankstill.runs.run_files import by_rank, read_run, write_run
from tests.tiny_collections import make_collection


def test_a_run_in_both_forms(tmp_path):
    collection = make_collection(tmp_path / "c", {"a": "x", "b": "y", "c": "z"}, {"q1": "x", "q2": "y"})
    run = Pairs(
        np.array([0, 0, 0, 1], np.uint32), np.array([2, 0, 1, 1], np.uint32), np.array([1.5, 1, 1, 0.1], np.float32)
    )
    write_run(tmp_path, run, collection, "my student")
    assert (tmp_path / "run.trec").read_text().splitlines() == [
        "q1 Q0 c 1 1.5 my-student",
        "q1 Q0 a 2 1 my-student",
        "q1 Q0 b 3 1 my-student",
        "q2 Q0 b 1 0.100000001 my-student",
    ]
    again = read_run(tmp_path)
    assert again.doc.tolist() == run.doc.tolist()
    read = list(ir_measures.read_trec_run(str(tmp_path / "run.trec")))
    assert [(r.query_id, r.doc_id) for r in read] == [("q1", "c"), ("q1", "a"), ("q1", "b"), ("q2", "b")]


def test_ranks_stand_in_for_scores_so_that_ties_keep_their_order():
    run = Pairs(np.array([7, 7, 7], np.uint32), np.array([9, 1, 5], np.uint32), np.array([1, 1, 1], np.float32))
    assert by_rank(run).ranked().doc.tolist() == [9, 1, 5]
