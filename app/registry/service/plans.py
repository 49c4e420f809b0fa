"""What a commissioning needs to know before it may start: the goods, the right to them, and a sound request."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.clock import now_ms
from app.core.database import session_on
from app.core.errors import Conflict, Faults, FieldFault, Forbidden, Invalid, NotFound
from app.registry.models import CASE_PRODUCT_ID, ProductRow
from app.registry.references import parse_reference
from app.registry.rules import MAX_FAULTS, check_request, positions_of, serial_place, shown
from app.registry.service.lots import refuse_beyond_lot
from app.registry.unit_store import taken_serials
from app.registry.values import CommissionRequest
from scanners.codes.identity import CodeKind


@dataclass(frozen=True, slots=True)
class Goods:
    """The product, or the cases of a company prefix, that a batch is made of, and the right to issue its codes."""

    product_id: int
    kind: CodeKind
    identifier: str
    name: str
    entitlement: accounts.Entitlement | None


class QuotaTally:
    """Adds up what several batches take from the same right and lot, so that the last one is not refused half-way."""

    def __init__(self) -> None:
        self._taken: Counter[int] = Counter()
        self._of_lots: Counter[tuple[int, str]] = Counter()

    def refuse_beyond(self, session: Session, goods: Goods, request: CommissionRequest) -> None:
        """Raise Conflict when a quota of the right is too small; the publishing transaction checks it for good."""
        entitlement, size = goods.entitlement, size_of(request)
        if entitlement is None:
            return
        if goods.kind is not CodeKind.CASE and entitlement.lot_quota is not None:
            lot = (goods.product_id, request.lot or "")
            refuse_beyond_lot(
                session,
                product_id=goods.product_id,
                lot=request.lot,
                lot_quota=entitlement.lot_quota,
                size=size,
                taken=self._of_lots[lot],
            )
            self._of_lots[lot] += size
        if entitlement.remaining is None:
            return
        remaining = entitlement.remaining - self._taken[entitlement.right_id]
        if size > remaining:
            raise Conflict(
                "The quota of this right allows %(remaining)s more units, not %(quantity)s.",
                code="quota_exhausted",
                fix="Ask the registry or the owner of the GTIN for more, or commission fewer units.",
                remaining=remaining,
                quantity=size,
            )
        self._taken[entitlement.right_id] += size


def check_commission(
    session: Session, *, organisation_id: int, request: CommissionRequest, quotas: QuotaTally
) -> Goods:
    """Check a request against rules, rights and existing serials.

    Raises Invalid with every fault and its place, NotFound (product), Forbidden (right), Conflict (quota, serials).
    """
    goods = find_goods(session, organisation_id=organisation_id, request=request)
    faults = Faults()
    check_request(request, goods.kind, faults)
    faults.refuse_if_any("This batch can not be commissioned as asked.")
    quotas.refuse_beyond(session, goods, request)
    if request.serials is not None:
        refuse_taken(session, goods, request)
    return goods


def find_goods(session: Session, *, organisation_id: int, request: CommissionRequest) -> Goods:
    """The goods that a request names and the organisation may issue; raises Invalid, NotFound, Forbidden."""
    if (request.product is None) == (request.case_prefix is None):
        raise Invalid("Give either a product or, for cases, a company prefix.", code="goods")
    if request.case_prefix is not None:
        return _cases(session, organisation_id, accounts.check_prefix(request.case_prefix))
    kind, identifier = parse_reference(request.product or "")
    row = session.execute(
        select(ProductRow.id, ProductRow.name).where(ProductRow.kind == kind.value, ProductRow.identifier == identifier)
    ).first()
    if kind is CodeKind.GTIN:
        entitlement = require_entitlement(session, organisation_id=organisation_id, gtin=identifier)
    else:
        entitlement = None
        if accounts.organisation_by_id(session, organisation_id).issuer != identifier.partition("/")[0]:
            row = None  # items are their issuer's alone; others can not tell whether they exist
    if row is None:
        raise NotFound(
            "The product %(product)s is not registered.",
            code="unknown_product",
            fix="Register the product first.",
            product=identifier,
        )
    return Goods(row.id, kind, identifier, row.name, entitlement)


def require_entitlement(session: Session, *, organisation_id: int, gtin: str) -> accounts.Entitlement:
    """The right under which the organisation may issue the GTIN now; raises Forbidden."""
    entitlement = accounts.find_entitlement(session, organisation_id=organisation_id, gtin=gtin, at_ms=now_ms())
    if entitlement is None:
        raise Forbidden(
            "Your organisation has no approved right to GTIN %(gtin)s.",
            code="no_right_to_gtin",
            fix="Request your GS1 company prefix or this GTIN, or ask its owner to delegate it to you.",
            gtin=gtin,
        )
    return entitlement


def take_quotas(connection: Connection, *, organisation_id: int, goods: Goods, lot: str | None, size: int) -> None:
    """Inside the `apply` that publishes a batch: use up the right as it stands now, or raise Conflict.

    Whatever ended or shrank since the batch was asked for counts: the right itself, that of the giver of a delegation,
    the limit of the lot. Batches are published one after the other, so two can not both have the last units.
    """
    if goods.entitlement is None:
        return
    with session_on(connection) as session:
        if goods.kind is CodeKind.CASE:
            holds = accounts.find_prefix_entitlement(
                session, organisation_id=organisation_id, digits=goods.entitlement.value, at_ms=now_ms()
            )
        else:
            holds = accounts.find_entitlement(
                session, organisation_id=organisation_id, gtin=goods.identifier, at_ms=now_ms()
            )
        if holds is None:
            raise Conflict("The right to issue these codes has ended.", code="right_ended")
        if goods.kind is not CodeKind.CASE:
            refuse_beyond_lot(session, product_id=goods.product_id, lot=lot, lot_quota=holds.lot_quota, size=size)
    accounts.consume_quota(connection, holds, size)


def size_of(request: CommissionRequest) -> int:
    """How many units are asked for."""
    return len(request.serials) if request.serials is not None else request.quantity or 0


def refuse_taken(
    session: Session, goods: Goods, request: CommissionRequest, *, besides_batch: int | None = None
) -> None:
    """Raise Conflict, naming each, when serials exist under the product already."""
    serials = request.serials or ()
    taken = taken_serials(
        session.connection(),
        product_id=goods.product_id,
        serials=serials,
        besides_batch=besides_batch,
        limit=MAX_FAULTS,
    )
    if taken:
        faults = tuple(
            FieldFault(serial_place(request, at), f"The serial {shown(serials[at])} exists already.", "serial_exists")
            for at in positions_of(serials, taken)
        )
        raise Conflict(
            "%(count)s of the serials exist already under this product; nothing was kept.",
            code="serial_exists",
            fix="Remove them from the list, or let the registry make the serials.",
            faults=faults,
            count=len(taken) if len(taken) < MAX_FAULTS else f"{MAX_FAULTS} or more",
        )


def _cases(session: Session, organisation_id: int, prefix: str) -> Goods:
    entitlement = accounts.find_prefix_entitlement(
        session, organisation_id=organisation_id, digits=prefix, at_ms=now_ms()
    )
    if entitlement is None:
        raise Forbidden(
            "Your organisation has no approved right to company prefix %(prefix)s.",
            code="no_right_to_prefix",
            fix="Request your GS1 company prefix first.",
            prefix=prefix,
        )
    return Goods(CASE_PRODUCT_ID, CodeKind.CASE, "", "", entitlement)
