"""Members: people of an organisation and what they may do in it."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts.models import MembershipRow, OrganisationRow, PersonRow
from app.accounts.passwords import hash_password, new_temporary_password
from app.accounts.service import records
from app.accounts.service.people import check_person, new_person, normalise_email, person_with_email
from app.accounts.values import Member, Membership
from app.accounts.vocabulary import ROLES_OF_KIND, OrganisationKind, OrganisationStatus
from app.core.authorisation import Role
from app.core.database import write_session
from app.core.errors import Conflict, Faults, Invalid, NotFound
from app.core.services import Services

_MANAGING = (Role.OWNER, Role.PLATFORM_ADMINISTRATOR)


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member just added; the temporary password is shown once, and is None when the person had an account."""

    member: Member
    temporary_password: str | None


def list_members(session: Session, *, organisation_id: int) -> list[Member]:
    """The organisation's people by name."""
    found = session.execute(
        select(PersonRow.email, PersonRow.name, MembershipRow.role)
        .join(MembershipRow, MembershipRow.person_id == PersonRow.id)
        .where(MembershipRow.organisation_id == organisation_id)
        .order_by(PersonRow.name, PersonRow.email)
    )
    return [Member(email, name, Role(role)) for email, name, role in found]


def add_member(
    services: Services, *, organisation_id: int, email: str, name: str, role: Role, locale: str
) -> NewMember:
    """Add a person by e-mail address; a person without account gets one with a temporary password.

    Raises Invalid, Conflict when the person is a member already.
    """
    faults = Faults()
    entry = check_person(faults, email=email, name=name, password=None, locale=locale)
    faults.refuse_if_any("Some of the entries can not be used.")
    temporary = new_temporary_password()
    password_hash = hash_password(temporary)
    with write_session(services.engine) as session:
        _check_role(session, organisation_id, role)
        person = person_with_email(session, entry.email)
        is_new = person is None
        person = person or new_person(session, entry, password_hash)
        try:
            with session.begin_nested():
                session.add(MembershipRow(person_id=person.id, organisation_id=organisation_id, role=role.value))
        except IntegrityError:
            raise Conflict("This person is a member already.", code="already_member") from None
        member = Member(person.email, person.name, role)
    return NewMember(member, temporary if is_new else None)


def change_role(services: Services, *, organisation_id: int, email: str, role: Role) -> Member:
    """Give a member another role; raises NotFound, Invalid, Conflict when nobody would be left to manage."""
    with write_session(services.engine) as session:
        _check_role(session, organisation_id, role)
        person, membership = _member(session, organisation_id, email)
        was_managing = membership.role in _MANAGING
        membership.role = role.value
        session.flush()
        if was_managing:
            _refuse_without_manager(session, organisation_id)
        return Member(person.email, person.name, role)


def remove_member(services: Services, *, organisation_id: int, email: str) -> None:
    """End a membership, and with it what its sessions may do.

    Raises NotFound, Conflict when nobody would be left to manage.
    """
    with write_session(services.engine) as session:
        _person, membership = _member(session, organisation_id, email)
        session.delete(membership)
        session.flush()
        _refuse_without_manager(session, organisation_id)


def memberships_of(session: Session, *, person_id: int) -> list[Membership]:
    """The organisations for which a person can act, by name."""
    found = session.execute(
        select(OrganisationRow, MembershipRow.role)
        .join(MembershipRow, MembershipRow.organisation_id == OrganisationRow.id)
        .where(MembershipRow.person_id == person_id)
        .order_by(OrganisationRow.name, OrganisationRow.id)
    )
    return [Membership(records.organisation(row), Role(role)) for row, role in found]


def membership_in(session: Session, *, person_id: int, organisation_id: int) -> Membership | None:
    """What a person is to an organisation; None when nothing."""
    found = session.execute(
        select(OrganisationRow, MembershipRow.role)
        .join(MembershipRow, MembershipRow.organisation_id == OrganisationRow.id)
        .where(MembershipRow.person_id == person_id, MembershipRow.organisation_id == organisation_id)
    ).first()
    return None if found is None else Membership(records.organisation(found[0]), Role(found[1]))


def first_membership(session: Session, *, person_id: int) -> Membership | None:
    """The organisation for which a person acts after signing in: an approved one before one that waits.

    None when there is no other than suspended ones.
    """
    open_ones = [
        membership
        for membership in memberships_of(session, person_id=person_id)
        if membership.organisation.status is not OrganisationStatus.SUSPENDED
    ]

    def order(membership: Membership) -> tuple[bool, int]:
        return membership.organisation.status is not OrganisationStatus.APPROVED, membership.organisation.id

    return min(open_ones, key=order, default=None)


def roles_for(kind: OrganisationKind) -> list[Role]:
    """Roles that people and machines of such an organisation can have, in the table's order."""
    return [role for role in Role if role in ROLES_OF_KIND[kind]]


def _check_role(session: Session, organisation_id: int, role: Role) -> None:
    kind = OrganisationKind(session.get_one(OrganisationRow, organisation_id).kind)
    if role not in ROLES_OF_KIND[kind]:
        raise Invalid(
            "Nobody can be %(role)s in an organisation of kind %(kind)s.",
            code="role_not_of_kind",
            role=role.value,
            kind=kind.value,
        )


def _member(session: Session, organisation_id: int, email: str) -> tuple[PersonRow, MembershipRow]:
    found = session.execute(
        select(PersonRow, MembershipRow)
        .join(MembershipRow, MembershipRow.person_id == PersonRow.id)
        .where(MembershipRow.organisation_id == organisation_id, PersonRow.email == normalise_email(email))
    ).first()
    if found is None:
        raise NotFound
    return found[0], found[1]


def _refuse_without_manager(session: Session, organisation_id: int) -> None:
    left = session.scalar(
        select(func.count())
        .select_from(MembershipRow)
        .where(MembershipRow.organisation_id == organisation_id, MembershipRow.role.in_(_MANAGING))
    )
    if not left:
        raise Conflict(
            "Somebody must be left to manage the organisation.",
            code="last_manager",
            fix="Give another member the role of owner first.",
        )
