"""One HTTP exchange with an endpoint, and what its failure means."""

from __future__ import annotations

import datetime as dt
import os
import time
from email.utils import parsedate_to_datetime

import httpx2

from rankstill.errors import SpecError
from rankstill.teachers.llm.answer import Answer, error_text, read_answer
from rankstill.teachers.llm.reference import KEY_ENV, LlmReference

_MOST_BYTES = 16 << 20
"""Of an answer: an endpoint that sends more is broken."""
_LATER = {408, 425, 429}
_SHORTEST_SECRET = 8


class Failure(Exception):  # noqa: N818  -- not an error of ours, and most often not the last word
    """A request brought no answer.

    Attributes:
        reason: In words, without secrets.
        again: Whether the same request may do better later.
        wait: Seconds that the endpoint asked for; None where it did not.
        charged: Whether the endpoint may have answered, and charged for it.
        usage: Tokens that it charged, where it said so.
        hint: What to do, where it is clear.
    """

    def __init__(
        self,
        reason: str,
        *,
        again: bool,
        wait: float | None = None,
        charged: bool = False,
        usage: tuple[int, int] | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason, self.again, self.wait, self.hint = reason, again, wait, hint
        self.charged, self.usage = charged, usage


class Endpoint:
    """Sends chat completions to one URL; may be used by several threads at once.

    Args:
        reference: URL, timeout, and where the key stands.

    Raises:
        SpecError: The environment variable with the key is not there, or holds what is no key.
    """

    def __init__(self, reference: LlmReference) -> None:
        self._url, self._timeout = f"{reference.url}/chat/completions", reference.timeout
        self._key = _key(reference.key_env)
        headers = {"content-type": "application/json", "user-agent": "rankstill"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        # Redirects are not followed: they would take the key, and the texts, to another host.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=reference.concurrency)
        self._client = httpx2.Client(headers=headers, timeout=self._timeout, limits=limits)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def post(self, body: bytes) -> Answer:
        """Send one request.

        Raises:
            Failure: There is no usable answer.
        """
        deadline = time.monotonic() + self._timeout
        try:
            with self._client.stream("POST", self._url, content=body) as response:
                data = self._read(response, deadline)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Failure(f"cannot connect to {self._url}: {self._hide(str(error))}", again=True) from None
        except httpx2.TimeoutException:
            raise Failure(f"no whole answer within {self._timeout:g} s", again=True, charged=True) from None
        except httpx2.HTTPError as error:
            what = self._hide(str(error)) or type(error).__name__
            raise Failure(f"the connection broke: {what}", again=True, charged=True) from None
        if response.status_code != httpx2.codes.OK:
            raise self._refusal(response, data)
        answer = read_answer(data)
        if isinstance(answer, str):
            raise Failure(answer, again=True, charged=True)
        return answer

    def _read(self, response: httpx2.Response, deadline: float) -> bytes:
        """Read the body, whatever its sender tries: neither for ever nor without end."""
        data = bytearray()
        for piece in response.iter_bytes():
            data += piece
            if len(data) > _MOST_BYTES:
                raise Failure(f"the answer is longer than {_MOST_BYTES >> 20} MB", again=True, charged=True)
            if time.monotonic() > deadline:
                raise httpx2.ReadTimeout("too slow")
        return self._hide_bytes(bytes(data))

    def _refusal(self, response: httpx2.Response, data: bytes) -> Failure:
        status, said = response.status_code, error_text(data)
        reason = f"status {status}{f': {said}' if said else ''}"
        quota = b"insufficient_quota" in data
        if (status in _LATER or status >= 500) and not quota:
            return Failure(reason, again=True, wait=retry_after(response.headers.get("retry-after", "")))
        return Failure(f"{self._url} refused: {reason}", again=False, hint=_hint(status, said, quota))

    def _hide(self, text: str) -> str:
        return self._hide_bytes(text.encode()).decode()

    def _hide_bytes(self, data: bytes) -> bytes:
        """Take the key out of what came back: some endpoints repeat it when they refuse it."""
        return data.replace(self._key.encode(), b"***") if len(self._key) >= _SHORTEST_SECRET else data


def _key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key and variable != KEY_ENV:
        raise SpecError(f"the environment variable {variable} holds no API key", hint=f"export {variable}=...")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SpecError(f"the environment variable {variable} does not hold an API key: it has odd characters")
    return key


def retry_after(header: str) -> float | None:
    """Read a Retry-After header, seconds or a date (RFC 9110, 10.2.3): seconds from now, or None."""
    if header.strip().isdecimal():
        return float(header[:12])
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=dt.UTC)
    return max((until - dt.datetime.now(dt.UTC)).total_seconds(), 0.0)


def _hint(status: int, said: str, quota: bool) -> str:
    if quota:
        return "the account's quota is used up; raise it, and run the same command again"
    if status in (401, 403):
        return f"put the API key into the environment variable {KEY_ENV}, or name yours: key_env=NAME"
    if status == httpx2.codes.NOT_FOUND:
        return "check the URL (it ends before /chat/completions, most often in /v1) and the model's name"
    if "logprob" in said.lower():
        return "this endpoint gives no such log-probabilities; lower top_logprobs, or use mode=graded"
    return "check the settings; where the prompt is too long, lower doc_chars or window"
