"""The audit of cosignatures: every kept line stands on a published checkpoint and, if its witness is known, verifies.

A line that was changed counts for nothing when it is read (`ledger.witnessing.cosigned`), so nobody is deceived by it;
but it says that somebody changed the database, and a witness's word is missing that once was there.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from ledger.audit import ExtraCheck
from ledger.audit.report import AuditScope, Fault
from ledger.errors import NoteError
from ledger.note import parse_note, read_signature
from ledger.storage.tables import ledger_checkpoints, ledger_cosignatures
from ledger.witnessing.policy import Policy

SAMPLED = 256
"""Lines checked, the latest ones, when the entries to be audited are drawn by lot."""

_CHUNK = 1_000


def cosignature_check(policy: Policy) -> ExtraCheck:
    """Give the check of the kept cosignatures under a policy, for `ledger.audit.audit`.

    Fault codes: `cosignature.checkpoint`, `cosignature.line`, `cosignature.signature`.
    """
    return partial(_check, policy)


def _check(policy: Policy, connection: Connection, scope: AuditScope) -> Iterator[Fault]:
    kept, published = ledger_cosignatures.c, ledger_checkpoints.c
    query = (
        select(kept.size, kept.key_id, kept.line, published.note)
        .outerjoin(ledger_checkpoints, published.size == kept.size)
        .order_by(kept.size.desc(), kept.key_id)
    )
    query = query.limit(SAMPLED) if scope.chosen is not None else query.where(kept.size >= scope.since)
    for row in connection.execute(query.execution_options(yield_per=_CHUNK)):
        fault = _fault_of(policy, row)
        if fault is not None:
            yield fault


def _fault_of(policy: Policy, row: Row[Any, Any, Any, Any]) -> Fault | None:
    where = f"ledger_cosignatures {row.size} {row.key_id}"
    if row.note is None:
        return Fault("cosignature.checkpoint", where, f"no checkpoint of size {row.size} was published")
    try:
        signature = read_signature(row.line.removesuffix("\n"))
    except NoteError as error:
        return Fault("cosignature.line", where, error.message)
    if signature.key_id != row.key_id:
        return Fault("cosignature.line", where, f"the line is of the key {signature.key_id}")
    witness = policy.witness_of(signature.key_id, signature.name)
    try:
        text = parse_note(row.note).text
        if witness is not None:
            witness.verifier.verify(text, signature.signature)
    except NoteError as error:
        return Fault("cosignature.signature", where, error.message)
    return None
