"""Keys in time, entitlement, and what an unsigned code says about lot and expiry. Pure."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.accounts.service import PublicCodeKey
from app.facts.lifecycle import NEW
from app.verification.authenticity import Circumstances, SignatureCheck, check_signature, decide
from app.verification.found_unit import FoundUnit
from app.verification.verdict import Authenticity, Reason
from scanners.codes.build import code_text
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.reader import ReadCode, read_code
from scanners.codes.signature import sign_code

IDENTITY = CodeIdentity(CodeKind.GTIN, "09521234000013", "ABCDE0123456789AB")
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = PublicCodeKey(9, 1, PRIVATE.public_key(), 10_000, 5, None, None)
UNIT = FoundUnit(1, 1, "ABCDE", "signed", 9, "L1", "271231", 10, 20, 5_000, 1, "Tequila", "Casa", 1, NEW)
DAY_MS = 86_400_000


def code(*elements: tuple[str, str], signed: bool = True) -> ReadCode:
    signature = sign_code(PRIVATE, IDENTITY, elements, 9) if signed else None
    return read_code(
        code_text(IDENTITY, elements, stem="HTTPS://ID.TEST", signature=signature), trusted_hosts={"id.test"}
    )


def outcome(
    read: ReadCode,
    *,
    key: PublicCodeKey | None = KEY,
    unit: FoundUnit | None = UNIT,
    also: Circumstances = Circumstances(),  # noqa: B008  frozen
    stranger: bool = False,
) -> tuple[Authenticity, tuple[Reason, ...]]:
    found = decide(read, check_signature(read, key), key=key, unit=unit, also=also, stranger=stranger)
    return found.authenticity, found.reasons


def test_a_key_must_be_good_when_the_batch_was_logged_not_when_it_is_scanned() -> None:
    read = code()
    for stranger in (False, True):
        assert outcome(read, stranger=stranger)[0] is Authenticity.REGISTERED
        later = replace(KEY, revoked_from=21, revoked_at=6_000)
        assert outcome(read, key=later, stranger=stranger)[0] is Authenticity.REGISTERED
        before = replace(KEY, revoked_from=19, revoked_at=4_000)
        assert outcome(read, key=before, stranger=stranger)[0] is Authenticity.KEY_REVOKED
        assert outcome(read, key=replace(KEY, valid_until=4_999))[0] is Authenticity.KEY_EXPIRED
        assert outcome(read, key=replace(KEY, registered_index=20))[0] is Authenticity.KEY_NOT_ENTITLED


def test_a_batch_at_the_very_position_from_which_its_key_is_revoked_does_not_count() -> None:
    assert outcome(code(), key=replace(KEY, revoked_from=20, revoked_at=9_000))[0] is Authenticity.KEY_REVOKED


def test_a_suspended_issuer_is_a_reason_of_its_own_beside_what_was_found() -> None:
    for stranger in (False, True):
        authenticity, reasons = outcome(code(), key=replace(KEY, issuer_suspended=True), stranger=stranger)
        assert authenticity is Authenticity.REGISTERED
        assert reasons[-1] is Reason.ISSUER_SUSPENDED


def test_a_key_of_another_organisation_has_no_right_to_the_unit() -> None:
    assert outcome(code(), key=replace(KEY, organisation_id=2))[0] is Authenticity.KEY_NOT_ENTITLED


def test_the_signature_must_be_under_the_key_recorded_for_the_batch() -> None:
    other = replace(UNIT, key_id=8)
    assert outcome(code(), unit=other) == (Authenticity.INVALID_SIGNATURE, (Reason.SIGNED_BY_ANOTHER_KEY,))
    for entitled, told in ((True, Authenticity.UNKNOWN_UNIT), (False, Authenticity.KEY_NOT_ENTITLED)):
        also = Circumstances(entitled=entitled)
        assert outcome(code(), unit=other, also=also, stranger=True)[0] is told
        assert outcome(code(), unit=None, also=also, stranger=True)[0] is told, "as for a unit that never was"


def test_an_unknown_key_is_told_to_professionals_only() -> None:
    assert outcome(code(), key=None)[1] == (Reason.SIGNATURE_KEY_UNKNOWN,)
    assert outcome(code(), key=None, stranger=True)[1] == (Reason.SIGNATURE_DOES_NOT_FIT,)


def test_an_unsigned_code_that_states_another_lot_is_told() -> None:
    read = code(("10", "L2"), ("17", "271230"), signed=False)
    assert outcome(read)[1] == (Reason.SIGNATURE_ABSENT, Reason.LOT_DIFFERS, Reason.EXPIRY_DIFFERS)
    assert outcome(code(("10", "L1"), signed=False))[1] == (Reason.SIGNATURE_ABSENT,)


def test_a_code_that_contradicts_the_record_is_told_signed_or_not() -> None:
    stated = (("10", "L2"), ("17", "271230"))
    told = (Reason.LOT_DIFFERS, Reason.EXPIRY_DIFFERS)
    assert outcome(code(*stated)) == (Authenticity.REGISTERED, (Reason.SIGNATURE_VALID, *told))
    compact = replace(UNIT, profile="compact")
    confirmed = Circumstances(recorded_key=KEY)
    assert outcome(code(*stated, signed=False), unit=compact, also=confirmed, stranger=True) == (
        Authenticity.REGISTERED,
        (Reason.SERIAL_CONFIRMED, *told),
    )
    without = replace(UNIT, lot=None, expiry=None)
    assert outcome(code(*stated), unit=without)[1] == (Reason.SIGNATURE_VALID, *told), "more than was registered"
    assert outcome(code())[1] == (Reason.SIGNATURE_VALID,), "what the code leaves out is no difference"


def test_day_00_is_the_last_day_of_the_month_and_no_difference() -> None:
    end_of_month = replace(UNIT, expiry="270228")
    assert outcome(code(("17", "270200")), unit=end_of_month)[1] == (Reason.SIGNATURE_VALID,)
    assert Reason.EXPIRY_DIFFERS in outcome(code(("17", "270227")), unit=end_of_month)[1]


def test_a_change_of_anything_signed_breaks_the_signature() -> None:
    read = code(("10", "L1"))
    changed = replace(read, elements=tuple((ai, "L2" if ai == "10" else value) for ai, value in read.elements))
    assert check_signature(read, KEY) is SignatureCheck.VALID
    assert check_signature(changed, KEY) is SignatureCheck.INVALID
