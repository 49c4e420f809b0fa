"""The load generators: they count every failure and keep the rate that they promise."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtests import rate, wrk
from loadtests.load import line_of
from loadtests.soak import growth

needs_wrk = pytest.mark.skipif(not wrk.available(), reason="wrk is not on this machine")


class _Handler(BaseHTTPRequestHandler):
    """Answers 200 to everything but a body that says bad."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if body == b"bad" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # the generators connect all at once

    def handle_error(self, *_arguments: object) -> None:
        """Stay silent when a generator hangs up at the end of its time."""


@contextmanager
def small_server() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_the_constant_rate_sends_what_was_planned_and_counts_failures() -> None:
    with small_server() as url:
        result = rate.post_at_rate(url, [b"good", b"good", b"good", b"bad"], per_second=80, seconds=0.5)
    assert result.sent == 40
    assert result.errors == 10
    assert 0 < result.p50_ms <= result.p95_ms <= result.p99_ms <= result.max_ms


def test_the_constant_rate_stops_when_it_is_told() -> None:
    told = threading.Event()
    told.set()
    with small_server() as url:
        assert rate.post_at_rate(url, [b"good"], per_second=80, seconds=60, until=told).sent == 0


@needs_wrk
def test_wrk_counts_every_answer_but_200_as_an_error() -> None:
    with small_server() as url:
        assert wrk.post(url, [b"good"], seconds=1).errors == 0
        assert wrk.post(url, [b"bad"], seconds=1).errors > 0


@needs_wrk
def test_wrk_does_not_exceed_an_asked_rate() -> None:
    with small_server() as url:
        paced = wrk.post(url, [b"good"], seconds=2, per_second=60)
    assert 0 < paced.per_second <= 72
    assert paced.errors == 0


def test_growth_compares_the_end_with_the_time_after_the_warm_up() -> None:
    warm_up = [10.0, 50.0]
    assert growth(warm_up + [80.0] * 8) == 0
    assert growth([*warm_up, 80.0, 80.0, 80.0, 85.0, 90.0, 95.0, 95.0, 95.0]) == pytest.approx(15)


def test_times_of_locust_are_read_from_its_histogram() -> None:
    entry = {
        "name": "verify",
        "num_requests": 100,
        "num_failures": 1,
        "response_times": {"5": 94, "60": 4, "200": 2},
    }
    line = line_of(entry)
    assert (line.p50_ms, line.p95_ms, line.p99_ms) == (5, 60, 200)
    assert line.missed == ["1 failed", "p95 > 50 ms", "p99 > 100 ms"]
