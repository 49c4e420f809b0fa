"""A firm that holds its code key itself, as tests need it: registered, and signing its batches."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.services import Services
from app.registry import service as registry
from scanners.codes.key_messages import seal_message
from scanners.codes.unit_contents import UnitContents

PART = 8_192


def register_firm_key(
    services: Services,
    firm: accounts.Organisation,
    *,
    key: Ed25519PrivateKey | None = None,
    valid_until: int | None = None,
) -> tuple[accounts.KeyRecord, Ed25519PrivateKey]:
    """Register a code key that the firm holds (a new one unless given)."""
    key = key or Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    waiting = accounts.begin_registration(services, organisation_id=firm.id, public_key=public)
    record = accounts.register_firm_key(
        services,
        organisation_id=firm.id,
        key_id=waiting.key_id,
        public_key=public,
        possession=key.sign(waiting.message),
        valid_until=valid_until,
    )
    return record, key


def signatures_of(services: Services, batch: registry.Batch, key: Ed25519PrivateKey) -> bytes:
    """The key's signatures of all units of the batch, in order of position."""
    with Session(services.engine) as session:
        page = registry.signing_page(
            services, session, handle=batch.handle, organisation_id=batch.organisation_id, limit=1
        )
        serials = [serial for _, serial in registry.unit_serials(session, batch)]
    contents = UnitContents(batch.kind, batch.reference, page.elements, batch.key_id)
    return b"".join([key.sign(contents.of(serial)) for serial in serials])


def sign_batch(
    services: Services, firm: accounts.Organisation, batch: registry.Batch, key: Ed25519PrivateKey
) -> registry.Signing:
    """Sign all units of the batch and close it."""
    signatures = signatures_of(services, batch, key)
    for start in range(0, batch.quantity, PART):
        registry.put_signatures(
            services,
            handle=batch.handle,
            organisation_id=firm.id,
            start=start,
            signatures=signatures[start * 64 : (start + PART) * 64],
        )
    seal = key.sign(seal_message(key_id=batch.key_id, root=batch.root, count=batch.quantity))
    return registry.close_signing(services, handle=batch.handle, organisation_id=firm.id, seal=seal)
