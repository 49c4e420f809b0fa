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

from ledger.keys.log_keys import LogKeys
from ledger.keys.trust_root import TrustState, keys_to_members
from ledger.note import NoteVerifier, sign_note
from scanners import trust as trust_module
from scanners.trust import TrustError, TrustList
from tests.trust_builders import DAY, NAME, NOW, LogOwner, signed
from tests.vectors.code_writer import public_hex

RAW = bytes.fromhex(public_hex("a"))
KEY = base64.b64encode(RAW).decode()
OTHER = base64.b64encode(bytes.fromhex(public_hex("b"))).decode()
WEAK = bytes([1]) + bytes(31)

OWNER = LogOwner()
OWNER.rotate()
GOOD: dict[str, Any] = OWNER.members(hosts=["ID.Marchamo.example", "localhost:8000"]) | {
    "code_keys": [
        {
            "key_id": 7,
            "issuer": "ACME5",
            "public_key": KEY,
            "valid_until": 1_858_000_000_000,
            "registered_index": 3,
            "revoked_index": None,
            "revoked_from": None,
            "issuer_suspended": False,
        },
        {
            "key_id": 4_294_967_295,
            "issuer": "ACME6",
            "public_key": OTHER,
            "valid_until": 1_858_000_000_000,
            "registered_index": 5,
            "revoked_index": 9,
            "revoked_from": 8,
            "issuer_suspended": True,
        },
    ],
    "statement_keys": {"org:9": KEY},
    "receipt_keys": {"receipt-1": OTHER},
}
Place = tuple[str | int, ...]


def read(members: Any) -> TrustList:
    """Read these members, which the log's keys have signed whatever they are."""
    return TrustList.from_json(signed(members, OWNER.current))


def places(value: Any, at: Place = ()) -> list[Place]:
    """Every member and element below a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for name, below in inner for place in [(*at, name), *places(below, (*at, name))]]


def at(value: Any, place: Place) -> Any:
    for name in place:
        value = value[name]
    return value


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
MEMBERS = [
    place for place in PLACES if isinstance(place[-1], str) and not {"statement_keys", "receipt_keys"} & {*place[:-1]}
]


def test_a_trust_list_gives_hosts_in_lower_case_and_every_key() -> None:
    trust = read(GOOD)
    assert trust.hosts == {"id.marchamo.example", "localhost:8000"}
    assert trust.log_keys == OWNER.keys
    assert (trust.log_keys.origin, trust.witness_policy) == (NAME, None)
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
        if wrong is None and place[-1] in {"witness_policy", "last_size", "succession"}:
            continue
        if wrong is at(GOOD, place) or (wrong is True and place[-1] == "issuer_suspended"):
            continue  # the value that is there, or another of the right type
        if place[-1] in {"registry", "issuer"} and wrong == "":
            continue
        with pytest.raises(TrustError):
            read(changed(place, wrong))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"format": 1}', b'{"format":"marchamo trust list v2"}',
     json.dumps(GOOD).replace(f'"as_of": {NOW}', '"as_of": NaN').encode(),
     json.dumps(GOOD).replace(f'"as_of": {NOW}', '"as_of": 1e999').encode(),
     json.dumps(GOOD).replace('"registry"', '"registry": "x", "registry"').encode(),
     json.dumps(GOOD).replace('"Marchamo"', '"\\ud800"').encode(),
     OWNER.text().decode().encode("utf-16"),
     OWNER.text()[:-1]],
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
    # Anybody can sign for such a key: here the signature of the list is a real one of the other key.
    weak = NoteVerifier(NAME, Ed25519PublicKey.from_public_bytes(WEAK)).to_text()
    rows = keys_to_members(LogKeys.of(OWNER.signers[0].verifier))
    with pytest.raises(TrustError, match=r"weak|small"):
        read(GOOD | {"log_keys": [{**rows[0], "key": weak}]})


def test_a_log_key_that_was_mistyped_is_refused() -> None:
    text = GOOD["log_keys"][0]["key"]
    for place, char in enumerate(text):
        with pytest.raises(TrustError):
            read(changed(("log_keys", 0, "key"), text[:place] + chr(ord(char) ^ 1) + text[place + 1 :]))


# --- the signature -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_value_can_be_changed_in_a_signed_list(place: Place) -> None:
    members = json.loads(signed(GOOD, OWNER.current))
    value: Any = at(members, place)
    holder = at(members, place[:-1])
    holder[place[-1]] = [value, "more"]
    with pytest.raises(TrustError):
        TrustList.from_json(json.dumps(members).encode())
    holder[place[-1]] = value
    TrustList.from_json(json.dumps(members, indent=3).encode())  # only what it says counts, not how it is laid out


def test_a_list_that_a_key_it_names_as_current_did_not_sign_is_refused() -> None:
    for signers in (OWNER.signers[:1], OWNER.signers[1:], [LogOwner().signers[0]]):
        with pytest.raises(TrustError, match="sign"):
            TrustList.from_json(signed(GOOD, signers))
    for note in ("", "x", sign_note("marchamo trust list v1\n", OWNER.current)):
        with pytest.raises(TrustError):
            TrustList.from_json(json.dumps(GOOD | {"signature": note}).encode())


def test_a_further_member_is_signed_too() -> None:
    members = json.loads(signed(GOOD | {"later": 1}, OWNER.current))
    with pytest.raises(TrustError):
        TrustList.from_json(json.dumps(members | {"later": 2}).encode())
    with pytest.raises(TrustError):
        TrustList.from_json(json.dumps(members | {"more": 2}).encode())


def test_a_list_says_whether_it_may_be_relied_on() -> None:
    trust = read(GOOD)
    assert [trust.state(NOW + days * DAY) for days in (-2, 0, 89, 90)] == [
        TrustState.CLOCK_BEHIND,
        TrustState.VALID,
        TrustState.VALID,
        TrustState.EXPIRED,
    ]


def test_a_list_is_renewed_by_one_of_the_same_log_only() -> None:
    held = OWNER.trust()
    assert held.renewed_by(OWNER.text(at=NOW + DAY)).root.as_of == NOW + DAY
    with pytest.raises(TrustError, match="not signed by a key"):
        held.renewed_by(LogOwner().text(version=99))
    with pytest.raises(TrustError, match="older"):
        held.renewed_by(OWNER.text(version=1))


def test_the_policy_of_the_witnesses_is_read_or_refused() -> None:
    policy = read(GOOD | {"witness_policy": "quorum none\n"}).witness_policy
    assert policy is not None
    assert policy.witnesses == ()
    with pytest.raises(TrustError, match="quorum"):
        read(GOOD | {"witness_policy": "quorum two\n"})


def test_two_code_keys_of_one_number_are_refused() -> None:
    with pytest.raises(TrustError, match="twice"):
        read(changed(("code_keys", 1, "key_id"), 7))


def test_a_list_beyond_its_size_is_refused_unread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trust_module, "MAX_BYTES", 100)
    path = tmp_path / "trust.json"
    path.write_bytes(OWNER.text())
    with pytest.raises(TrustError, match="at most 100 bytes"):
        TrustList.from_file(path)


def test_a_file_that_cannot_be_read_is_a_trust_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(TrustError, match="cannot be read"):
            TrustList.from_file(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=60),
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
    assert (trust.registry, trust.root.as_of) == (members["registry"], members["as_of"])


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(text: bytes) -> None:
    with pytest.raises(TrustError):
        TrustList.from_json(text)
