"""People who decide for the registry: added from the command line only, and named on the ledger by number."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import MembershipRow, OrganisationRow
from app.accounts.passwords import hash_password
from app.accounts.service import records
from app.accounts.service.acts import Act, perform
from app.accounts.service.deciding import approve_organisation
from app.accounts.service.organisations import new_organisation_row
from app.accounts.service.people import check_person, new_person
from app.accounts.values import Organisation
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus
from app.core.authorisation import Principal, Role
from app.core.database import write_session
from app.core.errors import Faults
from app.core.services import Services


def create_platform_administrator(services: Services, *, email: str, password: str, name: str) -> Organisation:
    """Add a person who decides for the registry; the registry's own organisation is made at the first one.

    Raises Invalid, Conflict when the e-mail address has an account.
    """
    faults = Faults()
    person = check_person(faults, email=email, name=name, password=password, locale="en")
    faults.refuse_if_any("Some of the entries can not be used.")
    password_hash = hash_password(password)
    with write_session(services.engine) as session:
        administrator = new_person(session, person, password_hash)
        number = administrator.id
        row = session.scalar(select(OrganisationRow).where(OrganisationRow.kind == OrganisationKind.REGISTRY))
        if row is None:
            row = new_organisation_row(
                session, name=services.settings.registry_name, country="ZZ", kind=OrganisationKind.REGISTRY
            )
        registry = records.organisation(row)
        if registry.status is OrganisationStatus.PENDING:
            # Its approval, next, names the people that it finds.
            session.add(_membership(number, registry.id))
    actor = Principal(person_id=number, role=Role.PLATFORM_ADMINISTRATOR)
    if registry.status is OrganisationStatus.PENDING:
        return approve_organisation(
            services, issuer=registry.issuer, decided_by=actor, reason="The registry's own organisation."
        )

    def join(session: Session) -> None:
        session.add(_membership(number, registry.id))

    perform(
        services,
        Act.MEMBER_JOINED,
        organisation_id=registry.id,
        by=actor,
        details={"person": actor.actor, "role": Role.PLATFORM_ADMINISTRATOR.value},
        apply=join,
    )
    return registry


def _membership(person_id: int, registry_id: int) -> MembershipRow:
    return MembershipRow(person_id=person_id, organisation_id=registry_id, role=Role.PLATFORM_ADMINISTRATOR.value)
