"""Second persons: who can stand beside the one who asked, so that no single account, nor its thief, acts alone."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import AdministrativeActRow, MembershipRow, OrganisationRow, PersonRow
from app.accounts.service.acts import Act
from app.accounts.service.people import Person, person_by_id
from app.accounts.vocabulary import OrganisationKind, permissions_in
from app.core.authorisation import Permission, Role
from app.core.clock import now_ms
from app.core.errors import Forbidden

SETTLED_MS = 24 * 3_600_000
"""How long somebody must have had the present place before counting as a second person.

Otherwise whoever took over one account would invite an accomplice and be two at once. In a day the mail about it is
read.
"""
_ARRIVALS = (Act.MEMBER_JOINED, Act.MEMBER_ROLE_CHANGED, Act.ACCOUNT_RECOVERED)


def refuse_unless_second(
    session: Session, *, organisation_id: int, person_id: int | None, asked_by_person: int | None
) -> None:
    """Raise Forbidden unless this person, a member still, may stand beside the one who asked.

    person_id: the caller, or who made the calling machine; None for a machine of which nobody knows the maker.
    """
    if not person_id:
        raise Forbidden(
            "Only a person can be the second person, or a machine whose maker is known.", code="person_needed"
        )
    if person_id == asked_by_person:
        raise Forbidden(
            "This needs a second person: you asked for it yourself.",
            code="second_person_needed",
            fix="Ask another member of your organisation who may do it.",
        )
    if session.get(MembershipRow, (person_id, organisation_id)) is None:
        raise Forbidden(
            "Whoever made this machine does not belong to the organisation any more.",
            code="second_person_gone",
            fix="Ask a member of your organisation who may do it.",
        )
    if _has_just_come(session, organisation_id, person_id):
        raise Forbidden(
            "Whoever joined, got another role or had the account recovered within the last 24 hours can not be the "
            "second person yet.",
            code="second_person_too_new",
            fix="Wait until the 24 hours are over, or ask another member.",
        )


def people_who_may(session: Session, *, organisation_id: int, permission: Permission) -> list[Person]:
    """The organisation's people whose role has this permission, by number."""
    found = session.execute(
        select(MembershipRow.person_id, MembershipRow.role, OrganisationRow.kind)
        .join(OrganisationRow, OrganisationRow.id == MembershipRow.organisation_id)
        .where(MembershipRow.organisation_id == organisation_id)
        .join(PersonRow, PersonRow.id == MembershipRow.person_id)
        .order_by(MembershipRow.person_id)
    ).all()
    return [
        person_by_id(session, number)
        for number, role, kind in found
        if permission in permissions_in(OrganisationKind(kind), Role(role))
    ]


def _has_just_come(session: Session, organisation_id: int, person_id: int) -> bool:
    name = f"person:{person_id}"
    rows = session.execute(
        select(AdministrativeActRow.act, AdministrativeActRow.actor, AdministrativeActRow.details).where(
            AdministrativeActRow.organisation_id == organisation_id,
            AdministrativeActRow.act.in_(_ARRIVALS),
            AdministrativeActRow.at > now_ms() - SETTLED_MS,
        )
    )
    # Whoever accepts an invitation is the actor of joining; in the others the details name whom it is about.
    return any(f'"{name}"' in details or (act == Act.MEMBER_JOINED and actor == name) for act, actor, details in rows)
