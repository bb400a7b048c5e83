"""How a command line names an LLM teacher: `llm:URL#model=NAME,mode=MODE,key=value`."""

from __future__ import annotations

import math
from dataclasses import Field, dataclass, field, fields
from typing import Any, Self
from urllib.parse import urlsplit

from rankstill.errors import SpecError, unknown_name
from rankstill.options import read_number, read_options

PREFIX = "llm:"
POINTWISE, GRADED, LISTWISE = "pointwise", "graded", "listwise"
KEY_ENV = "RANKSTILL_LLM_KEY"
_FORM = "write llm:http://HOST:PORT/v1#model=NAME,mode=pointwise|graded|listwise,key=value"


def _number(default: float, low: float, high: float = math.inf) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


def _one_of(*known: str) -> Any:
    return field(default=known[0], metadata={"known": known})


@dataclass(frozen=True)
class LlmReference:
    """An LLM teacher: what it is asked, and how it is reached.

    >>> LlmReference.parse("llm:http://localhost:8000/v1#model=m,mode=listwise,window=12").stride
    6

    Attributes:
        url: The endpoint up to and without `/chat/completions`.
        model: As the endpoint names it.
        mode: pointwise (log-odds of Yes against No), graded (a grade from 0 to `grades`), or listwise (an order).
        seed: Sent with each request; also the jitter of the backoff derives from it.
        doc_chars, query_chars: Characters of a text that are sent at most, runs of white space counted as one.
        max_tokens: Tokens of an answer at most; 0 for what the mode needs.
        top_logprobs: pointwise: Tokens whose log-probabilities are asked for.
        without_logprobs: pointwise: Where the endpoint gives none, refuse, or score the answered word +1 or -1.
        grades: graded: The highest grade.
        unreadable: pointwise, graded: An answer that holds no score is refused, or counts as the worst.
        window: listwise: Documents of one request.
        stride: listwise: By how many places the next window stands nearer to the front; 0 for half the window.
        first: listwise: The order before the first request: bm25, given, or any other teacher's reference.
        transform: listwise: How the final order becomes scores; see `teachers.transforms`.
        key_env: The environment variable that holds the API key; without it, none is sent.
        timeout: Seconds that one request may take in all.
        retries: How often a request that failed is sent again.
        rpm: Requests per minute at most; 0 for no limit.
        concurrency: Requests in flight at most.
        requests: Budget in answered requests; 0 for none.
        money: Budget in the currency of the prices; 0 for none.
        price_in, price_out: Of a million tokens of prompt, and of answer.
        transcript: File that keeps every answer; empty for one beside the scores.
    """

    url: str
    model: str
    mode: str = _one_of(POINTWISE, GRADED, LISTWISE)
    seed: int = _number(1, 0, 2**31 - 1)
    doc_chars: int = _number(2000, 1)
    query_chars: int = _number(1000, 1)
    max_tokens: int = _number(0, 0)
    top_logprobs: int = _number(20, 1)
    without_logprobs: str = _one_of("refuse", "answer")
    grades: int = _number(3, 1, 100)
    unreadable: str = _one_of("refuse", "worst")
    window: int = _number(20, 2, 200)
    stride: int = _number(0, 0, 199)
    first: str = "bm25"
    transform: str = _one_of("log-rank", "reciprocal-rank", "linear", "neg-rank")
    key_env: str = KEY_ENV
    timeout: float = _number(60.0, 0.01)
    retries: int = _number(6, 0, 100)
    rpm: float = _number(0.0, 0)
    concurrency: int = _number(4, 1, 256)
    requests: int = _number(0, 0)
    money: float = _number(0.0, 0)
    price_in: float = _number(0.0, 0)
    price_out: float = _number(0.0, 0)
    transcript: str = ""

    def __post_init__(self) -> None:
        _refuse_bad_url(self.url)
        for option in fields(self):
            _refuse_bad_value(option, getattr(self, option.name))
        if not self.stride:
            object.__setattr__(self, "stride", self.window // 2)
        if self.stride >= self.window:
            raise SpecError(
                f"stride={self.stride} must be smaller than window={self.window}",
                hint="windows overlap, so that the best of one meet those of the next; take half the window",
            )
        if self.money and not (self.price_in or self.price_out):
            raise SpecError("a budget in money needs prices", hint="add price_in=X,price_out=Y (per million tokens)")
        if self.first.startswith(PREFIX):
            raise SpecError("the first order of a listwise teacher cannot come from an LLM", hint="use first=bm25")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference.

        Raises:
            SpecError: A key is unknown, comes twice, or has no value; a value is out of range; there is no model; or
                the URL is none that can be used.
        """
        url, _, rest = text.removeprefix(PREFIX).partition("#")
        known = {option.name: option for option in fields(cls) if option.name != "url"}
        # The reference itself is not shown: see `_refuse_bad_url`.
        options = read_options(rest, known, "of an LLM teacher")
        if "model" not in options:
            raise SpecError("the LLM teacher names no model", hint=_FORM)
        return cls(url.rstrip("/"), **{key: _value(known[key], value) for key, value in options.items()})


def _value(option: Field[Any], text: str) -> Any:
    if "low" not in option.metadata:
        return text
    kind: type[int] | type[float] = int if isinstance(option.default, int) else float
    return read_number(text, kind, f"{option.name} of an LLM teacher")


def _refuse_bad_value(option: Field[Any], value: Any) -> None:
    if known := option.metadata.get("known"):
        if value not in known:
            raise unknown_name(f"{option.name} of an LLM teacher:", value, known)
    elif "low" in option.metadata:
        low, high = option.metadata["low"], option.metadata["high"]
        if not (low <= value <= high and math.isfinite(value)):
            span = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            raise SpecError(f"{option.name} of an LLM teacher must be {span}: got {value}")


def _refuse_bad_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise SpecError("the LLM teacher's URL is not http:// or https:// and a host", hint=_FORM)
    if parts.username or parts.password or parts.query:
        # Not shown: a reference is written into manifests and reports, so a secret must not stand in it.
        raise SpecError(
            "the LLM teacher's URL holds a user name, a password or a query string",
            hint=f"put the API key into the environment variable {KEY_ENV}, or name yours: key_env=NAME",
        )
