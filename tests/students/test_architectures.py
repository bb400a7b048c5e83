"""Students score as sentence-transformers does with what they save, and as one padded batch would."""

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

from rankstill.errors import ModelError, SpecError
from rankstill.students.architectures import StudentSpec, build_student
from rankstill.students.passes import Passes, score_batch
from tests.students.examples import ARCHITECTURES, batch_of, scores_of, tokens_of
from tests.tiny_collections import WORDS
from tests.tiny_models import LENGTH, tiny_static

LONG = "shock heat plate cone " * 10
PAIRS = [
    ("wing lift", "wing lift drag report7"),
    ("wing lift", "tail flap gas wave " * 20),
    ("wing lift", ""),
    (LONG, "nose"),
    (LONG, "tail flap gas wave " * 20),
    (LONG, ""),
    ("flow", "jet unknownword stream"),
    ("flow [SEP] jet", "Wing  LIFT\tdrag"),
]


def _trained(architecture, start, pairs, **options):
    """Take a few steps on the tokens in use, as training does."""
    student = build_student(StudentSpec(architecture, start, layers=1, **{"max_length": 32, **options}), seed=3)
    student.focus(tokens_of(student, pairs))
    optimizer = torch.optim.SGD(student.module.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        (scores_of(student, pairs) - torch.linspace(-1, 1, len(pairs))).square().mean().backward()
        optimizer.step()
    return student


def _theirs(architecture, folder, pairs):
    """Score with the classes of sentence-transformers alone."""
    if architecture == "cross-encoder":
        return CrossEncoder(str(folder), device="cpu").predict(pairs, show_progress_bar=False)
    model = SentenceTransformer(str(folder), device="cpu")
    queries, docs = (model.encode(list(texts), show_progress_bar=False) for texts in zip(*pairs, strict=True))
    norms = np.linalg.norm(queries, axis=1) * np.linalg.norm(docs, axis=1)
    return (queries * docs).sum(axis=1) / np.maximum(norms, 1e-12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_saved_student_scores_the_same_in_sentence_transformers(tmp_path, start, architecture):
    student = _trained(architecture, start, PAIRS)
    ours = scores_of(student, PAIRS).detach().numpy()
    student.save(tmp_path / "model")
    theirs = _theirs(architecture, tmp_path / "model", PAIRS)
    assert np.ptp(ours) > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    # Saving puts the unused tokens back; what the student scores stays.
    np.testing.assert_array_equal(scores_of(student, PAIRS).detach().numpy(), ours)
    assert [p.name for p in tmp_path.iterdir()] == ["model"], "nothing else is left"


@pytest.mark.parametrize("max_length", [16, 17])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_texts_of_any_length_are_cut_as_sentence_transformers_cuts_them(tmp_path, start, architecture, max_length):
    lengths = [0, 1, 2, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17, 18, 40]
    rng = np.random.default_rng(1)
    pairs = [(" ".join(rng.choice(WORDS, q)), " ".join(rng.choice(WORDS, d))) for q in lengths for d in lengths]
    student = build_student(StudentSpec(architecture, start, layers=1, max_length=max_length), seed=3)
    ours = scores_of(student, pairs).detach().numpy()
    student.save(tmp_path / "model")
    np.testing.assert_allclose(ours, _theirs(architecture, tmp_path / "model", pairs), atol=1e-5)


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_the_start_model_sets_the_special_tokens(tmp_path, architecture):
    """RoBERTa sets two tokens between the texts, and none of them is called [CLS]."""
    names = ["<s>", "<pad>", "</s>", "<unk>", *WORDS]
    bare = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    bare.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    special = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, **special, pad_token="<pad>", unk_token="<unk>", model_max_length=32
    )
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = RobertaConfig(
        vocab_size=len(names), max_position_embeddings=34, type_vocab_size=1, initializer_range=0.5, **sizes
    )
    start = tmp_path / "start"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        RobertaModel(config).save_pretrained(start)
    tokenizer.save_pretrained(start)
    pairs = [(q.replace("[SEP]", ""), d) for q, d in PAIRS]
    student = _trained(architecture, str(start), pairs, max_length=16)
    ours = scores_of(student, pairs).detach().numpy()
    student.save(tmp_path / "model")
    np.testing.assert_allclose(ours, _theirs(architecture, tmp_path / "model", pairs), atol=1e-5)
    with pytest.raises(SpecError, match="takes 32 tokens, 33 were asked for"):
        build_student(StudentSpec(architecture, str(start), layers=1, max_length=33), seed=3)


def _reference(student, pairs):
    """Score pairs in one padded batch, with nothing but transformers."""
    queries, docs = zip(*pairs, strict=True)
    options = {"padding": True, "truncation": True, "max_length": student.spec.max_length, "return_tensors": "pt"}
    if student.spec.architecture == "cross-encoder":
        return student.module(**student._tokenizer(queries, docs, **options)).logits[:, 0]
    vectors = []
    for texts in (queries, docs):
        tokens = student._tokenizer(texts, **options)
        weight = tokens["attention_mask"][:, :, None]
        hidden = student.module(**tokens).last_hidden_state
        vectors.append(nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1)))
    return (vectors[0] * vectors[1]).sum(1)


@pytest.mark.parametrize("budget", [1, 48, 100, 1000, 100_000])
@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_micro_batches_are_one_padded_batch(start, architecture, budget):
    """Scores and every gradient, within 1e-6, of a loss over the whole batch."""
    found = []
    for score in (lambda s: scores_of(s, PAIRS, budget), lambda s: _reference(s, PAIRS)):
        student = build_student(StudentSpec(architecture, start, layers=2, max_length=40), seed=3)
        student.module.eval()
        scores = score(student)
        torch.log_softmax(scores.view(2, -1), dim=1)[:, 0].mean().backward()
        found.append((scores.detach(), {n: p.grad for n, p in student.module.named_parameters() if p.grad is not None}))
    (ours, gradients), (theirs, expected) = found
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    assert gradients.keys() == expected.keys()
    assert any(g.abs().max() > 0.01 for g in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_a_static_student_is_a_mean_of_its_embeddings(start):
    student = build_student(StudentSpec("static", start, max_length=8), seed=3)
    batch = batch_of(student, [("wing lift wing drag flow jet nose gas tail flap", "lift")])
    table = student.module.weight.detach().numpy()
    a, b = table[batch.queries[0][:8]].mean(axis=0), table[batch.docs[0]].mean(axis=0)
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert score_batch(student, batch, Passes(torch.float32, 0)).item() == pytest.approx(expected, abs=1e-6)


def test_a_static_students_start_is_computed_in_the_precision_asked_for(start):
    exact, half = (
        build_student(StudentSpec("static", start), 3, p).module.weight for p in (torch.float32, torch.bfloat16)
    )
    assert exact.dtype == half.dtype == torch.float32
    assert not torch.equal(exact, half)
    assert float(torch.cosine_similarity(exact, half).detach().min()) > 0.99


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_the_first_layers_are_kept(start, architecture):
    whole, cut = (build_student(StudentSpec(architecture, start, layers=n, max_length=32), 1).module for n in (0, 1))
    assert len(whole.base_model.encoder.layer) == 2
    (layer,) = cut.base_model.encoder.layer
    for name, weight in layer.named_parameters():
        torch.testing.assert_close(weight, whole.base_model.encoder.layer[0].get_parameter(name), rtol=0, atol=0)


def test_new_weights_are_drawn_by_the_seed(start):
    spec = StudentSpec("cross-encoder", start, layers=1, max_length=32)
    one, same, other = (build_student(spec, seed).module.classifier.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_dropout_is_the_students_own(start):
    for wanted in (0.0, 0.3):
        spec = StudentSpec("cross-encoder", start, layers=1, max_length=32, dropout=wanted)
        student = build_student(spec, 1)
        assert {m.p for m in student.module.modules() if isinstance(m, nn.Dropout)} == {wanted}
        student.module.train()
        batch = batch_of(student, PAIRS)
        once, twice = (score_batch(student, batch, Passes(torch.float32, 1000)) for _ in range(2))
        assert torch.equal(once, twice) == (wanted == 0)


def test_names_for_tables():
    assert StudentSpec("cross-encoder", layers=3).name == "cross-encoder, 3 layers"
    assert StudentSpec("bi-encoder", layers=1).name == "bi-encoder, 1 layer"
    assert StudentSpec("bi-encoder", layers=0).name == "bi-encoder"
    assert StudentSpec("static", layers=3).name == "static"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "colbert"}, "unknown student 'colbert'"),
        ({"layers": -1}, "0 layers .* or more, not -1"),
        ({"max_length": 4}, "max_length 4 leaves no room"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), not 1.0"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        StudentSpec(**options)


def test_more_than_the_start_model_has_is_refused(start):
    with pytest.raises(SpecError, match="has 2 layers, 3 were asked for"):
        build_student(StudentSpec("bi-encoder", start, layers=3, max_length=32), 1)
    with pytest.raises(SpecError, match=f"takes {LENGTH} tokens, {LENGTH + 1} were asked for"):
        build_student(StudentSpec("cross-encoder", start, layers=1, max_length=LENGTH + 1), 1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_start_that_is_no_transformer_is_refused(tmp_path, architecture):
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text('{"architectures": ["BertModel"]}')
    (pickled / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ModelError, match="pickled form only"):
        build_student(StudentSpec(architecture, str(pickled), max_length=32), 1)
    with pytest.raises(ModelError, match=r"no student can start from the model in .*static"):
        build_student(StudentSpec(architecture, str(tiny_static(tmp_path / "static")), max_length=32), 1)
    with pytest.raises(ModelError, match="there is no model folder"):
        build_student(StudentSpec(architecture, str(tmp_path / "nowhere"), max_length=32), 1)
