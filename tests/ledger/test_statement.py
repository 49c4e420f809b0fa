from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey

from ledger.errors import StatementError
from ledger.statement import (
    MAX_STATEMENT_SIZE,
    RECEIPT_TYPE,
    STATEMENT_TYPE,
    read_key_id,
    read_unverified,
    sign_statement,
    verify_statement,
)
from ledger.strict import encode_base64url
from tests.small_log import private_key

KEY = private_key("actor")
PUBLIC = KEY.public_key()
PAYLOAD = {"batch": "LOT-7", "note": "ñandú", "size": 50}


def sign(payload: dict[str, Any] = PAYLOAD, *, key: Ed25519PrivateKey = KEY, typ: str = STATEMENT_TYPE) -> bytes:
    return sign_statement(payload, private_key=key, key_id="actor-1", typ=typ)


def raw(header: Any, payload: Any = b'{"a":1}', key: Ed25519PrivateKey = KEY) -> bytes:
    """A token with any header and payload, correctly signed."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = encode_base64url(head) + b"." + encode_base64url(payload)
    return signed + b"." + encode_base64url(key.sign(signed))


HEADER = {"alg": "EdDSA", "kid": "actor-1", "typ": STATEMENT_TYPE}
PAYLOADS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.lists(st.integers()),
    max_size=5,
)


@given(PAYLOADS)
def test_a_signed_statement_is_read_back(payload: dict[str, Any]) -> None:
    token = sign(payload)
    statement = verify_statement(token, public_key=PUBLIC, typ=STATEMENT_TYPE)
    assert statement.payload == payload
    assert (statement.key_id, statement.typ, statement.token) == ("actor-1", STATEMENT_TYPE, token)
    assert verify_statement(token.decode(), public_key=PUBLIC, typ=STATEMENT_TYPE) == statement
    assert read_key_id(token) == "actor-1"
    assert read_unverified(token) == statement


def test_another_jose_library_reads_what_we_sign_and_signs_what_we_read() -> None:
    key = OKPKey.import_key(KEY)
    with pytest.warns(SecurityWarning, match="RFC 9864"):
        theirs = jws.deserialize_compact(sign(), key, algorithms=["EdDSA"])
    assert json.loads(theirs.payload or b"") == PAYLOAD
    assert theirs.headers() == HEADER
    with pytest.warns(SecurityWarning, match="RFC 9864"):
        token = jws.serialize_compact(HEADER, json.dumps(PAYLOAD), key, algorithms=["EdDSA"])
    assert verify_statement(token, public_key=PUBLIC, typ=STATEMENT_TYPE).payload == PAYLOAD


def test_a_receipt_never_passes_for_a_statement() -> None:
    with pytest.raises(StatementError, match="another type"):
        verify_statement(sign(typ=RECEIPT_TYPE), public_key=PUBLIC, typ=STATEMENT_TYPE)


def test_the_statement_of_another_key_is_refused() -> None:
    with pytest.raises(StatementError, match="does not fit"):
        verify_statement(sign(key=private_key("stranger")), public_key=PUBLIC, typ=STATEMENT_TYPE)


def test_every_flipped_bit_is_refused() -> None:
    token = sign()
    for at in range(len(token)):
        for bit in range(8):
            changed = bytearray(token)
            changed[at] ^= 1 << bit
            with pytest.raises(StatementError):
                verify_statement(bytes(changed), public_key=PUBLIC, typ=STATEMENT_TYPE)


def test_the_helper_of_these_tests_makes_a_token_that_is_accepted() -> None:
    assert verify_statement(raw(HEADER), public_key=PUBLIC, typ=STATEMENT_TYPE).payload == {"a": 1}


@pytest.mark.parametrize(
    "header",
    [
        HEADER | {"alg": "none"},
        HEADER | {"alg": "HS256"},
        HEADER | {"alg": "Ed25519"},
        HEADER | {"alg": "eddsa"},
        HEADER | {"alg": ["EdDSA"]},
        HEADER | {"crit": ["exp"], "exp": 1},
        HEADER | {"b64": False},
        HEADER | {"jwk": {"kty": "OKP"}},
        HEADER | {"jku": "https://attacker.example/keys"},
        HEADER | {"typ": "JWT"},
        HEADER | {"typ": STATEMENT_TYPE.upper()},
        HEADER | {"typ": 1},
        HEADER | {"kid": 1},
        HEADER | {"kid": ""},
        HEADER | {"kid": "two words"},
        HEADER | {"kid": "k" * 129},
        HEADER | {"kid": "\ud800"},
        {"alg": "EdDSA", "typ": STATEMENT_TYPE},
        {"alg": "EdDSA", "kid": "actor-1"},
        [],
        "EdDSA",
        b"not json",
        b"\xff",
        b"",
        json.dumps(HEADER).encode()[:-1] + b',"kid":"actor-2"}',
        json.dumps(HEADER | {"kid": "k" * 600}).encode(),
    ],
)
def test_a_header_out_of_form_is_refused_though_correctly_signed(header: Any) -> None:
    with pytest.raises(StatementError):
        verify_statement(raw(header), public_key=PUBLIC, typ=STATEMENT_TYPE)
    if header not in ({**HEADER, "typ": "JWT"}, {**HEADER, "typ": STATEMENT_TYPE.upper()}):
        with pytest.raises(StatementError):
            read_key_id(raw(header))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"1",
        b'"text"',
        b"{",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b"\xff",
        b'{"a":1}{',
        b'{"a":' + b"[" * 50 + b"]" * 50 + b"}",
    ],
)
def test_a_payload_out_of_form_is_refused_though_correctly_signed(payload: bytes) -> None:
    with pytest.raises(StatementError):
        verify_statement(raw(HEADER, payload), public_key=PUBLIC, typ=STATEMENT_TYPE)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + b"=",
        lambda token: token + b"\n",
        lambda token: b" " + token,
        lambda token: token.replace(b".", b"..", 1),
        lambda token: token + b".",
        lambda token: token.rpartition(b".")[0],
        lambda token: token.rpartition(b".")[0] + b".",
        lambda token: b"..",
        lambda token: b"",
        lambda token: "ñ" + token.decode(),
        lambda token: token.replace(b".", b"=.", 1),
    ],
)
def test_a_token_in_another_spelling_is_refused(change: Any) -> None:
    with pytest.raises(StatementError):
        verify_statement(change(sign()), public_key=PUBLIC, typ=STATEMENT_TYPE)


def test_size_is_bounded_on_both_sides() -> None:
    token = sign()
    verify_statement(token, public_key=PUBLIC, typ=STATEMENT_TYPE, max_bytes=len(token))
    with pytest.raises(StatementError, match="at most"):
        verify_statement(token, public_key=PUBLIC, typ=STATEMENT_TYPE, max_bytes=len(token) - 1)
    with pytest.raises(StatementError, match="at most"):
        sign({"a": "x" * MAX_STATEMENT_SIZE})


@pytest.mark.parametrize(
    ("key_id", "typ"),
    [
        ("", STATEMENT_TYPE),
        ("two words", STATEMENT_TYPE),
        ("k", ""),
        ("é", STATEMENT_TYPE),
        # JSON doubles each of these characters: nobody would read so long a header.
        ("\\" * 128, '"' * 128),
    ],
)
def test_a_name_out_of_form_is_not_signed(key_id: str, typ: str) -> None:
    with pytest.raises(StatementError):
        sign_statement({}, private_key=KEY, key_id=key_id, typ=typ)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise_another_error(data: bytes) -> None:
    with pytest.raises(StatementError):
        verify_statement(data, public_key=PUBLIC, typ=STATEMENT_TYPE)
    with pytest.raises(StatementError):
        verify_statement(raw(data, data), public_key=PUBLIC, typ=STATEMENT_TYPE)
