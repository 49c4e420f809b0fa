"""What can be said about a code with no connection: whether the registered key signed it, and nothing more.

A signature that fits is SIGNATURE_VALID_NOT_CONFIRMED, never more: offline nobody knows whether the unit was sold,
recalled or copied since. What was not checked is said, never left out.

A list out of its time fails closed: what it would let pass on to a person's judgement becomes NOT_CHECKED, and what it
would stop stays stopped, since a key id is never given to another key and a false signature does not become a true one.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from ledger.keys.trust_root import TrustState
from scanners.codes.errors import CodeError
from scanners.codes.reader import ReadCode, read_code
from scanners.codes.signature import verify_code
from scanners.trust import CodeKey, TrustList, told_of


class OfflineAuthenticity(StrEnum):
    """The values of the authenticity axis that a reader without a connection can give."""

    SIGNATURE_VALID_NOT_CONFIRMED = "SIGNATURE_VALID_NOT_CONFIRMED"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    KEY_REVOKED = "KEY_REVOKED"
    FOREIGN_HOST = "FOREIGN_HOST"
    UNREADABLE = "UNREADABLE"
    NOT_CHECKED = "NOT_CHECKED"


@dataclass(frozen=True, slots=True)
class OfflineVerdict:
    """The answer: `summary` is CHECK or STOP; without a connection nothing is ever PASS."""

    authenticity: OfflineAuthenticity
    summary: str
    reason: str
    sentence: str
    identity: str | None
    issuer: str | None = None


def judge(text: str, trust: TrustList, *, now: int) -> OfflineVerdict:
    """Judge what a scanner sent, at `now` in milliseconds since 1970; never raises for any text."""
    verdict = _judge(text, trust)
    state = trust.state(now)
    if state is TrustState.VALID or verdict.summary == "STOP":
        return verdict
    return replace(
        verdict, authenticity=OfflineAuthenticity.NOT_CHECKED, reason=f"trust_list_{state}", sentence=told_of(state)
    )


def _judge(text: str, trust: TrustList) -> OfflineVerdict:
    try:
        code = read_code(text, trusted_hosts=trust.hosts)
    except CodeError as error:
        return OfflineVerdict(OfflineAuthenticity.UNREADABLE, "STOP", error.code, str(error), None)
    identity = code.identity.uri() if code.identity is not None else None
    if code.host is not None and not code.trusted:
        sentence = f"This is not a code of this registry: it belongs to {code.host}."
        return OfflineVerdict(OfflineAuthenticity.FOREIGN_HOST, "CHECK", "not_a_registry_code", sentence, identity)
    if code.identity is None or code.signature is None:
        sentence = "There is no signature to check without a connection."
        return OfflineVerdict(OfflineAuthenticity.NOT_CHECKED, "CHECK", "signature_absent", sentence, identity)
    key = trust.code_keys.get(code.signature.key_id)
    if key is None:
        sentence = "The signing key is not in this trust list; it may be newer than the list. Ask the registry."
        return OfflineVerdict(OfflineAuthenticity.NOT_CHECKED, "CHECK", "signature_key_unknown", sentence, identity)
    return _judge_signature(code, key, identity)


def _judge_signature(code: ReadCode, key: CodeKey, identity: str | None) -> OfflineVerdict:
    signature = code.signature
    if signature is None or not verify_code(key.public_key, code.message(key.key_id), signature.signature):
        sentence = "The signature does not fit this code: potential suspected falsification."
        invalid = OfflineAuthenticity.INVALID_SIGNATURE
        return OfflineVerdict(invalid, "STOP", "signature_does_not_fit", sentence, identity, key.issuer)
    if key.revoked_index is not None:
        # The batch may be older than the revocation; only the registry knows its position in the ledger.
        sentence = "The key was revoked later; the registry can tell whether this unit was made before."
        return OfflineVerdict(OfflineAuthenticity.KEY_REVOKED, "CHECK", "key_revoked", sentence, identity, key.issuer)
    if key.issuer_suspended:
        # After the signature: what is false stays false, whoever its issuer is.
        sentence = "The registered key signed this code, and the registry has suspended its firm. Ask the registry."
        return OfflineVerdict(
            OfflineAuthenticity.SIGNATURE_VALID_NOT_CONFIRMED,
            "CHECK",
            "issuer_suspended",
            sentence,
            identity,
            key.issuer,
        )
    sentence = "The registered key signed this code. Sales, recalls and copies were not checked: no connection."
    return OfflineVerdict(
        OfflineAuthenticity.SIGNATURE_VALID_NOT_CONFIRMED, "CHECK", "signature_valid", sentence, identity, key.issuer
    )
