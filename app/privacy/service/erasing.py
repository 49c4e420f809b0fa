"""Erasing a person: what leads to her goes, the number stays, and the ledger is as it was and says that it happened.

Statements name people by number alone, so nothing on the ledger has to be touched. Powers are given up first, each on
the record of its organisation: devices, then memberships.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Delete, Table, delete, select, update
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Principal
from app.core.errors import Conflict, Forbidden
from app.core.mail import OutgoingMailRow, mail_waiting_for
from app.core.services import Services
from app.devices import service as devices
from app.migrations.tables import metadata
from app.privacy.personal_tables import PERSONAL, AtErasure, PersonalColumn

DEVICE_REASON = "The person's account is being erased."


class ErasureReason(StrEnum):
    """Why an account is erased, as the ledger says it: a word of this list, so that it names nobody."""

    OWN_WISH = "own_wish"
    ASKED_IN_WRITING = "asked_in_writing"
    COURT_ORDER = "court_order"
    MISTAKE = "made_by_mistake"
    DEAD = "person_died"


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done. person: the number that stays, as records name it."""

    person: str
    memberships: int
    devices: int


def erase_own_account(services: Services, *, by: Principal) -> Erased:
    """Erase the account of the caller. Raises Forbidden for a machine, Conflict for the last manager of a firm."""
    if by.person_id is None or by.organisation_id is None:
        raise Forbidden
    return _erase(services, person_id=by.person_id, by=by, recorded_with=by.organisation_id, why=ErasureReason.OWN_WISH)


def erase_for_person(services: Services, *, person_id: int, by: Principal, why: ErasureReason) -> Erased:
    """Erase an account for a person who asks the registry to; on the record of the caller's organisation.

    by: of the registry. Raises NotFound, Conflict for the last manager of an organisation: somebody else has to be
    given that role, or the organisation be wound up, first.
    """
    if by.organisation_id is None:
        raise Forbidden
    return _erase(services, person_id=person_id, by=by, recorded_with=by.organisation_id, why=why)


def _erase(services: Services, *, person_id: int, by: Principal, recorded_with: int, why: ErasureReason) -> Erased:
    with Session(services.engine) as session:
        person = accounts.person_by_id(session, person_id)
        if person.email == _no_address(person_id):
            raise Conflict("This account is erased already.", code="erased_already")
        memberships = accounts.memberships_of(session, person_id=person_id)
        for membership in memberships:
            _refuse_last_manager(session, membership.organisation, person_id)
    ended = 0
    for membership in memberships:
        # On the record of each of her organisations, and under the name of who does it: herself, or the registry.
        herself = Principal(organisation_id=membership.organisation.id, role=membership.role, person_id=person_id)
        acting = herself if by.person_id == person_id else replace(by, organisation_id=membership.organisation.id)
        ended += _end_devices(services, acting, person_id)
        accounts.remove_member(services, by=acting, email=person.email)
    accounts.perform(
        services,
        accounts.Act.PERSON_ERASED,
        organisation_id=recorded_with,
        by=by,
        details={"person": f"person:{person_id}", "reason": why.value},
        apply=lambda session: _clear(session, services, person_id, person.email),
    )
    return Erased(f"person:{person_id}", len(memberships), ended)


def _refuse_last_manager(session: Session, organisation: accounts.Organisation, person_id: int) -> None:
    """Before anything is given up: what is refused half-way would leave somebody with half an account."""
    if [manager.id for manager in accounts.managers_of(session, organisation.id)] == [person_id]:
        raise Conflict(
            "Nobody would be left to manage %(organisation)s.",
            code="last_manager",
            fix="Give another member the role of owner first.",
            organisation=organisation.name,
        )


def _end_devices(services: Services, acting: Principal, person_id: int) -> int:
    with Session(services.engine) as session:
        table: Table = metadata.tables["devices"]
        working = session.scalars(
            select(table.c.id).where(
                table.c.person_id == person_id,
                table.c.organisation_id == acting.organisation_id,
                table.c.revoked_at.is_(None),
            )
        ).all()
    for device_id in working:
        devices.revoke_device(services, principal=acting, device_id=device_id, reason=DEVICE_REASON)
    return len(working)


def _clear(session: Session, services: Services, person_id: int, email: str) -> None:
    """Remove the rows that go, and from the person's own what leads to her."""
    for column in PERSONAL:
        if column.at_erasure is AtErasure.DELETE:
            session.execute(_removal(column, person_id, email))
    waiting = mail_waiting_for(session.connection(), services, email)
    session.execute(delete(OutgoingMailRow).where(OutgoingMailRow.id.in_(waiting)))
    device_table = metadata.tables["devices"]
    session.execute(update(device_table).where(device_table.c.person_id == person_id).values(name=""))
    people = metadata.tables["people"]
    nobody = {"email": _no_address(person_id), "name": "", "password_hash": ""}
    session.execute(update(people).where(people.c.id == person_id).values(nobody))


def _removal(column: PersonalColumn, person_id: int, email: str) -> Delete:
    table: Table = metadata.tables[column.table]
    name = column.name_of(person_id, email)
    return delete(table).where(table.c[column.column] == name)


def _no_address(person_id: int) -> str:
    """What stands instead of an e-mail address: none, and different for each person."""
    return f"erased:{person_id}"
