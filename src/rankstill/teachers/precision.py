"""In which precision a model runs, and what runs exactly whatever that is.

The body of a transformer takes nearly all of the time and may run in bfloat16 (autocast). What follows it (pooling,
normalisation, the score head) costs next to nothing and runs in float64: a head in bfloat16 gives few distinct scores,
and one in float32 gives a text other last bits next to other texts, because matrix products of few rows add up in
another order. Results are float32.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from rankstill.errors import SpecError

Precision = Literal["auto", "float32", "bfloat16"]


def device() -> str:
    """Name the device that models run on: the first GPU that torch can use, else the processor."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def body_precision(asked: Precision) -> torch.dtype:
    """Choose the precision of a model's body: for "auto" bfloat16 where the hardware multiplies in it, else float32.

    Raises:
        SpecError: There is no such precision.
    """
    if asked not in ("auto", "float32", "bfloat16"):
        raise SpecError(f"unknown precision {asked!r}", hint="known: auto, float32, bfloat16")
    if asked == "auto":
        fast = torch.cuda.is_bf16_supported() if device() == "cuda" else _processor_has_bfloat16()
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if asked == "bfloat16" else torch.float32


def _processor_has_bfloat16() -> bool:
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def name_of(precision: torch.dtype) -> str:
    """Write a precision as fingerprints and messages do: `float32` or `bfloat16`."""
    return str(precision).removeprefix("torch.")


def autocast(precision: torch.dtype) -> torch.autocast:
    """Make the context in which a body runs."""
    return torch.autocast(device(), torch.bfloat16, enabled=precision == torch.bfloat16)


def doubled(values: dict[str, Any]) -> dict[str, Any]:
    """Turn the floating tensors among a module's features into float64."""
    return {name: _double(value) for name, value in values.items()}


def run_in_float64(module: nn.Module) -> None:
    """Make a module compute in float64, also inside autocast; what it is given is converted, what it returns is not."""
    inner = module.double().forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(device(), enabled=False):
            return inner(*map(_double, args), **doubled(kwargs))

    module.forward = forward


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
