"""Asking an endpoint many things: several at once, within the budget, each one once, and none that is known."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from rankstill.errors import MissingScores, ModelError, RankstillError
from rankstill.teachers.llm.answer import Answer
from rankstill.teachers.llm.budget import Budget, BudgetSpent, Tokens
from rankstill.teachers.llm.endpoint import Endpoint, Failure
from rankstill.teachers.llm.pace import Clock, Pace, backoff
from rankstill.teachers.llm.reference import LlmReference
from rankstill.teachers.llm.request import Request
from rankstill.teachers.llm.transcript import Transcript

T = TypeVar("T")
R = TypeVar("R")
Ask = Callable[[Request], Answer]
_EMPTY = 2
"""How often an empty answer is asked again; the next one is taken for what it is."""
_LONGEST_WAIT = 3600.0
"""Seconds: an endpoint that asks for a longer pause is given up for now."""


class Halted(Exception):  # noqa: N818  -- becomes an error once it is known what is left undone
    """No further request is of use.

    Attributes:
        message, hint: For people.
        kind: The error that it becomes.
    """

    def __init__(self, message: str, hint: str, kind: type[RankstillError] = ModelError) -> None:
        super().__init__(message)
        self.message, self.hint, self.kind = message, hint, kind


class _Stopped(Exception):  # noqa: N818  -- never leaves this module
    """Another thread has met the reason to stop."""


class _Empty(Failure):
    """An answer that says nothing."""


class Asker:
    """Asks one model through one endpoint.

    Args:
        reference: Everything about both.
        path: The transcript's file.
        clock: What tells the time.
    """

    def __init__(self, reference: LlmReference, path: Path, clock: Clock | None = None) -> None:
        self.reference, self._clock = reference, clock or Clock()
        self.budget = Budget(reference)
        self.transcript = Transcript(path, self.budget)
        self._stop = threading.Event()
        self._pace = Pace(reference.rpm, self._clock, self._stop)
        self._lock = threading.Lock()
        self._flying: dict[str, Future[Answer]] = {}
        self._endpoint: Endpoint | None = None

    def run(self, work: Callable[[T, Ask], R], items: Sequence[T], done: Callable[[T], None]) -> list[R]:
        """Do a piece of work for each item, several at once.

        Args:
            work: May ask any number of requests, one after the other; called in a thread.
            items: In any order.
            done: Called in this thread for each finished item.

        Returns:
            The results in the order of the items, however many were under way at once.

        Raises:
            Halted: The budget is spent, or the endpoint gives no answers. What was answered is in the transcript.
        """
        self._stop.clear()
        with self.transcript.held(), ThreadPoolExecutor(self.reference.concurrency) as pool:
            futures = {pool.submit(self._work, work, item): item for item in items}
            untold = set(futures)
            try:
                for future in as_completed(futures):
                    if _failed(future):
                        break
                    untold.remove(future)
                    _tell({future}, futures, done)
            finally:
                # Also where the user interrupts: what is in flight is paid, and so is waited for and kept.
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                self._close()
                _tell(untold, futures, done)
        if failed := [error for future in futures if (error := _failed(future))]:
            raise min(failed, key=lambda error: isinstance(error, Halted))
        return [future.result() for future in futures]

    def _work(self, work: Callable[[T, Ask], R], item: T) -> R:
        if self._stop.is_set():
            raise _Stopped
        try:
            return work(item, self._ask)
        except BaseException:
            # Here, and not where it is collected: this thread would begin the next item before that.
            self._stop.set()
            raise

    def _close(self) -> None:
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None

    def _ask(self, request: Request) -> Answer:
        """Take the answer from the transcript, from a thread that asks the same just now, or from the endpoint."""
        with self._lock:
            known = self.transcript.find(request.key)
            if known is not None:
                return known
            # Opened now, and not before: what is in the transcript needs no key.
            endpoint = self._endpoint = self._endpoint or Endpoint(self.reference)
            flying = self._flying.get(request.key)
            mine: Future[Answer] = self._flying.setdefault(request.key, Future())
        if flying is not None:
            return flying.result()
        try:
            answer = self._insist(request, endpoint)
            mine.set_result(answer)
            return answer
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._flying[request.key]

    def _insist(self, request: Request, endpoint: Endpoint) -> Answer:
        """Send a request until it is answered."""
        empty = 0
        for attempt in range(self.reference.retries + 1):
            try:
                enough = empty == _EMPTY or attempt == self.reference.retries
                return self._send(request, endpoint, accept_empty=enough)
            except Failure as failure:
                empty += isinstance(failure, _Empty)
                if not failure.again:
                    raise Halted(failure.reason, failure.hint) from None
                last = failure
            if attempt < self.reference.retries:
                self._wait(request, last, attempt)
        tries = "1 try" if self.reference.retries == 0 else f"{self.reference.retries + 1} tries"
        raise Halted(
            f"no answer from {self.reference.url} after {tries} (last: {last.reason})",
            "run the same command again once the endpoint is well; allow more with retries=N or timeout=SECONDS",
        )

    def _wait(self, request: Request, failure: Failure, attempt: int) -> None:
        seconds = backoff(self.reference.seed, request.key, attempt)
        if failure.wait is not None:
            if failure.wait > _LONGEST_WAIT:
                raise Halted(
                    f"{self.reference.url} asks to come back in {failure.wait:,.0f} s ({failure.reason})",
                    "run the same command again then; what was answered is kept",
                )
            self._pace.pause(failure.wait)
            # The jitter on top, so that those who were told the same do not come back at once.
            seconds = failure.wait + seconds
        self._clock.sleep(seconds, self._stop)

    def _send(self, request: Request, endpoint: Endpoint, *, accept_empty: bool) -> Answer:
        """Send a request once, and write down what it brought."""
        try:
            if not self.budget.reserve(request.most_tokens, self._stop.is_set):
                raise _Stopped
        except BudgetSpent as spent:
            raise Halted(
                str(spent), "run the same command with a bigger budget: it continues where this stopped", MissingScores
            ) from None
        try:
            self._pace.wait()
            if self._stop.is_set():
                raise _Stopped
            began = time.monotonic()
            answer = _post(request, endpoint, accept_empty=accept_empty)
            paid = _counted(request, answer)
            if paid is not None:
                self.transcript.append(request.key, _entry(request, answer, paid, time.monotonic() - began))
        finally:
            self.budget.settle(request.most_tokens)
        if isinstance(answer, Failure):
            raise answer
        return answer


def _failed(future: Future[R]) -> BaseException | None:
    """Find what went wrong; being told to stop is not it."""
    error = future.exception() if future.done() and not future.cancelled() else None
    return None if isinstance(error, _Stopped) else error


def _tell(finished: set[Future[R]], futures: dict[Future[R], T], done: Callable[[T], None]) -> None:
    for future in finished:
        if future.done() and not future.cancelled() and future.exception() is None:
            done(futures[future])


def _post(request: Request, endpoint: Endpoint, *, accept_empty: bool) -> Answer | Failure:
    try:
        answer = endpoint.post(request.body)
    except Failure as failure:
        return failure
    if answer.empty and not accept_empty:
        return _Empty("the answer is empty", again=True, charged=True, usage=answer.usage)
    return answer


def _counted(request: Request, answer: Answer | Failure) -> Tokens | None:
    """Count the tokens that were charged; at most so many where nobody said, None where there was nothing to charge."""
    if isinstance(answer, Failure) and not answer.charged:
        return None
    return answer.usage or request.most_tokens


def _entry(request: Request, answer: Answer | Failure, counted: Tokens, seconds: float) -> dict[str, object]:
    """Say what a request brought, for the transcript."""
    fields = {"prompt": request.messages, "model": request.model, "counted": counted}
    when = {"seconds": round(seconds, 3), "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
    if isinstance(answer, Failure):
        return {**fields, "problem": answer.reason, **when}
    told = {"answer": answer.text, "top": answer.top, "finish": answer.finish, "usage": answer.usage}
    return {**fields, "problem": None, **told, **when}
