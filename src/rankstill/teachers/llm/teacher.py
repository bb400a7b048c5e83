"""Opening an LLM teacher by its reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rankstill.teachers.llm.listwise import BM25, GIVEN, ListwiseTeacher
from rankstill.teachers.llm.pace import Clock
from rankstill.teachers.llm.pointwise import PointwiseTeacher
from rankstill.teachers.llm.reference import LISTWISE, LlmReference

if TYPE_CHECKING:
    from rankstill.teachers.teacher import Teacher

LlmTeacher = PointwiseTeacher | ListwiseTeacher


def open_llm(text: str, open_other: Callable[[str], Teacher], clock: Clock | None = None) -> LlmTeacher:
    """Open an LLM teacher; nothing is asked yet.

    Args:
        text: `llm:URL#model=NAME,mode=MODE,key=value`; see `LlmReference`.
        open_other: Opens the teacher that a listwise one's `first` names.
        clock: What tells the time; tests bring their own.

    Raises:
        SpecError: The reference is broken.
        ModelError: The teacher of `first` cannot be opened.
    """
    reference = LlmReference.parse(text)
    if reference.mode != LISTWISE:
        return PointwiseTeacher(reference, clock)
    if reference.first in (BM25, GIVEN):
        return ListwiseTeacher(reference, clock=clock)
    first = open_other(reference.first)
    return ListwiseTeacher(reference, (first.score, first.fingerprint), clock)
