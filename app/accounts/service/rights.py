"""Issuing rights: asked for, decided and revoked; decisions are on the ledger."""

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.accounts.entitlements import check_prefix, normalise_gtin, prefix_covers
from app.accounts.models import IssuingRightRow
from app.accounts.service import letters, records
from app.accounts.service.entitled import refuse_overlap
from app.accounts.service.keys import refuse_revoked_signer, statement_signer
from app.accounts.service.organisations import check_reason
from app.accounts.service.people import managers_of
from app.accounts.service.right_entries import (
    append_right,
    check_quota,
    new_reference,
    right_payload,
    right_subject,
    tell_holder,
)
from app.accounts.service.statements import registry_entry
from app.accounts.values import Right
from app.accounts.vocabulary import OrganisationStatus, RightKind, RightStatus
from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import session_on, write_session
from app.core.errors import Conflict, Faults, NotFound
from app.core.services import Services
from ledger.log import NewEntry

MAX_EVIDENCE = 2000
OPEN_REQUESTS = 50
"""How many undecided requests an approved organisation may have."""
OPEN_WHILE_WAITING = 5
"""How many one may have that the registry does not know yet: with each come up to five megabytes of a stranger's."""


def request_right(
    services: Services, *, organisation_id: int, kind: RightKind, value: str, evidence: str, quota: int | None = None
) -> Right:
    """Ask the registry for a company prefix or a single GTIN.

    Raises Invalid, Conflict ("right_taken" when another organisation holds an overlapping right, "already_asked").
    """
    if kind is RightKind.DELEGATION:
        raise Conflict("A delegation is given by the owner of the GTIN, not by the registry.", code="delegation")
    value = check_prefix(value) if kind is RightKind.PREFIX else normalise_gtin(value)
    faults = Faults()
    evidence = evidence.strip()
    if not 3 <= len(evidence) <= MAX_EVIDENCE:
        faults.add("/evidence", "Say what proves the right, in 3 to 2000 characters.")
    check_quota(faults, quota)
    faults.refuse_if_any("Some of the entries can not be used.")
    with write_session(services.engine) as session:
        refuse_overlap(session, organisation_id=organisation_id, kind=kind, value=value)
        open_requests = session.scalars(
            select(IssuingRightRow).where(
                IssuingRightRow.organisation_id == organisation_id,
                IssuingRightRow.status.in_((RightStatus.REQUESTED, RightStatus.APPROVED)),
            )
        ).all()
        if any(row.kind == kind and row.value == value for row in open_requests):
            raise Conflict("This right was asked for before, or is held already.", code="already_asked")
        status = records.organisation_by_id(session, organisation_id).status
        allowed = OPEN_REQUESTS if status is OrganisationStatus.APPROVED else OPEN_WHILE_WAITING
        if sum(row.status == RightStatus.REQUESTED for row in open_requests) >= allowed:
            raise Conflict("Too many requests wait for a decision.", code="too_many_requests_open")
        row = IssuingRightRow(
            reference=new_reference(),
            organisation_id=organisation_id,
            kind=kind.value,
            value=value,
            quota=quota,
            used=0,
            valid_from=now_ms(),
            evidence=evidence,
            status=RightStatus.REQUESTED.value,
            requested_at=now_ms(),
        )
        session.add(row)
        session.flush()
        return records.right(row)


def decide_right(
    services: Services,
    *,
    reference: str,
    approve: bool,
    reason: str,
    decided_by: Principal,
    quota: int | None = None,
    lot_quota: int | None = None,
    valid_until: int | None = None,
) -> Right:
    """Approve or refuse a request, on the ledger; the registry may set a quota, one for each lot, and an end.

    Raises NotFound, Invalid, Conflict ("already_decided", "right_taken", "organisation_not_approved").
    """
    reason = check_reason(reason)
    now = now_ms()
    faults = Faults()
    check_quota(faults, quota)
    check_quota(faults, lot_quota, "/lot_quota")
    if valid_until is not None and valid_until <= now:
        faults.add("/valid_until", "The end must lie in the future.")
    faults.refuse_if_any("Some of the entries can not be used.")
    with Session(services.engine) as session:
        asked = _right_by_reference(session, reference)
        owner = records.organisation_by_id(session, asked.organisation_id)
    quota = asked.quota if quota is None else quota
    status = RightStatus.APPROVED if approve else RightStatus.REFUSED
    statement = right_payload(
        asked,
        owner,
        status=status,
        at_ms=now,
        quota=quota,
        lot_quota=lot_quota,
        valid_until=valid_until,
        reason=reason,
        by=decided_by,
    )

    def apply(connection: Connection, index: int) -> Right:
        with session_on(connection) as session:
            held = select(IssuingRightRow).where(IssuingRightRow.reference == reference).with_for_update()
            row = session.scalars(held).one()
            if row.status != RightStatus.REQUESTED:
                raise Conflict("This request is decided already.", code="already_decided")
            if row.evidence_sha256 != asked.evidence_sha256:
                raise Conflict("Another document has just been handed in. Look at it first.", code="evidence_changed")
            if approve:
                _refuse_unless_approved(session, row.organisation_id)
                # Checked again here, where decisions come one after the other: two overlapping requests can not both
                # pass between question and answer.
                refuse_overlap(session, organisation_id=row.organisation_id, kind=RightKind(row.kind), value=row.value)
            row.status = status.value
            row.quota = quota
            row.lot_quota = lot_quota
            row.valid_from = now
            row.valid_until = valid_until
            row.decided_at = now
            row.decided_by = decided_by.actor
            row.decision_reason = reason
            row.log_index = index
            tell_holder(session, row)
            decided = records.right(row)
            for person in managers_of(session, owner.id):
                letters.right_decided(session, services, to=person, organisation=owner, right=decided)
            return decided

    return append_right(services, registry_entry(services, right_subject(services, asked), statement=statement), apply)


def revoke_right(services: Services, *, reference: str, reason: str, revoked_by: Principal, as_registry: bool) -> Right:
    """End a right, on the ledger: the registry any right, an owner the delegations it gave.

    A prefix or GTIN that ends takes the delegations given under it along. Raises NotFound, Conflict.
    """
    reason = check_reason(reason)
    now = now_ms()
    with Session(services.engine) as session:
        held = _right_by_reference(session, reference)
        holder = records.organisation_by_id(session, held.organisation_id)
        own = held.granted_by is not None and held.granted_by == revoked_by.organisation_id
        if not as_registry and not own:
            raise NotFound
        signer = None
        if own and revoked_by.organisation_id is not None:
            signer = statement_signer(session, services.sealer, organisation_id=revoked_by.organisation_id)
            grantor = records.organisation_by_id(session, revoked_by.organisation_id)
    statement = right_payload(
        held,
        holder,
        status=RightStatus.REVOKED,
        at_ms=now,
        quota=held.quota,
        lot_quota=held.lot_quota,
        valid_until=held.valid_until,
        reason=reason,
        by=revoked_by,
    )
    if signer is not None:
        statement["organisation"], statement["granted_to"] = grantor.issuer, holder.issuer
        entry = NewEntry("right", (right_subject(services, held),), signer.sign(statement), signer.key_id)
    else:
        entry = registry_entry(services, right_subject(services, held), statement=statement)

    def apply(connection: Connection, index: int) -> Right:
        if signer is not None:
            refuse_revoked_signer(connection, signer)
        with session_on(connection) as session:
            row = session.scalars(select(IssuingRightRow).where(IssuingRightRow.reference == reference)).one()
            if row.status != RightStatus.APPROVED:
                raise Conflict("Only a right that is held can be revoked.", code="right_not_held")
            for ending in [row, *_delegations_under(session, row)]:
                ending.status = RightStatus.REVOKED.value
                ending.decided_at = now
                ending.decided_by = revoked_by.actor
                ending.decision_reason = reason
                ending.log_index = index
                tell_holder(session, ending)
            return records.right(row)

    return append_right(services, entry, apply)


def _refuse_unless_approved(session: Session, organisation_id: int) -> None:
    if records.organisation_by_id(session, organisation_id).status is not OrganisationStatus.APPROVED:
        raise Conflict("Approve the organisation first, then its rights.", code="organisation_not_approved")


def _delegations_under(session: Session, row: IssuingRightRow) -> list[IssuingRightRow]:
    """Delegations that the holder gave under a right of its own and that no other right of its own supports."""
    if row.kind == RightKind.DELEGATION:
        return []
    given = session.scalars(
        select(IssuingRightRow).where(
            IssuingRightRow.granted_by == row.organisation_id, IssuingRightRow.status == RightStatus.APPROVED
        )
    ).all()
    others = session.scalars(
        select(IssuingRightRow).where(
            IssuingRightRow.organisation_id == row.organisation_id,
            IssuingRightRow.status == RightStatus.APPROVED,
            IssuingRightRow.kind != RightKind.DELEGATION,
            IssuingRightRow.id != row.id,
        )
    ).all()
    return [right for right in given if not any(_covers(other, right.value) for other in others)]


def _covers(row: IssuingRightRow, gtin: str) -> bool:
    return prefix_covers(row.value, gtin) if row.kind == RightKind.PREFIX else row.value == gtin


def _right_by_reference(session: Session, reference: str) -> Right:
    row = session.scalar(select(IssuingRightRow).where(IssuingRightRow.reference == reference))
    if row is None:
        raise NotFound
    return records.right(row)
