"""The verdict on one code that was read and looked up: axes, summary, receipt."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal
from app.core.clock import to_iso
from app.core.errors import Conflict, NotFound
from app.core.services import Services
from app.facts.scans import Scan, scan_id
from app.facts.service import CLOCK_TOLERANCE_MS
from app.registry import service as registry
from app.registry.expiry import has_expired
from app.registry.vocabulary import Profile
from app.verification import sentences
from app.verification.answer import VerdictAnswer
from app.verification.authenticity import Circumstances, Finding, SignatureCheck, decide
from app.verification.desk import Sighting
from app.verification.found_unit import FoundUnit
from app.verification.limits import Guess, count_guess
from app.verification.parts import parts
from app.verification.receipts import receipt_payload, sign_receipt
from app.verification.request import ScanRequest, asker_role, make_scan
from app.verification.risk import DIFFERENCES, RiskFinding, Situation, assess
from app.verification.service.reading import Reading
from app.verification.summary_table import PRECEDENCE, summarise
from app.verification.verdict import AskerRole, Authenticity, Reason, Status, Verdict
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.serial import handle_of

logger = structlog.get_logger(__name__)
_NOT_KNOWN = frozenset({Status.NOT_KNOWN})
_MISSES = frozenset({Authenticity.UNKNOWN_UNIT, Authenticity.INVALID_SIGNATURE, Authenticity.SIGNATURE_MISSING})
_REASON_OF = {status: Reason[status.name] for status in PRECEDENCE if status not in (Status.ACTIVE, Status.NOT_KNOWN)}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: a code that was read, who asks, how it was scanned, and the scan that would be stored.

    sought: what is looked up, and whose scan it is; None for a code that a stranger shall learn nothing about.
    """

    reading: Reading
    sought: CodeIdentity | None
    principal: Principal
    professional: bool
    asker: AskerRole
    request: ScanRequest
    scan: Scan
    now: int


def make_asked(services: Services, reading: Reading, *, principal: Principal, request: ScanRequest, now: int) -> Asked:
    """Put a question together. now: ms, the time of the answer."""
    professional = principal.may(Permission.VERIFY_PROFESSIONAL)
    identity = reading.identity
    scan = make_scan(
        request,
        principal=principal,
        professional=professional,
        check=reading.check,
        code_digest=reading.digest,
        subject=reading.code.canonical if identity is None else identity.uri(),
        now=now,
        device_secret=parts(services).salts.at(now),
    )
    asker = asker_role(principal, professional=professional)
    sought = identity if professional else _sought_by_stranger(services, reading)
    return Asked(reading, sought, principal, professional, asker, request, scan, now)


def answer(services: Services, asked: Asked, sighting: Sighting) -> VerdictAnswer:
    """Decide every axis and sign the receipt. A sighting without a recorded scan is a look."""
    recorded = sighting.recorded
    if recorded is not None and not recorded.first and recorded.scan.action != asked.request.action:
        raise Conflict(
            "This scan key was used before with another action.",
            code="idempotency_key_reused",
            fix="Use a new key for a new scan, or send the same scan again.",
        )
    finding = _authenticity(services, asked, sighting.unit)
    if not asked.professional and finding.authenticity in _MISSES:
        _count_guess(services, asked)
    unit = finding.unit
    status = _NOT_KNOWN if unit is None else _status(unit, asked.now)
    risk = None if unit is None else _risk(asked, unit, sighting, finding.reasons)
    reasons = [*finding.reasons, *(_REASON_OF[one] for one in PRECEDENCE if one in status and one in _REASON_OF)]
    if risk is not None:
        reasons += [line.reason for line in risk.evidence if line.reason not in reasons]
    offset = None if asked.request.device_time is None else asked.request.device_time - asked.now
    if offset is not None and offset > CLOCK_TOLERANCE_MS:
        reasons.append(Reason.DEVICE_CLOCK_AHEAD)
    if asked.request.offline:
        reasons.append(Reason.SCANNED_OFFLINE)
    level = None if risk is None else risk.risk
    verdict = Verdict(
        finding.authenticity,
        status,
        level,
        None,
        summarise(
            authenticity=finding.authenticity,
            status=status,
            risk=level,
            labour=None,
            asker=asked.asker,
            reasons=finding.reasons,
        ),
        tuple(reasons),
    )
    cosigned = services.checkpoints.latest()
    name = None if recorded is None else scan_id(recorded.scan)
    payload = receipt_payload(
        services,
        verdict,
        scan_id=name,
        code_digest=asked.reading.digest,
        nonce=asked.request.nonce,
        as_of=to_iso(asked.now),
        at_ms=asked.now,
        cosigned=cosigned,
    )
    return VerdictAnswer(
        code=asked.reading.code,
        verdict=verdict,
        asker=asked.asker,
        advice=sentences.advice(verdict, asked.asker),
        unit=unit,
        issuer_name=None if unit is None else _issuer_name(services, unit.organisation_id),
        risk=risk,
        scan_id=name,
        replayed=recorded is not None and not recorded.first,
        earlier_scans=len(recorded.earlier) if recorded is not None and asked.professional else None,
        device_clock_offset=offset,
        as_of=asked.now,
        checkpoint=cosigned.signed.checkpoint,
        witnessed=cosigned.witnessed,
        receipt=sign_receipt(services, payload),
        correlation=asked.request.correlation or str(uuid.uuid4()),
        signature=None if asked.request.signed is None else asked.request.signed.standing,
    )


def _authenticity(services: Services, asked: Asked, unit: FoundUnit | None) -> Finding:
    reading, stranger = asked.reading, not asked.professional
    also = Circumstances()
    if reading.check is SignatureCheck.VALID and (unit is None or unit.key_id != _key_id(reading)):
        also = Circumstances(entitled=_entitled(services, asked))
    elif reading.check is SignatureCheck.MISSING and reading.identity is not None:
        # Asked whether or not the unit was found: a stranger must not read the answer off the time it takes.
        also = Circumstances(
            recorded_key=None if unit is None else accounts.public_code_key(services.engine, unit.key_id),
            compact_handle=stranger and _is_compact(services, reading.identity.serial),
        )
    return decide(reading.code, reading.check, key=reading.key, unit=unit, also=also, stranger=stranger)


def _sought_by_stranger(services: Services, reading: Reading) -> CodeIdentity | None:
    """What is looked up for a stranger: only what the code itself may prove that its holder has seen.

    A signature that does not fit proves nothing, so nothing is looked up: the answer for an issued serial and for one
    that never existed is the same, and takes the same work. The scan is kept as that of this code, not of the unit
    whose number it bears: who can not sign must not be able to fill the unit's history either. A code without
    signature may be that of a compact batch; that of any other batch is a stranger's guess like the rest.
    """
    if reading.check is SignatureCheck.VALID:
        return reading.identity
    if reading.check is not SignatureCheck.MISSING or reading.identity is None:
        return None
    unit = parts(services).desk.look(reading.identity)
    return reading.identity if unit is not None and unit.profile == Profile.COMPACT else None


def _key_id(reading: Reading) -> int | None:
    return None if reading.key is None else reading.key.key_id


def _entitled(services: Services, asked: Asked) -> bool | None:
    """Whether the organisation that signed has a right to the number; None for kinds without rights of that sort."""
    identity, key = asked.reading.identity, asked.reading.key
    if identity is None or key is None or identity.kind is CodeKind.CASE:
        return None
    with Session(services.engine) as session:
        if identity.kind is CodeKind.ITEM:
            return accounts.organisation_by_id(session, key.organisation_id).issuer == identity.issuer
        right = accounts.find_entitlement(
            session, organisation_id=key.organisation_id, gtin=identity.identifier, at_ms=asked.now
        )
    return right is not None


def _is_compact(services: Services, serial: str) -> bool:
    handle = handle_of(serial)
    if handle is None:
        return False
    with Session(services.engine) as session:
        try:
            return registry.find_batch(session, handle).profile is Profile.COMPACT
        except NotFound:
            return False


def _status(unit: FoundUnit, now: int) -> frozenset[Status]:
    status = unit.state.statuses
    if has_expired(unit.expiry, now):
        status |= {Status.EXPIRED}
    return status or _NOT_KNOWN


def _risk(asked: Asked, unit: FoundUnit, sighting: Sighting, found: Sequence[Reason]) -> RiskFinding:
    differences = tuple(reason for reason in found if reason in DIFFERENCES)
    on_offer, recorded = asked.request.on_offer, sighting.recorded
    if recorded is None:
        earlier = sighting.earlier
        return assess(Situation(unit.state, asked.scan, earlier, on_offer, recorded=False, differences=differences))
    # A clock that runs ahead is never believed: the scan is judged by the time at which it came in.
    scan = recorded.scan
    if scan.scanned_at > scan.received_at + CLOCK_TOLERANCE_MS:
        scan = scan._replace(scanned_at=scan.received_at)
    replayed = not recorded.first
    return assess(Situation(unit.state, scan, recorded.earlier, on_offer, replayed=replayed, differences=differences))


def _issuer_name(services: Services, organisation_id: int) -> str | None:
    known: dict[int, str] = services.features.setdefault(_IssuerNames, {})
    if organisation_id not in known:
        with Session(services.engine) as session:
            known.update(accounts.organisation_names(session, [organisation_id]))
    return known.get(organisation_id)


class _IssuerNames:
    """Names the cache of issuers' names among the features: a name is approved once and does not change."""


def _count_guess(services: Services, asked: Asked) -> None:
    logger.info("code not confirmed", device=asked.scan.device, signature=asked.reading.check.value)
    identity = asked.reading.identity
    count_guess(
        services,
        Guess(
            address=asked.request.remote_address,
            code_digest=asked.reading.digest,
            handle="" if identity is None else handle_of(identity.serial) or "",
            product="" if identity is None else identity.identifier,
        ),
    )
