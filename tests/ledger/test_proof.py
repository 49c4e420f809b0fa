from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, NoteError, ProofError, StatementError
from ledger.leaf import FIRST_PREV, Body
from ledger.proof import (
    BatchEntry,
    LeafProof,
    UnitProof,
    VerifiedUnit,
    format_proof,
    parse_proof,
    verify_leaf_proof,
    verify_unit_proof,
)
from ledger.statement import RECEIPT_TYPE, STATEMENT_TYPE, sign_statement
from ledger.strict import encode_base64
from tests.small_log import ISSUER_KEY_ID, issuer_key, log_of, private_key, signer, unit_content, unit_proof

VERIFIER = signer().verifier
HASHES = st.binary(min_size=32, max_size=32)
POSITION = 17


def verify(proof: UnitProof, *, content: bytes = unit_content(POSITION)) -> VerifiedUnit:
    return verify_unit_proof(proof, content=content, log_verifier=VERIFIER, statement_key=issuer_key().public_key())


def test_the_format_is_that_of_the_specification() -> None:
    path = [b"\x01" * 32, b"\x02" * 32]
    assert format_proof(5, path, "a note\n", b"more") == (
        "c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 5\n"
        f"{encode_base64(path[0])}\n{encode_base64(path[1])}\n\na note\n"
    )
    assert format_proof(0, [], "a note\n") == "c2sp.org/tlog-proof@v1\nindex 0\n\na note\n"


@given(st.integers(0, 2**63 - 1), st.lists(HASHES, max_size=64), st.none() | st.binary(max_size=50))
def test_a_proof_is_read_back(index: int, path: list[bytes], extra: bytes | None) -> None:
    text = format_proof(index, path, "note\n\nlines\n", extra)
    proof = LeafProof(index, tuple(path), "note\n\nlines\n", extra)
    assert parse_proof(text) == parse_proof(text.encode()) == proof


@pytest.mark.parametrize("size", [1, 2, 7, 256, 300])
def test_each_leaf_of_a_log_is_proved(size: int) -> None:
    log = log_of(size)
    for index in {0, size // 2, size - 1}:
        text = log.prove(index, extra=b"context")
        checkpoint = verify_leaf_proof(text, log.leaves[index].hash(), VERIFIER)
        assert checkpoint == log.checkpoint().checkpoint


def test_every_flipped_bit_of_a_leaf_proof_is_refused() -> None:
    log = log_of(7)
    data = log.prove(2).encode()
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises((ProofError, NoteError)):
                verify_leaf_proof(bytes(changed), log.leaves[2].hash(), VERIFIER)


def test_a_proof_does_not_serve_another_leaf_log_or_key() -> None:
    log = log_of(7)
    text = log.prove(2)
    with pytest.raises(ProofError):
        verify_leaf_proof(text, log.leaves[3].hash(), VERIFIER)
    with pytest.raises(NoteError):
        verify_leaf_proof(text, log.leaves[2].hash(), signer("log.example/other").verifier)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("index 2", "index 02"),
        lambda text: text.replace("index 2", "index -2"),
        lambda text: text.replace("index 2", "Index 2"),
        lambda text: text.replace("index 2\n", ""),
        lambda text: text.replace("index 2\n", "index 2\nindex 2\n"),
        lambda text: text.replace("index 2\n", "index 2\nextra bW9yZQ==\n"),
        lambda text: text.replace("index 2\n", "extra bW9yZQ\nindex 2\n"),
        lambda text: text.replace("index 2\n", "extra bW9yZQ==\nextra bW9yZQ==\nindex 2\n"),
        lambda text: text.replace("index 2\n", f"extra {encode_base64(bytes(70_000))}\nindex 2\n"),
        lambda text: text.replace("index 2\n", "index 2\n" + encode_base64(bytes(32)) + "\n"),
        lambda text: text.replace("index 2\n", "index 2\n" + (encode_base64(bytes(32)) + "\n") * 65),
        lambda text: text.replace("index 2\n", "index 2\n" + encode_base64(bytes(31)) + "\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n\n", "\n", 1),
        lambda text: text + "\n",
        lambda text: text.partition("\n\n")[0],
        lambda text: "",
        lambda text: "x" * 2_000_000,
        lambda text: b"\xff",
    ],
)
def test_a_leaf_proof_that_breaks_a_rule_is_refused(change: Any) -> None:
    log = log_of(7)
    with pytest.raises((ProofError, NoteError)):
        verify_leaf_proof(change(log.prove(2)), log.leaves[2].hash(), VERIFIER)


@pytest.mark.parametrize(
    ("units", "position", "before", "after"),
    [(1, 0, 0, 0), (50, 17, 5, 3), (16, 15, 255, 0), (17, 16, 256, 1), (300, 0, 0, 9)],
)
def test_a_unit_is_proved_up_to_the_signed_checkpoint(units: int, position: int, before: int, after: int) -> None:
    proof = unit_proof(units=units, position=position, before=before, after=after)
    unit = verify(proof, content=unit_content(position))
    assert (unit.index, unit.position, unit.kind) == (before, position, "batch")
    assert unit.checkpoint.size == before + 1 + after
    assert unit.statement.payload["handle"] == "7K2QX"
    assert (proof.prev == FIRST_PREV) == (before == 0)
    assert UnitProof.from_json(proof.to_json()) == proof
    assert UnitProof.from_json(proof.to_json().encode()) == proof
    assert UnitProof.from_members(json.loads(proof.to_json())) == proof


def test_without_the_issuers_key_only_the_log_vouches() -> None:
    forged = with_payload({"root": "", "size": 50}, key=private_key("stranger"))
    with pytest.raises(StatementError):
        verify(forged)
    unit = verify_unit_proof(unit_proof(), content=unit_content(POSITION), log_verifier=VERIFIER, statement_key=None)
    assert unit.statement.key_id == ISSUER_KEY_ID


def test_an_entry_of_another_kind_does_not_serve_as_a_batch() -> None:
    def verified(kind: str) -> str:
        return verify_unit_proof(
            unit_proof(), content=unit_content(POSITION), log_verifier=VERIFIER, statement_key=None, kind=kind
        ).kind

    assert verified("batch") == "batch"
    with pytest.raises(ProofError, match="kind asked for"):
        verified("scans.sealed")


def test_a_unit_proof_does_not_serve_another_code_log_or_issuer() -> None:
    proof = unit_proof()
    with pytest.raises(ProofError):
        verify(proof, content=unit_content(POSITION + 1))
    with pytest.raises(StatementError):
        verify_unit_proof(
            proof,
            content=unit_content(POSITION),
            log_verifier=VERIFIER,
            statement_key=private_key("stranger").public_key(),
        )
    with pytest.raises(NoteError):
        verify_unit_proof(
            proof,
            content=unit_content(POSITION),
            log_verifier=signer("log.example/other").verifier,
            statement_key=issuer_key().public_key(),
        )


def test_the_proof_of_one_unit_reveals_no_other_salt_or_content() -> None:
    text, other = unit_proof().to_json(), unit_proof(position=POSITION + 1)
    assert encode_base64(other.unit_salt) not in text
    assert unit_content(POSITION + 1).decode() not in text


def with_payload(
    payload: dict[str, Any], *, typ: str = STATEMENT_TYPE, key: Any = None, key_id: str = ISSUER_KEY_ID
) -> UnitProof:
    """A proof whose batch statement was exchanged: correctly signed, but not what the log holds."""
    proof = unit_proof()
    statement = sign_statement(payload, private_key=key or issuer_key(), key_id=key_id, typ=typ)
    body = replace(Body.from_bytes(proof.batch_entry.body), statement=statement)
    return replace(proof, batch_entry=BatchEntry(proof.batch_entry.salt, body.to_bytes()))


@pytest.mark.parametrize(
    "forged",
    [
        replace(unit_proof(), position=16),
        replace(unit_proof(), position=-1),
        replace(unit_proof(), position=50),
        replace(unit_proof(), batch_size=51),
        replace(unit_proof(), batch_path=unit_proof().batch_path[:-1]),
        replace(unit_proof(), batch_path=unit_proof().batch_path[::-1]),
        replace(unit_proof(), unit_salt=bytes(32)),
        replace(unit_proof(), prev=bytes(32)),
        replace(unit_proof(), batch_entry=replace(unit_proof().batch_entry, salt=bytes(32))),
        replace(unit_proof(), batch_entry=replace(unit_proof().batch_entry, body=b"{}")),
        replace(unit_proof(), leaf_proof=unit_proof(before=6).leaf_proof),
        replace(unit_proof(), leaf_proof=""),
        with_payload({}),
        with_payload({"root": 1, "size": 50}),
        with_payload({"root": "AAAA", "size": 50}),
        with_payload({"root": encode_base64(bytes(32)), "size": True}),
        with_payload({"root": encode_base64(bytes(32)), "size": 0}),
        with_payload({"root": encode_base64(bytes(32)), "size": 50}),
        with_payload({"kind": "scans.sealed", "root": encode_base64(bytes(32)), "size": 50}),
        with_payload({"root": encode_base64(bytes(32)), "size": 50}, typ=RECEIPT_TYPE),
        with_payload({"root": encode_base64(bytes(32)), "size": 50}, key_id="another-key"),
    ],
)
def test_a_unit_proof_with_any_part_exchanged_is_refused(forged: UnitProof) -> None:
    with pytest.raises((ProofError, NoteError, StatementError)):
        verify(forged)
    with pytest.raises((ProofError, NoteError, StatementError)):
        verify_unit_proof(forged, content=unit_content(POSITION), log_verifier=VERIFIER, statement_key=None)


@pytest.mark.parametrize(
    ("unsound", "reason"),
    [
        ({"typ": RECEIPT_TYPE}, "different keys or types"),
        ({"body_key_id": "another-key"}, "different keys or types"),
        ({"stated": {"kind": "scans.sealed"}}, "kind"),
        ({"stated": {"size": 49}}, "another number of units"),
        ({"units": 1, "position": 0, "stated": {"size": True}}, "states no tree"),
        ({"stated": {"size": 0}}, "states no tree"),
        ({"stated": {"size": -1}}, "states no tree"),
        ({"stated": {"size": "50"}}, "states no tree"),
        ({"stated": {"root": None}}, "states no tree"),
        ({"stated": {"root": "AAAA"}}, "malformed"),
    ],
)
def test_an_entry_that_the_log_holds_but_that_is_no_sound_batch_is_refused(
    unsound: dict[str, Any], reason: str
) -> None:
    proof = unit_proof(**unsound)
    with pytest.raises(ProofError, match=reason):
        verify_unit_proof(proof, content=unit_content(proof.position), log_verifier=VERIFIER, statement_key=None)


def test_even_a_rightly_signed_batch_of_the_issuer_must_be_in_the_log() -> None:
    stated = json.loads(unit_proof().to_json())
    genuine = verify(unit_proof()).statement.payload
    forged = with_payload({**genuine, "batch": "LOT-8"})
    assert UnitProof.from_members(stated).batch_path == forged.batch_path
    with pytest.raises(ProofError, match="does not lead to the root"):
        verify(forged)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_changed_character_of_a_unit_proof_passes(data: st.DataObject) -> None:
    text = unit_proof().to_json()
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda char: char != text[at]))
    try:
        read = UnitProof.from_json(text[:at] + new + text[at + 1 :])
    except ProofError:
        return
    with pytest.raises(LedgerError):
        verify(read)


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": True},
        {"v": "1"},
        {"position": "17"},
        {"position": 17.0},
        {"position": True},
        {"batch_path": "x"},
        {"batch_path": [1]},
        {"batch_path": ["AAAA"]},
        {"batch_path": [encode_base64(bytes(32))] * 65},
        {"unit_salt": "AAAA"},
        {"unit_salt": None},
        {"batch_entry": []},
        {"batch_entry": {"salt": encode_base64(bytes(32))}},
        {"batch_entry": {"salt": encode_base64(bytes(32)), "body": "é"}},
        {"batch_entry": {"salt": encode_base64(bytes(32)), "body": "x" * 300_000}},
        {"batch_entry": {"salt": encode_base64(bytes(32)), "body": "{}", "more": 1}},
        {"prev": encode_base64(bytes(33))},
        {"leaf_proof": None},
        {"more": 1},
    ],
)
def test_a_unit_proof_with_a_member_out_of_form_is_refused(changes: dict[str, Any]) -> None:
    members = json.loads(unit_proof().to_json()) | changes
    with pytest.raises(ProofError, match="malformed"):
        UnitProof.from_json(json.dumps(members))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"v":1}', "\ud800", b"\xff", "x" * 3_000_000])
def test_a_text_that_is_no_unit_proof_is_refused(text: str | bytes) -> None:
    with pytest.raises(ProofError):
        UnitProof.from_json(text)
