"""How a right is worded for the ledger and put there: what asking, deciding and delegating share."""

import secrets
from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from app.accounts.models import IssuingRightRow
from app.accounts.service.statements import ledger_subject, payload
from app.accounts.values import Organisation, Right
from app.accounts.vocabulary import RightStatus
from app.core.authorisation import Principal
from app.core.clock import to_iso
from app.core.errors import Conflict, Faults
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from ledger.log import NewEntry
from scanners.codes.serial import ALPHABET

MAX_QUOTA = 10**12


def right_payload(
    right: Right,
    holder: Organisation,
    *,
    status: RightStatus,
    at_ms: int,
    quota: int | None,
    lot_quota: int | None,
    valid_until: int | None,
    reason: str | None,
    by: Principal,
) -> dict[str, object]:
    """What the ledger says of a right; quota and dates as they are to stand from now on."""
    return payload(
        kind="right",
        organisation=holder.issuer,
        at_ms=at_ms,
        reference=right.reference,
        right_kind=right.kind.value,
        value=right.value,
        status=status.value,
        quota=quota,
        lot_quota=lot_quota,
        valid_until=None if valid_until is None else to_iso(valid_until),
        evidence=right.evidence,
        evidence_sha256=right.evidence_sha256,
        reason=reason,
        by=by.actor,
    )


def tell_holder(session: Session, row: IssuingRightRow) -> None:
    """Tell the organisation that holds the right how it stands."""
    data = {"reference": row.reference, "kind": row.kind, "value": row.value, "status": row.status}
    notify(session, organisation_id=row.organisation_id, kind=NoticeKind.RIGHT_DECIDED, data=data)


def append_right(services: Services, entry: NewEntry, apply: Callable[[Connection, int], Right]) -> Right:
    """Put a decision on the ledger; raises Conflict when it is there already."""
    appended = services.log.append(entry, apply)
    if appended.result is None:
        raise Conflict("This decision is recorded already.", code="already_decided")
    return appended.result


def right_subject(services: Services, right: Right) -> bytes:
    """What all entries about a right are about."""
    return ledger_subject(services.sealer, "right", right.reference)


def check_quota(faults: Faults, quota: int | None, where: str = "/quota") -> None:
    """Note a quota that is none."""
    if quota is not None and not 1 <= quota <= MAX_QUOTA:
        faults.add(where, "A quota is a whole number of units, at least 1.")


def new_reference() -> str:
    """A name on the wire for a new right: 50 random bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(10))
