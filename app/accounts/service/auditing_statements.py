"""The audit's view of who said what: every statement is signed by the key it names, and the key was entitled to sign.

Whoever holds the log's key alone can put entries into the log, but not words into an organisation's mouth.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select

from app.accounts.models import OrganisationKeyRow, OrganisationRow
from app.accounts.vocabulary import OrganisationKeyPurpose
from app.core.audit_rows import said
from app.core.service_keys import KeyPurpose, ServiceKeyRow
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import Stated, stretches
from ledger.errors import StatementError
from ledger.statement import STATEMENT_TYPE, verify_statement

_keys = OrganisationKeyRow.__table__.c


@dataclass(frozen=True, slots=True)
class _Signer:
    """Who may sign with a key, and from which entry of the log up to, not including, which.

    issuer: None for the registry, which speaks of everybody.
    """

    public_key: Ed25519PublicKey
    issuer: str | None
    since: int
    until: int | None


def check_statements(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
    """Verify the statements that the audit looks at. Some 100 microseconds each: the longest part of a full audit."""
    signers = _signers(connection)
    for stretch in stretches(connection, scope, None):
        for index, stated in stretch.entries.items():
            signer = signers.get(stated.key_id)
            if signer is None:
                finding = f"it is signed with {stated.key_id}, which is no key of statements that the registry knows"
                yield Fault("statement.key", f"ledger_entries {index}", finding)
            elif (refusal := _refusal(stated, signer)) is not None:
                yield Fault("statement.signature", f"ledger_entries {index}", refusal)


def _refusal(stated: Stated, signer: _Signer) -> str | None:
    try:
        signed = verify_statement(stated.statement, public_key=signer.public_key, typ=STATEMENT_TYPE)
    except StatementError as error:
        return error.message
    if signed.key_id != stated.key_id or said(stated, "kind") != stated.kind:
        return "its body names another key or kind than the signed statement"
    if signer.issuer is not None and said(stated, "organisation") != signer.issuer:
        return f"it speaks for {said(stated, 'organisation')}, the key is one of {signer.issuer}"
    if stated.index < signer.since or (signer.until is not None and stated.index > signer.until):
        return "its key was not registered yet, or revoked already"
    return None


def _signers(connection: Connection) -> dict[str, _Signer]:
    """Give the keys that statements may be signed with, by the name they have there."""
    found: dict[str, _Signer] = {}
    registry = select(ServiceKeyRow.key_id, ServiceKeyRow.public_key).where(
        ServiceKeyRow.purpose == KeyPurpose.STATEMENT
    )
    for name, public_key in connection.execute(registry):
        if (key := _public_key(public_key)) is not None:
            found[name] = _Signer(key, None, 0, None)
    organisations = (
        select(_keys.key_id, _keys.public_key, _keys.registered_index, _keys.revoked_index, OrganisationRow.issuer)
        .join(OrganisationRow, OrganisationRow.id == _keys.organisation_id)
        .where(_keys.purpose == OrganisationKeyPurpose.STATEMENT)
    )
    for number, public_key, since, until, issuer in connection.execute(organisations):
        if (key := _public_key(public_key)) is not None:
            found[f"org:{number}"] = _Signer(key, issuer, since, until)
    return found


def _public_key(data: bytes) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(bytes(data))
    except ValueError:
        return None  # a changed row, which the check of keys names
