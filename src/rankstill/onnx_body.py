"""An ONNX graph as a module that stands where a transformer of the library would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rankstill.errors import ModelError

_HIDDEN = ("last_hidden_state", "token_embeddings")


class OnnxBody(nn.Module):
    """Runs a graph on the processor, one text at a time, so that a text's result is the same in any company.

    Args:
        runtime: The module `onnxruntime`.
        graph: The checked file.
        config: The model's configuration, of transformers.

    Raises:
        ModelError: ONNX Runtime refuses the graph, or it gives nothing that a ranker needs.
    """

    def __init__(self, runtime: Any, graph: Path, config: Any) -> None:
        super().__init__()
        self.config = config
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        try:
            self.session = runtime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        # What the runtime raises has no common base but this one.
        except Exception as error:
            raise ModelError(f"ONNX Runtime refuses {graph}: {error}", hint="export the graph again") from error
        self.inputs = [i.name for i in self.session.get_inputs()]
        outputs = [o.name for o in self.session.get_outputs()]
        self.outputs = {name: _standard(name) for name in outputs if name in (*_HIDDEN, "logits")}
        if not self.outputs:
            raise ModelError(
                f"{graph} gives {', '.join(outputs)}, none of {', '.join((*_HIDDEN, 'logits'))}",
                hint="export the model's body, or its classifier",
            )

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **features: Any) -> dict[str, Tensor]:
        """Run n texts of one padded length: `last_hidden_state` (n, T, D) or `logits` (n, outputs), float32."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, **features}
        missing = [name for name in self.inputs if name not in given]
        given |= {name: torch.zeros_like(input_ids) for name in missing if name == "token_type_ids"}
        feeds = {name: given[name].cpu().numpy().astype(np.int64) for name in self.inputs}
        rows = [
            self.session.run(list(self.outputs), {name: values[i : i + 1] for name, values in feeds.items()})
            for i in range(len(input_ids))
        ]
        return {
            name: torch.from_numpy(np.concatenate(values).astype(np.float32, copy=False))
            for name, values in zip(self.outputs.values(), zip(*rows, strict=True), strict=True)
        }


def _standard(name: str) -> str:
    return "last_hidden_state" if name in _HIDDEN else name
