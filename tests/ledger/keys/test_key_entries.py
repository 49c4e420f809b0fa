"""Entries about the log's keys: read strictly, and only LogKeyError comes out of what is not one."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LogKeyError
from ledger.keys.entries import KeyAction, KeyEntry, read_key_entry, retirement, rotation
from ledger.keys.log_keys import LogKeys, sign_succession
from ledger.leaf import Body
from ledger.note import NoteSigner
from ledger.own import OwnKind, own_subject
from ledger.statement import RECEIPT_TYPE, STATEMENT_TYPE, sign_statement

A, B, C = (NoteSigner.generate("log.test/keys") for _ in range(3))
KEY = Ed25519PrivateKey.generate()
TIME = "2026-11-24T10:29:00.123Z"
ROTATION = {
    "v": 1, "kind": "ledger.key", "time": TIME, **rotation(A.verifier, B.verifier, sign_succession(A, B))
}  # fmt: skip
RETIREMENT = {"v": 1, "kind": "ledger.key", "time": TIME, **retirement(A.verifier, B.verifier)}


def body_of(payload: dict[str, Any], *, typ: str = STATEMENT_TYPE) -> bytes:
    statement = sign_statement(payload, private_key=KEY, key_id="registry-1", typ=typ)
    return Body("ledger.key", ((own_subject(OwnKind.KEY), 0),), statement, "registry-1").to_bytes()


def test_a_rotation_and_a_retirement_are_read_as_they_were_written() -> None:
    moment = 1_795_516_140_123
    expected = KeyEntry(7, KeyAction.ROTATE, moment, A.verifier, B.verifier, ROTATION["succession"])
    assert read_key_entry(7, body_of(ROTATION)) == expected
    assert read_key_entry(9, body_of(RETIREMENT)) == KeyEntry(9, KeyAction.RETIRE, moment, A.verifier, B.verifier)


@pytest.mark.parametrize("payload", [ROTATION, RETIREMENT], ids=["rotation", "retirement"])
def test_every_member_is_needed_and_no_other_is_allowed(payload: dict[str, Any]) -> None:
    for name in payload:
        with pytest.raises(LogKeyError):
            read_key_entry(0, body_of({key: value for key, value in payload.items() if key != name}))
        wrong: Any
        for wrong in (None, 7, True, [], "", "x", "2026-11-24T10:29:00Z"):
            with pytest.raises(LogKeyError):
                read_key_entry(0, body_of(payload | {name: wrong}))
    with pytest.raises(LogKeyError):
        read_key_entry(0, body_of(payload | {"further": 1}))


@pytest.mark.parametrize(
    "time", ["2026-11-24T10:29:00.1Z", "2026-11-24T10:29:00.123000Z", "2026-1-24T10:29:00.123Z",
             "2026-02-30T00:00:00.000Z", "2026-11-24T10:29:00.123+00:00", "2026-11-24t10:29:00.123z"],
)  # fmt: skip
def test_a_time_has_one_spelling(time: str) -> None:
    with pytest.raises(LogKeyError):
        read_key_entry(0, body_of(ROTATION | {"time": time}))


def test_the_keys_in_the_statement_are_those_of_the_succession_and_of_this_log() -> None:
    other = NoteSigner.generate("log.test/other").verifier.to_text()
    wrong: dict[str, str]
    for wrong in ({"old": C.verifier.to_text()}, {"new": C.verifier.to_text()}, {"new": other}, {"old": other},
                  {"origin": "log.test/other"}, {"succession": sign_succession(A, C)}):  # fmt: skip
        with pytest.raises(LogKeyError):
            read_key_entry(0, body_of(ROTATION | wrong))


def test_a_receipt_is_no_entry_about_keys() -> None:
    with pytest.raises(LogKeyError):
        read_key_entry(0, body_of(ROTATION, typ=RECEIPT_TYPE))


def test_an_entry_follows_only_the_keys_that_it_speaks_of() -> None:
    rotated = read_key_entry(7, body_of(ROTATION))
    retired = read_key_entry(9, body_of(RETIREMENT))
    after = retired.follow(rotated.follow(None))
    assert after.current[0].verifier == B.verifier
    for keys in (LogKeys.of(C.verifier), after, rotated.follow(None)):
        with pytest.raises(LogKeyError):
            rotated.follow(keys)
    before: LogKeys | None
    for before in (None, LogKeys.of(A.verifier), LogKeys.of(B.verifier), after):
        with pytest.raises(LogKeyError):
            retired.follow(before)


def test_a_retirement_names_the_key_that_stays() -> None:
    """Otherwise an entry could say one thing to people and another to programs."""
    keys = read_key_entry(7, body_of(ROTATION)).follow(None)
    misleading = read_key_entry(9, body_of(RETIREMENT | {"new": C.verifier.to_text()}))
    with pytest.raises(LogKeyError, match="another key than the one it names"):
        misleading.follow(keys)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.sampled_from([ROTATION, RETIREMENT]), st.dictionaries(st.sampled_from([*ROTATION]), JSON, min_size=1))
def test_whatever_a_statement_holds_only_the_declared_error_comes_out(
    payload: dict[str, Any], changes: dict[str, Any]
) -> None:
    changed = payload | changes
    if changed == payload:
        return
    with pytest.raises(LogKeyError):
        read_key_entry(0, body_of(changed))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(LogKeyError):
        read_key_entry(0, data)


def test_the_subject_is_public() -> None:
    assert own_subject(OwnKind.KEY) == sha256(b"marchamo subject v1\nledger.key").digest()
