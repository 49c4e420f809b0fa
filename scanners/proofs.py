"""Receipts and proof bundles checked with no database and no connection: only a trust list and mathematics.

What is *not* said: a receipt never expires and may be shown again, to anybody. It proves what the registry answered
at its `iat`, about the code whose SHA-256 it names. Whoever asked compares `nonce` with the one that he sent, and so
knows that the answer is to his question and not an older one.
"""

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import FormatError, LedgerError, UnknownKey
from ledger.keys.trust_root import TrustState
from ledger.leaf import Body
from ledger.note import parse_note
from ledger.proof import PROOF_HEADER, UnitProof, parse_proof, verify_unit_proof
from ledger.statement import RECEIPT_TYPE, read_key_id, verify_statement
from ledger.strict import decode_base64, decode_json_object, encode_base64
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.signature import DOMAIN, decode_signature, signed_message, verify_code
from scanners.proved import NotJudged, ProofRefused, Proved, witnessed
from scanners.states import STATE_FORMAT, check_state_bundle
from scanners.trust import HOW_TO_RENEW, CodeKey, TrustList, told_of

__all__ = [
    "BUNDLE_FORMAT",
    "MAX_BYTES",
    "NotJudged",
    "ProofRefused",
    "Proved",
    "check_document",
    "identity_of_content",
]

BUNDLE_FORMAT = "marchamo proof bundle v1"
BATCH_KIND = "batch"
KEY_ID_BYTES = 4
MAX_BYTES = 16 * 1024 * 1024
_BUNDLE_MEMBERS: Mapping[str, type | tuple[type, ...]] = {
    "format": str,
    "uri": str,
    "content": str,
    "code_key": dict,
    "signature": (str, NoneType),
    "unit_proof": dict,
    "log": str,
    "receipt_keys": dict,
}


def check_document(text: bytes, trust: TrustList, *, now: int) -> Proved:
    """Check a receipt (a compact JWS), a proof bundle or a state bundle (JSON), at `now` in milliseconds since 1970.

    Raises ProofRefused; its kind NotJudged when the list is out of its time, because a key it trusts may have been
    revoked since, and for a proof that another command checks.
    """
    if text.startswith(PROOF_HEADER.encode("ascii")):
        raise NotJudged("tlog_proof", "This is a tlog-proof, of one leaf: use `marchamo ledger verify-proof`.")
    state = trust.state(now)
    if state is not TrustState.VALID:
        raise NotJudged(f"trust_list_{state}", told_of(state))
    if len(text) > MAX_BYTES:
        raise ProofRefused("too_large", f"A receipt or bundle has at most {MAX_BYTES} bytes.")
    try:
        if text.lstrip()[:1] == b"{":
            bundle = decode_json_object(text)
            if bundle.get("format") == STATE_FORMAT:
                return check_state_bundle(bundle, trust, _check_bundle)
            return _check_bundle(bundle, trust)
        return _check_receipt(text.strip(), trust)
    except UnknownKey as error:
        raise _unknown_log_key() from error
    except LedgerError as error:
        raise ProofRefused(error.code, error.message) from error
    except CodeError as error:
        raise ProofRefused(error.code, str(error)) from error


def _check_receipt(token: bytes, trust: TrustList) -> Proved:
    key_id = read_key_id(token)
    key = trust.receipt_keys.get(key_id)
    if key is None:
        raise ProofRefused("receipt_key_unknown", f"The receipt key {key_id} is not in the trust list.")
    statement = verify_statement(token, public_key=key, typ=RECEIPT_TYPE)
    checkpoint = statement.payload.get("checkpoint")
    if not isinstance(checkpoint, dict) or checkpoint.get("origin") != trust.log_keys.origin:
        raise ProofRefused("another_log", "The receipt speaks of another log than the trust list.")
    return Proved("receipt", dict(statement.payload))


def _check_bundle(bundle: Mapping[str, Any], trust: TrustList) -> Proved:
    if bundle.get("format") != BUNDLE_FORMAT:
        raise ProofRefused("not_a_bundle", f"This is neither a receipt nor a '{BUNDLE_FORMAT}' or '{STATE_FORMAT}'.")
    _require_members(bundle)
    content, uri, signature = decode_base64(bundle["content"]), bundle["uri"], bundle["signature"]
    proof = UnitProof.from_members(bundle["unit_proof"])
    code_key = _refuse_other_keys(bundle, content, trust)
    # Keys come from the trust list only: those inside the bundle would prove whatever its maker wanted.
    body = Body.from_bytes(proof.batch_entry.body)
    statement_key = trust.statement_keys.get(body.key_id)
    if statement_key is None:
        raise ProofRefused("statement_key_unknown", f"The issuer's key {body.key_id} is not in the trust list.")
    unit = verify_unit_proof(
        proof, content=content, log_verifier=trust.log_keys, statement_key=statement_key, kind=BATCH_KIND
    )
    if identity_of_content(content).uri() != uri:
        raise ProofRefused("another_unit", "The bundle names another unit than the one it proves.")
    if (unit.statement.payload.get("organisation"), unit.statement.payload.get("key_id")) != (
        code_key.issuer,
        code_key.key_id,
    ):
        raise ProofRefused("another_issuer", "The batch was stated by another issuer, or for another code key.")
    if code_key.revoked_from is not None and code_key.revoked_from <= unit.index:
        raise ProofRefused(
            "key_revoked",
            f"The unit stands at position {unit.index} of the ledger, and its code key is revoked from position "
            f"{code_key.revoked_from} on: ask the issuer before you rely on it.",
        )
    note = parse_note(parse_proof(proof.leaf_proof).checkpoint_note)
    facts: dict[str, Any] = {
        "uri": uri,
        "log": trust.log_keys.origin,
        "log_size": unit.checkpoint.size,
        "log_index": unit.index,
        "position": unit.position,
        "witnessed": witnessed(trust.witness_policy, note),
        "issuer": unit.statement.payload.get("organisation"),
        "recorded_at": unit.statement.payload.get("time"),
        "signature": "not in the bundle",
    }
    if signature is not None:
        facts["signature"] = _check_signature(signature, code_key, content)
    return Proved("unit", facts)


def _require_members(bundle: Mapping[str, Any]) -> None:
    """Nothing may be missing or stand beside: what is not checked must not look as if it had been."""
    if bundle.keys() != _BUNDLE_MEMBERS.keys():
        raise FormatError(f"a bundle has exactly the members {', '.join(_BUNDLE_MEMBERS)}")
    for name, wanted in _BUNDLE_MEMBERS.items():
        if not isinstance(bundle[name], wanted):
            raise FormatError(f"the member {name} of the bundle has the wrong type")


def _refuse_other_keys(bundle: Mapping[str, Any], content: bytes, trust: TrustList) -> CodeKey:
    """Give the code key under which the unit was registered; every key that the bundle names must be a trusted one.

    The bundle carries keys for readers without a trust list. Nothing here is checked with them, but a bundle that
    names others than the trust list knows was made to mislead somebody.
    """
    key = trust.code_keys.get(int.from_bytes(content[len(DOMAIN) : len(DOMAIN) + KEY_ID_BYTES], "big"))
    if key is None:
        raise ProofRefused("code_key_unknown", "The key of the unit's code is not in the trust list.")
    # A bundle made before or after a change of the log's key names another key than the list's first, but one of it.
    if bundle["log"] not in [verifier.to_text() for verifier in trust.log_keys.verifiers]:
        raise _unknown_log_key()
    receipt_keys = {name: _text_of(own) for name, own in trust.receipt_keys.items()}
    if (
        bundle["code_key"] != {"key_id": key.key_id, "public_key": _text_of(key.public_key)}
        or type(bundle["code_key"]["key_id"]) is not int
        or not bundle["receipt_keys"].items() <= receipt_keys.items()
    ):
        raise ProofRefused("another_key", "The bundle names other keys than the trust list.")
    return key


def _unknown_log_key() -> ProofRefused:
    return ProofRefused(
        "log_key_unknown",
        "The log signed with a key that is not in the trust list. If the log has changed its key since you fetched the "
        f"list, renew it; otherwise this proves nothing. {HOW_TO_RENEW}",
    )


def _text_of(key: Ed25519PublicKey) -> str:
    return encode_base64(key.public_bytes_raw())


def _check_signature(signature: str, key: CodeKey, content: bytes) -> str:
    decoded = decode_signature(signature)
    if decoded.key_id != key.key_id or not verify_code(key.public_key, content, decoded.signature):
        raise ProofRefused("signature_does_not_fit", "The code's signature does not fit the unit.")
    return "valid"


def identity_of_content(content: bytes) -> CodeIdentity:
    """The identity that the signed bytes of a code name: the inverse of `scanners.codes.signature.signed_message`.

    Raises FormatError for bytes that are not the signed bytes of a code, CodeError for an impossible identity.
    """
    fields = dict(_fields(content))
    if {"issuer", "item", "serial"} <= fields.keys():
        identity = CodeIdentity(CodeKind.ITEM, f"{fields['issuer']}/{fields['item']}", fields["serial"])
    elif "01" in fields and "21" in fields:
        identity = CodeIdentity(CodeKind.GTIN, fields["01"], fields["21"])
    elif "00" in fields:
        identity = CodeIdentity(CodeKind.CASE, "", fields["00"])
    else:
        raise FormatError("the signed bytes name no unit")
    elements = [(name, value) for name, value in fields.items() if name not in ("issuer", "item", "serial")]
    key_id = int.from_bytes(content[len(DOMAIN) : len(DOMAIN) + KEY_ID_BYTES], "big")
    if signed_message(identity, elements, key_id) != content:
        raise FormatError("the signed bytes are not in the one order and form that a code has")
    return identity


def _fields(content: bytes) -> Iterator[tuple[str, str]]:
    """The length-prefixed fields: one byte and the name, two bytes (big endian) and the value."""
    at = len(DOMAIN) + KEY_ID_BYTES
    if not content.startswith(DOMAIN) or len(content) < at or not content[at:].isascii():
        raise FormatError("these are not the signed bytes of a code")
    while at < len(content):
        name_end = at + 1 + content[at]
        value_end = name_end + 2 + int.from_bytes(content[name_end : name_end + 2], "big")
        if value_end > len(content):
            raise FormatError("the signed bytes end within a field")
        yield content[at + 1 : name_end].decode("ascii"), content[name_end + 2 : value_end].decode("ascii")
        at = value_end
