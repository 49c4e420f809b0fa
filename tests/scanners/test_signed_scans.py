"""What a device signs comes back as it was said, and nothing else is read as a scan of that device."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import StatementError
from ledger.statement import read_unverified, sign_encoded, sign_statement
from scanners.signed_scans import (
    ENROLMENT_TYPE,
    LEASE_TYPE,
    MAX_TOKEN,
    SCAN_TYPE,
    ScanPlace,
    ScanStatement,
    check_enrolment,
    device_named_in,
    key_id_of,
    read_lease,
    read_scan,
    scan_digest,
    sign_assertion,
    sign_enrolment,
    sign_lease,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()
DEVICE = "0123456789ab"
SCAN = ScanStatement(
    code="https://example.org/01/09521234567899/21/1",
    action="inspect",
    scanned_at=1_790_000_000_000,
    key="k-1",
    seq=7,
    place=ScanPlace(19_432_608, -99_133_209, 12, "gps"),
    operator_saw="CHECK",
    offline=True,
)

plain = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
places = st.builds(
    ScanPlace,
    st.integers(-90_000_000, 90_000_000),
    st.integers(-180_000_000, 180_000_000),
    st.none() | st.integers(0, 20_000_000),
    st.sampled_from(["gps", "ip", "site"]),
)
scans = st.builds(
    ScanStatement,
    code=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
    action=st.sampled_from(["check", "inspect", "report_stolen"]),
    scanned_at=st.integers(0, 2**63 - 1),
    key=plain,
    seq=st.integers(1, 2**63 - 1),
    place=st.none() | places,
    operator_saw=st.none() | plain,
    offline=st.booleans(),
)


def members(**changes: Any) -> dict[str, Any]:
    """The payload of SCAN with changes; a value of ... leaves the member out."""
    payload = dict(read_unverified(SCAN.sign(KEY, DEVICE)).payload) | changes
    return {name: value for name, value in payload.items() if value is not ...}


@given(scans)
def test_every_scan_is_read_as_it_was_signed(scan: ScanStatement) -> None:
    token = scan.sign(KEY, DEVICE)
    assert read_scan(token, PUBLIC) == scan
    assert device_named_in(token) == DEVICE
    assert len(scan_digest(token)) == 43


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": True},
        {"v": ...},
        {"more": 1},
        {"code": ""},
        {"code": "x" * 2_049},
        {"code": 7},
        {"action": "Sell"},
        {"action": "x" * 17},
        {"scanned_at": -1},
        {"scanned_at": 1.5},
        {"scanned_at": "2026-01-01"},
        {"seq": 0},
        {"seq": 2**63},
        {"seq": True},
        {"key": "with space"},
        {"key": "k" * 65},
        {"key": None},
        {"operator_saw": ""},
        {"offline": 0},
        {"place": {}},
        {"place": {"latitude": 90_000_001, "longitude": 0, "accuracy": None, "source": "gps"}},
        {"place": {"latitude": 0, "longitude": 180_000_001, "accuracy": None, "source": "gps"}},
        {"place": {"latitude": 0.5, "longitude": 0, "accuracy": None, "source": "gps"}},
        {"place": {"latitude": 0, "longitude": 0, "accuracy": -1, "source": "gps"}},
        {"place": {"latitude": 0, "longitude": 0, "accuracy": None, "source": "none"}},
        {"place": {"latitude": 0, "longitude": 0, "accuracy": None, "source": []}},
        {"place": {"latitude": 0, "longitude": 0, "source": "gps"}},
        {"place": []},
    ],
    ids=str,
)
def test_a_member_that_breaks_a_rule_is_refused(changes: dict[str, Any]) -> None:
    token = sign_statement(members(**changes), private_key=KEY, key_id=key_id_of(DEVICE), typ=SCAN_TYPE).decode()
    with pytest.raises(StatementError):
        read_scan(token, PUBLIC)


def test_another_key_type_or_spelling_is_refused() -> None:
    other = Ed25519PrivateKey.generate()
    token = SCAN.sign(KEY, DEVICE)
    twice = json.dumps(members())[:-1].encode() + b', "seq": 8}'
    for wrong in (
        SCAN.sign(other, DEVICE),
        token + "=",
        token.replace(".", "..", 1),
        sign_lease(KEY, device_id=DEVICE, at=1),
        sign_enrolment(KEY, code="c", name="n"),
        sign_statement(members(), private_key=KEY, key_id=key_id_of(DEVICE), typ=LEASE_TYPE).decode(),
        sign_encoded(twice, private_key=KEY, key_id=key_id_of(DEVICE), typ=SCAN_TYPE).decode(),
    ):
        with pytest.raises(StatementError):
            read_scan(wrong, PUBLIC)


@pytest.mark.parametrize("key_id", ["org:1", "device:", "device:new", "device:0123456789AB", "device:0123456789abc"])
def test_only_a_device_is_named_as_signer(key_id: str) -> None:
    token = sign_statement(members(), private_key=KEY, key_id=key_id, typ=SCAN_TYPE).decode()
    with pytest.raises(StatementError):
        device_named_in(token)


def test_what_is_too_long_is_neither_signed_nor_read() -> None:
    with pytest.raises(StatementError):
        replace(SCAN, code="\U0001f600" * 2_000).sign(KEY, DEVICE)
    with pytest.raises(StatementError):
        device_named_in("a" * (MAX_TOKEN + 1))
    with pytest.raises(StatementError):
        read_scan("a" * (MAX_TOKEN + 1), PUBLIC)


def test_an_enrolment_is_for_one_code_one_name_and_one_key() -> None:
    token = sign_enrolment(KEY, code="ABCDE-12345", name="phone")
    check_enrolment(token, PUBLIC, code="ABCDE-12345", name="phone")
    assert read_unverified(token).typ == ENROLMENT_TYPE
    other = Ed25519PrivateKey.generate().public_key()
    for key, code, name in (
        (other, "ABCDE-12345", "phone"),
        (PUBLIC, "ABCDE-12346", "phone"),
        (PUBLIC, "ABCDE-12345", "tablet"),
    ):
        with pytest.raises(StatementError):
            check_enrolment(token, key, code=code, name=name)


def test_a_lease_is_asked_for_by_one_device_at_one_time() -> None:
    token = sign_lease(KEY, device_id=DEVICE, at=1_790_000_000_000)
    assert read_lease(token, PUBLIC, device_id=DEVICE) == 1_790_000_000_000
    with pytest.raises(StatementError):
        read_lease(token, PUBLIC, device_id="0" * 12)
    for payload in ({}, {"v": 1, "device": DEVICE, "time": "now"}, {"v": 1, "device": DEVICE, "time": 1, "more": 1}):
        wrong = sign_statement(payload, private_key=KEY, key_id=key_id_of(DEVICE), typ=LEASE_TYPE).decode()
        with pytest.raises(StatementError):
            read_lease(wrong, PUBLIC, device_id=DEVICE)


def test_an_assertion_for_the_token_endpoint_is_no_scan() -> None:
    token = sign_assertion(KEY, device_id=DEVICE, endpoint="https://x/oauth/token", now=1_790_000_000, nonce="n" * 16)
    said = read_unverified(token)
    assert (said.typ, said.key_id, said.payload["sub"]) == ("JWT", key_id_of(DEVICE), key_id_of(DEVICE))
    assert said.payload["exp"] - said.payload["iat"] <= 300
    with pytest.raises(StatementError):
        read_scan(token, PUBLIC)
