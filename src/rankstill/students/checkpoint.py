"""The state of a training run in one safetensors file: weights, optimizer moments, the curve so far.

Nothing else needs keeping: the learning rate, the data order and the dropout of a step are functions of the seed and
the step's number.
"""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from rankstill.errors import OutputError
from rankstill.files import whole_or_absent

Curve = dict[str, list[float]]


def save_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, step: int, curve: Curve, budget: int
) -> None:
    """Write the state after `step` steps in micro-batches of `budget` tokens, whole or absent."""
    tensors = {f"model.{name}": p.detach() for name, p in module.named_parameters()}
    for name, parameter in module.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value
    for name, values in curve.items():
        tensors[f"curve.{name}"] = torch.tensor(values, dtype=torch.float64)
    blob = safetensors.torch.save(tensors, metadata={"step": str(step), "budget": str(budget)})
    with whole_or_absent(path) as file:
        file.write(blob)


def load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, Curve, int]:
    """Restore the state in place; return the number of steps done, the curve so far, and the micro-batches' tokens.

    Raises:
        OutputError: The file is not a checkpoint of this model, or damaged; nothing is restored.
    """
    try:
        with safe_open(path, "pt") as file:
            step, budget = (int(file.metadata()[name]) for name in ("step", "budget"))
        tensors = safetensors.torch.load_file(path)
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise OutputError(f"{path} is damaged: {error}", hint=f"remove {path.parent} and train anew") from error
    parameters = dict(module.named_parameters())
    stored = {name.removeprefix("model."): t.shape for name, t in tensors.items() if name.startswith("model.")}
    if stored != {name: p.shape for name, p in parameters.items()}:
        raise OutputError(f"{path} is not a checkpoint of this model", hint=f"remove {path.parent} and train anew")
    curve: Curve = {}
    with torch.no_grad():
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            if part == "model":
                parameters[rest].copy_(value)
            elif part == "curve":
                curve[rest] = value.tolist()
            else:
                key, _, parameter = rest.partition(".")
                optimizer.state[parameters[parameter]][key] = value.to(parameters[parameter].device)
    return step, curve, budget
