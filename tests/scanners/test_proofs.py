"""Receipts and proof bundles of a real registry: the true ones hold, and nothing else does."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.clock import now_ms
from ledger.checkpoint import read_unverified_checkpoint
from ledger.cosignature import CosignatureSigner
from ledger.errors import FormatError
from ledger.keys.log_keys import LogKeys
from ledger.note import NoteSigner, Signature
from ledger.proof import parse_proof
from ledger.statement import RECEIPT_TYPE, STATEMENT_TYPE, sign_statement
from ledger.witnessing.policy import Policy
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.signature import signed_message
from scanners.proofs import MAX_BYTES, NotJudged, ProofRefused, check_document, identity_of_content
from scanners.trust import TrustList
from tests.scanners.conftest import NONCE, SmallRegistry, make_small_registry
from tests.vectors.code_writer import with_check_digit

Place = tuple[str | int, ...]
NOW = now_ms()


@pytest.fixture(scope="module")
def other_registry(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    """A registry whose every key is of its own making: what a forger with our program can set up."""
    return make_small_registry(tmp_path_factory.mktemp("other"))


def refusal(document: Any, trust: TrustList) -> ProofRefused:
    """How this document is refused; fails when it is accepted, or refused with another exception."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(ProofRefused) as refused:
        check_document(text, trust, now=NOW)
    assert refused.value.code
    assert refused.value.message
    return refused.value


def bundle_of(registry: SmallRegistry) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(registry.bundle)
    return members


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in inner:
        yield (*at, name)
        yield from places(below, (*at, name))


def at(value: Any, place: Place) -> Any:
    for name in place:
        value = value[name]
    return value


def changed(members: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    other = copy.deepcopy(members)
    at(other, place[:-1])[place[-1]] = value
    return other


# --- bundles -------------------------------------------------------------------------------------------------------


def test_a_bundle_proves_unit_issuer_position_and_signature(small_registry: SmallRegistry) -> None:
    proved = check_document(small_registry.bundle, small_registry.trust_list, now=NOW)
    assert proved.kind == "unit"
    assert proved.facts["uri"] == bundle_of(small_registry)["uri"]
    assert proved.facts["issuer"] == next(iter(small_registry.trust_list.code_keys.values())).issuer
    assert proved.facts["signature"] == "valid"
    assert 0 <= proved.facts["log_index"] < proved.facts["log_size"]


def test_a_bundle_without_the_codes_signature_says_that_it_is_not_there(small_registry: SmallRegistry) -> None:
    members = bundle_of(small_registry) | {"signature": None}
    proved = check_document(json.dumps(members).encode(), small_registry.trust_list, now=NOW)
    assert proved.facts["signature"] == "not in the bundle"


def test_every_character_of_every_text_in_a_bundle_counts(small_registry: SmallRegistry) -> None:
    members, trust = bundle_of(small_registry), small_registry.trust_list
    texts = [place for place in places(members) if isinstance(at(members, place), str)]
    assert len(texts) >= 10
    for place in texts:
        text = at(members, place)
        for index, char in enumerate(text):
            flipped = chr(ord(char) ^ 1) if char != "\n" else "\r"
            refusal(changed(members, place, text[:index] + flipped + text[index + 1 :]), trust)


def test_every_number_in_a_bundle_counts(small_registry: SmallRegistry) -> None:
    members, trust = bundle_of(small_registry), small_registry.trust_list
    numbers = [place for place in places(members) if isinstance(at(members, place), int)]
    assert {place[-1] for place in numbers} == {"key_id", "v", "position", "batch_size"}
    for place in numbers:
        number = at(members, place)
        for other in (number + 1, number - 1, -number - 1, number + 2**32, 2**63, 2**64, float(number), str(number)):
            refusal(changed(members, place, other), trust)


def test_every_member_of_a_bundle_is_needed_and_no_further_one_taken(small_registry: SmallRegistry) -> None:
    members, trust = bundle_of(small_registry), small_registry.trust_list
    for place in places(members):
        if place[0] == "receipt_keys" and len(place) > 1:
            continue  # a bundle may name fewer keys than the trust list: what it does name must be there
        other = copy.deepcopy(members)
        del at(other, place[:-1])[place[-1]]
        refusal(other, trust)
    for holder in [(), ("code_key",), ("receipt_keys",), ("unit_proof",), ("unit_proof", "batch_entry")]:
        other = copy.deepcopy(members)
        at(other, holder)["verified_by"] = "somebody"
        refusal(other, trust)


JUNK: list[Any] = [None, True, False, 0, -1, 2**70, 1.5, "", "A", "é", [], {}, [[]], [None], {"a": None}]


def test_a_value_of_another_type_is_refused_wherever_it_stands(small_registry: SmallRegistry) -> None:
    members, trust = bundle_of(small_registry), small_registry.trust_list
    for place in places(members):
        for junk in JUNK:
            harmless = (place == ("signature",) and junk is None) or (place == ("receipt_keys",) and junk == {})
            # `True == 1` and `False == 0` must not pass for the numbers either.
            if not harmless and (junk, type(junk)) != (at(members, place), type(at(members, place))):
                refusal(changed(members, place, junk), trust)


def test_the_hashes_of_a_path_cannot_be_swapped_cut_or_made_longer(small_registry: SmallRegistry) -> None:
    members, trust = bundle_of(small_registry), small_registry.trust_list
    path = members["unit_proof"]["batch_path"]
    assert len(path) >= 2
    for other in (path[::-1], path[:-1], path[1:], [*path, path[-1]], [], path * 40):
        refusal(changed(members, ("unit_proof", "batch_path"), other), trust)


def test_a_bundle_cannot_borrow_the_name_or_the_proof_of_another_unit(
    small_registry: SmallRegistry, other_registry: SmallRegistry
) -> None:
    members, other = bundle_of(small_registry), bundle_of(other_registry)
    for name in ("uri", "content", "unit_proof", "signature", "code_key", "log", "receipt_keys"):
        refusal(members | {name: other[name]}, small_registry.trust_list)


def test_a_bundle_with_keys_of_its_own_making_is_refused(
    small_registry: SmallRegistry, other_registry: SmallRegistry
) -> None:
    forged, trust = bundle_of(other_registry), small_registry.trust_list
    check_document(other_registry.bundle, other_registry.trust_list, now=NOW)  # consistent in itself
    assert refusal(forged, trust).code == "code_key_unknown"
    # The same under one trusted key after the other: each is needed.
    own = other_registry.trust_list
    assert refusal(forged, replace(trust, code_keys=own.code_keys)).code == "log_key_unknown"
    assert refusal(forged, replace(own, statement_keys=trust.statement_keys)).code == "statement_key_unknown"
    under_our_log = replace(own, root=trust.root)
    assert refusal(forged, under_our_log).code == "log_key_unknown"
    named_ours = forged | {"log": trust.log_keys.verifiers[0].to_text()}
    assert refusal(named_ours, under_our_log).code == "log_key_unknown"
    assert refusal(forged, replace(own, receipt_keys=trust.receipt_keys)).code == "another_key"


def test_a_bundle_of_a_log_of_the_same_name_but_another_key_is_refused(small_registry: SmallRegistry) -> None:
    trust = small_registry.trust_list
    impostor = NoteSigner.generate(trust.log_keys.origin).verifier
    members = bundle_of(small_registry) | {"log": impostor.to_text()}
    believed = replace(trust, root=replace(trust.root, keys=LogKeys.of(impostor)))
    assert refusal(members, trust).code == refusal(members, believed).code == "log_key_unknown"


def test_a_batch_that_another_issuer_stated_is_refused(small_registry: SmallRegistry) -> None:
    trust = small_registry.trust_list
    keys = {number: replace(key, issuer="ZZZZZZ") for number, key in trust.code_keys.items()}
    assert refusal(bundle_of(small_registry), replace(trust, code_keys=keys)).code == "another_issuer"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_changed_byte_of_a_bundle_is_taken_for_more_than_white_space(
    small_registry: SmallRegistry, data: st.DataObject
) -> None:
    text = small_registry.bundle
    start = data.draw(st.integers(0, len(text) - 1))
    end = min(len(text), start + data.draw(st.integers(0, 3)))
    mutated = text[:start] + data.draw(st.binary(max_size=3)) + text[end:]
    try:
        check_document(mutated, small_registry.trust_list, now=NOW)
    except ProofRefused:
        return
    assert json.loads(mutated) == json.loads(text)


def test_an_expired_list_and_a_clock_that_is_behind_judge_nothing_and_say_what_to_do(
    small_registry: SmallRegistry,
) -> None:
    trust = small_registry.trust_list
    for now, code, step in (
        (trust.root.expires_at, "trust_list_expired", "--previous"),
        (1, "trust_list_clock_behind", "set the clock"),
    ):
        for document in (small_registry.bundle, small_registry.receipt, b"no proof at all"):
            with pytest.raises(NotJudged, match=step) as refused:
                check_document(document, trust, now=now)
            assert refused.value.code == code
            assert ("Renew" in refused.value.message) is (code == "trust_list_expired"), "no list mends a clock"


def test_a_proof_of_a_leaf_is_sent_to_the_command_that_checks_it(small_registry: SmallRegistry) -> None:
    leaf_proof = bundle_of(small_registry)["unit_proof"]["leaf_proof"].encode()
    with pytest.raises(NotJudged, match="marchamo ledger verify-proof"):
        check_document(leaf_proof, small_registry.trust_list, now=NOW)


def test_a_proof_says_how_many_witnesses_of_the_registrys_policy_have_signed(small_registry: SmallRegistry) -> None:
    trust = small_registry.trust_list
    alone = check_document(small_registry.bundle, trust, now=NOW)
    assert alone.facts["witnessed"] == "no witnesses are known: signed by the log only"
    witnesses = [CosignatureSigner.generate(f"witness-{number}.example") for number in range(3)]
    lines = "".join(f"witness w{number} {one.verifier.to_text()}\n" for number, one in enumerate(witnesses))
    policy = Policy.from_bytes(f"{lines}group two 2 w0 w1 w2\nquorum two\n".encode())
    trust, members = replace(trust, witness_policy=policy), bundle_of(small_registry)
    proof = members["unit_proof"]["leaf_proof"]
    text = read_unverified_checkpoint(parse_proof(proof).checkpoint_note).to_text()
    for count, words in ((1, "witnessed 1 of 3, not enough"), (2, "witnessed 2 of 3, enough")):
        lines = "".join(one.sign(text).line() for one in witnesses[:count])
        members["unit_proof"]["leaf_proof"] = proof + lines
        found = check_document(json.dumps(members).encode(), trust, now=NOW).facts["witnessed"]
        assert found == f"{words} for the registry's policy"
    broken = Signature(witnesses[2].name, witnesses[2].verifier.key_id, witnesses[1].sign(text).signature)
    members["unit_proof"]["leaf_proof"] = proof + broken.line()
    assert refusal(members, trust).code == "ledger.note"  # a broken cosignature is no missing one


# --- receipts ------------------------------------------------------------------------------------------------------


def test_a_receipt_says_what_was_answered_and_to_whose_question(small_registry: SmallRegistry) -> None:
    proved = check_document(small_registry.receipt, small_registry.trust_list, now=NOW)
    assert proved.kind == "receipt"
    assert (proved.facts["summary"], proved.facts["nonce"]) == ("PASS", NONCE)


def test_a_receipt_shown_again_still_holds_and_still_names_the_first_nonce(small_registry: SmallRegistry) -> None:
    """A receipt never expires: whoever asked compares the nonce, or anybody could show him an older answer."""
    for _ in range(2):
        proved = check_document(small_registry.receipt + b"\n", small_registry.trust_list, now=NOW)
        assert proved.facts["nonce"] == NONCE


def test_every_character_of_a_receipt_counts(small_registry: SmallRegistry) -> None:
    token, trust = small_registry.receipt, small_registry.trust_list
    for index in range(len(token)):
        refusal(token[:index] + bytes([token[index] ^ 1]) + token[index + 1 :], trust)
        refusal(token[:index] + token[index + 1 :], trust)


def test_the_receipt_of_another_registry_is_refused(
    small_registry: SmallRegistry, other_registry: SmallRegistry
) -> None:
    trust = small_registry.trust_list
    assert refusal(other_registry.receipt, trust).code == "receipt_key_unknown"
    stolen = replace(trust, receipt_keys=other_registry.trust_list.receipt_keys)
    assert refusal(other_registry.receipt, stolen).code == "another_log"


@pytest.mark.parametrize("checkpoint", [None, [], "registry/log", {}, {"origin": "other/log"}, {"origin": ["x"]}])
def test_a_signed_receipt_without_our_log_in_it_is_refused(small_registry: SmallRegistry, checkpoint: Any) -> None:
    key = Ed25519PrivateKey.generate()
    trust = replace(small_registry.trust_list, receipt_keys={"receipt-9": key.public_key()})
    token = sign_statement(
        {"summary": "PASS", "checkpoint": checkpoint}, private_key=key, key_id="receipt-9", typ=RECEIPT_TYPE
    )
    assert refusal(token, trust).code == "another_log"


def test_a_statement_of_an_issuer_cannot_be_shown_as_a_receipt(small_registry: SmallRegistry) -> None:
    key, trust = Ed25519PrivateKey.generate(), small_registry.trust_list
    payload = {"summary": "PASS", "checkpoint": {"origin": trust.log_keys.origin}}
    for typ, code in ((STATEMENT_TYPE, "ledger.statement"), (RECEIPT_TYPE, "receipt_key_unknown")):
        token = sign_statement(payload, private_key=key, key_id="org:9", typ=typ)
        receipt_keys = {"org:9": key.public_key()} if typ == STATEMENT_TYPE else {}
        both = replace(trust, statement_keys={"org:9": key.public_key()}, receipt_keys=receipt_keys)
        assert refusal(token, both).code == code


@pytest.mark.parametrize("text", [b"", b" ", b"{}", b"{", b"[]", b"a.b.c", b"..", b"\xff\xfe", b"{" * 50_000])
def test_what_is_neither_receipt_nor_bundle_is_refused(small_registry: SmallRegistry, text: bytes) -> None:
    refusal(text, small_registry.trust_list)


def test_a_document_beyond_its_size_is_refused_unread(small_registry: SmallRegistry) -> None:
    assert refusal(b"{" + b" " * MAX_BYTES, small_registry.trust_list).code == "too_large"


# --- the signed bytes of a code ------------------------------------------------------------------------------------

IDENTITIES = [
    CodeIdentity(CodeKind.GTIN, "09521234000013", "A/%.21"),
    CodeIdentity(CodeKind.ITEM, "ACME5/CHAIR-1", "X1"),
    CodeIdentity(CodeKind.CASE, "", with_check_digit("09521234500000001")),
]


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda identity: str(identity.kind))
def test_the_identity_comes_back_out_of_the_signed_bytes(identity: CodeIdentity) -> None:
    content = signed_message(identity, [("37", "12")] if identity.kind is CodeKind.CASE else [("10", "LOT7")], 7)
    assert identity_of_content(content) == identity


@settings(deadline=None)
@given(st.sampled_from(IDENTITIES), st.binary(max_size=80), st.integers(0, 120))
def test_signed_bytes_that_were_cut_or_filled_up_name_the_unit_in_them_or_none(
    identity: CodeIdentity, more: bytes, cut: int
) -> None:
    mutated = signed_message(identity, [("10", "LOT7")], 7)[:cut] + more
    try:
        found = identity_of_content(mutated)
    except (FormatError, CodeError):
        return
    assert found.serial.encode() in mutated


def test_a_second_field_of_the_same_name_does_not_hide_the_first() -> None:
    serial = b"\x0221\x00\x03XYZ"
    with pytest.raises(FormatError):
        identity_of_content(signed_message(IDENTITIES[0], [], 7) + serial)


def test_a_batch_statement_is_no_bundle(small_registry: SmallRegistry) -> None:
    body = json.loads(bundle_of(small_registry)["unit_proof"]["batch_entry"]["body"])
    assert base64.urlsafe_b64decode(body["statement"].split(".")[0] + "==")
    assert refusal(body["statement"].encode(), small_registry.trust_list).code == "receipt_key_unknown"
