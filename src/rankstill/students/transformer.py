"""What the students with a transformer share: loading its first layers, its tokenizer, its token embeddings."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from rankstill.errors import ModelError, SpecError
from rankstill.models import quiet
from rankstill.students.architectures import StudentSpec
from rankstill.students.tokens import pad
from rankstill.students.vocabulary import UsedTokens

LOCAL = {"local_files_only": True, "trust_remote_code": False}
_DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),  # BERT and its kin
    *("dropout", "attention_dropout", "seq_classif_dropout", "embedding_dropout", "mlp_dropout"),  # others
)

Special = list[int]


@dataclass(frozen=True)
class Frame:
    """The special tokens that a tokenizer sets around texts.

    Attributes:
        before, after: Around one text, [CLS] and [SEP] in BERT.
        begin, between, end: Around two; BERT sets [CLS], [SEP], [SEP], RoBERTa <s>, </s></s>, </s>.
    """

    before: Special
    after: Special
    begin: Special
    between: Special
    end: Special

    @classmethod
    def of(cls, tokenizer: Any, start: str) -> Frame:
        """See what a tokenizer of transformers does.

        Raises:
            ModelError: It sets nothing around a text, so that an empty text would have no token.
        """
        before, after = _gaps(tokenizer("a"))
        begin, between, end = _gaps(tokenizer("a", "b"))
        if not before and not after:
            raise ModelError(
                f"the tokenizer of {start} sets no special tokens around a text", hint="start from an encoder like BERT"
            )
        return cls(before, after, begin, between, end)

    def tokens(self) -> Special:
        """List all of them."""
        return [*self.before, *self.after, *self.begin, *self.between, *self.end]


def _gaps(encoded: Any) -> list[Special]:
    """List the special tokens before, between and after the texts of one encoding."""
    gaps: list[Special] = [[]]
    last = None
    for token, text in zip(encoded["input_ids"], encoded.sequence_ids(0), strict=True):
        if text is None:
            gaps[-1].append(token)
        elif text != last:
            gaps.append([])
            last = text
    return gaps


class Transformer:
    """A transformer under training, with the embeddings of the tokens in use.

    Args:
        spec: The student's spec.
        start: The checked folder of the model it starts from.
        auto: The class of transformers that loads it.
        options: Further options of `auto.from_pretrained`.
    """

    def __init__(self, spec: StudentSpec, start: str, auto: Any, **options: Any) -> None:
        self.spec = spec
        self._tokenizer, self.tokenizer = fast_tokenizer(start)
        self._frame = Frame.of(self._tokenizer, start)
        with quiet(), loading(start):
            self.module = auto.from_pretrained(start, **load_options(spec, start), **options)
        self._pad = self._tokenizer.pad_token_id or 0
        self._used: UsedTokens | None = None
        self._all = torch.empty(0)

    def focus(self, used: NDArray[np.int64]) -> None:
        """Keep only the embeddings of these tokens, and of the special ones, until `save`."""
        self._all = self.module.get_input_embeddings().weight
        tokens = np.union1d(used, [*self._frame.tokens(), self._pad]).astype(np.int64)
        self._used = UsedTokens(tokens, len(self._all))
        self._embed(self._used.part(self._all))

    def padded(self, sequences: list[NDArray[np.int64]], budget: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pad sequences as `pad` does: ids as the embeddings number them, and the mask."""
        ids, mask = pad(sequences, self._pad, budget)
        return (ids if self._used is None else self._used.number[ids]), mask

    def write_plain(self, folder: Path) -> Path:
        """Write transformer and tokenizer beside `folder`, for a container to load; see `remove_plain`."""
        if self._used is not None:
            self._embed(self._used.whole(self._all, self.module.get_input_embeddings().weight))
            self._used = None
        plain = folder.with_name(folder.name + ".plain")
        self.module.save_pretrained(plain)
        self._tokenizer.save_pretrained(plain)
        return plain

    def _embed(self, weights: Tensor) -> None:
        table: nn.Embedding = nn.Embedding.from_pretrained(weights, freeze=False)  # type: ignore[no-untyped-call]
        self.module.set_input_embeddings(table)


def remove_plain(folder: Path) -> None:
    """Remove what `write_plain` wrote."""
    shutil.rmtree(folder)


def fast_tokenizer(start: str) -> tuple[Any, Tokenizer]:
    """Load a tokenizer: as transformers wraps it, and bare, without padding and truncation."""
    from transformers import AutoTokenizer

    with quiet(), loading(start):
        wrapped = AutoTokenizer.from_pretrained(start, **LOCAL)
    bare = Tokenizer.from_str(wrapped.backend_tokenizer.to_str())
    bare.no_padding()
    bare.no_truncation()
    return wrapped, bare


def load_options(spec: StudentSpec, start: str) -> dict[str, Any]:
    """Choose the options of `from_pretrained` for a student.

    Raises:
        ModelError: There is no model of transformers in the folder.
        SpecError: It has fewer layers, or takes fewer tokens, than asked.
    """
    from transformers import AutoConfig

    tokenizer, _ = fast_tokenizer(start)
    with quiet(), loading(start):
        config = AutoConfig.from_pretrained(start, **LOCAL)
    layers = getattr(config, "num_hidden_layers", 0)
    if spec.layers > layers:
        raise SpecError(f"the model {spec.start!r} has {layers} layers, {spec.layers} were asked for")
    longest = min(getattr(config, "max_position_embeddings", spec.max_length), tokenizer.model_max_length)
    if spec.max_length > longest:
        raise SpecError(
            f"the model {spec.start!r} takes {longest} tokens, {spec.max_length} were asked for",
            hint=f"--max-length {longest}",
        )
    # Plain attention: at a few hundred tokens its backward pass beats the fused one of a processor by a quarter.
    options: dict[str, Any] = {**LOCAL, "use_safetensors": True, "dtype": torch.float32, "attn_implementation": "eager"}
    if spec.layers:
        options["num_hidden_layers"] = spec.layers
    for name in _DROPOUTS:
        if hasattr(config, name):
            options[name] = spec.dropout
    return options


@contextlib.contextmanager
def loading(start: str) -> Iterator[None]:
    """Turn what transformers says of a folder that it cannot load into a ModelError."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"no student can start from the model in {start}: {reason}",
            hint="start from a transformer with its tokenizer: minilm, a folder of save_pretrained, or a hub id",
        ) from error


@contextlib.contextmanager
def body_in(body: nn.Module, precision: torch.dtype) -> Iterator[None]:
    """Run a model's body in a lower precision and everything after it (the score head) in float32.

    Scores of a head in bfloat16 come in few distinct values: ties that a float32 head does not have.
    """
    if precision == torch.float32:
        yield
        return
    context = torch.autocast("cpu", precision)

    def enter(_module: nn.Module, _args: Any) -> None:
        context.__enter__()  # type: ignore[no-untyped-call]

    def leave(_module: nn.Module, _args: Any, output: Any) -> Any:
        context.__exit__(None, None, None)
        for key, value in list(output.items()):
            if isinstance(value, Tensor) and value.dtype == precision:
                output[key] = value.float()
        return output

    hooks = [body.register_forward_pre_hook(enter), body.register_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
