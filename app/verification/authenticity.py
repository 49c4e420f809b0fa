"""The first axis: did the registry issue this code for this unit? Pure: bytes were read, keys and unit looked up.

Keys in time: a key's validity bounds the ledger position of the batch's leaf, never the date of the scan. A batch that
was logged while its key was good stays good after a compromise.

Strangers get no oracle. For them a unit counts as found only when the code itself proves that its holder has seen it:
a valid signature under the key recorded for its batch, or an unguessable serial of a compact batch. Otherwise the
answer for an issued serial and for one that never existed is the same, reasons included.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from app.accounts.service import PublicCodeKey
from app.registry.expiry import expiry_end, year_of
from app.registry.vocabulary import Profile
from app.verification.found_unit import FoundUnit
from app.verification.verdict import Authenticity, Reason
from scanners.codes.reader import ReadCode
from scanners.codes.signature import verify_code


class SignatureCheck(StrEnum):
    """What came of the code's signature, before any unit was looked up. Stored with each scan."""

    VALID = "valid"
    INVALID = "invalid"
    MISSING = "missing"
    NO_KEY = "no_key"  # it names a key that this registry never registered
    FOREIGN = "foreign"  # a code of another host: its signature, if it has one, means nothing here


@dataclass(frozen=True, slots=True)
class Finding:
    """The authenticity with its reasons, and the unit as far as the asker may know of it."""

    authenticity: Authenticity
    reasons: tuple[Reason, ...]
    unit: FoundUnit | None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Look-ups that only some codes need.

    entitled: whether the signing organisation has a right to the product number; None when that was not asked.
    recorded_key: the key recorded for the unit's batch, for codes without signature. compact_handle: the serial begins
    with the handle of a compact batch.
    """

    entitled: bool | None = None
    recorded_key: PublicCodeKey | None = None
    compact_handle: bool = False


def check_signature(code: ReadCode, key: PublicCodeKey | None) -> SignatureCheck:
    """Check the code's signature under the key that it names (None when there is no such key)."""
    if code.host is not None and not code.trusted:
        return SignatureCheck.FOREIGN
    if code.signature is None or code.identity is None:
        return SignatureCheck.MISSING
    if key is None:
        return SignatureCheck.NO_KEY
    fits = verify_code(key.public_key, code.message(key.key_id), code.signature.signature)
    return SignatureCheck.VALID if fits else SignatureCheck.INVALID


def decide(
    code: ReadCode,
    check: SignatureCheck,
    *,
    key: PublicCodeKey | None,
    unit: FoundUnit | None,
    also: Circumstances,
    stranger: bool,
) -> Finding:
    """Decide the axis. `unit` is the registered unit of that identity, if any; `key` the one named in the code."""
    if check is SignatureCheck.FOREIGN:
        return Finding(Authenticity.FOREIGN_HOST, (Reason.NOT_A_REGISTRY_CODE,), None)
    if code.identity is None:
        return Finding(Authenticity.NOT_CHECKED, (Reason.NO_SERIAL,), None)
    if check is SignatureCheck.MISSING:
        return _without_signature(code, unit, also, stranger=stranger)
    if check is not SignatureCheck.VALID or key is None:
        if stranger:
            return Finding(Authenticity.INVALID_SIGNATURE, (Reason.SIGNATURE_DOES_NOT_FIT,), None)
        why = Reason.SIGNATURE_KEY_UNKNOWN if check is SignatureCheck.NO_KEY else Reason.SIGNATURE_DOES_NOT_FIT
        absent = () if unit is not None else (Reason.UNIT_NOT_REGISTERED,)
        return Finding(Authenticity.INVALID_SIGNATURE, (why, *absent), unit)
    return _signed(code, key, unit, also, stranger=stranger)


def _signed(
    code: ReadCode, key: PublicCodeKey, unit: FoundUnit | None, also: Circumstances, *, stranger: bool
) -> Finding:
    if unit is not None and unit.key_id != key.key_id:
        if not stranger:
            return Finding(Authenticity.INVALID_SIGNATURE, (Reason.SIGNED_BY_ANOTHER_KEY,), unit)
        unit = None
    if unit is None:
        if also.entitled is False:
            reasons = (Reason.ISSUER_NOT_ENTITLED, Reason.UNIT_NOT_REGISTERED)
            return Finding(Authenticity.KEY_NOT_ENTITLED, reasons, None)
        return Finding(Authenticity.UNKNOWN_UNIT, (Reason.SIGNATURE_VALID, Reason.UNIT_NOT_REGISTERED), None)
    return _key_in_time(code, key, unit, Reason.SIGNATURE_VALID)


def _without_signature(code: ReadCode, unit: FoundUnit | None, also: Circumstances, *, stranger: bool) -> Finding:
    if unit is not None and unit.profile == Profile.COMPACT and also.recorded_key is not None:
        return _key_in_time(code, also.recorded_key, unit, Reason.SERIAL_CONFIRMED)
    if stranger:
        if also.compact_handle:
            return Finding(Authenticity.UNKNOWN_UNIT, (Reason.UNIT_NOT_REGISTERED,), None)
        return Finding(Authenticity.SIGNATURE_MISSING, (Reason.SIGNATURE_ABSENT,), None)
    if unit is None:
        return Finding(Authenticity.UNKNOWN_UNIT, (Reason.SIGNATURE_ABSENT, Reason.UNIT_NOT_REGISTERED), None)
    reasons = (Reason.SIGNATURE_ABSENT, *_differences(code, unit))
    return Finding(Authenticity.SIGNATURE_MISSING, reasons, unit)


def _key_in_time(code: ReadCode, key: PublicCodeKey, unit: FoundUnit, confirmed: Reason) -> Finding:
    finding = _judged_by_position(code, key, unit, confirmed)
    if key.issuer_suspended:
        # The unit is what it was; whether its issuer may still be relied on is for a person to look into.
        return replace(finding, reasons=(*finding.reasons, Reason.ISSUER_SUSPENDED))
    return finding


def _judged_by_position(code: ReadCode, key: PublicCodeKey, unit: FoundUnit, confirmed: Reason) -> Finding:
    if key.organisation_id != unit.organisation_id:
        return Finding(Authenticity.KEY_NOT_ENTITLED, (Reason.ISSUER_NOT_ENTITLED,), unit)
    if key.registered_index >= unit.log_index:
        return Finding(Authenticity.KEY_NOT_ENTITLED, (Reason.KEY_REGISTERED_AFTER_BATCH,), unit)
    if key.revoked_from is not None and key.revoked_from <= unit.log_index:
        return Finding(Authenticity.KEY_REVOKED, (Reason.KEY_REVOKED_BEFORE_BATCH,), unit)
    if key.valid_until < unit.published_at:
        return Finding(Authenticity.KEY_EXPIRED, (Reason.KEY_EXPIRED_BEFORE_BATCH,), unit)
    return Finding(Authenticity.REGISTERED, (confirmed, *_differences(code, unit)), unit)


def _differences(code: ReadCode, unit: FoundUnit) -> tuple[Reason, ...]:
    """Compare what the code says about lot and expiry with what was registered; what it leaves out is no difference.

    A signature covers what the code says, not that it is what was registered: a signed code is compared too.
    """
    reasons: list[Reason] = []
    for ai, value in code.elements:
        if ai == "10" and value != unit.lot:
            reasons.append(Reason.LOT_DIFFERS)
        elif ai == "17" and not _same_expiry(value, unit):
            reasons.append(Reason.EXPIRY_DIFFERS)
    return tuple(reasons)


def _same_expiry(stated: str, unit: FoundUnit) -> bool:
    # Day 00 and the last day of the month are one date: printers differ, and that has raised false alerts elsewhere.
    if stated == unit.expiry or unit.expiry is None:
        return stated == unit.expiry
    century = year_of(unit.published_at)
    return expiry_end(stated, century) == expiry_end(unit.expiry, century)
