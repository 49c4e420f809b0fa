"""The client against a real registry, and against servers that are rude, broken or somebody else's."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.core.authorisation import Role
from app.core.clock import now_ms
from scanners import client
from scanners.client import ConnectionFailed, Registry
from scanners.proofs import check_document
from scanners.trust import TrustList
from tests.scanners.conftest import SmallRegistry
from tests.serving import Server, free_port

SECRET = "mch_not-for-others"

# --- a real server -------------------------------------------------------------------------------------------------


def test_a_professional_verifies_many_codes_in_their_order(server: Server, small_registry: SmallRegistry) -> None:
    registry = Registry(server.url, small_registry.api_keys[Role.INSPECTOR])
    codes = [*small_registry.codes, "not a code", *reversed(small_registry.codes)]
    items = list(registry.verify(codes))
    serials = [item["verdict"]["code"]["canonical"] for item in items if item.get("verdict")]
    assert serials == [code.lower().split("/01/")[0] + code[code.index("/01/") :] for code in codes if "/" in code]
    assert items[len(small_registry.codes)]["error"]["code"] == "unknown_form"


def test_more_codes_than_one_request_takes_go_in_several(
    server: Server, small_registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BATCH", 5)
    registry = Registry(server.url, small_registry.api_keys[Role.INSPECTOR])
    items = list(registry.verify(small_registry.codes))
    assert [item["verdict"]["summary"] for item in items] == ["PASS"] * len(small_registry.codes)


def test_the_public_without_an_api_key_gets_verdicts_too(server: Server, small_registry: SmallRegistry) -> None:
    good, bad = Registry(server.url).verify([small_registry.codes[1], "not a code"])
    assert good["verdict"]["authenticity"] == "REGISTERED"
    assert bad["error"]["code"] == "unknown_form"


def test_the_trust_list_and_a_proof_come_through_the_client(server: Server, small_registry: SmallRegistry) -> None:
    registry = Registry(server.url + "/", small_registry.api_keys[Role.INSPECTOR])
    trust = TrustList.from_json(registry.trust_list())
    (item,) = registry.verify(small_registry.codes[:1])
    proved = check_document(json.dumps(registry.proof(item["verdict"]["proof_url"])).encode(), trust, now=now_ms())
    assert proved.kind == "unit"


def test_an_api_key_that_the_registry_does_not_know_is_told_in_its_words(server: Server) -> None:
    with pytest.raises(ConnectionFailed, match="is not known, has expired or was revoked"):
        list(Registry(server.url, SECRET).verify(["x"]))


# --- rude servers --------------------------------------------------------------------------------------------------


@dataclass
class Rude:
    """A server that answers everything with the same bytes, and remembers what it was sent."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def rude() -> Iterator[Rude]:
    answer = Rude()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer.asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST  # noqa: N815  the library's name

        def log_message(self, *_arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    answer.url = f"http://127.0.0.1:{server.server_port}"
    yield answer
    server.shutdown()
    server.server_close()
    thread.join(5)


def failure(registry: Registry, codes: tuple[str, ...] = ("x",)) -> ConnectionFailed:
    with pytest.raises(ConnectionFailed) as failed:
        list(registry.verify(codes))
    assert SECRET not in f"{failed.value.message} {failed.value.fix}"
    return failed.value


VERDICT = {"summary": "PASS", "authenticity": "REGISTERED", "advice": "Fine.", "reasons": ["signature_valid"]}


@pytest.mark.parametrize(
    "body",
    [b"", b"<!doctype html><title>Welcome</title>", b"[]", b"null", b"5", b"\xff\xfe", b"[" * 200_000, b"{}",
     b'{"items": null}', b'{"items": []}', b'{"items": [5]}', b'{"items": [{"verdict": null}]}',
     b'{"items": [{"verdict": {}}]}', b'{"items": [{"error": {"code": 5}}]}',
     json.dumps({"items": [{"verdict": VERDICT | {"reasons": "all"}}]}).encode(),
     json.dumps({"items": [{"verdict": VERDICT | {"summary": 1}}]}).encode(),
     json.dumps({"items": [{"verdict": VERDICT}] * 2}).encode()],
)  # fmt: skip
@pytest.mark.parametrize("api_key", [None, SECRET], ids=["public", "professional"])
def test_an_answer_that_is_no_verdict_is_refused(rude: Rude, body: bytes, api_key: str | None) -> None:
    rude.body = body
    assert "no registry of this kind" in failure(Registry(rude.url, api_key)).message


def test_a_huge_answer_is_not_read_to_its_end(rude: Rude, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_ANSWER", 1_000)
    rude.body = json.dumps(VERDICT | {"advice": "a" * 10_000}).encode()
    assert "no registry of this kind" in failure(Registry(rude.url)).message


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 502, 503])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"detail": 5, "code": "x"}', b'{"code": "x"}', b"[" * 100_000, b"\xff"]
)
def test_an_error_without_problem_details_is_told_by_its_number(rude: Rude, status: int, body: bytes) -> None:
    rude.status, rude.body = status, body
    assert failure(Registry(rude.url, SECRET)).message == f"The registry answered {status}."


def test_an_error_with_problem_details_is_told_in_its_words_and_no_more_of_them_than_fit(rude: Rude) -> None:
    rude.status = 503
    rude.body = json.dumps({"detail": "Closed. " * 1_000, "code": "closed", "fix": "Come back."}).encode()
    failed = failure(Registry(rude.url, SECRET))
    assert failed.message.startswith("Closed. Closed.")
    assert len(failed.message) == client.MAX_SENTENCE
    assert failed.fix == "Come back."


def test_the_public_that_asked_too_much_is_told_about_api_keys(rude: Rude) -> None:
    rude.status = 429
    rude.body = json.dumps({"detail": "Too many.", "code": "too_many_requests"}).encode()
    assert "API key" in str(failure(Registry(rude.url)).fix)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("same_host", [False, True])
def test_a_redirect_is_not_followed_and_the_api_key_goes_nowhere_else(rude: Rude, status: int, same_host: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.05)
        target = rude.url if same_host else f"http://localhost:{elsewhere.getsockname()[1]}"
        rude.status, rude.headers = status, {"Location": f"{target}/v1/verify/batch"}
        assert "redirect" in failure(Registry(rude.url, SECRET)).message
        with pytest.raises(ConnectionFailed, match="redirect"):
            Registry(rude.url, SECRET).trust_list()
        with pytest.raises(TimeoutError):
            elsewhere.accept()
    assert len(rude.asked) == 2


def test_a_proof_address_of_another_server_is_refused_before_anything_is_sent(rude: Rude) -> None:
    for path in ("@elsewhere.example/proof", "https://elsewhere.example/proof", ":80/x", ""):
        with pytest.raises(ConnectionFailed, match="not a path"):
            Registry(rude.url, SECRET).proof(path)
    assert rude.asked == []


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}",
                                  b"HTTP/1.1 200 " + b"x" * 70_000])  # fmt: skip
def test_a_server_that_speaks_no_http_or_hangs_up_cannot_be_reached(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer_once)
        thread.start()
        failed = failure(Registry(f"http://127.0.0.1:{listener.getsockname()[1]}", SECRET))
        thread.join(5)
    assert "cannot be reached" in failed.message


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        failed = failure(Registry(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert "cannot be reached" in failed.message


def test_a_closed_port_is_told_apart_so_that_each_command_can_say_how_to_go_on() -> None:
    failed = failure(Registry(f"http://127.0.0.1:{free_port()}"))
    assert isinstance(failed, client.Unreachable)
    assert failed.fix == "Check the address."


@pytest.mark.parametrize(
    "url",
    ["", "registry.example", "ftp://registry.example", "file:///etc/passwd", "http://", "http:///v1", "http://[",
     "http://host:port", "http://host:99999", "http://user:secret@host", "http://host/path", "http://host?x=1",
     "http://host#x", "http://ho st", "http://host\r\nX: y", "http://höst", "//host"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConnectionFailed, match="address must be"):
        Registry(url)


@pytest.mark.parametrize("api_key", ["mch_\r\nX-Forwarded-For: 1", "mch_é", "mch_\0"])
def test_an_api_key_that_would_break_the_header_is_refused_and_not_shown(api_key: str) -> None:
    with pytest.raises(ConnectionFailed) as failed:
        Registry("http://127.0.0.1:1", api_key)
    assert api_key not in failed.value.message


def test_the_api_key_stays_out_of_what_is_printed_of_the_registry() -> None:
    assert SECRET not in repr(Registry("http://127.0.0.1:1", SECRET))


def test_no_code_at_all_asks_nothing(rude: Rude) -> None:
    codes: Any = ()
    assert list(Registry(rude.url, SECRET).verify(codes)) == []
    assert rude.asked == []
