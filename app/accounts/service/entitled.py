"""Whether an organisation may issue a number: looked up before, consumed inside the transaction that publishes."""

from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, func, or_, select, update
from sqlalchemy.orm import Session

from app.accounts.entitlements import contradict, is_gtin_8, prefixes_of
from app.accounts.models import IssuingRightRow, OrganisationRow
from app.accounts.values import Entitlement
from app.accounts.vocabulary import OrganisationStatus, RightKind, RightStatus
from app.core.clock import now_ms
from app.core.errors import Conflict

MAX_GIVEN = 400
"""Of how many makers and numbers an owner sees the batches."""


def find_entitlement(session: Session, *, organisation_id: int, gtin: str, at_ms: int) -> Entitlement | None:
    """The right under which the organisation may commission the GTIN-14 at this time; None when it has none.

    A right of its own comes before a delegation, a single GTIN before a prefix, the longer prefix before the shorter.
    A delegation counts for as long as its giver is approved and has a right of its own to the GTIN; what the giver's
    right allows for one lot bounds the delegation too.
    """
    own = or_(
        (IssuingRightRow.kind == RightKind.PREFIX) & IssuingRightRow.value.in_(_prefixes_over(gtin)),
        (IssuingRightRow.kind == RightKind.GTIN) & (IssuingRightRow.value == gtin),
    )
    found = _entitlements(session, organisation_id, own, at_ms)
    if found:
        return found[0]
    delegated = (IssuingRightRow.kind == RightKind.DELEGATION) & (IssuingRightRow.value == gtin)
    for delegation in _entitlements(session, organisation_id, delegated, at_ms):
        if delegation.granted_by is None or not _is_approved(session, delegation.granted_by):
            continue
        behind = _entitlements(session, delegation.granted_by, own, at_ms)
        if behind:
            return replace(delegation, lot_quota=_smaller(delegation.lot_quota, behind[0].lot_quota))
    return None


def find_prefix_entitlement(session: Session, *, organisation_id: int, digits: str, at_ms: int) -> Entitlement | None:
    """The company prefix right that covers `digits`: a company prefix, or an SSCC after its extension digit."""
    covers = (IssuingRightRow.kind == RightKind.PREFIX) & IssuingRightRow.value.in_(prefixes_of(digits))
    return next(iter(_entitlements(session, organisation_id, covers, at_ms)), None)


def delegators_of(session: Session, *, organisation_id: int, gtin: str, at_ms: int) -> frozenset[int]:
    """The organisations that had given this maker the right to the GTIN-14 by then, whether or not it has ended since.

    They answer for goods that were made in their name: they may see and recall them as long as these are about.
    """
    found = session.scalars(
        select(IssuingRightRow.granted_by).where(
            IssuingRightRow.kind == RightKind.DELEGATION,
            IssuingRightRow.organisation_id == organisation_id,
            IssuingRightRow.value == gtin,
            IssuingRightRow.valid_from <= at_ms,
        )
    )
    return frozenset(owner for owner in found if owner is not None)


def delegations_ever_given(session: Session, *, organisation_id: int) -> list[tuple[int, str, int]]:
    """(maker, GTIN-14, since when in milliseconds) of all delegations the organisation ever gave, the latest first."""
    found = session.execute(
        select(
            IssuingRightRow.organisation_id, IssuingRightRow.value, func.min(IssuingRightRow.valid_from).label("since")
        )
        .where(IssuingRightRow.kind == RightKind.DELEGATION, IssuingRightRow.granted_by == organisation_id)
        .group_by(IssuingRightRow.organisation_id, IssuingRightRow.value)
        .order_by(func.max(IssuingRightRow.id).desc())
        .limit(MAX_GIVEN)
    )
    return [(maker, gtin, since) for maker, gtin, since in found]


def consume_quota(connection: Connection, entitlement: Entitlement, quantity: int) -> None:
    """Use up `quantity` units of the right inside the `apply` that publishes a batch.

    One guarded UPDATE: two batches at once can not both have the last units. Raises Conflict "right_ended" or
    "quota_exhausted".
    """
    now = now_ms()
    used = connection.execute(
        update(IssuingRightRow)
        .where(
            IssuingRightRow.id == entitlement.right_id,
            IssuingRightRow.organisation_id == entitlement.organisation_id,
            IssuingRightRow.status == RightStatus.APPROVED,
            or_(IssuingRightRow.valid_until.is_(None), IssuingRightRow.valid_until > now),
            or_(IssuingRightRow.quota.is_(None), IssuingRightRow.used + quantity <= IssuingRightRow.quota),
        )
        .values(used=IssuingRightRow.used + quantity)
    )
    if used.rowcount == 1:
        return
    row = connection.execute(
        select(IssuingRightRow.status, IssuingRightRow.valid_until, IssuingRightRow.quota, IssuingRightRow.used).where(
            IssuingRightRow.id == entitlement.right_id
        )
    ).one()
    if row.status != RightStatus.APPROVED or (row.valid_until is not None and row.valid_until <= now):
        raise Conflict("The right to issue these codes has ended.", code="right_ended")
    raise Conflict(
        "The quota of this right allows %(remaining)s more units, not %(quantity)s.",
        code="quota_exhausted",
        fix="Ask the registry or the owner of the GTIN for more, or commission fewer units.",
        remaining=max(0, row.quota - row.used),
        quantity=quantity,
    )


def refuse_overlap(session: Session, *, organisation_id: int, kind: RightKind, value: str) -> None:
    """Raises Conflict when another organisation holds a right that can not stand beside this one."""
    digits = value if kind is RightKind.PREFIX else value[1:]
    # Candidates only: prefixes of this number, and whatever begins with it; the pure rule decides.
    candidates = session.scalars(
        select(IssuingRightRow).where(
            IssuingRightRow.organisation_id != organisation_id,
            IssuingRightRow.status == RightStatus.APPROVED,
            IssuingRightRow.kind != RightKind.DELEGATION,
            or_(
                IssuingRightRow.value.in_([*prefixes_of(digits), value]),
                (IssuingRightRow.kind == RightKind.PREFIX) & IssuingRightRow.value.startswith(digits),
                (IssuingRightRow.kind == RightKind.GTIN) & IssuingRightRow.value.like(f"_{digits}%"),
            ),
        )
    )
    if any(contradict(kind, value, RightKind(row.kind), row.value) for row in candidates):
        raise Conflict(
            "Another organisation holds a right that overlaps %(value)s.",
            code="right_taken",
            fix="Check the number; if it is yours, write to the registry with the certificate of your GS1 office.",
            value=value,
        )


def _entitlements(session: Session, organisation_id: int, covers: ColumnElement[bool], at_ms: int) -> list[Entitlement]:
    """The rights that `covers` lets through and that hold now, the best first."""
    rows = session.scalars(
        select(IssuingRightRow)
        .where(
            IssuingRightRow.organisation_id == organisation_id,
            IssuingRightRow.status == RightStatus.APPROVED,
            IssuingRightRow.valid_from <= at_ms,
            or_(IssuingRightRow.valid_until.is_(None), IssuingRightRow.valid_until > at_ms),
            covers,
        )
        .execution_options(populate_existing=True)
    ).all()
    return [
        Entitlement(
            right_id=row.id,
            organisation_id=row.organisation_id,
            kind=RightKind(row.kind),
            value=row.value,
            quota=row.quota,
            lot_quota=row.lot_quota,
            used=row.used,
            granted_by=row.granted_by,
        )
        for row in sorted(rows, key=lambda row: (len(row.value), row.id), reverse=True)
    ]


def _prefixes_over(gtin: str) -> list[str]:
    return [] if is_gtin_8(gtin) else prefixes_of(gtin[1:])


def _is_approved(session: Session, organisation_id: int) -> bool:
    status = session.scalar(select(OrganisationRow.status).where(OrganisationRow.id == organisation_id))
    return status == OrganisationStatus.APPROVED


def _smaller(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
