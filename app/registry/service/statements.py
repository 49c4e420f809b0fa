"""How this feature words what an organisation puts on the ledger."""

from typing import Any

from app.accounts import service as accounts
from app.core.clock import to_iso
from app.core.services import Services
from ledger.log import NewEntry

STATEMENT_VERSION = 1


def organisation_entry(
    services: Services,
    signer: accounts.Signer,
    *,
    kind: str,
    subject: str,
    organisation: str,
    at_ms: int,
    **members: Any,
) -> NewEntry:
    """An entry that the organisation states about `subject`, signed with its statement key."""
    statement = {
        "v": STATEMENT_VERSION,
        "kind": kind,
        "time": to_iso(at_ms),
        "organisation": organisation,
        **members,
    }
    return NewEntry(kind, accounts.ledger_subject(services.sealer, kind, subject), signer.sign(statement), signer.key_id)
