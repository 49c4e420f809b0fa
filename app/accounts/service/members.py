"""Members: people of an organisation and what they may do in it; every change is an act on the ledger.

What a session may do is asked of the membership at every request, so a change counts at the person's next click. Whom
others change or let go gets a letter: a thief of one account must not be rid of the other owners unseen.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import MembershipRow, OrganisationRow, PersonRow
from app.accounts.service import letters, records
from app.accounts.service.acts import Act, perform
from app.accounts.service.people import MANAGING, person_with_email
from app.accounts.values import Member, Membership
from app.accounts.vocabulary import ROLES_OF_KIND, OrganisationKind, OrganisationStatus, permissions_in
from app.core.authorisation import Principal, Role
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.services import Services


def list_members(session: Session, *, organisation_id: int) -> list[Member]:
    """The organisation's people by name."""
    found = session.execute(
        select(PersonRow.email, PersonRow.name, MembershipRow.role)
        .join(MembershipRow, MembershipRow.person_id == PersonRow.id)
        .where(MembershipRow.organisation_id == organisation_id)
        .order_by(PersonRow.name, PersonRow.email)
    )
    return [Member(email, name, Role(role)) for email, name, role in found]


def change_role(services: Services, *, by: Principal, email: str, role: Role) -> Member:
    """Give a member of the caller's organisation another role, on the ledger; it counts at the member's next click.

    Raises NotFound, Invalid, Forbidden (a machine that would give more than it has), Conflict when nobody would be left
    to manage ("last_manager") or the member has the role already ("same_role").
    """
    organisation_id = _own(by)
    with Session(services.engine) as session:
        check_role(session, organisation_id, role)
        refuse_machine_beyond_itself(session, by, role)
        person, membership = _member(session, organisation_id, email)
        number, before = person.id, membership.role
    if before == role:
        raise Conflict("The member has this role already.", code="same_role")

    def apply(session: Session) -> Member:
        person, membership = _membership(session, organisation_id, number)
        if membership.role != before:
            raise Conflict("This role has just changed. Look again.", code="members_changed")
        membership.role = role.value
        session.flush()
        _refuse_without_manager(session, organisation_id)
        if by.person_id != number:
            name = records.organisation_by_id(session, organisation_id).name
            letters.other_role(session, services, email=person.email, language=person.locale, organisation=name)
        return Member(person.email, person.name, role)

    return perform(
        services,
        Act.MEMBER_ROLE_CHANGED,
        organisation_id=organisation_id,
        by=by,
        details={"person": f"person:{number}", "from": before, "role": role.value},
        apply=apply,
    )


def remove_member(services: Services, *, by: Principal, email: str) -> None:
    """End a membership of the caller's organisation, on the ledger, and with it at once what its sessions may do.

    Raises NotFound, Conflict when nobody would be left to manage ("last_manager").
    """
    organisation_id = _own(by)
    with Session(services.engine) as session:
        person, _ = _member(session, organisation_id, email)
        number = person.id
    _end(services, by=by, organisation_id=organisation_id, person_id=number)


def leave_organisation(services: Services, *, by: Principal) -> None:
    """End one's own membership of the organisation that one acts for.

    Raises NotFound, Conflict when nobody would be left to manage ("last_manager").
    """
    if by.person_id is None:
        raise Forbidden
    _end(services, by=by, organisation_id=_own(by), person_id=by.person_id)


def _end(services: Services, *, by: Principal, organisation_id: int, person_id: int) -> None:
    def apply(session: Session) -> None:
        person, membership = _membership(session, organisation_id, person_id)
        session.delete(membership)
        session.flush()
        _refuse_without_manager(session, organisation_id)
        if by.person_id != person_id:
            name = records.organisation_by_id(session, organisation_id).name
            letters.let_go(session, services, email=person.email, language=person.locale, organisation=name)

    with Session(services.engine) as session:
        _membership(session, organisation_id, person_id)
    perform(
        services,
        Act.MEMBER_REMOVED,
        organisation_id=organisation_id,
        by=by,
        details={"person": f"person:{person_id}"},
        apply=apply,
    )


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


def check_role(session: Session, organisation_id: int, role: Role) -> None:
    """Refuse a role that nobody can have in an organisation of this kind; raises Invalid, NotFound."""
    kind = records.organisation_by_id(session, organisation_id).kind
    if role not in ROLES_OF_KIND[kind]:
        raise Invalid(
            "Nobody can be %(role)s in an organisation of kind %(kind)s.",
            code="role_not_of_kind",
            role=role.value,
            kind=kind.value,
        )


def refuse_machine_beyond_itself(session: Session, by: Principal, role: Role) -> None:
    """Refuse a machine that would give a person more than its own scopes allow; raises Forbidden."""
    if by.person_id is not None:
        return
    kind = records.organisation_by_id(session, _own(by)).kind
    if not permissions_in(kind, role) <= by.permissions:
        raise Forbidden("A machine can not give a role that may do more than itself.")


def _own(by: Principal) -> int:
    if by.organisation_id is None:
        raise Forbidden
    return by.organisation_id


def _member(session: Session, organisation_id: int, email: str) -> tuple[PersonRow, MembershipRow]:
    person = person_with_email(session, email)
    if person is None:
        raise NotFound
    return _membership(session, organisation_id, person.id)


def _membership(session: Session, organisation_id: int, person_id: int) -> tuple[PersonRow, MembershipRow]:
    found = session.execute(
        select(PersonRow, MembershipRow)
        .join(MembershipRow, MembershipRow.person_id == PersonRow.id)
        .where(MembershipRow.organisation_id == organisation_id, PersonRow.id == person_id)
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound
    return found[0], found[1]


def _refuse_without_manager(session: Session, organisation_id: int) -> None:
    left = session.scalar(
        select(func.count())
        .select_from(MembershipRow)
        .where(MembershipRow.organisation_id == organisation_id, MembershipRow.role.in_(MANAGING))
    )
    if not left:
        raise Conflict(
            "Somebody must be left to manage the organisation.",
            code="last_manager",
            fix="Give another member the role of owner first.",
        )
