"""A new password for somebody who has lost it: by a link in a mail, which never takes a second factor away."""

import time

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.access.models import RecoveryLinkRow
from app.access.service.history import SecurityEvent, note_event, note_failure
from app.access.service.letters import Letter, address_of, send_letter
from app.access.service.sessions import end_sessions
from app.access.service.signing_in import hash_of_new_password, set_password
from app.access.visitors import Visitor
from app.accounts import service as accounts
from app.core.attempts import count_attempt
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import NotFound
from app.core.mail import queue_mail
from app.core.services import Services
from app.core.tokens import new_token, token_hash

LINK_MS = 30 * 60 * 1000
ASKED_OF_ADDRESS = 20
"""Links that one network address may ask for in 15 minutes."""
ASKED_FOR_ACCOUNT = 3
"""Mails that one person may be sent in 15 minutes, whoever asks."""
TRIED_OF_ADDRESS = 60
ANSWER_SECONDS = 0.25
"""How long the answer takes at least: several times what either way costs, so that the difference drowns."""


def ask_for_recovery(services: Services, *, email: str, visitor: Visitor) -> None:
    """Send the link if somebody has this address; nothing tells whether, the time it takes included. Raises TooMany."""
    started = time.monotonic()
    email = accounts.normalise_email(email)[:300]
    count_attempt(
        services,
        {f"recovery address:{visitor.address}": ASKED_OF_ADDRESS, f"recovery account:{email}": ASKED_FOR_ACCOUNT},
    )
    _send_link(services, email, visitor)
    time.sleep(max(0.0, started + ANSWER_SECONDS - time.monotonic()))


def _send_link(services: Services, email: str, visitor: Visitor) -> None:
    """Write and seal the same both ways: for an address that nobody has, what leads nowhere and is not sent."""
    token, now = new_token(), now_ms()
    with write_session(services.engine) as session:
        session.execute(delete(RecoveryLinkRow).where(RecoveryLinkRow.expires_at <= now))
        person = accounts.find_person(session, email=email)
        session.add(
            RecoveryLinkRow(
                token_hash=token_hash(token), person_id=person.id if person else None, expires_at=now + LINK_MS
            )
        )
        address = address_of(services, f"/recover/{token}")
        if person is not None:
            note_failure(session, person_id=person.id, kind=SecurityEvent.RECOVERY_ASKED, visitor=visitor)
            send_letter(session, services, Letter.RECOVERY, person_id=person.id, address=address)
            return
        with session.begin_nested() as unsent:
            queue_mail(session, services, to="nobody@example.org", subject=address, text=address * 4)
            session.flush()
            unsent.rollback()


def check_recovery_link(session: Session, *, token: str) -> None:
    """Raises NotFound when the link is used, over or made up; changes nothing."""
    _person_of_link(session, token)


def recover(services: Services, *, token: str, new: str, visitor: Visitor) -> None:
    """Set the new password and end all sessions; the link, and all others of the person, are used up.

    Raises NotFound, Invalid (the link stays good), TooMany.
    """
    count_attempt(services, {f"recovery tried:{visitor.address}": TRIED_OF_ADDRESS})
    with Session(services.engine) as session:
        person_id = _person_of_link(session, token)
    password_hash = hash_of_new_password(services, person_id=person_id, new=new)
    with write_session(services.engine) as session:
        used = session.scalars(
            delete(RecoveryLinkRow)
            .where(RecoveryLinkRow.token_hash == token_hash(token))
            .returning(RecoveryLinkRow.person_id)
        ).all()
        if not used:  # of two at once, the database lets one take the link
            raise _link_is_over()
        set_password(session, services, person_id=person_id, password_hash=password_hash)
        end_sessions(session, person_id=person_id)
        note_event(session, person_id=person_id, kind=SecurityEvent.PASSWORD_RECOVERED, visitor=visitor)


def _person_of_link(session: Session, token: str) -> int:
    person_id = session.scalar(
        select(RecoveryLinkRow.person_id).where(
            RecoveryLinkRow.token_hash == token_hash(token), RecoveryLinkRow.expires_at > now_ms()
        )
    )
    if person_id is None:
        raise _link_is_over()
    return person_id


def _link_is_over() -> NotFound:
    return NotFound("This link is used or too old. Ask for another.", code="link_over")
