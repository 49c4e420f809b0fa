"""What a witness refuses, with the status of C2SP tlog-witness."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import FormatError
from ledger.note import Note, NoteSigner, Signature, parse_note
from ledger.strict import encode_base64
from ledger.witness.cosigner import Cosigner
from ledger.witness.protocol import MAX_REQUEST_SIZE, AddCheckpoint, format_size, parse_size
from ledger.witness.state import NEVER
from tests.small_log import ORIGIN, signer
from tests.witness_builders import (
    checkpoint_note,
    latest,
    leaf_hashes,
    request_for,
    told,
)


def test_an_old_size_that_is_not_the_latest_is_answered_with_the_latest(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    for old, new in [(0, 5), (0, 9), (3, 9), (4, 5), (6, 9)]:
        answer = cosigner.add_checkpoint(request_for(old, new))
        assert told(answer) == (409, "5\n")
        assert answer.content_type == "text/x.tlog.size"
    assert told(make_cosigner_of_nothing(cosigner)) == (404, "this witness does not know that log\n")


def make_cosigner_of_nothing(cosigner: Cosigner) -> Any:
    note = checkpoint_note(5, origin="unknown.example/log")
    return cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes())


def test_a_log_never_seen_is_at_size_zero(cosigner: Cosigner) -> None:
    assert told(cosigner.add_checkpoint(request_for(3, 5))) == (409, "0\n")


def test_an_unknown_log_is_not_found_even_when_the_key_is_known(cosigner: Cosigner) -> None:
    checkpoint = Checkpoint("unknown.example/log", 5, bytes(32))
    note = sign_checkpoint(checkpoint, signer()).note_text
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == 404


def test_a_checkpoint_that_no_known_key_signed_is_forbidden(cosigner: Cosigner) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), NoteSigner.generate(ORIGIN)).note_text
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == 403


def test_a_broken_signature_of_a_known_key_is_forbidden_beside_a_good_one(cosigner: Cosigner) -> None:
    note = parse_note(checkpoint_note(5))
    broken = Signature(ORIGIN, signer().verifier.key_id, bytes(64))
    text = Note(note.text, (*note.signatures, broken)).to_text()
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), text).to_bytes()).status == 403
    assert latest(cosigner) == NEVER


def test_an_old_size_beyond_the_checkpoint_is_a_bad_request(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 9))
    body = AddCheckpoint(9, (), checkpoint_note(5)).to_bytes()
    assert cosigner.add_checkpoint(body).status == 400
    # Also before the size is compared with what the witness knows.
    assert cosigner.add_checkpoint(AddCheckpoint(20, (), checkpoint_note(5)).to_bytes()).status == 400


def test_a_proof_that_does_not_verify_is_not_processed(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    sound = AddCheckpoint.from_bytes(request_for(5, 9))
    for path in [(), sound.path[:-1], (*sound.path, bytes(32)), sound.path[::-1], (bytes(32), *sound.path[1:])]:
        answer = cosigner.add_checkpoint(AddCheckpoint(5, path, sound.note_text).to_bytes())
        assert answer.status == 422
    assert latest(cosigner).size == 5


def test_a_proof_from_the_empty_tree_must_be_empty(cosigner: Cosigner) -> None:
    body = AddCheckpoint(0, (bytes(32),), checkpoint_note(5)).to_bytes()
    assert cosigner.add_checkpoint(body).status == 422


def test_a_proof_between_equal_sizes_must_be_empty(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    assert cosigner.add_checkpoint(AddCheckpoint(5, (bytes(32),), checkpoint_note(5)).to_bytes()).status == 422


def test_another_root_for_the_same_size_is_not_processed(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    assert cosigner.add_checkpoint(request_for(5, 5, "forked")).status == 422
    assert latest(cosigner).root == merkle.root(leaf_hashes(5))


def test_an_empty_tree_with_a_root_of_its_own_is_not_processed(cosigner: Cosigner) -> None:
    text = f"{ORIGIN}\n0\n{encode_base64(bytes(32))}\n"
    note = Note(text, (signer().sign(text),)).to_text()
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == 422


@pytest.mark.parametrize("text", ["0\n", "00\n!\n", "5\nroot\n", "x\ny\n", "0\nnotbase64\n"])
def test_a_signed_text_that_is_no_checkpoint_is_a_bad_request(cosigner: Cosigner, text: str) -> None:
    text = f"{ORIGIN}\n{text}"
    note = Note(text, (signer().sign(text),)).to_text()
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == 400


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"",
        lambda body: b"old 5",
        lambda body: body.replace(b"old 5", b"old 05"),
        lambda body: body.replace(b"old 5", b"old -5"),
        lambda body: body.replace(b"old 5", b"old  5"),
        lambda body: body.replace(b"old 5", b"old 5 "),
        lambda body: body.replace(b"old 5", b"Old 5"),
        lambda body: body.replace(b"old 5", b"old \xd9\xa5"),
        lambda body: body.replace(b"old 5", b"old 9223372036854775808"),
        lambda body: body.replace(b"old 5\n", b"old 5\nold 5\n"),
        lambda body: body.replace(b"old 5\n", b"old 5\r\n"),
        lambda body: body.replace(b"old 5\n", b"old 5\nAAAA\n"),
        lambda body: body.replace(b"=\n", b"\n", 1),
        lambda body: body.replace("—".encode(), b"-"),
        lambda body: body.removesuffix(b"\n"),
        lambda body: body + b"\xff",
        lambda body: body + b"\n",
        lambda body: body.partition(b"\n\n")[0] + b"\n\n",
    ],
)
def test_a_malformed_request_is_a_bad_request(cosigner: Cosigner, change: Any) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    body = request_for(5, 9)
    assert cosigner.add_checkpoint(change(body)).status == 400
    assert cosigner.add_checkpoint(body).status == 200


def test_the_first_empty_line_ends_the_proof(cosigner: Cosigner) -> None:
    body = request_for(5, 9).replace(b"old 5\n", b"old 5\n\n")
    assert AddCheckpoint.from_bytes(body).path == ()
    assert cosigner.add_checkpoint(body).status == 404  # the rest of the proof is no log that anybody knows


def test_63_hashes_are_read_and_64_are_refused() -> None:
    path = tuple(bytes([at]) * 32 for at in range(63))
    request = AddCheckpoint(1, path, checkpoint_note(5))
    assert AddCheckpoint.from_bytes(request.to_bytes()) == request
    with pytest.raises(FormatError, match="at most 63 hashes"):
        AddCheckpoint.from_bytes(AddCheckpoint(1, (*path, bytes(32)), checkpoint_note(5)).to_bytes())


def test_a_request_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(FormatError, match="at most 262144 bytes"):
        AddCheckpoint.from_bytes(b"old 0\n" + b"x" * MAX_REQUEST_SIZE)


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.text(max_size=50))
def test_a_request_is_written_and_read_back(old_size: int, path: list[bytes], note_text: str) -> None:
    request = AddCheckpoint(old_size, tuple(path), note_text)
    assert AddCheckpoint.from_bytes(request.to_bytes()) == request


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_octets_get_an_answer(cosigner: Cosigner, body: bytes) -> None:
    assert cosigner.add_checkpoint(body).status == 400


@given(st.integers(0, 2**63 - 1))
def test_a_told_size_is_written_and_read_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("body", [b"", b"5", b"05\n", b"5\n\n", b" 5\n", b"\xff\n", b"-1\n", b"9223372036854775808\n"])
def test_a_told_size_in_another_spelling_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError):
        parse_size(body)
