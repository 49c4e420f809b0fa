"""Four eyes: what one person alone may have made within 24 hours, and how a second person releases more.

What is counted are units that only one person asked for: published within 24 hours, or on their way. So many small
requests wait as one large one would. What a second person released does not count, and what still waits is not made.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access import service as access
from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal
from app.core.clock import now_ms, to_iso
from app.core.errors import Conflict, Faults, Forbidden, NotSignedIn
from app.core.i18n import in_language
from app.core.jobs import Job, JobRow, JobState, decide, find_job
from app.core.mail import queue_mail
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from app.registry.models import BatchRow
from app.registry.service.serial_files import forget_serials
from app.registry.vocabulary import JobKind

WINDOW_MS = 24 * 3_600_000
OPEN_MS = 14 * WINDOW_MS
"""How long a request waits for its second person."""
MAX_REASON = 500


def _mark(text: str) -> str:
    return text


SUBJECT = _mark("Codes wait for your release")
BODY = _mark(
    "%(who)s asked for codes for %(units)s units in %(organisation)s. That is more than one person alone may have made "
    "within 24 hours (%(limit)s of one product), so it needs a second person.\n\nLook at it and release or refuse it: "
    "%(address)s\n\nIt is given up on %(until)s.\n"
)


def needs_second_person(
    services: Services, session: Session, *, organisation_id: int, wanted: Mapping[int, int]
) -> bool:
    """Whether these units (by product id) are more than one person alone may have made now.

    Call it in the transaction that queues them, holding the organisation (`accounts.hold_approved`).
    """
    above = accounts.limits_of(services, session, organisation_id=organisation_id).second_person_above
    if above is None:
        return False
    alone = _units_alone(session, organisation_id, set(wanted))
    return any(units + alone[product_id] > above for product_id, units in wanted.items())


def announce_waiting(services: Services, session: Session, job: Job, *, by: Principal) -> None:
    """Tell those who may release a job that it waits, in the transaction that queues it."""
    notify(
        session,
        organisation_id=job.organisation_id,
        kind=NoticeKind.BATCH_WAITS_FOR_RELEASE,
        data={"job": job.id, "units": job.total},
    )
    organisation = accounts.organisation_by_id(session, job.organisation_id)
    above = accounts.limits_of(services, session, organisation_id=organisation.id).second_person_above or 0
    people = accounts.people_who_may(session, organisation_id=organisation.id, permission=Permission.BATCH_RELEASE)
    for person in people:
        if person.id == job.asked_by_person:
            continue
        text = in_language(
            person.locale,
            BODY,
            who=by.name,
            units=f"{job.total:,}",
            organisation=organisation.name,
            limit=f"{above:,}",
            address=f"{services.settings.public_url}/jobs/{job.id}",
            until=to_iso(job.waits_until or 0)[:10],
        )
        queue_mail(session, services, to=person.email, subject=in_language(person.locale, SUBJECT), text=text)


def decide_release(services: Services, *, by: Principal, job_id: str, release: bool, reason: str) -> Job:
    """Release or refuse, as the second person, what waits; on the ledger in the same transaction.

    Raises NotFound, Invalid, Forbidden (the role, or the one who asked), Conflict when it does not wait any more.
    """
    if by.organisation_id is None:
        raise NotSignedIn
    if not by.may(Permission.BATCH_RELEASE):
        raise Forbidden
    reason = reason.strip()
    faults = Faults()
    if not 3 <= len(reason) <= MAX_REASON or "\x00" in reason:
        faults.add("/reason", "Give the reason in 3 to 500 characters.")
    faults.refuse_if_any("Some of the entries can not be used.")
    organisation_id = by.organisation_id
    with Session(services.engine) as session:
        job = find_job(session, job_id, organisation_id=organisation_id)
        person_id = access.person_behind(session, by)
    if job.state is not JobState.WAITING:
        raise Conflict("This work does not wait for a decision any more.", code="not_waiting")

    def apply(session: Session) -> Job:
        accounts.hold_approved(session, organisation_id=organisation_id)
        accounts.refuse_unless_second(
            session, organisation_id=organisation_id, person_id=person_id, asked_by_person=job.asked_by_person
        )
        decided = decide(session, job, by=by.actor, release=release, reason=reason)
        if not release:
            forget_serials(session, job_id=job.id)
        return decided

    return accounts.perform(
        services,
        accounts.Act.BATCH_RELEASED if release else accounts.Act.BATCH_REFUSED,
        organisation_id=organisation_id,
        by=by,
        details={"job": job.id, "units": job.total, "asked_by": job.created_by},
        apply=apply,
    )


def waiting_jobs(session: Session, *, organisation_id: int) -> list[str]:
    """Ids of the organisation's jobs that wait for a second person, oldest first."""
    waiting = (
        select(JobRow.id)
        .where(
            JobRow.organisation_id == organisation_id,
            JobRow.state == JobState.WAITING,
            JobRow.waits_until > now_ms(),
        )
        .order_by(JobRow.created_at)
    )
    return list(session.scalars(waiting))


def _units_alone(session: Session, organisation_id: int, products: set[int]) -> Counter[int]:
    """Units by product that only one person asked for, within the window."""
    found: Counter[int] = Counter()
    ended = (
        select(BatchRow.product_id, func.sum(BatchRow.quantity))
        .join(JobRow, JobRow.id == BatchRow.job_id)
        .where(
            BatchRow.organisation_id == organisation_id,
            BatchRow.product_id.in_(products),
            BatchRow.log_index.is_not(None),
            BatchRow.published_at > now_ms() - WINDOW_MS,
            JobRow.decided_by.is_(None),
            JobRow.state.in_((JobState.DONE, JobState.FAILED)),
        )
        .group_by(BatchRow.product_id)
    )
    for product_id, units in session.execute(ended):
        found[product_id] += int(units)
    # What is on its way counts in full: its parts are published one by one.
    under_way = select(JobRow.payload).where(
        JobRow.organisation_id == organisation_id,
        JobRow.kind == JobKind.COMMISSION,
        JobRow.state.in_((JobState.QUEUED, JobState.RUNNING)),
        JobRow.decided_by.is_(None),
    )
    for payload in session.scalars(under_way):
        parts: Sequence[dict[str, Any]] = orjson.loads(payload)["parts"]
        for part in parts:
            found[part.get("product_id", 0)] += int(part["size"])
    return found
