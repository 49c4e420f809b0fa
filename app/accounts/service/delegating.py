"""The owner of a GTIN lets a maker commission units of it."""

import contextlib

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from app.accounts.entitlements import normalise_gtin
from app.accounts.models import IssuingRightRow
from app.accounts.service import records
from app.accounts.service.entitled import find_entitlement
from app.accounts.service.keys import refuse_revoked_signer, statement_signer
from app.accounts.service.right_entries import (
    append_right,
    check_quota,
    new_reference,
    right_payload,
    right_subject,
    tell_holder,
)
from app.accounts.values import Organisation, Right
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus, RightKind, RightStatus
from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import session_on
from app.core.errors import Conflict, Faults, Forbidden, NotFound
from app.core.services import Services
from ledger.log import NewEntry


def delegate_gtin(
    services: Services,
    *,
    owner_organisation_id: int,
    gtin: str,
    to_issuer: str,
    quota: int,
    valid_until: int,
    actor: Principal,
    lot_quota: int | None = None,
) -> Right:
    """Let another organisation commission units of an own GTIN, up to `quota`, until `valid_until` (milliseconds).

    lot_quota: units of one lot at most, over all makers. Stated and signed by the owner. Raises Invalid, NotFound (no
    such organisation), Forbidden (not the owner's GTIN).
    """
    gtin = normalise_gtin(gtin)
    now = now_ms()
    faults = Faults()
    check_quota(faults, quota)
    check_quota(faults, lot_quota, "/lot_quota")
    if valid_until <= now:
        faults.add("/valid_until", "The end must lie in the future.")
    faults.refuse_if_any("Some of the entries can not be used.")
    with Session(services.engine) as session:
        owner = records.organisation_by_id(session, owner_organisation_id)
        maker = _maker(session, to_issuer)
        if maker.id == owner.id:
            raise Conflict("An organisation needs no delegation from itself.", code="delegation_to_itself")
        _refuse_unless_owned(session, organisation_id=owner.id, gtin=gtin, at_ms=now)
        signer = statement_signer(session, services.sealer, organisation_id=owner.id)
    right = Right(
        reference=new_reference(),
        organisation_id=maker.id,
        kind=RightKind.DELEGATION,
        value=gtin,
        granted_by=owner.id,
        quota=quota,
        lot_quota=lot_quota,
        used=0,
        valid_from=now,
        valid_until=valid_until,
        evidence="",
        status=RightStatus.APPROVED,
        requested_at=now,
        decided_at=now,
        decision_reason=None,
        log_index=None,
    )
    statement = right_payload(
        right,
        maker,
        status=RightStatus.APPROVED,
        at_ms=now,
        quota=quota,
        lot_quota=lot_quota,
        valid_until=valid_until,
        reason=None,
        by=actor,
    )
    statement["organisation"], statement["granted_to"] = owner.issuer, maker.issuer
    entry = NewEntry("right", (right_subject(services, right),), signer.sign(statement), signer.key_id)

    def apply(connection: Connection, index: int) -> Right:
        refuse_revoked_signer(connection, signer)
        with session_on(connection) as session:
            _refuse_unless_owned(session, organisation_id=owner.id, gtin=gtin, at_ms=now)
            row = IssuingRightRow(
                reference=right.reference,
                organisation_id=maker.id,
                kind=RightKind.DELEGATION.value,
                value=gtin,
                granted_by=owner.id,
                quota=quota,
                lot_quota=lot_quota,
                used=0,
                valid_from=now,
                valid_until=valid_until,
                evidence="",
                status=RightStatus.APPROVED.value,
                requested_at=now,
                decided_at=now,
                decided_by=actor.actor,
                log_index=index,
            )
            session.add(row)
            tell_holder(session, row)
            session.flush()
            return records.right(row)

    return append_right(services, entry, apply)


def _maker(session: Session, issuer: str) -> Organisation:
    """The organisation that may be given a right: an approved firm; others make no codes. Raises NotFound."""
    with contextlib.suppress(NotFound):
        maker = records.organisation_by_issuer(session, issuer)
        if maker.status is OrganisationStatus.APPROVED and maker.kind is OrganisationKind.FIRM:
            return maker
    raise NotFound(
        "No firm that can make codes has this name here.",
        fix="Copy the six characters from the maker's own page.",
    )


def _refuse_unless_owned(session: Session, *, organisation_id: int, gtin: str, at_ms: int) -> None:
    entitlement = find_entitlement(session, organisation_id=organisation_id, gtin=gtin, at_ms=at_ms)
    if entitlement is None or entitlement.kind is RightKind.DELEGATION:
        raise Forbidden("Only the owner of a GTIN can delegate it.", code="not_owner_of_gtin")
