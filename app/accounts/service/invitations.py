"""Invitations: the only way into an organisation that exists, by a link in a letter to one address, on the ledger.

The ledger knows an invitation by its reference and role, never by its address. An open invitation is a row; accepted or
withdrawn it is gone. Its link works for as long as whoever sent it manages the organisation.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.joining_models import InvitationRow
from app.accounts.models import MembershipRow, OrganisationRow, PersonRow
from app.accounts.passwords import hash_password
from app.accounts.service import letters, records
from app.accounts.service.acts import Act, perform
from app.accounts.service.members import check_role, refuse_machine_beyond_itself
from app.accounts.service.people import MANAGING, check_person, new_person, person_with_email
from app.accounts.service.sign_up import Joined
from app.accounts.values import Organisation
from app.accounts.vocabulary import OrganisationStatus
from app.core.attempts import count_attempt
from app.core.authorisation import Principal, Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Faults, Forbidden, NotFound
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from app.core.tokens import new_token, token_hash
from scanners.codes.serial import ALPHABET

INVITATION_MS = 7 * 24 * 3600 * 1000
"""How long the link in the letter works."""
OPEN_INVITATIONS = 100
"""How many an approved organisation may have."""
OPEN_WHILE_WAITING = 5
"""How many one may have that the registry does not know yet: letters go out in the registry's name."""
LETTERS_OF_ORGANISATION = 50
"""Letters of invitation that an organisation may cause in 15 minutes."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that is open; `has_ended` when its link is too old and it has to be sent again."""

    reference: str
    organisation_id: int
    email: str
    role: Role
    invited_by: str
    created_at: int
    expires_at: int

    @property
    def has_ended(self) -> bool:
        """Whether the link no longer works."""
        return self.expires_at <= now_ms()


def list_invitations(session: Session, *, organisation_id: int) -> list[Invitation]:
    """The organisation's open invitations, newest first."""
    rows = session.scalars(
        select(InvitationRow)
        .where(InvitationRow.organisation_id == organisation_id)
        .order_by(InvitationRow.created_at.desc(), InvitationRow.reference)
    )
    return [_invitation(row) for row in rows]


def invite(services: Services, *, by: Principal, email: str, role: Role, locale: str) -> Invitation:
    """Invite somebody into the caller's organisation and send the letter, on the ledger.

    locale: language of the letter. Whether the address has an account is neither asked nor told. Raises Invalid,
    Forbidden (a machine that would give more than it has), Conflict ("already_member", "already_invited",
    "too_many_invitations"), TooMany.
    """
    organisation_id = _own(by)
    faults = Faults()
    entry = check_person(faults, email=email, name="--", password=None, locale=locale)
    faults.refuse_if_any("Some of the entries can not be used.")
    with Session(services.engine) as session:
        check_role(session, organisation_id, role)
        refuse_machine_beyond_itself(session, by, role)
    _count_letter(services, organisation_id)
    reference, token, now = _new_reference(), new_token(), now_ms()

    def apply(session: Session) -> Invitation:
        organisation = records.organisation_by_id(session, organisation_id)
        _refuse_member(session, organisation_id, entry.email)
        _refuse_too_many(session, organisation)
        if session.scalar(
            select(InvitationRow.reference).where(
                InvitationRow.organisation_id == organisation_id, InvitationRow.email == entry.email
            )
        ):
            raise Conflict("This address is invited already.", code="already_invited", fix="Send the letter again.")
        row = InvitationRow(
            reference=reference,
            organisation_id=organisation_id,
            token_hash=token_hash(token),
            email=entry.email,
            role=role.value,
            locale=entry.locale,
            invited_by=by.actor,
            created_at=now,
            expires_at=now + INVITATION_MS,
        )
        session.add(row)
        session.flush()
        _write(session, services, row, organisation, token)
        return _invitation(row)

    return perform(
        services,
        Act.MEMBER_INVITED,
        organisation_id=organisation_id,
        by=by,
        details={"invitation": reference, "role": role.value},
        apply=apply,
    )


def send_again(services: Services, *, by: Principal, reference: str) -> Invitation:
    """Send an open invitation with a new link; the one before no longer works. Raises NotFound, TooMany."""
    organisation_id = _own(by)
    with Session(services.engine) as session:
        role = Role(_open_row(session, organisation_id, reference).role)
        refuse_machine_beyond_itself(session, by, role)
    _count_letter(services, organisation_id)
    token, now = new_token(), now_ms()

    def apply(session: Session) -> Invitation:
        row = _open_row(session, organisation_id, reference)
        row.token_hash = token_hash(token)
        row.created_at = now
        row.expires_at = now + INVITATION_MS
        row.invited_by = by.actor
        session.flush()
        _write(session, services, row, records.organisation_by_id(session, organisation_id), token)
        return _invitation(row)

    return perform(
        services,
        Act.MEMBER_INVITED,
        organisation_id=organisation_id,
        by=by,
        details={"invitation": reference, "role": role.value, "again": True},
        apply=apply,
    )


def withdraw_invitation(services: Services, *, by: Principal, reference: str) -> None:
    """Take an open invitation back, on the ledger; its link no longer works. Raises NotFound."""
    organisation_id = _own(by)
    with Session(services.engine) as session:
        _open_row(session, organisation_id, reference)

    def apply(session: Session) -> None:
        session.delete(_open_row(session, organisation_id, reference))

    perform(
        services,
        Act.INVITATION_WITHDRAWN,
        organisation_id=organisation_id,
        by=by,
        details={"invitation": reference},
        apply=apply,
    )


@dataclass(frozen=True, slots=True)
class OpenedInvitation:
    """What the holder of a link sees; must_sign_in: the address has an account, which has to accept."""

    invitation: Invitation
    organisation: Organisation
    must_sign_in: bool


def open_invitation(session: Session, *, token: str) -> OpenedInvitation:
    """The invitation behind a link; raises NotFound when it is used, withdrawn, too old or made up."""
    row = _row_of(session, token)
    return OpenedInvitation(
        _invitation(row),
        records.organisation_by_id(session, row.organisation_id),
        must_sign_in=_can_sign_in(session, person_with_email(session, row.email)),
    )


def accept_as_new(services: Services, *, token: str, name: str, password: str, locale: str) -> Joined:
    """Make the account of an invited person and the membership, on the ledger.

    A person whose account opens nothing any more (its last organisation let it go) gets the new password instead: the
    link proves the address as a recovery's would. Raises NotFound, Invalid, Conflict ("sign_in_first").
    """
    with Session(services.engine) as session:
        invited = _invitation(_row_of(session, token))
    faults = Faults()
    entry = check_person(faults, email=invited.email, name=name, password=password, locale=locale)
    faults.refuse_if_any("Some of the entries can not be used.")
    password_hash = hash_password(password)
    with write_session(services.engine) as session:
        _row_of(session, token)
        person = person_with_email(session, entry.email)
        if _can_sign_in(session, person):
            raise Conflict(
                "This address has an account.", code="sign_in_first", fix="Sign in with it, then open the link again."
            )
        is_new = person is None
        # A stop after this transaction leaves an account that opens nothing; the link still works and finds it here.
        if person is None:
            person = new_person(session, entry, password_hash)
        else:
            person.name, person.locale, person.password_hash = entry.name, entry.locale, password_hash
        number = person.id
    return _join(services, token, person_id=number, is_new=is_new)


def accept_signed_in(services: Services, *, token: str, person_id: int) -> Joined:
    """Let the signed-in person accept, on the ledger; the invitation must be for its very address.

    Raises NotFound, Forbidden ("another_address"), Conflict ("already_member").
    """
    with Session(services.engine) as session:
        row, person = _row_of(session, token), session.get(PersonRow, person_id)
        if person is None or person.email != row.email:
            raise Forbidden(
                "This invitation is for another address than yours.",
                code="another_address",
                fix="Sign out, then open the link again and sign in with the address that got the letter.",
            )
    return _join(services, token, person_id=person_id, is_new=False)


def _join(services: Services, token: str, *, person_id: int, is_new: bool) -> Joined:
    with Session(services.engine) as session:
        invited = _invitation(_row_of(session, token))
    by = Principal(organisation_id=invited.organisation_id, role=invited.role, person_id=person_id)

    def apply(session: Session) -> Organisation:
        row = _row_of(session, token)
        _refuse_member(session, row.organisation_id, row.email)
        session.add(MembershipRow(person_id=person_id, organisation_id=row.organisation_id, role=row.role))
        session.delete(row)
        notify(
            session,
            organisation_id=invited.organisation_id,
            kind=NoticeKind.MEMBER_JOINED,
            data={"person": by.actor, "role": invited.role.value},
        )
        return records.organisation_by_id(session, invited.organisation_id)

    organisation = perform(
        services,
        Act.MEMBER_JOINED,
        organisation_id=invited.organisation_id,
        by=by,
        details={"person": by.actor, "role": invited.role.value, "invitation": invited.reference},
        apply=apply,
    )
    return Joined(person_id, organisation, is_new)


def _own(by: Principal) -> int:
    if by.organisation_id is None:
        raise Forbidden
    return by.organisation_id


def _count_letter(services: Services, organisation_id: int) -> None:
    count_attempt(services, {f"invitations:{organisation_id}": LETTERS_OF_ORGANISATION})


def _write(session: Session, services: Services, row: InvitationRow, organisation: Organisation, token: str) -> None:
    letters.invitation(
        session, services, email=row.email, language=row.locale, organisation=organisation.name, token=token
    )


def _refuse_member(session: Session, organisation_id: int, email: str) -> None:
    is_member = session.scalar(
        select(MembershipRow.person_id)
        .join(PersonRow, PersonRow.id == MembershipRow.person_id)
        .where(MembershipRow.organisation_id == organisation_id, PersonRow.email == email)
    )
    if is_member is not None:
        raise Conflict("This person is a member already.", code="already_member")


def _refuse_too_many(session: Session, organisation: Organisation) -> None:
    count = session.scalar(
        select(func.count()).select_from(InvitationRow).where(InvitationRow.organisation_id == organisation.id)
    )
    allowed = OPEN_INVITATIONS if organisation.status is OrganisationStatus.APPROVED else OPEN_WHILE_WAITING
    if (count or 0) >= allowed:
        raise Conflict(
            "There are %(count)s open invitations already.",
            code="too_many_invitations",
            fix="Withdraw some of them first.",
            count=count,
        )


def _can_sign_in(session: Session, person: PersonRow | None) -> bool:
    """Whether the account opens some organisation that is not suspended."""
    if person is None:
        return False
    open_ones = (
        select(MembershipRow.organisation_id)
        .join(OrganisationRow, OrganisationRow.id == MembershipRow.organisation_id)
        .where(MembershipRow.person_id == person.id, OrganisationRow.status != OrganisationStatus.SUSPENDED)
    )
    return session.scalar(open_ones.limit(1)) is not None


def _open_row(session: Session, organisation_id: int, reference: str) -> InvitationRow:
    row = session.get(InvitationRow, reference, populate_existing=True)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound
    return row


def _row_of(session: Session, token: str) -> InvitationRow:
    row = session.scalar(
        select(InvitationRow)
        .join(OrganisationRow, OrganisationRow.id == InvitationRow.organisation_id)
        .where(
            InvitationRow.token_hash == token_hash(token),
            InvitationRow.expires_at > now_ms(),
            OrganisationRow.status != OrganisationStatus.SUSPENDED,
        )
        .execution_options(populate_existing=True)
    )
    if row is None or not _may_still_invite(session, row):
        raise NotFound(
            "This invitation does not work any more.",
            code="link_ended",
            fix="Invitations work once and for seven days. If you have accepted it, sign in; else ask for another one.",
        )
    return row


def _may_still_invite(session: Session, row: InvitationRow) -> bool:
    """Whether a person who invited still manages the organisation: who is removed must not come back by such a link."""
    kind, _, number = row.invited_by.partition(":")
    if kind != "person":
        return True
    inviting = session.get(MembershipRow, (int(number), row.organisation_id), populate_existing=True)
    return inviting is not None and inviting.role in MANAGING


def _invitation(row: InvitationRow) -> Invitation:
    return Invitation(
        reference=row.reference,
        organisation_id=row.organisation_id,
        email=row.email,
        role=Role(row.role),
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _new_reference() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(10))
