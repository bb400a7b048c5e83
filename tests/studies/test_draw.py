"""Drawing: what a strategy needs is made, and nothing else."""

import subprocess
import sys

import numpy as np
import pytest

from rankstill.candidates.sample import SampleSpec
from rankstill.errors import SpecError
from rankstill.studies.draw import draw
from rankstill.studies.steps import slug
from tests.tiny_collections import word_collection


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return word_collection(tmp_path_factory.mktemp("words") / "c")


def test_drawing_from_bm25_loads_no_model_library():
    line = "import sys, rankstill.studies.draw; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0


def test_a_strategy_without_needs_makes_candidates_alone(tmp_path, collection):
    drawn = draw(collection.path, SampleSpec("bm25", 5), np.arange(3, dtype=np.uint32), tmp_path / "x", store=None)
    assert drawn.wider is None
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["x"]


@pytest.mark.parametrize("strategy", ["teacher", "stratified", "trisampler", "mixture:teacher*0.5+random*0.5"])
def test_a_strategy_that_needs_a_teacher_says_so(tmp_path, collection, strategy):
    with pytest.raises(SpecError, match="chooses by the teacher's scores") as refused:
        draw(collection.path, SampleSpec(strategy, 5), np.arange(3, dtype=np.uint32), tmp_path / "x", store=None)
    assert "--teacher" in refused.value.hint
    assert not list(tmp_path.iterdir())


def test_folders_names_are_short_and_tell_long_names_apart():
    assert slug("Cross-encoder, 3 layers, bm25#skip=10, kl") == "cross-encoder-3-layers-bm25-skip-10-kl"
    long = [slug(f"ensemble:{'a' * 300}/{name}.trec") for name in ("x", "y")]
    assert len(set(long)) == 2
    assert {len(name) for name in long} == {100}
