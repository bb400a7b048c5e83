"""One chat completion as it is sent; its hash names it in the transcript, whatever endpoint answers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from rankstill.teachers.llm.prompts import Messages
from rankstill.teachers.llm.reference import GRADED, LISTWISE, POINTWISE, LlmReference

_ENOUGH = {POINTWISE: 4, GRADED: 16}
_PER_PASSAGE = 8
"""Tokens of " > [20]", and some to spare."""
_AROUND = 64
"""Tokens that a chat template may add to the texts at most."""


@dataclass(frozen=True)
class Request:
    """What is asked: the messages and everything that shapes the answer.

    Attributes:
        model: As the endpoint names it.
        messages: The prompt.
        max_tokens: Of the answer.
        seed: Sent along; the temperature is 0.
        top_logprobs: How many log-probabilities are asked for; 0 for none.
    """

    model: str
    messages: Messages
    max_tokens: int
    seed: int
    top_logprobs: int = 0

    @classmethod
    def of(cls, reference: LlmReference, messages: Messages, passages: int = 1) -> Request:
        """Make the request of a mode; `passages` are those of a listwise prompt."""
        enough = _PER_PASSAGE * passages + 16 if reference.mode == LISTWISE else _ENOUGH[reference.mode]
        top = reference.top_logprobs if reference.mode == POINTWISE else 0
        return cls(reference.model, messages, reference.max_tokens or enough, reference.seed, top)

    @cached_property
    def body(self) -> bytes:
        """The bytes that are sent."""
        fields = {
            "model": self.model,
            "messages": self.messages,
            "temperature": 0,
            "seed": self.seed,
            "max_tokens": self.max_tokens,
        }
        if self.top_logprobs:
            fields |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8", "replace")

    @cached_property
    def key(self) -> str:
        """64 hexadecimal digits: SHA-256 of the body."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def most_tokens(self) -> tuple[int, int]:
        """Count tokens, of the prompt and of the answer, that it may cost at most: no token is less than a byte."""
        return len(self.body) + _AROUND, self.max_tokens
