"""From a scanned text to a verdict: the walk of one scan.

text -> one parser -> the signature under the key it names (cached; before the database is asked) -> one look-up, the
scan recorded with it -> the axes, decided by pure functions -> the summary and a signed receipt. No step goes back.
"""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal
from app.core.clock import now_ms
from app.core.errors import Conflict, Forbidden, Malformed, NotFound
from app.core.services import Services
from app.facts.scans import RecordedScan, Scan, scan_id
from app.facts.vocabulary import EVENT_RULES
from app.registry import service as registry
from app.registry.vocabulary import Profile
from app.verification import sentences
from app.verification.actions import EVENT_OF
from app.verification.answer import VerdictAnswer
from app.verification.authenticity import Circumstances, Finding, SignatureCheck, check_signature, decide
from app.verification.desk import Desk, Sighting, open_desk
from app.verification.found_unit import FoundUnit, has_expired
from app.verification.receipts import receipt_payload, sign_receipt
from app.verification.request import ScanRequest, asker_role, make_scan
from app.verification.risk import RiskFinding, Situation, assess
from app.verification.summary_table import PRECEDENCE, summarise
from app.verification.verdict import Authenticity, Reason, Status, Verdict
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeKind
from scanners.codes.reader import ReadCode, read_code
from scanners.codes.serial import handle_of

MAX_CODES = 1_000
CLOCK_TOLERANCE_MS = 5 * 60_000
"""A device clock further ahead of ours than this is not believed; the offset is kept and named as a reason."""
GUESSES = 60
"""Codes that are not registered, from one address of the public in a quarter of an hour, before it is turned away."""

logger = structlog.get_logger(__name__)
_NOT_KNOWN = frozenset({Status.NOT_KNOWN})
_MISSES = frozenset({Authenticity.UNKNOWN_UNIT, Authenticity.INVALID_SIGNATURE, Authenticity.SIGNATURE_MISSING})
_STATUS_REASONS = {
    status: Reason[status.name] for status in PRECEDENCE if status not in (Status.ACTIVE, Status.NOT_KNOWN)
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A text that was read, its signature checked under `key`, and the digest that names it."""

    code: ReadCode
    key: accounts.PublicCodeKey | None
    check: SignatureCheck
    digest: bytes


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One code of a batch: its answer, or why its text could not be read."""

    answer: VerdictAnswer | None
    error: CodeError | None


def verify(services: Services, *, text: str, principal: Principal, request: ScanRequest) -> VerdictAnswer:
    """Verify one code and record the scan; what the act states is recorded by `acting`, not here.

    Raises Malformed for a text that is no code, Forbidden for an act the caller may not do, Conflict when a scan key
    comes again with another act, TooMany for a stranger who guesses.
    """
    _check_action(principal, request)
    professional = principal.may(Permission.VERIFY_PROFESSIONAL)
    now = now_ms()
    reading = _read(services, text)
    scan = _scan(services, reading, request, principal=principal, professional=professional, now=now)
    sighting = desk(services).record(_identity(reading), scan)
    return _answer(services, reading, sighting, scan, request, principal=principal, professional=professional, now=now)


def verify_batch(
    services: Services, *, texts: Sequence[str], principal: Principal, request: ScanRequest
) -> list[BatchItem]:
    """Verify up to 1,000 codes that were scanned under the same circumstances; answers in their order.

    request.key, when given, is the key of the whole batch: each code gets its own from it.
    """
    _check_action(principal, request)
    if not 1 <= len(texts) <= MAX_CODES:
        raise Malformed("A batch has 1 to %(limit)s codes.", code="batch_size", limit=MAX_CODES)
    professional = principal.may(Permission.VERIFY_PROFESSIONAL)
    now = now_ms()
    readings: list[Reading | CodeError] = []
    for text in texts:
        try:
            readings.append(_read_code(services, text))
        except CodeError as error:
            readings.append(error)
    read = [reading for reading in readings if isinstance(reading, Reading)]
    scans = [_scan(services, one, request, principal=principal, professional=professional, now=now) for one in read]
    seen = [(_identity(reading), scan) for reading, scan in zip(read, scans, strict=True)]
    found = zip(read, desk(services).record_many(seen), scans, strict=True)
    items: list[BatchItem] = []
    for entry in readings:
        if isinstance(entry, CodeError):
            items.append(BatchItem(None, entry))
            continue
        reading, sighting, scan = next(found)
        answer = _answer(
            services, reading, sighting, scan, request, principal=principal, professional=professional, now=now
        )
        items.append(BatchItem(answer, None))
    return items


def look(services: Services, *, text: str, principal: Principal) -> VerdictAnswer:
    """Verify one code and record nothing: for pages that a link preview may load. Raises Malformed."""
    professional = principal.may(Permission.VERIFY_PROFESSIONAL)
    now = now_ms()
    request = ScanRequest()
    reading = _read(services, text)
    scan = _scan(services, reading, request, principal=principal, professional=professional, now=now)
    sighting = Sighting(desk(services).look(_identity(reading)), None)
    return _answer(services, reading, sighting, scan, request, principal=principal, professional=professional, now=now)


def desk(services: Services) -> Desk:
    """Give the desk of these services, opened at first use."""
    found: Desk | None = services.features.get(Desk)
    if found is None:
        found = services.features[Desk] = open_desk(services)
    return found


def close(services: Services) -> None:
    """Close what verification holds open; for the end of a process or a test."""
    found: Desk | None = services.features.pop(Desk, None)
    if found is not None:
        found.close()


def _check_action(principal: Principal, request: ScanRequest) -> None:
    kind = EVENT_OF.get(request.action)
    if kind is not None and not principal.may(EVENT_RULES[kind].permission):
        raise Forbidden(code="action_not_allowed")


def _read(services: Services, text: str) -> Reading:
    try:
        return _read_code(services, text)
    except CodeError as error:
        raise Malformed(error.message.replace("%", "%%"), code=error.code, fix=error.fix) from error


def _read_code(services: Services, text: str) -> Reading:
    code = read_code(text, trusted_hosts=services.settings.code_hosts)
    key = None
    if code.signature is not None and code.trusted:
        key = accounts.public_code_key(services.engine, code.signature.key_id)
    return Reading(code, key, check_signature(code, key), hashlib.sha256(code.canonical.encode()).digest())


def _identity(reading: Reading):  # type: ignore[no-untyped-def]
    return None if reading.check is SignatureCheck.FOREIGN else reading.code.identity
