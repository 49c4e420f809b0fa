"""Sign-in sessions: how they begin, how long they last, and how a person ends them.

A session ends 12 hours after the sign-in, two hours after it was last used, when its person ends it, and when the
password changes (OWASP ASVS 5.0, 7.3 and 7.4). Its token is new after each sign-in and each confirmation.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from app.access.models import SignInSessionRow
from app.access.service.history import SecurityEvent, note_event
from app.access.visitors import Visitor
from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationStatus
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, NotFound, NotSignedIn
from app.core.services import Services
from app.core.tokens import new_token, token_hash

SESSION_MS = 12 * 3600 * 1000
"""How long a browser stays signed in at most: a working day."""
IDLE_MS = 2 * 3600 * 1000
"""How long a browser stays signed in without being used: a meeting and a meal, not a night."""
SEEN_EVERY_MS = 5 * 60 * 1000
"""How often the use of a session is written down: a page view is no reason to write."""
HOUR_MS = 3600 * 1000
NOBODY_IN_PARTICULAR = Visitor("unknown")


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A browser in which a person is signed in; `seen_at` is the hour it was last used in, `place` a network."""

    reference: str
    browser: str
    place: str
    created_at: int
    seen_at: int
    is_this_one: bool


def start_session_for(
    services: Services,
    *,
    person_id: int,
    organisation_id: int | None = None,
    strong: bool = True,
    visitor: Visitor = NOBODY_IN_PARTICULAR,
) -> str:
    """The token of a new session of a person whom the caller has made sure of; raises NotSignedIn.

    organisation_id: for which the person acts, else the first that is open. strong: a second factor was shown.
    """
    with write_session(services.engine) as session:
        return new_session(
            session, person_id=person_id, organisation_id=organisation_id, strong=strong, visitor=visitor
        )


def new_session(
    session: Session, *, person_id: int, strong: bool, visitor: Visitor, organisation_id: int | None = None
) -> str:
    """Start a session in the database session's transaction, and sweep those that ended; raises NotSignedIn."""
    if organisation_id is None:
        membership = accounts.first_membership(session, person_id=person_id)
        if membership is None:
            raise NotSignedIn("No organisation is open to you now.", code="no_organisation")
        organisation_id = membership.organisation.id
    token, now = new_token(), now_ms()
    session.execute(
        delete(SignInSessionRow).where(
            or_(SignInSessionRow.expires_at <= now, SignInSessionRow.seen_at <= now - IDLE_MS)
        )
    )
    session.add(
        SignInSessionRow(
            token_hash=token_hash(token),
            reference=secrets.token_hex(8),
            person_id=person_id,
            organisation_id=organisation_id,
            strong=strong,
            browser=visitor.browser,
            place=visitor.place,
            created_at=now,
            confirmed_at=now,
            seen_at=now,
            expires_at=now + SESSION_MS,
        )
    )
    return token


def live_session(session: Session, token: str) -> SignInSessionRow | None:
    """The session of this token; None when there is none or it has ended."""
    row = session.get(SignInSessionRow, token_hash(token), populate_existing=True)
    now = now_ms()
    if row is None or row.expires_at <= now or row.seen_at <= now - IDLE_MS:
        return None
    return row


def note_seen(services: Services, row: SignInSessionRow) -> None:
    """Write down that a session is in use, now and then."""
    now = now_ms()
    if now - row.seen_at < SEEN_EVERY_MS:
        return
    with write_session(services.engine) as session:
        session.execute(
            update(SignInSessionRow).where(SignInSessionRow.token_hash == row.token_hash).values(seen_at=now)
        )


def sign_out(services: Services, *, token: str) -> None:
    """End the session; nothing happens when it has ended already."""
    with write_session(services.engine) as session:
        session.execute(delete(SignInSessionRow).where(SignInSessionRow.token_hash == token_hash(token)))


def switch_organisation(services: Services, *, token: str, issuer: str) -> None:
    """Let the signed-in person act for another of its organisations; raises NotSignedIn, NotFound, Conflict."""
    with write_session(services.engine) as session:
        person_id = live_session_of(session, token).person_id
        organisations = {
            membership.organisation.issuer: membership.organisation
            for membership in accounts.memberships_of(session, person_id=person_id)
        }
        if issuer not in organisations:
            raise NotFound
        if organisations[issuer].status is OrganisationStatus.SUSPENDED:
            # The session would be nobody's from then on.
            raise Conflict("The registry has suspended this organisation: nobody can act for it.", code="suspended")
        _change(session, token, organisation_id=organisations[issuer].id)


def list_sessions(session: Session, *, person_id: int, token: str) -> list[BrowserSession]:
    """The person's live sessions, the latest used first; token: that of the browser that asks."""
    now = now_ms()
    rows = session.scalars(
        select(SignInSessionRow)
        .where(
            SignInSessionRow.person_id == person_id,
            SignInSessionRow.expires_at > now,
            SignInSessionRow.seen_at > now - IDLE_MS,
        )
        .order_by(SignInSessionRow.seen_at.desc(), SignInSessionRow.created_at.desc())
    )
    mine = token_hash(token)
    return [
        BrowserSession(
            reference=row.reference,
            browser=row.browser,
            place=row.place,
            created_at=row.created_at,
            seen_at=row.seen_at - row.seen_at % HOUR_MS,
            is_this_one=row.token_hash == mine,
        )
        for row in rows
    ]


def end_session(services: Services, *, person_id: int, reference: str, visitor: Visitor) -> None:
    """End one of the person's sessions; raises NotFound."""
    with write_session(services.engine) as session:
        ended = session.scalars(
            delete(SignInSessionRow)
            .where(SignInSessionRow.person_id == person_id, SignInSessionRow.reference == reference)
            .returning(SignInSessionRow.reference)
        ).all()
        if not ended:
            raise NotFound
        note_event(session, person_id=person_id, kind=SecurityEvent.SESSION_ENDED, visitor=visitor)


def end_other_sessions(services: Services, *, person_id: int, token: str, visitor: Visitor) -> None:
    """End the person's sessions but that of the browser that asks."""
    with write_session(services.engine) as session:
        note_event(session, person_id=person_id, kind=SecurityEvent.SESSION_ENDED, visitor=visitor)
        end_sessions(session, person_id=person_id, but=token)


def end_sessions(session: Session, *, person_id: int, but: str | None = None) -> None:
    """End a person's sessions in the database session's transaction, all or all but one."""
    ending = delete(SignInSessionRow).where(SignInSessionRow.person_id == person_id)
    if but is not None:
        ending = ending.where(SignInSessionRow.token_hash != token_hash(but))
    session.execute(ending)


def renewed(session: Session, token: str, *, strong: bool = False) -> str:
    """The new token of a session whose person has just shown a password or passkey; the old one opens nothing.

    strong: a second factor is behind it from now on; otherwise that stays as it was. In the database session's
    transaction. Raises NotSignedIn.
    """
    live_session_of(session, token)
    fresh = new_token()
    shown = {"strong": True} if strong else {}
    _change(session, token, token_hash=token_hash(fresh), confirmed_at=now_ms(), **shown)
    return fresh


def live_session_of(session: Session, token: str) -> SignInSessionRow:
    """The session of this token; raises NotSignedIn."""
    row = live_session(session, token)
    if row is None:
        raise NotSignedIn
    return row


def _change(session: Session, token: str, **values: object) -> None:
    """Change the session of this token, unless another request has ended or renewed it by now; raises NotSignedIn."""
    changed = session.scalars(
        update(SignInSessionRow)
        .where(SignInSessionRow.token_hash == token_hash(token))
        .values(**values)
        .returning(SignInSessionRow.reference)
        .execution_options(synchronize_session=False)
    ).all()
    if not changed:
        raise NotSignedIn
