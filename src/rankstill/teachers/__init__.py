"""What each pair is worth: teachers, the encoder, the score store."""

from __future__ import annotations

from rankstill.teachers.encode import Encoder, encode_collection
from rankstill.teachers.scoring import lookup, score
from rankstill.teachers.store import ScoreStore
from rankstill.teachers.teacher import Teacher, open_scorer, open_teacher

__all__ = ["Encoder", "ScoreStore", "Teacher", "encode_collection", "lookup", "open_scorer", "open_teacher", "score"]
