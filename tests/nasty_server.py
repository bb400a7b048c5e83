"""A real HTTP server on loopback that speaks OpenAI's chat completions, and misbehaves as its script says.

    with NastyServer(answer=words("Yes")) as server:
        server.script(status(429, {"Retry-After": "7"}), not_json(), reset())
        ...
        assert len(server.requests) == 4

Each request takes the next step of the script; when it is used up, `answer` tells what a well-behaved model would say.
A step is called with the handler of a request and with the request's body.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Step = Callable[["_Handler", Body], None]
Answer = Callable[[Body], Body]


class NastyServer:
    """Serves `url` while the block runs.

    Attributes:
        requests: The bodies that came, in their order.
        headers: Their headers.
        busiest: Requests that were under way at once, at most.
    """

    def __init__(self, answer: Answer, delay: float = 0.0) -> None:
        self.answer, self.delay = answer, delay
        self.requests: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.busy = self.busiest = 0
        self.lock = threading.Lock()
        self._steps: list[Step] = []
        self._closing = threading.Event()

    def script(self, *steps: Step) -> None:
        self._steps = list(steps)

    def __enter__(self) -> NastyServer:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.nasty = self
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next_step(self) -> Step:
        with self.lock:
            return self._steps.pop(0) if self._steps else good(self.answer)

    def hang(self, seconds: float) -> None:
        self._closing.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    nasty: NastyServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up is what some tests are about.
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        nasty = self.server.nasty
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with nasty.lock:
            nasty.requests.append(body)
            nasty.headers.append({k.lower(): v for k, v in self.headers.items()})
            nasty.busy += 1
            nasty.busiest = max(nasty.busiest, nasty.busy)
        try:
            if self.path != "/v1/chat/completions":
                status(404)(self, body)
                return
            nasty.next_step()(self, body)
        finally:
            with nasty.lock:
                nasty.busy -= 1

    def send(self, code: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def good(answer: Answer) -> Step:
    """Answer as a model would."""

    def step(handler: _Handler, body: Body) -> None:
        time.sleep(handler.server.nasty.delay)
        handler.send(200, json.dumps(answer(body)).encode())

    return step


def status(code: int, headers: dict[str, str] | None = None, body: Body | None = None) -> Step:
    """Answer with an error's status."""
    return lambda handler, _: handler.send(code, json.dumps(body or {"error": {"message": "no"}}).encode(), headers)


def raw(data: bytes) -> Step:
    """Answer 200 with any bytes."""
    return lambda handler, _: handler.send(200, data)


def reset() -> Step:
    """Break the connection without an answer."""

    def step(handler: _Handler, _: Body) -> None:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Not close(): the handler's files would keep it open.
        os.close(handler.connection.detach())

    return step


def hang(seconds: float = 30) -> Step:
    """Say nothing for so long, or until the server closes."""

    def step(handler: _Handler, _: Body) -> None:
        handler.server.nasty.hang(seconds)
        handler.close_connection = True

    return step


def drip(seconds: float = 30) -> Step:
    """Send an answer that never ends, byte by byte, so that no single read takes long."""

    def step(handler: _Handler, _: Body) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not handler.server.nasty._closing.is_set():
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)

    return step


# What a well-behaved model says.

USAGE = {"prompt_tokens": 100, "completion_tokens": 2}


def completion(text: str | None, top: dict[str, float] | None = None, finish: str = "stop", **more: Any) -> Body:
    choice: Body = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    if top is not None:
        listed = [{"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in top.items()]
        choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
    return {"object": "chat.completion", "choices": [choice], "usage": USAGE, **more}


def words(text: str) -> Answer:
    """Always answer the same words, without log-probabilities."""
    return lambda _: completion(text)


def prompt_of(body: Body) -> str:
    return str(body["messages"][-1]["content"])


def value_of(text: str) -> int:
    """The number that a test's document holds, as in `report7`: how relevant it is."""
    return int(re.search(r"report(\d+)", text)[1])


def log_odds_by_value(body: Body) -> Body:
    """Answer Yes the more probably, the higher the document's number; a hundred is even."""
    value = value_of(prompt_of(body).split("Passage:")[1])
    return completion("Yes" if value > 100 else "No", {"Yes": -2.0 + value / 100, "No": -1.0, "The": -9.0})


def grade_by_value(body: Body) -> Body:
    return completion(str(value_of(prompt_of(body).split("Passage:")[1]) % 4))


def order_by_value(body: Body) -> Body:
    """Order a window's passages by their numbers, the highest first."""
    found = re.findall(r"^\[(\d+)\] (.*)$", prompt_of(body), re.MULTILINE)
    ranked = sorted(found, key=lambda item: -value_of(item[1]))
    return completion(" > ".join(f"[{number}]" for number, _ in ranked))
