"""Receipts and proof bundles checked with no database and no connection: only a trust list and mathematics."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.errors import FormatError, LedgerError
from ledger.leaf import Body
from ledger.proof import UnitProof, verify_unit_proof
from ledger.statement import RECEIPT_TYPE, read_key_id, verify_statement
from ledger.strict import decode_json_object
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.signature import DOMAIN, decode_signature, verify_code
from scanners.trust import TrustList

BUNDLE_FORMAT = "marchamo proof bundle v1"
BATCH_KIND = "batch"
KEY_ID_BYTES = 4
MAX_BYTES = 4 * 1024 * 1024


class ProofRefused(Exception):
    """A receipt or bundle that proves nothing; `code` is stable, the message says what does not hold."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Proved:
    """What was established, as lines for a person and as facts for a program."""

    kind: str
    facts: dict[str, Any]


def check_document(text: bytes, trust: TrustList) -> Proved:
    """Check a receipt (a compact JWS) or a proof bundle (JSON). Raises ProofRefused."""
    if len(text) > MAX_BYTES:
        raise ProofRefused("too_large", f"A receipt or bundle has at most {MAX_BYTES} bytes.")
    try:
        if text.lstrip()[:1] == b"{":
            return _check_bundle(decode_json_object(text), trust)
        return _check_receipt(text.strip(), trust)
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
    if statement.payload.get("checkpoint", {}).get("origin") != trust.log.name:
        raise ProofRefused("another_log", "The receipt speaks of another log than the trust list.")
    return Proved("receipt", dict(statement.payload))


def _check_bundle(bundle: Mapping[str, Any], trust: TrustList) -> Proved:
    if bundle.get("format") != BUNDLE_FORMAT:
        raise ProofRefused("not_a_bundle", f"This is neither a receipt nor a '{BUNDLE_FORMAT}'.")
    try:
        content = base64.b64decode(bundle["content"], validate=True)
        proof = UnitProof.from_members(bundle["unit_proof"])
        uri, signature, key_id = str(bundle["uri"]), bundle["signature"], bundle["code_key"]["key_id"]
    except (KeyError, TypeError, binascii.Error) as error:
        raise FormatError("the bundle is malformed") from error
    # Keys come from the trust list only: those inside the bundle would prove whatever its maker wanted.
    body = Body.from_bytes(proof.batch_entry.body)
    statement_key = trust.statement_keys.get(body.key_id)
    if statement_key is None:
        raise ProofRefused("statement_key_unknown", f"The issuer's key {body.key_id} is not in the trust list.")
    unit = verify_unit_proof(
        proof, content=content, log_verifier=trust.log, statement_key=statement_key, kind=BATCH_KIND
    )
    if identity_of_content(content).uri() != uri:
        raise ProofRefused("another_unit", "The bundle names another unit than the one it proves.")
    facts: dict[str, Any] = {
        "uri": uri,
        "log": trust.log.name,
        "log_size": unit.checkpoint.size,
        "log_index": unit.index,
        "position": unit.position,
        "issuer": unit.statement.payload.get("organisation"),
        "recorded_at": unit.statement.payload.get("time"),
        "signature": "not in the bundle",
    }
    if signature is not None:
        facts["signature"] = _check_signature(signature, key_id, content, trust)
    return Proved("unit", facts)


def _check_signature(signature: str, key_id: int, content: bytes, trust: TrustList) -> str:
    decoded = decode_signature(signature)
    key = trust.code_keys.get(decoded.key_id)
    if decoded.key_id != key_id or key is None:
        raise ProofRefused("code_key_unknown", f"The code key {decoded.key_id} is not in the trust list.")
    if not verify_code(key.public_key, content, decoded.signature):
        raise ProofRefused("signature_does_not_fit", "The code's signature does not fit the unit.")
    return "valid"


def identity_of_content(content: bytes) -> CodeIdentity:
    """The identity that the signed bytes of a code name: the inverse of `scanners.codes.signature.signed_message`.

    Raises FormatError for bytes that are not the signed bytes of a code, CodeError for an impossible identity.
    """
    fields = dict(_fields(content))
    if {"issuer", "item", "serial"} <= fields.keys():
        return CodeIdentity(CodeKind.ITEM, f"{fields['issuer']}/{fields['item']}", fields["serial"])
    if "01" in fields and "21" in fields:
        return CodeIdentity(CodeKind.GTIN, fields["01"], fields["21"])
    if "00" in fields:
        return CodeIdentity(CodeKind.CASE, "", fields["00"])
    raise FormatError("the signed bytes name no unit")


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
