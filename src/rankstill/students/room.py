"""How large micro-batches may be, and how much of a batch may be kept for the way back, in the memory that there is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rankstill.memory import available_memory
from rankstill.progress import note
from rankstill.students.architectures import Batch, Student
from rankstill.students.passes import Passes

BUDGETS = (2048, 1024, 512, 256)
"""Tokens in a micro-batch, by choice: with more, activations leave a processor's caches and the system clears new pages
for them; with fewer, matrix products are too small."""
_SHARE = 0.8
"""Of the available memory that a training may plan with; the rest is for what is not foreseen."""
_STATE = 3
"""Arrays of the weights' size that come with the first step: gradients and the optimizer's two moments."""


def plan_passes(student: Student, precision: torch.dtype) -> Passes:
    """Fit micro-batches into the available memory.

    The size is the first of `BUDGETS` of which three fit: one that is kept, and as much again, twice, for what forward
    and way back need while they run. What is left is room to keep more of a batch.
    """
    available = available_memory()
    if available is None:
        return Passes(precision, BUDGETS[0])
    weights = sum(p.numel() * p.element_size() for p in student.module.parameters())
    tokens = (_SHARE * available - _STATE * weights) / kept_per_token(student, precision)
    budget = next((b for b in BUDGETS if 3 * b <= tokens), BUDGETS[-1])
    if budget < BUDGETS[0]:
        note(f"memory is short: micro-batches of {budget} tokens in place of {BUDGETS[0]}; last bits may differ")
    return Passes(precision, budget, max(tokens - 2 * budget, 0.0))


def kept_per_token(student: Student, precision: torch.dtype) -> float:
    """Measure the bytes that the way back keeps of each token of the longest text that the student reads."""
    longest = np.zeros(student.spec.max_length, np.uint32)
    (micro,) = student.micro_batches(Batch([longest[:1]], [longest], np.zeros(1, np.int64), np.zeros(1, np.int64)), 0)[
        :1
    ]
    weights = {p.untyped_storage().data_ptr() for p in student.module.parameters()}
    kept: dict[int, int] = {}

    def see(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
        # The result is held until the counting is done: a freed block could be counted for two.
        outputs = student.outputs(micro, precision)
    del outputs
    return max(sum(kept.values()) / micro.tokens, 1.0)
