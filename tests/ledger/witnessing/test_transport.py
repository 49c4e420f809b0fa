"""HTTP to witnesses: against servers that are slow, gone, wordy, or speak no HTTP at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ledger.errors import PolicyError, TransportError
from ledger.witnessing.transport import MAX_ANSWER_SIZE, Answer, HttpTransport, check_url
from tests.serving import free_port


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked, and on which connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(f"{self.command} {self.path} {self.client_address[1]} ".encode() + body)

    def do_GET(self) -> None:
        self._answer(f"{self.command} {self.path} {self.client_address[1]} ".encode())

    def _answer(self, data: bytes) -> None:
        self.send_response(409)
        self.send_header("Content-Type", "text/x.tlog.size; charset=us-ascii")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    made = HttpTransport(deadline=1.0)
    yield made
    made.close()


@pytest.fixture
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def speaker(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that lets `speak` do what it likes with each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65_536)
                speak(connection)
            except OSError:
                pass  # the client has gone

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=handle, args=(connection,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/w"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    accepting.join()
    for thread in threads:
        thread.join()


def test_a_request_is_carried_and_the_answer_read(transport: HttpTransport, echo: str) -> None:
    answer = transport.post(f"{echo}/w/add-checkpoint", b"old 0\n")
    assert (answer.status, answer.content_type) == (409, "text/x.tlog.size")
    assert answer.body.startswith(b"POST /w/add-checkpoint ")
    assert answer.body.endswith(b" old 0\n")
    assert transport.get(echo).body.startswith(b"GET / ")


def test_a_connection_is_used_again(transport: HttpTransport, echo: str) -> None:
    ports = {transport.get(f"{echo}/").body.split()[2] for _ in range(5)}
    assert len(ports) == 1


def test_threads_have_connections_of_their_own(transport: HttpTransport, echo: str) -> None:
    bodies: list[bytes] = []
    threads = [
        threading.Thread(target=lambda at=at: bodies.append(transport.post(echo, b"%d" % at).body)) for at in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(body.split()[-1] for body in bodies) == [b"%d" % at for at in range(8)]


def test_a_connection_that_the_server_closed_in_between_is_no_failure(transport: HttpTransport) -> None:
    def once(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with speaker(once) as url:
        for _ in range(3):
            assert transport.post(url, b"x") == Answer(200, "text/plain", b"ok")


def test_an_answer_that_ends_with_the_connection_is_read(transport: HttpTransport) -> None:
    with speaker(lambda connection: connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nto the end")) as url:
        assert transport.get(url).body == b"to the end"


def test_a_server_that_is_not_there_is_told(transport: HttpTransport) -> None:
    with pytest.raises(TransportError, match="gave no answer"):
        transport.get(f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(TransportError, match="gave no answer"):
        transport.get("http://absent.invalid/")


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def drip_to_the_end(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def silence(connection: socket.socket) -> None:
    connection.recv(1)


@pytest.mark.parametrize("speak", [drip, drip_to_the_end, silence])
def test_a_whole_request_has_a_deadline(transport: HttpTransport, speak: Callable[[socket.socket], None]) -> None:
    with speaker(speak) as url:
        started = time.monotonic()
        with pytest.raises(TransportError):
            transport.post(url, b"x")
        assert time.monotonic() - started < 10.0


@pytest.mark.parametrize(
    "spoken",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_ANSWER_SIZE + 1) + b"x" * (MAX_ANSWER_SIZE + 1),
        b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (MAX_ANSWER_SIZE + 1),
    ],
)
def test_an_answer_that_is_none_is_refused(transport: HttpTransport, spoken: bytes) -> None:
    with speaker(lambda connection: connection.sendall(spoken)) as url, pytest.raises(TransportError):
        transport.post(url, b"x")


def test_a_redirect_is_not_followed(transport: HttpTransport, echo: str) -> None:
    spoken = b"HTTP/1.1 302 Found\r\nLocation: " + echo.encode() + b"/\r\nContent-Length: 0\r\n\r\n"
    with speaker(lambda connection: connection.sendall(spoken)) as url:
        assert transport.post(url, b"x") == Answer(302, "text/plain", b"")


@pytest.mark.parametrize(
    "url", ["http://a.example", "https://a.example:8443/w1", "http://[::1]:8100/", "http://1.2.3.4/"]
)
def test_the_address_of_a_witness_is_taken_without_its_last_slash(url: str) -> None:
    assert check_url(url) == url.rstrip("/")


@pytest.mark.parametrize("url", ["", "/", "file:///etc/passwd", "http://a.example:0/", "http://a.example:99999/"])
def test_what_is_no_address_of_a_witness_is_refused(url: str) -> None:
    with pytest.raises(PolicyError, match="is not the address of a witness"):
        check_url(url)
