from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import FormatError
from ledger.strict import (
    MAX_INTEGER,
    decode_base64,
    decode_base64url,
    decode_decimal,
    decode_json_object,
    encode_base64,
    encode_base64url,
    encode_json,
)

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text("abc", max_size=3), children, max_size=4),
    max_leaves=10,
)


@given(st.binary(max_size=70))
def test_both_base64_forms_give_back_what_went_in(data: bytes) -> None:
    assert decode_base64(encode_base64(data)) == data
    assert decode_base64url(encode_base64url(data)) == data


@given(st.text("AQgw+/-_=\n é", max_size=12))
def test_base64_that_is_read_has_one_spelling(text: str) -> None:
    try:
        data = decode_base64(text)
    except FormatError:
        return
    assert encode_base64(data) == text


@given(st.text("AQgw+/-_=\n ", max_size=12))
def test_base64url_that_is_read_has_one_spelling(text: str) -> None:
    try:
        data = decode_base64url(text.encode())
    except FormatError:
        return
    assert encode_base64url(data) == text.encode()


@pytest.mark.parametrize("text", ["QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "QQ==QQ==", "Q-==", "=", "é"])
def test_sloppy_base64_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        decode_base64(text)


@pytest.mark.parametrize("text", [b"QQ==", b"QR", b"Q", b"QQ\n", b"Q+", b"Q/", b"\xff\xff"])
def test_sloppy_base64url_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        decode_base64url(text)


def test_base64_of_another_size_is_refused() -> None:
    with pytest.raises(FormatError, match="expected 2 bytes"):
        decode_base64("QQ==", size=2)


@given(st.integers(0, MAX_INTEGER))
def test_decimals_are_read_back(value: int) -> None:
    assert decode_decimal(str(value)) == value


@pytest.mark.parametrize(
    "text", ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "1.0", "0x1", "٣", str(2**63), "9" * 5000]
)
def test_a_number_in_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        decode_decimal(text)


@given(st.dictionaries(st.text("abc", max_size=3), JSON_VALUES, max_size=4))
def test_json_is_read_back(value: dict[str, Any]) -> None:
    encoded = encode_json(value)
    assert decode_json_object(encoded) == value
    assert encode_json(json.loads(encoded)) == encoded


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"\\udc00":1}',
        b'{"a":1}x',
        b"{'a':1}",
        b'{"a":"\n"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":"' + b'\\"[' * 40 + b'",' + b'"b":' + b"[" * 33 + b"]" * 33 + b"}",
    ],
)
def test_json_that_is_ambiguous_or_dangerous_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_json_object(data)


def test_brackets_in_texts_are_no_nesting() -> None:
    value = {"a": '[{"' * 100, "b": [[]] * 40}
    assert decode_json_object(encode_json(value)) == value
