"""How the registry words what it puts on the ledger about organisations, rights and keys."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from app.core.clock import to_iso
from app.core.sealing import Sealer
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from ledger.log import NewEntry
from ledger.statement import STATEMENT_TYPE, sign_statement

STATEMENT_VERSION = 1


def ledger_subject(sealer: Sealer, kind: str, name: str) -> bytes:
    """What an entry is about, 32 bytes: keyed, so that nobody outside can test a guessed name against the log."""
    return hmac.digest(sealer.derive("ledger subject"), f"{kind}:{name}".encode(), hashlib.sha256)


def organisation_subject(sealer: Sealer, issuer: str) -> bytes:
    """What entries about an organisation and its keys have in common.

    It stands in every batch statement of the organisation, so nothing that tells how much it does may be about it.
    """
    return ledger_subject(sealer, "organisation", issuer)


def payload(*, kind: str, organisation: str, at_ms: int, **members: Any) -> dict[str, Any]:
    """The members that every statement has, then its own."""
    return {
        "v": STATEMENT_VERSION,
        "kind": kind,
        "time": to_iso(at_ms),
        "organisation": organisation,
        **members,
    }


def registry_entry(services: Services, *subjects: bytes, statement: Mapping[str, Any]) -> NewEntry:
    """An entry about these subjects that the registry itself states, signed with its statement key."""
    key = services.keys[KeyPurpose.STATEMENT]
    token = sign_statement(statement, private_key=key.private_key, key_id=key.key_id, typ=STATEMENT_TYPE)
    return NewEntry(statement["kind"], tuple(sorted(subjects)), token, key.key_id)
