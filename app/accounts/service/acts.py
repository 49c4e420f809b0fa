"""Administrative acts: who gave or took which power, done and put on the ledger in one transaction.

A statement names people and machines by number (``person:7``), never by name or address: an account can be erased, the
ledger cannot.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, Row, select
from sqlalchemy.orm import Session

from app.accounts.models import AdministrativeActRow, OrganisationRow
from app.accounts.service import records
from app.accounts.service.people import member_roles, person_names
from app.accounts.service.statements import ledger_subject, payload, registry_entry
from app.core.audit_rows import LoggedRows, stated_time
from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import session_on
from app.core.sealing import Sealer
from app.core.services import Services
from ledger.audit import ExtraCheck

KIND = "act"
"""Kind of the ledger's entries about administrative acts."""

T = TypeVar("T")


class Act(StrEnum):
    """What was done."""

    MEMBER_INVITED = "member.invited"
    INVITATION_WITHDRAWN = "invitation.withdrawn"
    MEMBER_JOINED = "member.joined"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_REMOVED = "member.removed"
    API_KEY_CREATED = "api_key.created"
    API_KEY_REVOKED = "api_key.revoked"
    CLIENT_CREATED = "client.created"
    CLIENT_REVOKED = "client.revoked"
    CERTIFICATE_REGISTERED = "certificate.registered"
    CERTIFICATE_REVOKED = "certificate.revoked"
    DEVICE_ENROLLED = "device.enrolled"
    DEVICE_RENEWED = "device.renewed"
    DEVICE_REVOKED = "device.revoked"
    ACCOUNT_RECOVERED = "account.recovered"
    ACCOUNT_RECOVERY_REFUSED = "account.recovery_refused"
    PERSON_ERASED = "person.erased"
    LIMITS_CHANGED = "limits.changed"
    BATCH_RELEASED = "batch.released"
    BATCH_REFUSED = "batch.refused"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_REMOVED = "webhook.removed"


Details = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class ActRecord:
    """An act as its organisation reads it; `log_index` is its place in the ledger."""

    log_index: int
    act: Act
    actor: str
    details: dict[str, Any]
    at: int
    organisation_id: int


def perform(
    services: Services,
    act: Act,
    *,
    organisation_id: int,
    by: Principal,
    details: Details,
    apply: Callable[[Session], T],
) -> T:
    """Do an act and put it on the ledger, both or neither.

    details: what the act was about, in words and numbers; no secret, no name and no address of a person. apply: makes
    the change in the session of the ledger's transaction; an AppError from it refuses the act.
    """
    with Session(services.engine) as session:
        organisation = records.organisation_by_id(session, organisation_id)
    now = now_ms()
    said = dict(details)
    statement = payload(
        kind=KIND,
        organisation=organisation.issuer,
        at_ms=now,
        act=act.value,
        by=by.actor,
        details=said,
        nonce=secrets.token_hex(8),
    )

    def commit(connection: Connection, index: int) -> T:
        with session_on(connection) as session:
            result = apply(session)
            session.add(
                AdministrativeActRow(
                    log_index=index,
                    organisation_id=organisation.id,
                    act=act.value,
                    actor=by.actor,
                    details=orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode(),
                    at=now,
                )
            )
            session.flush()
            return result

    subject = _subject(services.sealer, organisation.issuer)
    # The nonce makes every statement new, so `commit` has run: the result is what it gave, which may be None.
    return services.log.append(registry_entry(services, subject, statement=statement), commit).result  # type: ignore[return-value]


def list_acts(session: Session, *, organisation_id: int, before: int | None = None, limit: int = 50) -> list[ActRecord]:
    """The organisation's acts, newest first; before: the ledger position from which to go back, not included."""
    query = select(AdministrativeActRow).where(AdministrativeActRow.organisation_id == organisation_id)
    if before is not None:
        query = query.where(AdministrativeActRow.log_index < before)
    rows = session.scalars(query.order_by(AdministrativeActRow.log_index.desc()).limit(limit))
    return [_record(row) for row in rows]


def acts_of_kind(session: Session, *, organisation_id: int, act: Act) -> list[ActRecord]:
    """All of the organisation's acts of one kind, in the order of the ledger."""
    rows = session.scalars(
        select(AdministrativeActRow)
        .where(AdministrativeActRow.organisation_id == organisation_id, AdministrativeActRow.act == act)
        .order_by(AdministrativeActRow.log_index)
    )
    return [_record(row) for row in rows]


def acts_everywhere(connection: Connection, act: Act) -> Iterator[ActRecord]:
    """All acts of one kind, of every organisation, in the order of the ledger: for audits."""
    rows = connection.execute(
        select(AdministrativeActRow.__table__)
        .where(AdministrativeActRow.act == act)
        .order_by(AdministrativeActRow.log_index)
    )
    for row in rows:
        yield _record(row)


def names_in_acts(session: Session, *, organisation_id: int, acts: Sequence[ActRecord]) -> dict[str, str]:
    """Names of the people whom an organisation's acts speak of, by the name that the records have: ``person:7``.

    Whom it knows: its members, and those an act was about. Others who acted (the registry's people) stay numbers.
    """
    members = set(member_roles(session, organisation_id))
    actors = {act.actor for act in acts} & members
    about = {str(act.details["person"]) for act in acts if "person" in act.details}
    numbers = {int(number) for name in actors | about if (number := name.removeprefix("person:")).isdigit()}
    return {f"person:{number}": name for number, name in person_names(session, numbers).items()}


def act_check(sealer: Sealer) -> ExtraCheck:
    """Make the audit's check of administrative acts: each row has its entry, and each entry its row."""
    acts = AdministrativeActRow.__table__.c

    def words(row: Row[Any]) -> dict[str, object]:
        return {
            "organisation": row.issuer,
            "time": stated_time(row.at),
            "act": row.act,
            "by": row.actor,
            "details": orjson.loads(row.details),
        }

    return LoggedRows(
        name="administrative_acts",
        code="act",
        kinds=frozenset({KIND}),
        rows=select(AdministrativeActRow.__table__, OrganisationRow.issuer).join(
            OrganisationRow, OrganisationRow.id == acts.organisation_id
        ),
        log_index=acts.log_index,
        label=lambda row: f"of {row.issuer} at {row.log_index}",
        words=words,
        about=lambda row: _subject(sealer, row.issuer),
    ).check


def _record(row: AdministrativeActRow | Row[Any]) -> ActRecord:
    return ActRecord(
        row.log_index, Act(row.act), row.actor, orjson.loads(row.details), row.at, organisation_id=row.organisation_id
    )


def _subject(sealer: Sealer, issuer: str) -> bytes:
    return ledger_subject(sealer, "acts", issuer)
