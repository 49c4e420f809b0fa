"""Keys that the service holds for an organisation: made here, sealed at rest."""

import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from app.accounts.models import OrganisationKeyRow
from app.accounts.service import records
from app.accounts.service.keys.registering import KEY_VALIDITY, MAX_KEY_ID, NumberTaken, register
from app.accounts.service.keys.using import key_context, newest_registered, newest_usable
from app.accounts.values import KeyRecord, Organisation
from app.accounts.vocabulary import KeyHolder, OrganisationKeyPurpose, OrganisationKind, OrganisationStatus
from app.core.clock import now_ms
from app.core.errors import Conflict, NotFound
from app.core.services import Services
from scanners.codes.key_messages import possession_message


def issue_missing_keys(services: Services, organisation: Organisation) -> list[KeyRecord]:
    """Register the keys that an approved organisation lacks: one to state with and, for a firm, one to sign codes.

    A firm that holds its code key itself gets none from here: it would sign codes that the firm does not see.
    """
    purposes = [OrganisationKeyPurpose.STATEMENT]
    if organisation.kind is OrganisationKind.FIRM:
        purposes.insert(0, OrganisationKeyPurpose.CODE)
    now = now_ms()
    with Session(services.engine) as session:
        missing = [
            purpose
            for purpose in purposes
            if newest_usable(session, organisation_id=organisation.id, purpose=purpose, at_ms=now) is None
            and not _is_firm_held(session, organisation.id, purpose)
        ]
    return [_make(services, organisation, purpose, replaces=None, actor=None) for purpose in missing]


def rotate_key(
    services: Services, *, organisation_id: int, key_id: int, hand_back: bool = False, actor: str | None = None
) -> KeyRecord:
    """Register a successor that the service holds and that signs from now on; the old key stays valid.

    hand_back: the firm held its code key itself, and lets the service sign again. actor: who asked (``person:7``).
    Raises NotFound, and Conflict when the firm holds its key and does not hand it back.
    """
    with Session(services.engine) as session:
        old = session.get(OrganisationKeyRow, key_id)
        if old is None or old.organisation_id != organisation_id:
            raise NotFound
        purpose = OrganisationKeyPurpose(old.purpose)
        organisation = records.organisation_by_id(session, organisation_id)
        firm_held = _is_firm_held(session, organisation_id, purpose)
    if organisation.status is not OrganisationStatus.APPROVED:
        raise Conflict("Only an approved organisation has keys.", code="organisation_not_approved")
    if firm_held and not hand_back:
        raise Conflict(
            "Your firm holds its code key itself; the service does not make its successor.",
            code="key_held_by_firm",
            fix="Make and register the next one with: marchamo key new, marchamo key register. "
            "Or say that the service shall sign again.",
        )
    return _make(services, organisation, purpose, replaces=key_id, actor=actor)


def _is_firm_held(session: Session, organisation_id: int, purpose: OrganisationKeyPurpose) -> bool:
    newest = newest_registered(session, organisation_id=organisation_id, purpose=purpose)
    return newest is not None and newest.holder == KeyHolder.FIRM


def _make(
    services: Services,
    organisation: Organisation,
    purpose: OrganisationKeyPurpose,
    *,
    replaces: int | None,
    actor: str | None,
) -> KeyRecord:
    private_key = Ed25519PrivateKey.generate()
    public = private_key.public_key().public_bytes_raw()
    now = now_ms()
    while True:
        # Random, so that a code does not tell how many firms there are; rows are never deleted, so never reused.
        key_id = secrets.randbelow(MAX_KEY_ID) + 1
        message = possession_message(
            key_id=key_id, issuer=organisation.issuer, purpose=purpose.value, public_key=public
        )
        row = OrganisationKeyRow(
            key_id=key_id,
            organisation_id=organisation.id,
            purpose=purpose.value,
            holder=KeyHolder.SERVICE.value,
            public_key=public,
            sealed_private_key=services.sealer.seal(private_key.private_bytes_raw(), key_context(key_id)),
            created_at=now,
            valid_until=now + int(KEY_VALIDITY.total_seconds() * 1000),
        )
        try:
            possession = private_key.sign(message)
            return register(services, organisation, row, possession=possession, replaces=replaces, actor=actor)
        except NumberTaken:
            continue
