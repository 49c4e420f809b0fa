"""The trust list: one right form; everything else is a TrustError and nothing else."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.note import NoteSigner, NoteVerifier
from scanners import trust as trust_module
from scanners.trust import TrustError, TrustList
from tests.vectors.code_writer import public_hex

NAME = "registry.example/log"
RAW = bytes.fromhex(public_hex("a"))
KEY = base64.b64encode(RAW).decode()
OTHER = base64.b64encode(bytes.fromhex(public_hex("b"))).decode()
WEAK = bytes([1]) + bytes(31)

GOOD: dict[str, Any] = {
    "format": trust_module.FORMAT,
    "registry": "Marchamo",
    "as_of": 1_795_000_000_000,
    "hosts": ["ID.Marchamo.example", "localhost:8000"],
    "log": NoteSigner.generate(NAME).verifier.to_text(),
    "code_keys": [
        {
            "key_id": 7,
            "issuer": "ACME5",
            "public_key": KEY,
            "valid_until": 1_858_000_000_000,
            "registered_index": 3,
            "revoked_index": None,
        },
        {
            "key_id": 4_294_967_295,
            "issuer": "ACME6",
            "public_key": OTHER,
            "valid_until": 1_858_000_000_000,
            "registered_index": 5,
            "revoked_index": 9,
        },
    ],
    "statement_keys": {"org:9": KEY},
    "receipt_keys": {"receipt-1": OTHER},
}
Place = tuple[str | int, ...]


def read(members: Any) -> TrustList:
    return TrustList.from_json(json.dumps(members).encode())


def places(value: Any, at: Place = ()) -> list[Place]:
    """Every member and element below a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for name, below in inner for place in [(*at, name), *places(below, (*at, name))]]


def changed(place: Place, value: Any) -> dict[str, Any]:
    members = copy.deepcopy(GOOD)
    holder: Any = members
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    return members


def without(place: Place) -> dict[str, Any]:
    members = copy.deepcopy(GOOD)
    holder: Any = members
    for name in place[:-1]:
        holder = holder[name]
    del holder[place[-1]]
    return members


PLACES = places(GOOD)
MEMBERS = [place for place in PLACES if isinstance(place[-1], str) and "keys" not in str(place[-2:-1])]


def test_a_trust_list_gives_hosts_in_lower_case_and_every_key() -> None:
    trust = read(GOOD)
    assert trust.hosts == {"id.marchamo.example", "localhost:8000"}
    assert trust.log.name == NAME
    assert trust.code_keys[7].public_key.public_bytes_raw() == RAW
    assert (trust.code_keys[7].revoked_index, trust.code_keys[4_294_967_295].revoked_index) == (None, 9)
    assert (set(trust.statement_keys), set(trust.receipt_keys)) == ({"org:9"}, {"receipt-1"})


def test_members_of_a_later_version_are_left_out_not_refused() -> None:
    assert read(GOOD | {"recalled_lots": ["x"]}).registry == "Marchamo"


@pytest.mark.parametrize("place", MEMBERS, ids=str)
def test_a_missing_member_is_refused(place: Place) -> None:
    with pytest.raises(TrustError):
        read(without(place))


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_value_of_another_type_is_refused_wherever_it_stands(place: Place) -> None:
    wrong: Any
    for wrong in (True, 1.5, -1, 2**64, [[]], [None], {"a": 1}, None, ""):
        if place[-1] == "revoked_index" and wrong is None:
            continue
        if place[-1] in {"registry", "issuer"} and wrong == "":
            continue
        if place[-1] in {"statement_keys", "receipt_keys"} and wrong == {}:
            continue
        with pytest.raises(TrustError):
            read(changed(place, wrong))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"format": 1}', b'{"format":"marchamo trust list v2"}',
     json.dumps(GOOD).replace('"as_of": 1795000000000', '"as_of": NaN').encode(),
     json.dumps(GOOD).replace('"as_of": 1795000000000', '"as_of": 1e999').encode(),
     json.dumps(GOOD).replace('"registry"', '"registry": "x", "registry"').encode(),
     json.dumps(GOOD).replace('"Marchamo"', '"\\ud800"').encode(),
     json.dumps(GOOD).encode("utf-16"),
     json.dumps(GOOD)[:-1].encode()],
)  # fmt: skip
def test_what_is_no_json_object_of_this_format_is_refused(text: bytes) -> None:
    with pytest.raises(TrustError):
        TrustList.from_json(text)


def test_another_document_is_told_how_to_get_the_right_one() -> None:
    with pytest.raises(TrustError) as refused:
        read({"format": "marchamo proof bundle v1"})
    assert refused.value.fix == "Fetch it with: marchamo trust SERVER > trust.json"


@pytest.mark.parametrize(
    "key",
    [base64.b64encode(WEAK).decode(), KEY[:-1], KEY + "\n", KEY.replace("=", ""), base64.b64encode(RAW[:31]).decode(),
     base64.b64encode(RAW + b"\0").decode(), base64.b64encode(b"\xff" * 32).decode(), "é" * 44],
)  # fmt: skip
def test_a_weak_or_misspelt_key_is_refused_in_every_place(key: str) -> None:
    for place in (("code_keys", 0, "public_key"), ("statement_keys", "org:9"), ("receipt_keys", "receipt-1")):
        with pytest.raises(TrustError):
            read(changed(place, key))


def test_a_log_key_of_small_order_is_refused() -> None:
    weak = NoteVerifier(NAME, Ed25519PublicKey.from_public_bytes(WEAK)).to_text()
    with pytest.raises(TrustError):
        read(changed(("log",), weak))


def test_a_log_key_that_was_mistyped_is_refused() -> None:
    for at, char in enumerate(GOOD["log"]):
        with pytest.raises(TrustError):
            read(changed(("log",), GOOD["log"][:at] + chr(ord(char) ^ 1) + GOOD["log"][at + 1 :]))


def test_two_code_keys_of_one_number_are_refused() -> None:
    with pytest.raises(TrustError, match="twice"):
        read(changed(("code_keys", 1, "key_id"), 7))


def test_a_list_beyond_its_size_is_refused_unread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trust_module, "MAX_BYTES", 100)
    path = tmp_path / "trust.json"
    path.write_text(json.dumps(GOOD))
    with pytest.raises(TrustError, match="at most 100 bytes"):
        TrustList.from_file(path)


def test_a_file_that_cannot_be_read_is_a_trust_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(TrustError, match="cannot be read"):
            TrustList.from_file(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.sampled_from(PLACES), JSON)
def test_any_value_in_any_place_is_read_or_refused_never_something_else(place: Place, value: Any) -> None:
    members = changed(place, value)
    try:
        trust = read(members)
    except TrustError:
        return
    assert (trust.registry, trust.as_of) == (members["registry"], members["as_of"])


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(text: bytes) -> None:
    with pytest.raises(TrustError):
        TrustList.from_json(text)
