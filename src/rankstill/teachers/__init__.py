"""What each pair is worth: teachers, the encoder, the score store."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankstill.teachers.encode import Encoder, encode_collection
    from rankstill.teachers.scored import lookup
    from rankstill.teachers.scoring import score
    from rankstill.teachers.store import ScoreStore
    from rankstill.teachers.teacher import Teacher, open_scorer, open_teacher

_WHERE = {
    "Encoder": "encode",
    "ScoreStore": "store",
    "Teacher": "teacher",
    "encode_collection": "encode",
    "lookup": "scored",
    "open_scorer": "teacher",
    "open_teacher": "teacher",
    "score": "scoring",
}
__all__ = ["Encoder", "ScoreStore", "Teacher", "encode_collection", "lookup", "open_scorer", "open_teacher", "score"]


def __getattr__(name: str) -> Any:
    # On first use: the store is of use without torch, which takes seconds to import.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
