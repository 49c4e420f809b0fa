"""The joined proof of one unit: from its code to the log's signed tree head."""

from dataclasses import replace
from functools import partial

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.core.errors import NotFound
from app.core.services import Services
from app.facts import service as facts
from app.registry.contents import batch_elements
from app.registry.models import BatchRow, batch_tiles
from app.registry.service.batches import find_batch_by_id
from app.registry.unit_id import position_of
from app.registry.values import Batch, Unit
from ledger.leaf import SaltedLeaves
from ledger.map.state_proof import unit_subject
from ledger.proof import BatchEntry, UnitProof
from ledger.tiles import BATCH_HEIGHT, inclusion_path
from scanners.codes.signature import signed_message


def unit_content(unit: Unit) -> bytes:
    """The signed bytes of the unit's code: what its leaf in the batch tree commits to."""
    elements = batch_elements(unit.identity.kind, unit.profile, unit.lot, unit.expiry)
    return signed_message(unit.identity, elements, unit.key_id)


def unit_proof(services: Services, unit: Unit) -> UnitProof:
    """The unit's path in its batch tree joined to the batch's path in the log; verifies offline."""
    position = position_of(unit.unit_id)
    with Session(services.engine) as session:
        batch = find_batch_by_id(session, unit.batch_id)
        salt = SaltedLeaves(batch_secret(services, session, batch)).salt(position)
        read_tile = partial(_read_tile, session.connection(), batch.id)
        path = inclusion_path(read_tile, BATCH_HEIGHT, position, batch.quantity)
    entry = services.log.entry(batch.log_index)
    if entry.body is None or entry.salt is None:
        raise NotFound("The batch's statement was erased from the registry; its leaf remains.", code="statement_erased")
    return UnitProof(
        position=position,
        batch_size=batch.quantity,
        batch_path=tuple(path),
        unit_salt=salt,
        batch_entry=BatchEntry(entry.salt, entry.body.to_bytes()),
        prev=entry.leaf.prev,
        leaf_proof=services.log.prove(
            batch.log_index, checkpoint=services.checkpoints.covering(batch.log_index + 1).signed
        ),
    )


def with_subjects(services: Services, goods: facts.Goods) -> facts.Goods:
    """The same goods with what the ledger calls their units; a few microseconds a unit.

    A unit's subject follows from its salt: whoever holds the unit's proof computes it, and nobody else can.
    """
    if goods.is_whole_batch:
        return goods
    with Session(services.engine) as session:
        leaves = SaltedLeaves(_open_secret(services, session, goods.batch_id, goods.handle))
    subjects = tuple(unit_subject(leaves.salt(position_of(unit_id))) for unit_id in goods.unit_ids)
    return replace(goods, subjects=subjects)


def batch_secret(services: Services, session: Session, batch: Batch) -> bytes:
    """The secret that salts the batch's leaves."""
    return _open_secret(services, session, batch.id, batch.handle)


def _open_secret(services: Services, session: Session, batch_id: int, handle: str) -> bytes:
    sealed = session.scalars(select(BatchRow.sealed_secret).where(BatchRow.id == batch_id)).one()
    return services.sealer.open(sealed, secret_context(handle))


def secret_context(handle: str) -> str:
    """What a batch's sealed secret is for."""
    return f"batch secret {handle}"


def _read_tile(connection: Connection, batch_id: int, level: int, index: int, width: int) -> bytes:
    data: bytes = connection.execute(
        select(batch_tiles.c.data).where(
            batch_tiles.c.batch_id == batch_id, batch_tiles.c.level == level, batch_tiles.c.tile_index == index
        )
    ).scalar_one()
    return data[: width * 32]
