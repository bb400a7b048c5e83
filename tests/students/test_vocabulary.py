"""Training the tokens in use gives what training the whole table gives, and leaves the others as they were."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rankstill.students.architectures import StudentSpec, build_student
from rankstill.students.static import StaticStudent
from rankstill.students.train import train
from rankstill.students.transformer import Transformer
from rankstill.students.vocabulary import UsedTokens
from tests.students.examples import ARCHITECTURES, scores_of, tokens_of, train_spec, weights_in

TABLES = {
    "cross-encoder": "bert.embeddings.word_embeddings.weight",
    "bi-encoder": "embeddings.word_embeddings.weight",
    "static": "embedding.weight",
}


def test_used_tokens_by_hand():
    used = UsedTokens(np.array([1, 4, 5]), 7)
    assert used.number[[1, 4, 5]].tolist() == [0, 1, 2]
    table = torch.arange(14.0).view(7, 2)
    part = used.part(table)
    assert part.tolist() == [[2, 3], [8, 9], [10, 11]]
    joined = used.whole(table, part + 100)
    assert joined.tolist() == [[0, 1], [102, 103], [4, 5], [6, 7], [108, 109], [110, 111], [12, 13]]
    assert table[1].tolist() == [2, 3], "the whole table is not touched"


def _whole_table(monkeypatch):
    for kind in (StaticStudent, Transformer):
        monkeypatch.setattr(kind, "focus", lambda *_: None)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_weights_after_training(tmp_path, monkeypatch, start, collection, groups, architecture):
    # The only thing that mixes weights is the length of the gradient, a sum in another order: not clipped, every
    # weight takes its own steps, and the two trainings agree to the last bit.
    for name, clip in (("free", 1e9), ("clipped", 0.01)):
        spec = train_spec(start, architecture, clip=clip)
        with monkeypatch.context() as patch:
            focused = load_file(weights_in(train(collection.path, groups, tmp_path / f"{name}-focused", spec)))
            _whole_table(patch)
            whole = load_file(weights_in(train(collection.path, groups, tmp_path / f"{name}-whole", spec)))
        assert focused.keys() == whole.keys()
        for weight in focused:
            torch.testing.assert_close(focused[weight], whole[weight], rtol=0, atol=0 if name == "free" else 1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_unused_tokens_stay_to_the_last_bit(start, tmp_path, collection, groups, architecture):
    spec = train_spec(start, architecture, learning_rate=0.05)
    trained = load_file(weights_in(train(collection.path, groups, tmp_path / "m", spec)))[TABLES[architecture]]
    untrained = build_student(spec.student, spec.seed)
    untrained.save(tmp_path / "start")
    before = load_file(weights_in(tmp_path / "start"))[TABLES[architecture]]
    # The words of the collection, its digits, and the special tokens.
    texts = [(q, d) for q in collection.queries for d in collection.documents]
    used = np.zeros(len(before), bool)
    used[tokens_of(untrained, texts)] = True
    used[:4] = True
    assert 10 < used.sum() < len(used) - 10
    assert torch.equal(trained[~used], before[~used])
    assert (trained != before).any(dim=1).sum() > 10


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_the_tokens_in_use_are_parameters(start, architecture):
    student = build_student(StudentSpec(architecture, start, layers=1, max_length=32), 1)
    pairs = [("wing lift", "jet flow"), ("wing", "")]
    before, whole = scores_of(student, pairs), sum(p.numel() for p in student.module.parameters())
    student.focus(tokens_of(student, pairs))
    assert torch.equal(scores_of(student, pairs), before)
    special = 0 if architecture == "static" else 3  # [PAD], [CLS], [SEP]
    unused = student.tokenizer.get_vocab_size() - 4 - special
    assert sum(p.numel() for p in student.module.parameters()) == whole - unused * 32
