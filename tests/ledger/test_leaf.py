from __future__ import annotations

import hmac
import json
import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import leaf as leaves
from ledger.errors import FormatError
from ledger.leaf import Body, Leaf, SaltedLeaves, body_end, body_start, commitment, subject_tag, unit_leaf_hash

HASHES = st.binary(min_size=32, max_size=32)
BODIES = st.builds(
    Body,
    kind=st.from_regex(r"[a-z][a-z0-9_.-]{0,20}", fullmatch=True),
    subjects=st.dictionaries(HASHES, st.integers(0, 2**63 - 1), min_size=1, max_size=4).map(
        lambda subjects: tuple(sorted(subjects.items()))
    ),
    statement=st.from_regex(r"[A-Za-z0-9_-]{1,9}\.[A-Za-z0-9_-]{1,9}\.[A-Za-z0-9_-]{1,9}", fullmatch=True).map(
        str.encode
    ),
    key_id=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40),
)


def body(**changes: Any) -> Body:
    members: dict[str, Any] = {
        "kind": "batch.published",
        "subjects": ((b"\x01" * 32, 7), (b"\x02" * 32, 0)),
        "statement": b"aGVhZA.Ym9keQ.c2ln",
        "key_id": "key-1",
    }
    return Body(**(members | changes))


@given(HASHES, HASHES, st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=5))
def test_a_leaf_is_read_back_and_hashed_as_rfc_6962_says(prev: bytes, committed: bytes, tags: list[bytes]) -> None:
    leaf = Leaf(prev, committed, tuple(tags))
    assert leaf.to_bytes() == b"\x02" + prev + committed + b"".join(tags)
    assert Leaf.from_bytes(leaf.to_bytes()) == leaf
    assert leaf.hash() == sha256(b"\x00" + leaf.to_bytes()).digest()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02" * 80,
        b"\x02" * 65,
        b"\x02" * 82,
        b"\x02" * (65 + 1_001 * 16),
        b"\x00" * 81,
        b"\x01" + b"\x00" * 64,
        b"\x01" + b"\x00" * 80,
        b"\x03" + b"\x00" * 80,
    ],
)
def test_a_leaf_of_another_length_or_version_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        Leaf.from_bytes(data)


@pytest.mark.parametrize(
    ("prev", "committed", "tags"),
    [
        (b"", bytes(32), (bytes(16),)),
        (bytes(32), bytes(33), (bytes(16),)),
        (bytes(32), bytes(32), ()),
        (bytes(32), bytes(32), (bytes(15),)),
        (bytes(32), bytes(32), (bytes(16), bytes(17))),
        (bytes(32), bytes(32), (bytes(16),) * 1_001),
    ],
)
def test_a_leaf_is_made_of_two_hashes_and_tags(prev: bytes, committed: bytes, tags: tuple[bytes, ...]) -> None:
    with pytest.raises(FormatError):
        Leaf(prev, committed, tags)


def test_a_tag_names_one_subject_and_one_number_and_the_body_gives_them_in_order() -> None:
    expected = sha256(b"marchamo subject tag v1\n" + b"\x01" * 32 + (7).to_bytes(8, "big")).digest()[:16]
    assert subject_tag(b"\x01" * 32, 7) == expected
    assert body().tags() == (expected, subject_tag(b"\x02" * 32, 0))
    tags = {subject_tag(bytes([subject]) * 32, sequence) for subject in range(20) for sequence in range(20)}
    assert len(tags) == 400


@given(BODIES)
def test_a_body_is_read_back_from_its_one_spelling(value: Body) -> None:
    data = value.to_bytes()
    assert Body.from_bytes(data) == value
    assert data.isascii()
    assert b" " not in data
    assert list(json.loads(data)) == sorted(json.loads(data))


@given(BODIES)
def test_a_body_written_in_two_pieces_is_the_same_body(value: Body) -> None:
    start = body_start(value.kind, value.statement, value.key_id)
    subjects = [(b64encode(subject).decode(), sequence) for subject, sequence in value.subjects]
    assert start + body_end(subjects) == value.to_bytes()


@pytest.mark.parametrize(
    ("kind", "statement", "key_id"),
    [
        ("Batch", b"a.b.c", "key-1"),
        ("batch", b"a.b", "key-1"),
        ("batch", b'a.b."', "key-1"),
        ("batch", b"a.b.c", "a b"),
    ],
)
def test_the_first_piece_of_a_body_out_of_form_is_refused(kind: str, statement: bytes, key_id: str) -> None:
    with pytest.raises(FormatError):
        body_start(kind, statement, key_id)


@given(BODIES, st.data())
def test_a_body_with_a_changed_byte_is_refused_or_is_another_body(value: Body, data: st.DataObject) -> None:
    encoded = bytearray(value.to_bytes())
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != encoded[at]))
    try:
        read = Body.from_bytes(bytes(encoded))
    except FormatError:
        return
    assert read != value
    assert read.to_bytes() == bytes(encoded)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": ""},
        {"kind": "Batch"},
        {"kind": "batch published"},
        {"kind": "a" * 65},
        {"kind": "batch\n"},
        {"subjects": ()},
        {"subjects": ((b"\x01" * 31, 0),)},
        {"subjects": ((b"\x01" * 32, -1),)},
        {"subjects": ((b"\x01" * 32, 2**63),)},
        {"subjects": ((b"\x02" * 32, 0), (b"\x01" * 32, 0))},
        {"subjects": ((b"\x01" * 32, 0), (b"\x01" * 32, 1))},
        {"subjects": tuple((number.to_bytes(32, "big"), 0) for number in range(1_001))},
        {"statement": b"a.b"},
        {"statement": b"a.b.c\n"},
        {"statement": b"a.b.c.d"},
        {"statement": b"a..c"},
        {"key_id": ""},
        {"key_id": "a b"},
        {"key_id": "é"},
        {"key_id": "k" * 129},
    ],
)
def test_a_body_with_a_member_out_of_form_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        body(**changes)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(":", ": ", 1),
        lambda text: text.replace('"kind"', '"\\u006bind"'),
        lambda text: text[:-1] + ',"more":1}',
        lambda text: text.replace(",7]", ",7.0]"),
        lambda text: text.replace(",7]", ",true]"),
        lambda text: text.replace(",7]", ',"7"]'),
        lambda text: text.replace(",7]", ",7,7]"),
        lambda text: text.replace(",7]", "]"),
        lambda text: text.replace('["AQEB', '[1,"AQEB'),
        lambda text: text.replace("AQEB", "AQE"),
        lambda text: re.sub(r'"subjects":.*\]', '"subjects":null', text),
        lambda text: re.sub(r'"subjects":.*\]', '"subjects":[]', text),
        lambda text: re.sub(r'"subjects":.*\]', '"subjects":["AQEB"]', text),
        lambda text: re.sub(r'"subjects":.*\]', '"subjects":[[7,7]]', text),
        lambda text: text.replace('"key-1"', "1"),
        lambda text: text.replace('"key-1"', '"k\\u00e9y"'),
        lambda text: text + "\n",
        lambda text: "[" + text + "]",
        lambda text: text.replace('"key-1"', '"' + "k" * 131_072 + '"'),
    ],
)
def test_a_body_in_another_spelling_is_refused(change: Any) -> None:
    text = body().to_bytes().decode()
    assert change(text) != text
    with pytest.raises(FormatError):
        Body.from_bytes(change(text).encode())


def test_a_body_too_large_is_refused_though_well_formed() -> None:
    with pytest.raises(FormatError, match="at most"):
        Body.from_bytes(body(statement=b"a.b." + b"c" * 262_144).to_bytes())


def test_a_commitment_opens_only_with_its_own_salt_and_body() -> None:
    assert commitment(b"\x01" * 32, b"body") == sha256(b"\x01" * 32 + b"body").digest()
    assert commitment(b"\x01" * 32, b"body") != commitment(b"\x02" * 32, b"body")
    with pytest.raises(FormatError):
        # A salt of another length would let bytes move between salt and body.
        commitment(b"\x01" * 31, b"body")


@given(HASHES, st.integers(0, 2**64 - 1), st.binary(max_size=200))
def test_the_fast_salt_is_the_hmac_of_the_position(secret: bytes, position: int, content: bytes) -> None:
    salt = hmac.digest(secret, position.to_bytes(8, "big"), "sha256")
    assert SaltedLeaves(secret).salt(position) == salt
    digest = sha256(b"\x00" + salt + content).digest()
    assert SaltedLeaves(secret).hash(position, content) == digest == unit_leaf_hash(salt, content)


def test_secrets_and_salts_have_their_length() -> None:
    with pytest.raises(FormatError):
        SaltedLeaves(b"short")
    with pytest.raises(FormatError):
        unit_leaf_hash(b"short", b"content")


def test_the_first_leaf_follows_on_nothing() -> None:
    assert bytes(32) == leaves.FIRST_PREV
