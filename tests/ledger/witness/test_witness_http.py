"""A witness over HTTP."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import NoteError
from ledger.note import Verifier, open_note, parse_note
from ledger.witness.application import WitnessApplication
from ledger.witness.cosigner import Cosigner
from ledger.witness.keeping import STATE_FILE
from ledger.witness.protocol import MAX_REQUEST_SIZE, AddCheckpoint
from tests.small_log import ORIGIN, signer
from tests.witness_builders import (
    checkpoint_note,
    cosigner_key,
    make_cosigner,
    request_for,
)

W1 = cosigner_key("witness.example/w1")


def call(
    application: WitnessApplication, method: str, path: str, body: bytes | None = None, **environ: Any
) -> tuple[int, dict[str, str], bytes]:
    """Ask as a web server does."""
    given: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(body or b"")}
    if body is not None:
        given["CONTENT_LENGTH"] = str(len(body))
    answered: list[Any] = []
    data = b"".join(application(given | environ, lambda status, headers: answered.extend([status, headers])))
    return int(answered[0].split(" ")[0]), dict(answered[1]), data


@pytest.fixture
def application(cosigner: Cosigner) -> WitnessApplication:
    return WitnessApplication(cosigner)


def test_a_checkpoint_is_cosigned_over_http(application: WitnessApplication) -> None:
    status, headers, body = call(application, "POST", "/add-checkpoint", request_for(0, 5))
    assert status == 200
    assert headers["Content-Length"] == str(len(body))
    open_note(checkpoint_note(5).encode() + body, [W1.verifier])
    status, headers, body = call(application, "POST", "/add-checkpoint", request_for(0, 9))
    assert (status, headers["Content-Type"], body) == (409, "text/x.tlog.size", b"5\n")


def test_a_prefix_is_part_of_the_address(cosigner: Cosigner) -> None:
    application = WitnessApplication(cosigner, prefix="/w1/")
    assert call(application, "POST", "/w1/add-checkpoint", request_for(0, 5))[0] == 200
    assert call(application, "GET", "/w1/")[0] == 200
    for path in ("/add-checkpoint", "/", "/w1", "/w1add-checkpoint", ""):
        assert call(application, "POST", path, request_for(0, 5))[0] == 404


def test_monitors_get_the_latest_cosigned_checkpoint(application: WitnessApplication) -> None:
    address = f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
    assert call(application, "GET", address)[0] == 404
    _, _, line = call(application, "POST", "/add-checkpoint", request_for(0, 5))
    status, headers, note = call(application, "GET", address)
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    verifiers: list[Verifier] = [signer().verifier, W1.verifier]
    assert open_note(note, verifiers)[1] == tuple(verifiers)
    assert note.endswith(line)
    assert call(application, "HEAD", address)[2] == b""
    assert call(application, "GET", address.upper().replace("CHECKPOINT", "checkpoint"))[0] == 404


def test_people_see_who_this_is_and_what_it_has_seen(application: WitnessApplication) -> None:
    assert "nothing cosigned yet" in call(application, "GET", "/")[2].decode()
    call(application, "POST", "/add-checkpoint", request_for(0, 5))
    call(application, "POST", "/add-checkpoint", request_for(5, 5, "forked"))
    text = call(application, "GET", "/")[2].decode()
    assert W1.verifier.to_text() in text
    assert f"{ORIGIN}: 5 entries, cosigned 2023-11-14 22:13:20 UTC" in text
    assert text.endswith("contradict what was cosigned: 1\n")
    assert "PRIVATE" not in text


def test_a_witness_with_an_impossible_clock_still_shows_itself(tmp_path: Path) -> None:
    application = WitnessApplication(make_cosigner(tmp_path, clock=lambda: 2.0**62))
    assert call(application, "POST", "/add-checkpoint", request_for(0, 5))[0] == 200
    assert str(2**62) in call(application, "GET", "/")[2].decode()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/add-checkpoint", "POST"), ("PUT", "/add-checkpoint", "POST"), ("POST", "/", "GET, HEAD")],
)
def test_other_methods_are_not_allowed(application: WitnessApplication, method: str, path: str, allowed: str) -> None:
    status, headers, _ = call(application, method, path)
    assert (status, headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/nothing", "/add-checkpoint/", "//", "/0/checkpoint", "/sign-subtree"])
def test_there_is_nothing_elsewhere(application: WitnessApplication, path: str) -> None:
    assert call(application, "GET", path)[0] == 404


def test_the_length_of_a_request_is_bounded(application: WitnessApplication) -> None:
    large = b"x" * (MAX_REQUEST_SIZE + 1)
    assert call(application, "POST", "/add-checkpoint", large)[0] == 413
    chunked: dict[str, Any] = {"wsgi.input": io.BytesIO(large), "wsgi.input_terminated": True}
    assert call(application, "POST", "/add-checkpoint", **chunked)[0] == 413
    assert call(application, "POST", "/add-checkpoint")[0] == 411
    for length in ("-1", "5x", "٣", "9" * 13):
        assert call(application, "POST", "/add-checkpoint", b"", CONTENT_LENGTH=length)[0] == 400


def test_a_request_of_unstated_length_is_read_to_its_end(application: WitnessApplication) -> None:
    chunked: dict[str, Any] = {"wsgi.input": io.BytesIO(request_for(0, 5)), "wsgi.input_terminated": True}
    assert call(application, "POST", "/add-checkpoint", **chunked)[0] == 200


def test_a_state_that_fails_is_told_and_nothing_is_cosigned(
    application: WitnessApplication, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / STATE_FILE).unlink()
    status, _, body = call(application, "POST", "/add-checkpoint", request_for(0, 5))
    assert (status, body) == (503, b"the witness cannot reach its state; try again\n")
    assert "the witness's state failed" in caplog.text
    assert not (tmp_path / STATE_FILE).exists()


def test_a_note_that_is_not_read_is_a_note_error() -> None:
    with pytest.raises(NoteError):
        parse_note(AddCheckpoint.from_bytes(b"old 0\n\nno note").note_text)
