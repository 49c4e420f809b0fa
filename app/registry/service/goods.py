"""Units and batches as the facts feature names them."""

from collections.abc import Sequence

from app.facts import service as facts
from app.registry.values import Batch, Unit
from scanners.codes.digital_link import escape_path
from scanners.codes.identity import GS1_RESOLVER, CodeKind


def class_uri(kind: CodeKind, identifier: str, lot: str | None, handle: str) -> str:
    """How EPCIS names a whole batch: GTIN and lot where there are both, else the batch's own name."""
    if kind is CodeKind.GTIN and lot is not None:
        return f"{GS1_RESOLVER}/01/{identifier}/10/{escape_path(lot)}"
    return f"urn:marchamo:batch:{handle}"


def goods_of_batch(batch: Batch) -> facts.Goods:
    """The whole batch, as an event names it."""
    return facts.Goods(
        batch_id=batch.id,
        handle=batch.handle,
        issued_by=batch.organisation_id,
        class_uri=class_uri(batch.kind, batch.reference, batch.lot, batch.handle),
        quantity=batch.quantity,
    )


def goods_of_units(batch: Batch, units: Sequence[Unit]) -> facts.Goods:
    """Some units of one batch, as an event names them."""
    return facts.Goods(
        batch_id=batch.id,
        handle=batch.handle,
        issued_by=batch.organisation_id,
        class_uri=class_uri(batch.kind, batch.reference, batch.lot, batch.handle),
        quantity=len(units),
        unit_ids=tuple(unit.unit_id for unit in units),
        uris=tuple(unit.identity.uri() for unit in units),
    )
