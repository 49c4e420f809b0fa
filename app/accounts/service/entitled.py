"""Whether an organisation may issue a number: looked up before, consumed inside the transaction that publishes."""

from sqlalchemy import ColumnElement, Connection, or_, select, update
from sqlalchemy.orm import Session

from app.accounts.entitlements import contradict, is_gtin_8, prefixes_of
from app.accounts.models import IssuingRightRow
from app.accounts.values import Entitlement
from app.accounts.vocabulary import RightKind, RightStatus
from app.core.clock import now_ms
from app.core.errors import Conflict


def find_entitlement(session: Session, *, organisation_id: int, gtin: str, at_ms: int) -> Entitlement | None:
    """The right under which the organisation may commission the GTIN-14 at this time; None when it has none.

    A right of its own comes before a delegation, a single GTIN before a prefix, the longer prefix before the shorter.
    """
    prefixes = [] if is_gtin_8(gtin) else prefixes_of(gtin[1:])
    covers = or_(
        (IssuingRightRow.kind == RightKind.PREFIX) & IssuingRightRow.value.in_(prefixes),
        IssuingRightRow.kind.in_((RightKind.GTIN, RightKind.DELEGATION)) & (IssuingRightRow.value == gtin),
    )
    return _first_entitlement(session, organisation_id, covers, at_ms)


def find_prefix_entitlement(session: Session, *, organisation_id: int, digits: str, at_ms: int) -> Entitlement | None:
    """The company prefix right that covers `digits`: a company prefix, or an SSCC after its extension digit."""
    covers = (IssuingRightRow.kind == RightKind.PREFIX) & IssuingRightRow.value.in_(prefixes_of(digits))
    return _first_entitlement(session, organisation_id, covers, at_ms)


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


def _first_entitlement(
    session: Session, organisation_id: int, covers: ColumnElement[bool], at_ms: int
) -> Entitlement | None:
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
    if not rows:
        return None
    best = max(rows, key=lambda row: (row.kind != RightKind.DELEGATION, len(row.value), row.id))
    return Entitlement(
        right_id=best.id,
        organisation_id=best.organisation_id,
        kind=RightKind(best.kind),
        value=best.value,
        quota=best.quota,
        used=best.used,
    )
