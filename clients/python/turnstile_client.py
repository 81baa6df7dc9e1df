"""A small client of Turnstile's HTTP API. Standard library only, Python 3.11 or later.

>>> api = Turnstile("http://127.0.0.1:8080", user="alice")
>>> held = api.command("POST", f"/v1/schedules/{schedule}/holds", {"seats": ["A-12"]})
>>> held.result["reservation_id"]
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import random
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

__all__ = ["Event", "Outcome", "Refused", "Turnstile", "TurnstileError", "Unverified", "verify_webhook"]

#: Longest time the server is asked to wait for a decision, in seconds.
WAIT = 20
#: Statuses after which the same request may succeed.
PASSING = {429, 503}


class TurnstileError(Exception):
    """The request was not taken: ``status``, and the problem (RFC 9457) as ``problem``."""

    def __init__(self, status: int, problem: Mapping[str, Any]):
        super().__init__(f"{status} {problem.get('code', '')}: {problem.get('detail', '')}")
        self.status = status
        self.problem = dict(problem)
        self.code: str = self.problem.get("code", "")


class Refused(TurnstileError):
    """The command was decided, and refused. Final for its key: another try needs another one."""


class Unverified(Exception):
    """A webhook that is not ours, too old, or damaged."""


@dataclass(frozen=True)
class Outcome:
    """A decided command."""

    request_id: str
    command: str
    result: dict[str, Any]
    #: Lane, partition, offset and time of the decision.
    decided: dict[str, Any]


@dataclass(frozen=True)
class Event:
    """An event of a stream."""

    name: str
    id: str
    data: Any


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


class Turnstile:
    """Speaks for one user: ``user`` where the server runs in dev mode, else ``token``.

    ``patience``: seconds for which a command is repeated while the server is away, and waited for until it is decided.
    """

    def __init__(self, base: str, *, user: str | None = None, token: str | None = None, patience: float = 60):
        self.base = base.rstrip("/")
        self.patience = patience
        self._headers = {"Accept": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        elif user is not None:
            self._headers["X-User-Id"] = user

    def command(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, headers: Mapping[str, str] = {}
    ) -> Outcome:
        """Sends a command and waits for its decision.

        Whatever happens in between, it takes effect once: each attempt has the same Idempotency-Key. Give ``key`` to
        repeat a command after a restart of your own.

        Raises Refused if it was refused, TurnstileError if it was not taken, TimeoutError if its patience is over: then
        the command may still be decided, and the same call with the same key says how.
        """
        deadline = time.monotonic() + self.patience
        sent = {"Idempotency-Key": key or str(uuid.uuid4()), "Prefer": f"wait={WAIT}", **headers}
        answer = self._until(deadline, lambda: self._send(method, path, body, sent))
        while answer.status == 202 or answer.body.get("status") == "PENDING":
            location = answer.headers.get("location") or path
            answer = self._until(deadline, lambda: self._send("GET", location, None, {"Prefer": f"wait={WAIT}"}))
            if answer.status == 200 and answer.body.get("status") == "PENDING":
                answer = _Answer(202, {"location": location}, answer.body)
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"request {answer.body['request_id']} is not decided yet")
        body = answer.body
        if body.get("status") == "REJECTED":
            raise Refused(409, {**body["problem"], "request_id": body["request_id"], "decided": body.get("decided")})
        if answer.status >= 400:
            refused = "decided" in body
            raise (Refused if refused else TurnstileError)(answer.status, body)
        return Outcome(body["request_id"], body["command"], body.get("result", {}), body.get("decided", {}))

    def get(self, path: str) -> Any:
        """Reads a resource; again while the server is away."""
        return self._plain("GET", path, None)

    def post(self, path: str, body: Any, *, key: str | None = None) -> Any:
        """Makes a resource that is no command: a concert, a date, a webhook."""
        return self._plain("POST", path, body, {"Idempotency-Key": key or str(uuid.uuid4())})

    def poll(self, path: str, done: Callable[[Any], bool], *, every: float = 1.0) -> Any:
        """Reads a resource until ``done`` says so, at the pace that the server asks for (``poll_after_ms``)."""
        deadline = time.monotonic() + self.patience
        while True:
            body = self.get(path)
            if done(body):
                return body
            pause = body.get("poll_after_ms", every * 1000) / 1000
            if time.monotonic() + pause > deadline:
                raise TimeoutError(f"{path} did not become what was waited for")
            time.sleep(pause)

    def events(self, path: str, *, last_id: str = "", headers: Mapping[str, str] = {}) -> Iterator[Event]:
        """Follows a stream of server-sent events; goes on where it was after a break. Ends with the stream's ``end``."""
        failures = 0
        while True:
            sent = {**self._headers, **headers, "Accept": "text/event-stream"}
            if last_id:
                sent["Last-Event-ID"] = last_id
            request = urllib.request.Request(self.base + path, headers=sent)
            try:
                with urllib.request.urlopen(request, timeout=60) as stream:
                    for event in _events(stream):
                        failures = 0
                        last_id = event.id or last_id
                        if event.name == "end":
                            return
                        yield event
            except urllib.error.HTTPError as error:
                if error.code not in PASSING:
                    raise TurnstileError(error.code, _json(error.read())) from None
            except (OSError, HTTPException):
                pass
            failures += 1
            time.sleep(min(0.1 * 2**failures, 5) * random.uniform(0.5, 1))

    def _plain(self, method: str, path: str, body: Any, headers: Mapping[str, str] = {}) -> Any:
        answer = self._until(time.monotonic() + self.patience, lambda: self._send(method, path, body, headers))
        if answer.status >= 400:
            raise TurnstileError(answer.status, answer.body)
        return answer.body

    def _until(self, deadline: float, send: Callable[[], _Answer]) -> _Answer:
        """Sends until there is an answer that another attempt would not change."""
        pause = 0.1
        while True:
            failure: Exception | None = None
            try:
                answer = send()
                if answer.status not in PASSING:
                    return answer
                pause = max(pause, float(answer.headers.get("retry-after", 0)))
            except (OSError, HTTPException) as error:
                failure = error
            if time.monotonic() + pause > deadline:
                if failure is not None:
                    raise TimeoutError(f"no answer: {failure}") from failure
                return answer
            time.sleep(pause * random.uniform(0.5, 1) if failure else pause)
            pause = min(pause * 2, 5)

    def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> _Answer:
        url = path if path.startswith("http") else self.base + path
        data = None if body is None else json.dumps(body).encode()
        sent = {**self._headers, **headers}
        if data is not None:
            sent["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data=data, headers=sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=WAIT + 10) as answer:
                return _Answer(answer.status, _lower(answer.headers), _json(answer.read()))
        except urllib.error.HTTPError as error:
            return _Answer(error.code, _lower(error.headers), _json(error.read()))


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _json(text: bytes) -> Any:
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return {"detail": text[:200].decode(errors="replace")}


def _events(stream: Any) -> Iterator[Event]:
    name, number, data = "message", "", []
    for line in stream:
        line = line.decode().rstrip("\r\n")
        if not line:
            if data:
                yield Event(name, number, json.loads("\n".join(data)))
            name, number, data = "message", "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "id":
            number = value
        elif field == "data":
            data.append(value)


def verify_webhook(
    secrets: str | list[str], headers: Mapping[str, str], body: bytes, *, tolerance: float = 300, now: float | None = None
) -> dict[str, Any]:
    """Verifies a webhook (Standard Webhooks 1.0.0) and gives its event. Raises Unverified.

    ``body``: the bytes as they came. ``tolerance``: how old or early it may be, in seconds. The event's key for dropping
    repeats is the header ``webhook-id``.
    """
    sent = _lower(headers)
    try:
        number, timestamp, signatures = (sent[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        age = (time.time() if now is None else now) - int(timestamp)
    except (KeyError, ValueError):
        raise Unverified("headers are missing or damaged") from None
    if abs(age) > tolerance:
        raise Unverified("the timestamp is too old or too early")
    signed = f"{number}.{timestamp}.".encode() + body
    given = [entry.partition(",")[2] for entry in signatures.split(" ") if entry.startswith("v1,")]
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise ValueError("a secret is not whsec_ and base64") from None
        expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        if any(hmac.compare_digest(expected.encode(), entry.encode()) for entry in given):
            return json.loads(body)
    raise Unverified("no signature fits")
