"""Second factors that are lost altogether: somebody who manages accounts asks, the person has a day to refuse.

An owner may ask for a member who belongs to no other organisation, the registry's administrators for anybody but
themselves: whoever manages one firm must not weaken an account that opens another. Those who may ask can call it off
as well. Asking, refusing and calling off are on the ledger; the removal happens at the first sign-in after the day,
with the password.
"""

from dataclasses import dataclass

from sqlalchemy import delete, select, true
from sqlalchemy.orm import Session

from app.access.models import FactorResetRow
from app.access.service.factors import factors_of, remove_all_factors
from app.access.service.history import SecurityEvent, note_event
from app.access.service.letters import Letter, address_of, send_letter
from app.access.visitors import Visitor
from app.accounts import service as accounts
from app.accounts.vocabulary import permissions_in
from app.core.authorisation import Permission, Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from app.core.tokens import new_token, token_hash

DELAY_MS = 24 * 3600 * 1000
OPEN_MS = 14 * 24 * 3600 * 1000
"""How long after the day the removal waits for its person to sign in; then it has to be asked for again."""
MOST_LISTED = 200
"""How many announced removals a page shows: the soonest."""


@dataclass(frozen=True, slots=True)
class FactorReset:
    """The announced removal of a person's second factors."""

    created_at: int
    effective_at: int


@dataclass(frozen=True, slots=True)
class AnnouncedReset:
    """An announced removal, as those see it who may announce one; asked_by: a name, or None for the registry."""

    person_id: int
    name: str
    email: str
    organisation: str
    asked_by: str | None
    reason: str
    created_at: int
    effective_at: int
    ends_at: int


def list_resets(session: Session, *, organisation_id: int | None) -> list[AnnouncedReset]:
    """The announced removals of an organisation, or of all (None), soonest first, without those nobody used in time.

    An organisation reads the names of its own members only; the registry's people stay the registry.
    """
    every = organisation_id is None
    rows = session.scalars(
        select(FactorResetRow)
        .where(
            FactorResetRow.effective_at > now_ms() - OPEN_MS,
            true() if every else FactorResetRow.organisation_id == organisation_id,
        )
        .order_by(FactorResetRow.effective_at, FactorResetRow.person_id)
        .limit(MOST_LISTED)
    ).all()
    return [_announced(session, row, named=every) for row in rows]


def _announced(session: Session, row: FactorResetRow, *, named: bool) -> AnnouncedReset:
    """Give what is read of a row; named: also with the name of an asker from outside the organisation."""
    person = accounts.person_by_id(session, row.person_id)
    kind, _, number = row.asked_by.partition(":")
    asker = int(number) if kind == "person" else 0
    membership = accounts.membership_in(session, person_id=asker, organisation_id=row.organisation_id)
    names = accounts.person_names(session, [asker] if named or membership else [])
    return AnnouncedReset(
        person_id=person.id,
        name=person.name,
        email=person.email,
        organisation=accounts.organisation_by_id(session, row.organisation_id).name,
        asked_by=names.get(asker),
        reason=row.reason,
        created_at=row.created_at,
        effective_at=row.effective_at,
        ends_at=row.effective_at + OPEN_MS,
    )


def request_factor_reset(
    services: Services, *, by: Principal, email: str, reason: str, visitor: Visitor
) -> FactorReset:
    """Announce that a person's second factors will be removed in a day, on the ledger and to the person.

    Raises NotFound, Forbidden, Invalid, Conflict when there is nothing to remove or it is announced already.
    """
    reason = " ".join(reason.split())
    if not 3 <= len(reason) <= 2000:
        raise Invalid("Say why: 3 to 2000 characters.", code="reason_missing")
    with Session(services.engine) as session:
        person, organisation_id = _person_for(session, by, email)
        if not factors_of(session, person_id=person.id).any:
            raise Conflict("This person has no second factor.", code="no_second_factor")
    token, now = new_token(), now_ms()

    def apply(session: Session) -> FactorReset:
        waiting = session.get(FactorResetRow, person.id)
        if waiting is not None and waiting.effective_at + OPEN_MS > now:
            raise Conflict("This is asked for already.", code="reset_asked_already")
        session.execute(delete(FactorResetRow).where(FactorResetRow.person_id == person.id))
        session.add(
            FactorResetRow(
                person_id=person.id,
                organisation_id=organisation_id,
                token_hash=token_hash(token),
                asked_by=by.actor,
                reason=reason,
                created_at=now,
                effective_at=now + DELAY_MS,
            )
        )
        note_event(session, person_id=person.id, kind=SecurityEvent.RESET_ASKED, visitor=visitor)
        address = address_of(services, f"/account-reset/{token}")
        send_letter(session, services, Letter.RESET_ASKED, person_id=person.id, address=address)
        notify(
            session,
            organisation_id=organisation_id,
            kind=NoticeKind.ACCOUNT_RECOVERED,
            data={"person": f"person:{person.id}", "by": by.actor},
        )
        return FactorReset(now, now + DELAY_MS)

    return accounts.perform(
        services,
        accounts.Act.ACCOUNT_RECOVERED,
        organisation_id=organisation_id,
        by=by,
        details={"person": f"person:{person.id}", "what": "second factors", "hours": DELAY_MS // 3_600_000},
        apply=apply,
    )


def waiting_reset(session: Session, *, person_id: int) -> FactorReset | None:
    """The announced removal, if there is one."""
    row = session.get(FactorResetRow, person_id)
    return None if row is None else FactorReset(row.created_at, row.effective_at)


def check_reset_link(session: Session, *, token: str) -> FactorReset:
    """What the link of a letter is about; raises NotFound; changes nothing."""
    row = session.scalar(select(FactorResetRow).where(FactorResetRow.token_hash == token_hash(token)))
    if row is None:
        raise NotFound("There is nothing to refuse any more.", code="link_over")
    return FactorReset(row.created_at, row.effective_at)


def refuse_reset(services: Services, *, token: str, visitor: Visitor) -> None:
    """Refuse the removal by the link of the letter; raises NotFound."""
    with Session(services.engine) as session:
        check_reset_link(session, token=token)
        person_id = session.scalars(
            select(FactorResetRow.person_id).where(FactorResetRow.token_hash == token_hash(token))
        ).one()
    refuse_reset_of(services, person_id=person_id, visitor=visitor)


def refuse_reset_of(services: Services, *, person_id: int, visitor: Visitor) -> None:
    """Refuse the removal, on the ledger, because the person has a factor still; nothing when none is announced."""
    with Session(services.engine) as session:
        row = session.get(FactorResetRow, person_id)
    if row is not None:
        by = Principal(organisation_id=row.organisation_id, person_id=person_id)
        _call_off(services, row, by=by, visitor=visitor)


def withdraw_reset(services: Services, *, by: Principal, person_id: int, visitor: Visitor) -> None:
    """Call an announced removal off, on the ledger, as one who might have announced it; raises NotFound."""
    with Session(services.engine) as session:
        row = session.get(FactorResetRow, person_id)
    if row is None or not (by.may(Permission.ORGANISATION_APPROVE) or row.organisation_id == by.organisation_id):
        raise NotFound("There is nothing to refuse any more.", code="link_over")
    _call_off(services, row, by=by, visitor=visitor)


def _call_off(services: Services, row: FactorResetRow, *, by: Principal, visitor: Visitor) -> None:
    person_id = row.person_id

    def apply(session: Session) -> None:
        gone = session.scalars(
            delete(FactorResetRow).where(FactorResetRow.person_id == person_id).returning(FactorResetRow.person_id)
        ).all()
        if not gone:
            raise Conflict("There is nothing to refuse any more.", code="link_over")
        note_event(session, person_id=person_id, kind=SecurityEvent.RESET_REFUSED, visitor=visitor)

    accounts.perform(
        services,
        accounts.Act.ACCOUNT_RECOVERY_REFUSED,
        organisation_id=row.organisation_id,
        by=by,
        details={"person": f"person:{person_id}", "what": "second factors"},
        apply=apply,
    )


def do_due_reset(services: Services, *, person_id: int, visitor: Visitor) -> None:
    """Remove the factors when their day is over: called when the person's password was right.

    What an owner asked for comes to nothing when the person belongs to another organisation by now.
    """
    now = now_ms()
    with Session(services.engine) as session:
        row = session.get(FactorResetRow, person_id)
    if row is None or row.effective_at > now:
        return
    with write_session(services.engine) as session:
        gone = session.scalars(
            delete(FactorResetRow)
            .where(FactorResetRow.person_id == person_id, FactorResetRow.effective_at <= now)
            .returning(FactorResetRow.person_id)
        ).all()
        if not gone or row.effective_at + OPEN_MS <= now or not _still_reaches(session, row):
            return
        remove_all_factors(session, person_id=person_id)
        note_event(session, person_id=person_id, kind=SecurityEvent.RESET_DONE, visitor=visitor)
        send_letter(session, services, Letter.RESET_DONE, person_id=person_id)


def _still_reaches(session: Session, row: FactorResetRow) -> bool:
    """Whether who asked may do so still: the account may open another organisation since."""
    if len(accounts.memberships_of(session, person_id=row.person_id)) == 1:
        return True
    kind, _, number = row.asked_by.partition(":")
    if kind != "person":
        return True  # the command line
    theirs = accounts.memberships_of(session, person_id=int(number))
    return any(
        Permission.ORGANISATION_APPROVE in permissions_in(found.organisation.kind, found.role) for found in theirs
    )


def _person_for(session: Session, by: Principal, email: str) -> tuple[accounts.Person, int]:
    """The person, and the organisation on whose record this goes; raises NotFound, Forbidden."""
    person = accounts.find_person(session, email=email)
    theirs = [] if person is None else accounts.memberships_of(session, person_id=person.id)
    unknown = NotFound("Nobody here has this e-mail address.", code="unknown_person")
    if person is None or not theirs:
        raise unknown
    if person.id == by.person_id:
        raise Forbidden(
            "You can not do this for your own account.", code="own_account", fix="Ask another owner, or the registry."
        )
    if by.may(Permission.ORGANISATION_APPROVE):
        return person, min(found.organisation.id for found in theirs)
    if not by.may(Permission.MEMBER_MANAGE):
        raise Forbidden
    own = [found for found in theirs if found.organisation.id == by.organisation_id]
    if not own:
        raise unknown
    if len(theirs) > 1:
        raise Forbidden(
            "This person belongs to another organisation too.",
            code="not_yours_alone",
            fix="Ask the registry: its administrators can do it.",
        )
    return person, own[0].organisation.id
