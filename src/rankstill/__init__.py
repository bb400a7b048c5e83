"""rankstill: distil a slow, strong ranker into a fast one, and measure which data is worth paying for.

    from rankstill import DistillSpec, StudentSpec, distill

    done = distill(DistillSpec(collection="path/to/beir/folder", student=StudentSpec("bi-encoder", layers=2)), "out")
    print(done.model, done.report)

The stages stand in the folders `collection`, `candidates`, `teachers`, `groups`, `students`, `runs`, `measures` and
`studies`, in flow order.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankstill.errors import RankstillError
    from rankstill.students.architectures import StudentSpec
    from rankstill.studies.distill import Distilled, DistillSpec, distill

_WHERE = {
    "Distilled": "rankstill.studies.distill",
    "DistillSpec": "rankstill.studies.distill",
    "RankstillError": "rankstill.errors",
    "StudentSpec": "rankstill.students.architectures",
    "distill": "rankstill.studies.distill",
}
__all__ = ["DistillSpec", "Distilled", "RankstillError", "StudentSpec", "distill"]


def __getattr__(name: str) -> Any:
    # On first use: torch and transformers take seconds to import, which `rankstill --help` should not.
    if name not in _WHERE:
        raise AttributeError(f"module 'rankstill' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
