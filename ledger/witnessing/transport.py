"""HTTP to witnesses: few requests, small answers, strict bounds, and connections that are kept open.

A witness is somebody else's server: it may be slow, gone, or hostile. Every request has a deadline for the whole of it,
not only for each read, and no answer is read beyond its bound. Redirects are not followed.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from ledger.errors import PolicyError, TransportError

DEADLINE_SECONDS = 5.0
"""The longest a request may take in all."""

MAX_ANSWER_SIZE = 262_144
"""Bytes read of an answer: room for a checkpoint with dozens of signatures."""

_HEADERS = {"User-Agent": "marchamo-ledger", "Accept": "*/*"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    content_type: str
    body: bytes


class Transport(Protocol):
    """Carries a request to an address; raises TransportError when no whole answer came back in time."""

    def get(self, url: str) -> Answer:
        """Fetch an address."""

    def post(self, url: str, body: bytes) -> Answer:
        """Send a body to an address."""


class HttpTransport:
    """HTTP/1.1 over TCP or TLS. Safe for threads; each server's idle connection is used again."""

    def __init__(self, *, deadline: float = DEADLINE_SECONDS) -> None:
        self._deadline = deadline
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], HTTPConnection] = {}

    def get(self, url: str) -> Answer:
        """Fetch an address."""
        return self._request("GET", url, None)

    def post(self, url: str, body: bytes) -> Answer:
        """Send a body to an address."""
        return self._request("POST", url, body)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connection in idle.values():
            connection.close()

    def _request(self, method: str, url: str, body: bytes | None) -> Answer:
        parts = urlsplit(url)
        server = parts.scheme, parts.netloc
        with self._lock:
            kept = self._idle.pop(server, None)
        if kept is not None:
            # The server may have closed a connection that was idle: that is no failure, and asking twice is safe.
            with suppress(TransportError):
                return self._exchange(kept, server, method, parts.path, body)
        return self._exchange(_connection(parts, self._deadline), server, method, parts.path, body)

    def _exchange(
        self, connection: HTTPConnection, server: tuple[str, str], method: str, path: str, body: bytes | None
    ) -> Answer:
        try:
            answer = self._within_deadline(connection, method, path, body)
        except (OSError, HTTPException, ValueError) as error:
            connection.close()
            raise TransportError(f"{server[1]} gave no answer: {error or type(error).__name__}") from error
        except BaseException:
            connection.close()
            raise
        with self._lock:
            displaced = self._idle.get(server)
            self._idle[server] = connection
        if displaced is not None:
            displaced.close()
        return answer

    def _within_deadline(self, connection: HTTPConnection, method: str, path: str, body: bytes | None) -> Answer:
        if connection.sock is None:
            connection.connect()
        end = time.monotonic() + self._deadline
        # Timeouts of the socket are for each read; who sends a byte now and then would never meet them.
        watch = threading.Timer(self._deadline, _cut, [connection.sock])
        watch.daemon = True
        watch.start()
        try:
            headers = _HEADERS if body is None else {**_HEADERS, "Content-Type": "text/plain; charset=utf-8"}
            connection.request(method, path or "/", body, headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers.get_content_type(), _read(response))
        finally:
            watch.cancel()
        if time.monotonic() > end:
            raise TimeoutError("the answer took too long")
        return answer


def check_url(url: str) -> str:
    """Give the prefix of a witness's address without a final slash; PolicyError unless it is a plain http(s) URL."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
        sound = sound and not (parts.query or parts.fragment) and url.isascii() and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise PolicyError(f"{url} is not the address of a witness: it must be http(s)://host[:port][/path]")
    return url.rstrip("/")


def _connection(parts: SplitResult, timeout: float) -> HTTPConnection:
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(str(parts.hostname), parts.port, timeout=timeout)


def _read(response: HTTPResponse) -> bytes:
    body = b""
    while part := response.read(MAX_ANSWER_SIZE + 1 - len(body)):
        body += part
        if len(body) > MAX_ANSWER_SIZE:
            raise HTTPException(f"the answer has more than {MAX_ANSWER_SIZE} bytes")
    if response.length:
        raise HTTPException("the answer was cut short")
    return body


def _cut(sock: socket.socket) -> None:
    """End a request whose time is over: whoever waits for the socket is woken."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
