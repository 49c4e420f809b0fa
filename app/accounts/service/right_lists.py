"""Issuing rights as their holder, their giver and the registry's desk see them."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.accounts.models import IssuingRightRow, OrganisationRow
from app.accounts.service import records
from app.accounts.values import Organisation, Right
from app.accounts.vocabulary import RightStatus


def list_rights(session: Session, *, organisation_id: int) -> list[Right]:
    """Every right the organisation asked for, holds or held, newest first."""
    return _rights(session, IssuingRightRow.organisation_id == organisation_id)


def list_delegations(session: Session, *, owner_organisation_id: int) -> list[Right]:
    """Delegations that the organisation gave to others, newest first."""
    return _rights(session, IssuingRightRow.granted_by == owner_organisation_id)


def list_right_requests(session: Session, *, limit: int = 200) -> list[tuple[Right, Organisation]]:
    """Requests that wait for the registry, oldest first, with the organisation that asks."""
    rows = session.execute(
        select(IssuingRightRow, OrganisationRow)
        .join(OrganisationRow, OrganisationRow.id == IssuingRightRow.organisation_id)
        .where(IssuingRightRow.status == RightStatus.REQUESTED)
        .order_by(IssuingRightRow.requested_at, IssuingRightRow.id)
        .limit(limit)
    )
    return [(records.right(row), records.organisation(asking)) for row, asking in rows]


def _rights(session: Session, which: ColumnElement[bool]) -> list[Right]:
    newest_first = (IssuingRightRow.requested_at.desc(), IssuingRightRow.id.desc())
    return [records.right(row) for row in session.scalars(select(IssuingRightRow).where(which).order_by(*newest_first))]
