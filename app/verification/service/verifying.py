"""From a scanned text to a verdict: the walk of one scan.

text -> one parser -> the signature under the key it names (cached; before the database is asked) -> one look-up, the
scan recorded with it -> the axes, decided by pure functions -> the summary and a signed receipt. No step goes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.authorisation import Permission, Principal
from app.core.clock import now_ms
from app.core.errors import AppError, Forbidden, Malformed
from app.core.services import Services
from app.facts.vocabulary import EVENT_RULES
from app.verification.actions import EVENT_OF
from app.verification.answer import VerdictAnswer
from app.verification.parts import parts
from app.verification.request import ScanRequest
from app.verification.service.answering import Asked, answer, make_asked
from app.verification.service.reading import Reading, read_text
from app.verification.service.signed import Circumstances, take_signature, take_signatures
from scanners.codes.errors import CodeError

MAX_CODES = 1_000


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
    principal, request = take_signature(services, text=text, principal=principal, request=request)
    check_action(principal, request)
    asked = make_asked(services, _read(services, text), principal=principal, request=request, now=now_ms())
    return answer(services, asked, parts(services).desk.record(asked.sought, asked.scan))


def verify_batch(
    services: Services,
    *,
    texts: Sequence[str],
    principal: Principal,
    request: ScanRequest,
    statements: Sequence[str] | None = None,
) -> list[BatchItem]:
    """Verify up to 1,000 codes that were scanned under the same circumstances; answers in their order.

    request.key, when given, is the key of the whole batch: the same batch again is a retry. statements: what devices
    signed, one for each code; then the circumstances of each are those that it names, and one that is refused takes no
    other along.
    """
    check_action(principal, request)
    if not 1 <= len(texts) <= MAX_CODES:
        raise Malformed("A batch has 1 to %(limit)s codes.", code="batch_size", limit=MAX_CODES)
    now = now_ms()
    entries: list[Asked | CodeError] = []
    for text, made in zip(texts, _circumstances(services, texts, statements, principal, request), strict=True):
        if isinstance(made, AppError):
            entries.append(CodeError(made.code, str(made), fix=made.fix))
            continue
        try:
            reading = read_text(services, text)
        except CodeError as error:
            entries.append(error)
        else:
            entries.append(make_asked(services, reading, principal=made[0], request=made[1], now=now))
    asked = [entry for entry in entries if isinstance(entry, Asked)]
    sightings = iter(parts(services).desk.record_many([(one.sought, one.scan) for one in asked]))
    return [
        BatchItem(None, entry)
        if isinstance(entry, CodeError)
        else BatchItem(answer(services, entry, next(sightings)), None)
        for entry in entries
    ]


def look(services: Services, *, text: str, principal: Principal, remote_address: str = "") -> VerdictAnswer:
    """Verify one code and record nothing: for pages that a link preview may load. Raises Malformed, TooMany."""
    request = ScanRequest(remote_address=remote_address)
    asked = make_asked(services, _read(services, text), principal=principal, request=request, now=now_ms())
    return answer(services, asked, parts(services).desk.see(asked.sought, asked.scan))


def check_action(principal: Principal, request: ScanRequest) -> None:
    """Refuse, with Forbidden, an act that the caller's role does not allow."""
    kind = EVENT_OF.get(request.action)
    if kind is not None and not principal.may(EVENT_RULES[kind].permission):
        raise Forbidden(code="action_not_allowed")
    if not principal.may(Permission.VERIFY_PROFESSIONAL) and (kind is not None or request.offline):
        raise Forbidden(code="action_not_allowed")


def _circumstances(
    services: Services,
    texts: Sequence[str],
    statements: Sequence[str] | None,
    principal: Principal,
    request: ScanRequest,
) -> Sequence[Circumstances | AppError]:
    if statements is None:
        return [take_signature(services, text=texts[0], principal=principal, request=request)] * len(texts)
    if len(statements) != len(texts):
        raise Malformed("There must be one signed scan for each code.", code="statement_count")
    return [
        _allowed(made) for made in take_signatures(services, texts, statements, principal=principal, request=request)
    ]


def _allowed(made: Circumstances | AppError) -> Circumstances | AppError:
    """Refuse the act of a signed scan where its device may do less than the caller."""
    if isinstance(made, AppError):
        return made
    try:
        check_action(*made)
    except Forbidden as refusal:
        return refusal
    return made


def _read(services: Services, text: str) -> Reading:
    try:
        return read_text(services, text)
    except CodeError as error:
        raise Malformed(error.message.replace("%", "%%"), code=error.code, fix=error.fix) from error
