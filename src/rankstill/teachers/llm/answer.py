"""What an endpoint answered, read from its JSON without trusting its shape."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

_NEVER = -9999.0
"""What some endpoints write for minus infinity, which is no JSON."""
_MOST_TOKENS = 10**9


@dataclass(frozen=True)
class Answer:
    """One usable answer.

    Attributes:
        text: What the model wrote; may be empty.
        top: The tokens that might have come first, with their log-probabilities; None where the endpoint gave none.
        finish: Why the answer ended, such as "stop" or "length"; empty where the endpoint did not say.
        usage: Tokens of the prompt and of the answer; None where the endpoint did not say.
    """

    text: str
    top: list[tuple[str, float]] | None
    finish: str
    usage: tuple[int, int] | None

    @property
    def empty(self) -> bool:
        """Whether it says nothing at all, and not because a filter kept it back."""
        return not self.text.strip() and self.top is None and self.finish != "content_filter"


def read_answer(data: bytes) -> Answer | str:
    """Read the body of a chat completion; what is wrong with it, in words, where it is none."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return "the answer is not JSON"
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        said = error_text(data)
        return f"the answer has no choices{f' ({said})' if said else ''}"
    message = choices[0].get("message")
    text = message.get("content", "") if isinstance(message, dict) else 0
    if not isinstance(text, str | None):
        return "the answer has no message with a text"
    finish = choices[0].get("finish_reason")
    top = _top(choices[0].get("logprobs"))
    return Answer(text or "", top, finish if isinstance(finish, str) else "", _usage(body.get("usage")))


def _top(logprobs: Any) -> list[tuple[str, float]] | None:
    """Find the alternatives of the first token that is not white space."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    for position in content if isinstance(content, list) else []:
        if isinstance(position, dict) and str(position.get("token", "")).strip():
            listed = position.get("top_logprobs")
            found = [_pair(item) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
            return [pair for pair in found if pair] or None
    return None


def _pair(item: dict[str, Any]) -> tuple[str, float] | None:
    token, value = item.get("token"), item.get("logprob")
    if not isinstance(token, str) or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if math.isnan(value) else (token, float(min(max(value, _NEVER), 0)))


def _usage(usage: Any) -> tuple[int, int] | None:
    if not isinstance(usage, dict):
        return None
    counts = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if any(isinstance(c, bool) or not isinstance(c, int) or not 0 <= c <= _MOST_TOKENS for c in counts):
        return None
    return counts  # type: ignore[return-value]


def error_text(data: bytes, limit: int = 200) -> str:
    """Find what an endpoint said of an error, in one line; empty where it said nothing that can be read."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return " ".join(data.decode("utf-8", "replace").split())[:limit]
    error = body.get("error", body) if isinstance(body, dict) else ""
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error.get("code") or ""
    return " ".join(str(error).split())[:limit]
