"""Tiny random models, saved as sentence-transformers saves them, in safetensors; made once per session and copied.

BERT with 2 layers of 32 units over a vocabulary of the words of `tiny_collections` (and digits as word pieces).
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from transformers.utils import logging

from tests.tiny_collections import WORDS

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "report", *"abcdefghijklmnopqrstuvwxyz"]
VOCABULARY += [f"##{c}" for c in "0123456789abcdefghijklmnopqrstuvwxyz"]
LENGTH = 64
"""Tokens that the models take at most."""


def tiny_cross_encoder(folder: Path, labels: int = 1) -> Path:
    """Write a CrossEncoder folder with so many outputs."""
    return _copy(_cross_encoder(labels), folder)


def tiny_bi_encoder(folder: Path, similarity: str = "cosine") -> Path:
    """Write a SentenceTransformer folder: transformer, mean pooling, a dense layer, and (for cosine) normalisation."""
    return _copy(_bi_encoder(similarity), folder)


def tiny_static(folder: Path) -> Path:
    """Write a static SentenceTransformer folder: a bag of token embeddings."""
    return _copy(_static(), folder)


def tiny_transformer(folder: Path) -> Path:
    """Write a plain BertModel folder, as of transformers, with its tokenizer."""
    return _copy(_transformer(), folder)


def tiny_sparse(folder: Path, similarity: str = "dot") -> Path:
    """Write a SparseEncoder folder: a masked language model and SPLADE's pooling."""
    return _copy(_sparse(similarity), folder)


def tiny_late_interaction(folder: Path, attend: bool | None = None, similarity: str = "maxsim") -> Path:
    """Write a MultiVectorEncoder folder; its queries are expanded to 8 tokens where `attend` is stated."""
    return _copy(_late_interaction(attend, similarity), folder)


def tiny_sequence(folder: Path, kind: str = "T5") -> Path:
    """Write a T5ForConditionalGeneration (or MT5...) folder that knows the words true and false."""
    return _copy(_sequence(kind), folder)


def _copy(made: Path, folder: Path) -> Path:
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return folder


def _quietly(make: Callable[[Path], None]) -> Path:
    """Make something in a folder of this session; the random state is as it was afterwards."""
    root = Path(tempfile.mkdtemp(prefix="tiny-model-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(5)
        make(root / "model")
    return root / "model"


def _tokenizer():
    from transformers import BertTokenizer

    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder, "vocab.txt")
        vocabulary.write_text("\n".join(VOCABULARY))
        return BertTokenizer(str(vocabulary), model_max_length=LENGTH)


def _config(**options):
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        # Wide, so that different texts get clearly different results.
        initializer_range=0.3,
        **options,
    )


@cache
def _transformer() -> Path:
    from transformers import BertModel

    def make(folder: Path) -> None:
        BertModel(_config()).save_pretrained(folder)
        _tokenizer().save_pretrained(folder)

    return _quietly(make)


@cache
def _cross_encoder(labels: int) -> Path:
    from sentence_transformers import CrossEncoder
    from transformers import BertForSequenceClassification

    def make(folder: Path) -> None:
        plain = folder.with_name("plain")
        BertForSequenceClassification(_config(num_labels=labels)).save_pretrained(plain)
        _tokenizer().save_pretrained(plain)
        CrossEncoder(str(plain), device="cpu", local_files_only=True).save_pretrained(
            str(folder), create_model_card=False
        )

    return _quietly(make)


@cache
def _bi_encoder(similarity: str) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    def make(folder: Path) -> None:
        body = Transformer(str(_transformer()))
        modules = [body, Pooling(32, pooling_mode="mean"), Dense(32, 24, activation_function=torch.nn.Tanh())]
        if similarity == "cosine":
            modules.append(Normalize())
        model = SentenceTransformer(modules=modules, device="cpu", similarity_fn_name=similarity)
        model.save_pretrained(str(folder), create_model_card=False)

    return _quietly(make)


@cache
def _static() -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    def make(folder: Path) -> None:
        tokenizer = Tokenizer.from_file(str(_transformer() / "tokenizer.json"))
        bag = StaticEmbedding(tokenizer, embedding_weights=torch.randn(len(VOCABULARY), 24))
        model = SentenceTransformer(modules=[bag, Normalize()], device="cpu", similarity_fn_name="cosine")
        model.save_pretrained(str(folder), create_model_card=False)

    return _quietly(make)


@cache
def _sparse(similarity: str) -> Path:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.modules import SpladePooling
    from transformers import BertForMaskedLM

    def make(folder: Path) -> None:
        plain = folder.with_name("plain")
        BertForMaskedLM(_config()).save_pretrained(plain)
        _tokenizer().save_pretrained(plain)
        modules = [Transformer(str(plain), transformer_task="fill-mask"), SpladePooling()]
        model = SparseEncoder(modules=modules, device="cpu", similarity_fn_name=similarity)
        model.save_pretrained(str(folder), create_model_card=False)

    return _quietly(make)


@cache
def _late_interaction(attend: bool | None, similarity: str) -> Path:
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    def make(folder: Path) -> None:
        expansion = None if attend is None else {"strategy": "fixed", "attend": attend, "length": 8}
        names = {"module_input_name": "token_embeddings"}
        modules = [
            Transformer(str(_transformer()), query_expansion=expansion, document_length=32),
            Dense(32, 16, bias=False, activation_function=torch.nn.Identity(), **names),
            MultiVectorMask(skiplist_words=["gas"]),
            Normalize(**names),
        ]
        prompts = {"query": "a ", "document": "b "}
        model = MultiVectorEncoder(modules=modules, device="cpu", prompts=prompts, similarity_fn_name=similarity)
        model.save_pretrained(str(folder), create_model_card=False)

    return _quietly(make)


@cache
def _sequence(kind: str) -> Path:
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["Query:", "Document:", "Relevant:", "true", "false", *VOCABULARY[5:]]
    vocabulary = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", *words])}

    def make(folder: Path) -> None:
        inner = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
        inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        inner.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=LENGTH
        )
        config = getattr(transformers, f"{kind}Config")(
            vocab_size=len(vocabulary),
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            decoder_start_token_id=0,
            initializer_factor=2.0,
        )
        getattr(transformers, f"{kind}ForConditionalGeneration")(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    return _quietly(make)
