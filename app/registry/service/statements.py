"""How this feature words what an organisation puts on the ledger."""

from typing import Any

from app.accounts import service as accounts
from app.core.services import Services
from ledger.log import NewEntry


def organisation_entry(
    services: Services,
    signer: accounts.Signer,
    *,
    kind: str,
    subject_kind: str,
    subject: str,
    organisation: str,
    at_ms: int,
    **members: Any,
) -> NewEntry:
    """An entry of `kind` that the organisation states about `subject`, signed with its statement key."""
    statement = accounts.payload(kind=kind, organisation=organisation, at_ms=at_ms, **members)
    return NewEntry(
        kind, (accounts.ledger_subject(services.sealer, subject_kind, subject),), signer.sign(statement), signer.key_id
    )
