"""Where the service sends requests, and where never: the guard against being led into inner networks."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import outbound
from app.core.errors import Invalid
from app.core.outbound import OutboundFailed, check_url, post, refusal

INNER = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104  not to be bound to
    "10.1.2.3",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2001:0:7f00:1::1",
    "2001:db8::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("text", INNER)
def test_an_address_that_is_not_of_the_public_internet_is_refused(text: str) -> None:
    assert refusal(ipaddress.ip_address(text)) is not None


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_public_internet_may_be_asked(text: str) -> None:
    assert refusal(ipaddress.ip_address(text)) is None


@given(st.ip_addresses())
def test_what_may_be_asked_is_global_also_for_the_standard_library(address: outbound.Address) -> None:
    if refusal(address) is None and (address.version == 4 or address in ipaddress.ip_network("2000::/3")):
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://example.org:22/",
        "https://example.org:80/",
        "https://user:word@example.org/",
        "https://user@example.org/",
        "https://example.org/#part",
        "https:///path",
        "https://localhost/",
        "https://intranet/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://app.localhost/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://example.org\\@127.0.0.1/",
        "https://exa mple.org/",
        "https://ex\u00e4mple.org/",
        "https://example.org:99999/",
        "https://example.org/" + "a" * 500,
        "https://example.org/\r\nX-Header: 1",
        "",
    ],
)
def test_an_address_that_leads_elsewhere_can_not_even_be_written_down(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_url(url)
    assert refused.value.code == "address_refused"


def test_a_plain_address_of_a_receiver_is_accepted() -> None:
    assert check_url("https://hooks.example.org:8443/in?a=b").hostname == "hooks.example.org"


@given(st.text(max_size=60))
def test_no_text_breaks_the_check(text: str) -> None:
    for url in (text, f"https://{text}/", f"https://example.org:{text}/"):
        with suppress(Invalid):
            check_url(url)


# ---------------------------------------------------------------- requests to a server of our own


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A server on loopback that hands each connection to `answer`; gives its port and what it was sent first."""
    received: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(5)
                    received.append(connection.recv(65_536))
                    answer(connection)
                except OSError:
                    pass  # the client went away, which is what some tests are about

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1], received
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def says(text: str) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(text.encode())


def loopback(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def test_a_name_that_stands_for_an_inner_address_is_not_connected_to() -> None:
    with listening(says("HTTP/1.1 200 OK\r\n\r\n")) as (_port, received):
        with pytest.raises(OutboundFailed) as refused:
            post("https://harmless.example.org/", b"", {}, resolve=loopback)
        assert refused.value.code == "address_refused"
        assert received == []


def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(OutboundFailed) as refused:
        post("https://two-faced.example.org/", b"", {}, resolve=lambda _h, _p: ["1.1.1.1", "10.0.0.1"])
    assert refused.value.code == "address_refused"


def test_a_name_that_answers_otherwise_the_second_time_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: a public address for the check, an inner one for the connection. It is resolved once only."""
    asked: list[str] = []
    tried: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["1.1.1.1"] if len(asked) == 1 else ["127.0.0.1"]

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        tried.append(address[0])
        raise OSError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(OutboundFailed) as failed:
        post("https://rebinding.example.org/", b"", {}, resolve=rebinding)
    assert failed.value.code == "unreachable"
    assert asked == ["rebinding.example.org"]
    assert tried == ["1.1.1.1"]


def test_the_connection_goes_to_the_checked_address_with_the_name_in_the_host_header() -> None:
    with listening(says("HTTP/1.1 204 No Content\r\n\r\n")) as (port, received):
        answer = post(
            f"http://hooks.example.org:{port}/in?x=1", b"{}", {"X-Own": "1"}, allow_private=True, resolve=loopback
        )
    assert answer.status == 204
    head = received[0].decode()
    assert head.startswith("POST /in?x=1 HTTP/1.1\r\n")
    assert f"Host: hooks.example.org:{port}\r\n" in head
    assert "X-Own: 1\r\n" in head


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with listening(says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n")) as (port, received):
        answer = post(f"http://127.0.0.1:{port}/", b"", {}, allow_private=True)
    assert (answer.status, len(received)) == (302, 1)


def test_no_more_of_an_answer_is_read_than_64_kilobytes() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1_000):
            connection.sendall(b"x" * 65_536)

    with listening(endless) as (port, _):
        answer = post(f"http://127.0.0.1:{port}/", b"", {}, allow_private=True)
    assert len(answer.body) == outbound.MAX_ANSWER


@pytest.mark.parametrize("place", ["headers", "body"])
def test_an_answer_that_drips_is_cut_at_the_deadline(place: str) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if place == "body" else b"X-Slow: "))
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    with listening(drip) as (port, _):
        started = time.monotonic()
        with pytest.raises(OutboundFailed) as failed:
            post(f"http://127.0.0.1:{port}/", b"", {}, allow_private=True, deadline=0.4)
    assert failed.value.code == "timeout"
    assert time.monotonic() - started < 3


def test_a_resolver_that_never_answers_is_left_at_the_deadline() -> None:
    let_go = threading.Event()

    def never(_host: str, _port: int) -> Sequence[str]:
        let_go.wait(5)
        return []

    with pytest.raises(OutboundFailed) as failed:
        post("https://slow.example.org/", b"", {}, resolve=never, deadline=0.2)
    let_go.set()
    assert failed.value.code == "timeout"


def test_a_certificate_that_nobody_vouches_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handshake is made with the name, so that the certificate is checked against it, not against the address."""
    named: list[str | None] = []
    wrap = ssl.SSLContext.wrap_socket

    def watched(context: ssl.SSLContext, sock: socket.socket, *, server_hostname: str, **more: Any) -> ssl.SSLSocket:
        named.append(server_hostname)
        return wrap(context, sock, server_hostname=server_hostname, **more)

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", watched)
    with listening(says("this is no TLS")) as (port, _), pytest.raises(OutboundFailed) as failed:
        post(f"https://hooks.example.org:{port}/", b"", {}, allow_private=True, resolve=loopback)
    assert failed.value.code == "tls"
    assert named == ["hooks.example.org"]


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(says("HTTP/1.1 200 OK\r\n\r\n")) as (port, received):
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
        assert post(f"http://127.0.0.1:{port}/", b"", {}, allow_private=True).status == 200
    assert len(received) == 1


def test_nonsense_for_an_answer_is_told_apart_from_silence() -> None:
    with listening(says("hello\r\n\r\n")) as (port, _), pytest.raises(OutboundFailed) as failed:
        post(f"http://127.0.0.1:{port}/", b"", {}, allow_private=True)
    assert failed.value.code == "bad_answer"
