"""Signatures in codes: one way to write them, and keys under which a signature means something."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.signature import (
    SIGNATURE_DIGITS,
    CodeSignature,
    decode_signature,
    encode_signature,
    load_public_key,
    sign_code,
    signed_message,
    verify_code,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
UNIT = CodeIdentity(CodeKind.GTIN, "09521234543213", "ABCDE0123456789AB")
ITEM = CodeIdentity(CodeKind.ITEM, "ACME5/W-1", "S1")

PRIME = 2**255 - 19
# The y coordinates of the eight points of small order (RFC 7748 and 8032 curves), each with both signs of x.
SMALL_ORDER_Y = (
    0,
    1,
    PRIME - 1,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    PRIME - 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
)


def refusal(action: object, *arguments: object) -> str:
    with pytest.raises(CodeError) as caught:
        action(*arguments)  # type: ignore[operator]
    return caught.value.code


@given(st.integers(0, 2**32 - 1), st.binary(min_size=64, max_size=64))
def test_a_signature_survives_its_digits(key_id: int, signature: bytes) -> None:
    digits = encode_signature(key_id, signature)
    assert len(digits) == SIGNATURE_DIGITS
    assert decode_signature(digits) == CodeSignature(1, key_id, signature)


@given(st.text(alphabet="0123456789", min_size=167, max_size=167))
def test_digits_that_are_read_are_the_only_way_to_write_the_signature(digits: str) -> None:
    try:
        decoded = decode_signature("000575860" + digits[9:])
    except CodeError:
        return
    assert encode_signature(decoded.key_id, decoded.signature) == "000575860" + digits[9:]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "signature_length"),
        ("0" * 166, "signature_length"),
        ("0" * 168, "signature_length"),
        ("0" * 166 + "\n", "signature_digits"),
        ("٠" * 167, "signature_digits"),
        ("-" + "0" * 166, "signature_digits"),
        ("0" * 80 + "_" + "0" * 86, "signature_digits"),
        ("9" * 167, "signature_range"),
        (f"{256**69:0167d}", "signature_range"),
        ("0" * 167, "signature_version"),
        (f"{2 << 544:0167d}", "signature_version"),
    ],
)
def test_a_malformed_signature_is_refused_with_its_reason(text: str, code: str) -> None:
    assert refusal(decode_signature, text) == code


def test_the_signed_bytes_are_those_of_the_format() -> None:
    message = signed_message(UNIT, [("17", "271231"), ("10", "L7")], 7)
    expected = (
        b"marchamo code v1\n\x00\x00\x00\x07"
        b"\x0201\x00\x0e09521234543213\x0210\x00\x02L7\x0217\x00\x06271231\x0221\x00\x11ABCDE0123456789AB"
    )
    assert message == expected


def test_an_item_signs_its_namespace_and_the_identifiers_of_the_query() -> None:
    message = signed_message(ITEM, [("17", "271231"), ("10", "L7")], 1)
    fields = b"\x06issuer\x00\x05ACME5\x04item\x00\x03W-1\x06serial\x00\x02S1\x0210\x00\x02L7\x0217\x00\x06271231"
    assert message == b"marchamo code v1\n\x00\x00\x00\x01" + fields


def test_the_identity_s_own_elements_may_be_given_or_left_out_but_not_contradicted() -> None:
    assert signed_message(UNIT, UNIT.elements(), 7) == signed_message(UNIT, [], 7)
    assert refusal(signed_message, UNIT, [("21", "OTHER")], 7) == "contradiction"
    assert refusal(signed_message, UNIT, [("10", "A"), ("10", "B")], 7) == "contradiction"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["10", "17", "22", "99"]), unique=True, max_size=3),
    st.integers(0, 9),
    st.sampled_from(["serial", "value", "key", "missing", "extra"]),
)
def test_a_signature_covers_every_element_and_the_key_id(ais: list[str], key_id: int, damage: str) -> None:
    elements = [(ai, "270101") for ai in ais]
    signature = decode_signature(sign_code(KEY, UNIT, elements, key_id)).signature
    assert verify_code(KEY.public_key(), signed_message(UNIT, elements, key_id), signature)
    changed, identity = list(elements), UNIT
    if damage == "serial":
        identity = CodeIdentity(CodeKind.GTIN, UNIT.identifier, UNIT.serial + "X")
    elif damage == "key":
        key_id += 1
    elif damage == "extra":
        changed.append(("98", "1"))
    elif damage == "value" and changed:
        changed[0] = (changed[0][0], "270102")
    elif changed:
        changed.pop()
    else:
        return
    assert not verify_code(KEY.public_key(), signed_message(identity, changed, key_id), signature)


def test_fields_can_not_flow_into_each_other() -> None:
    first = signed_message(CodeIdentity(CodeKind.ITEM, "ACME5/W1", "S"), [], 1)
    second = signed_message(CodeIdentity(CodeKind.ITEM, "ACME/5W1", "S"), [], 1)
    assert first != second


def test_an_ordinary_key_is_loaded_and_verifies() -> None:
    for seed in range(20):
        private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        public = load_public_key(private.public_key().public_bytes_raw())
        assert verify_code(public, b"text", private.sign(b"text"))


@pytest.mark.parametrize("y", SMALL_ORDER_Y)
@pytest.mark.parametrize("sign", [0, 1])
def test_keys_of_small_order_are_refused(y: int, sign: int) -> None:
    assert refusal(load_public_key, (y | sign << 255).to_bytes(32, "little")) == "weak_key"


@pytest.mark.parametrize("y", [PRIME, PRIME + 1, PRIME + 18, 2**255 - 1])
def test_encodings_that_are_not_canonical_are_refused(y: int) -> None:
    assert refusal(load_public_key, y.to_bytes(32, "little")) == "weak_key"
    assert refusal(load_public_key, (y | 1 << 255).to_bytes(32, "little")) == "weak_key"


def test_bytes_that_are_no_point_or_no_key_are_refused() -> None:
    not_on_curve = next(
        y.to_bytes(32, "little") for y in range(2, 50) if (y * y - 1) * pow(y * y + 1, -1, PRIME) and _off_curve(y)
    )
    assert refusal(load_public_key, not_on_curve) == "weak_key"
    assert refusal(load_public_key, bytes(31)) == "key_length"
    assert refusal(load_public_key, bytes(33)) == "key_length"


def _off_curve(y: int) -> bool:
    d = -121665 * pow(121666, -1, PRIME) % PRIME
    x_squared = (y * y - 1) * pow(d * y * y + 1, -1, PRIME) % PRIME
    return pow(x_squared, (PRIME - 1) // 2, PRIME) == PRIME - 1


def test_key_ids_and_signatures_have_their_size() -> None:
    assert refusal(encode_signature, 2**32, bytes(64)) == "key_id"
    assert refusal(encode_signature, -1, bytes(64)) == "key_id"
    assert refusal(encode_signature, 1, bytes(63)) == "signature_length"
