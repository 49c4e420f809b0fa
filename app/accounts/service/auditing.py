"""The audit's view of organisations, their keys and their rights: each row against what the ledger says of it.

The row of an organisation or a right is as its last entry left it; earlier entries are about the same name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.accounts.models import IssuingRightRow, OrganisationKeyRow, OrganisationRow
from app.accounts.service.statements import ledger_subject, organisation_subject
from app.accounts.vocabulary import OrganisationStatus, RightKind, RightStatus
from app.core.audit_rows import difference, said, stated_time, strays, within
from app.core.sealing import Sealer
from ledger.audit import ExtraCheck
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import Stated, Stretch, stretches
from ledger.strict import encode_base64

Columns = ReadOnlyColumnCollection[str, Any]

_organisations = OrganisationRow.__table__.c
_keys = OrganisationKeyRow.__table__.c
_rights = IssuingRightRow.__table__.c


@dataclass(frozen=True, slots=True)
class _Decided:
    """A table whose rows stand as the last decision left them.

    member: of the statement, which names the row. open: the status of rows on which nobody has decided yet.
    """

    table: str
    code: str
    member: str
    open: str


_ORGANISATIONS = _Decided("organisations", "organisation", "organisation", OrganisationStatus.PENDING)
_RIGHTS = _Decided("issuing_rights", "right", "reference", RightStatus.REQUESTED)


def organisation_check(sealer: Sealer) -> ExtraCheck:
    """Make the check of organisations: nobody is approved or suspended but by an entry that says so."""

    def check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        for stretch in stretches(connection, scope, {"organisation"}):
            named = {str(said(stated, "organisation")) for stated in stretch.entries.values()}
            query = select(OrganisationRow.__table__)
            found = query.where(or_(_organisations.issuer.in_(named), stretch.holds(_organisations.log_index)))
            rows = {row.issuer: row for row in connection.execute(found)}
            yield from _check_last(stretch, rows, _ORGANISATIONS)
            for row in rows.values():
                stated = stretch.entries.get(row.log_index)
                if stated is None:
                    continue
                where = f"organisations {row.issuer}"
                words = {
                    "organisation": row.issuer,
                    "time": stated_time(row.decided_at),
                    "name": row.name,
                    "country": row.country,
                    "organisation_kind": row.kind,
                    "status": row.status,
                    "reason": row.decision_reason,
                }
                words |= _decider(row, stated)
                if row.jurisdiction is not None or said(stated, "jurisdiction") is not None:
                    words["jurisdiction"] = row.jurisdiction  # entries from before there was one do not have the member
                yield from _differing(stated, words, where, "organisation.entry")
                if organisation_subject(sealer, row.issuer) not in stated.subjects:
                    yield Fault("organisation.subject", where, f"entry {stated.index} is not about it")
        if scope.whole:
            yield from _check_undecided(connection, _organisations, _organisations.issuer, _ORGANISATIONS)
            yield from strays(connection, "organisations", "organisation", _organisations.log_index, scope.size)

    return check


def right_check(sealer: Sealer) -> ExtraCheck:
    """Make the check of issuing rights: nobody may issue codes but by an entry that says so."""

    def check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        issuers: dict[int, str] = dict(connection.execute(select(_organisations.id, _organisations.issuer)).all())
        for stretch in stretches(connection, scope, {"right"}):
            named = {str(said(stated, "reference")) for stated in stretch.entries.values()}
            query = select(IssuingRightRow.__table__)
            found = query.where(or_(_rights.reference.in_(named), stretch.holds(_rights.log_index)))
            rows = {row.reference: row for row in connection.execute(found)}
            yield from _check_last(stretch, rows, _RIGHTS)
            for row in rows.values():
                stated = stretch.entries.get(row.log_index)
                if stated is None:
                    continue
                where = f"issuing_rights {row.reference}"
                if said(stated, "reference") != row.reference:
                    yield from _check_ended_with(row, stated, where, issuers)
                    continue
                yield from _differing(stated, _right_words(row, stated), where, "right.entry")
                if not _is_given_as_said(row, stated, issuers):
                    yield Fault("right.entry", where, f"its entry {stated.index} does not say that this giver gave it")
                if issuers.get(row.organisation_id) != (said(stated, "granted_to") or said(stated, "organisation")):
                    yield Fault("right.entry", where, f"its entry {stated.index} gives it to another organisation")
                if ledger_subject(sealer, "right", row.reference) not in stated.subjects:
                    yield Fault("right.subject", where, f"entry {stated.index} is not about it")
        if scope.whole:
            yield from _check_undecided(connection, _rights, _rights.reference, _RIGHTS)
            yield from strays(connection, "issuing_rights", "right", _rights.log_index, scope.size)

    return check


def key_check(sealer: Sealer) -> ExtraCheck:
    """Make the check of organisations' keys: what codes and statements are verified with is what was registered."""

    def check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        issuers: dict[int, str] = dict(connection.execute(select(_organisations.id, _organisations.issuer)).all())
        for stretch in stretches(connection, scope, {"key"}):
            numbers = {number for stated in stretch.entries.values() if type(number := said(stated, "key_id")) is int}
            holds = or_(stretch.holds(_keys.registered_index), stretch.holds(_keys.revoked_index))
            query = select(OrganisationKeyRow.__table__).where(or_(_keys.key_id.in_(numbers), holds))
            rows = {row.key_id: row for row in connection.execute(query)}
            for index, stated in stretch.entries.items():
                number = said(stated, "key_id")
                row = rows.get(number) if type(number) is int else None
                if row is None or index not in (row.registered_index, row.revoked_index):
                    finding = f"entry {index} says that key {number} was {said(stated, 'action')}: no row says so"
                    yield Fault("key.missing", f"ledger_entries {index}", finding)
            for row in rows.values():
                yield from _check_key(sealer, stretch, row, issuers)
        if scope.whole:
            for column in (_keys.registered_index, _keys.revoked_index):
                yield from strays(connection, "organisation_keys", "key", column, scope.size)

    return check


def _check_key(sealer: Sealer, stretch: Stretch, row: Row[Any], issuers: dict[int, str]) -> Iterator[Fault]:
    where = f"organisation_keys {row.key_id}"
    registered = {
        "organisation": issuers.get(row.organisation_id),
        "time": stated_time(row.created_at),
        "action": "registered",
        "key_id": row.key_id,
        "purpose": row.purpose,
        "holder": row.holder,
        "public_key": encode_base64(row.public_key),
        "valid_until": stated_time(row.valid_until),
    }
    revoked = {
        "organisation": issuers.get(row.organisation_id),
        "time": stated_time(row.revoked_at),
        "action": "revoked",
        "key_id": row.key_id,
        "reason": row.revocation_reason,
    }
    for index, words in ((row.registered_index, registered), (row.revoked_index, revoked)):
        if not within(stretch, index):
            continue
        stated = stretch.entries.get(index)
        if stated is None:
            yield Fault("key.entry", where, f"entry {index} does not say that it was {words['action']}")
            continue
        yield from _differing(stated, words, where, "key.entry")
        if ledger_subject(sealer, "key", str(row.key_id)) not in stated.subjects:
            yield Fault("key.subject", where, f"entry {index} is not about it")
    since = said(stretch.entries[row.revoked_index], "from_index") if row.revoked_index in stretch.entries else None
    if within(stretch, row.revoked_index) and row.revoked_from != (row.revoked_index if since is None else since):
        finding = f"its entry {row.revoked_index} says another position from which on it is revoked"
        yield Fault("key.entry", where, finding)
    if row.revoked_index is None and row.revoked_at is not None:
        yield Fault("key.entry", where, "it is revoked, and no entry of the ledger says so")


def _check_undecided(
    connection: Connection, columns: Columns, name: ColumnElement[str], of: _Decided
) -> Iterator[Fault]:
    """Name the rows that stand as if somebody had decided, though no entry is theirs."""
    found = select(name, columns.status).where(columns.log_index.is_(None), columns.status != of.open)
    for row, status in connection.execute(found):
        yield Fault(f"{of.code}.entry", f"{of.table} {row}", f"it is {status}, and no entry of the ledger says so")


def _check_last(stretch: Stretch, rows: dict[str, Row[Any]], of: _Decided) -> Iterator[Fault]:
    """Check that each entry has a row that is at least as new, and that what a row names as its last entry is one."""
    for index, stated in stretch.entries.items():
        name = str(said(stated, of.member))
        row = rows.get(name)
        if row is None:
            finding = f"entry {index} speaks of {name}, which {of.table} does not have"
            yield Fault(f"{of.code}.missing", f"ledger_entries {index}", finding)
        elif row.log_index is None or row.log_index < index:
            finding = f"entry {index} is newer than what the row knows: a decision was taken back behind the ledger"
            yield Fault(f"{of.code}.entry", f"{of.table} {name}", finding)
    for name, row in rows.items():
        if within(stretch, row.log_index) and row.log_index not in stretch.entries:
            finding = f"entry {row.log_index} of the ledger does not speak of it"
            yield Fault(f"{of.code}.entry", f"{of.table} {name}", finding)


def _check_ended_with(row: Row[Any], stated: Stated, where: str, issuers: dict[int, str]) -> Iterator[Fault]:
    """Check a delegation that ended together with the right it was given under."""
    by_owner = row.granted_by is not None and issuers.get(row.granted_by) == said(stated, "organisation")
    ended = row.status == RightStatus.REVOKED and said(stated, "status") == RightStatus.REVOKED
    if row.kind != RightKind.DELEGATION or not by_owner or not ended:
        yield Fault("right.entry", where, f"entry {stated.index} of the ledger speaks of another right")


def _is_given_as_said(row: Row[Any], stated: Stated, issuers: dict[int, str]) -> bool:
    if row.granted_by is None or row.kind != RightKind.DELEGATION:
        return row.granted_by is None and row.kind != RightKind.DELEGATION
    # The registry may have ended it; that entry speaks of the maker alone.
    return said(stated, "granted_to") is None or issuers.get(row.granted_by) == said(stated, "organisation")


def _right_words(row: Row[Any], stated: Stated) -> dict[str, object]:
    words = {
        "time": stated_time(row.decided_at),
        "reference": row.reference,
        "right_kind": row.kind,
        "value": row.value,
        "status": row.status,
        "quota": row.quota,
        "valid_until": stated_time(row.valid_until),
        "evidence": row.evidence,
        "reason": row.decision_reason,
    }
    words |= _decider(row, stated)
    if row.status == RightStatus.APPROVED and row.valid_from != row.decided_at:
        words["time"] = stated_time(row.valid_from)  # a right holds from the decision on
    if row.lot_quota is not None or said(stated, "lot_quota") is not None:
        words["lot_quota"] = row.lot_quota  # statements made before there were such limits do not speak of them
    if row.evidence_sha256 is not None or said(stated, "evidence_sha256") is not None:
        words["evidence_sha256"] = row.evidence_sha256  # nor of documents
    return words


def _decider(row: Row[Any], stated: Stated) -> dict[str, object]:
    """Who decided; statements from before it stood in them do not have the member."""
    return {} if said(stated, "by") is None else {"by": row.decided_by}


def _differing(stated: Stated, words: dict[str, object], where: str, code: str) -> Iterator[Fault]:
    different = difference(stated, words)
    if different is not None:
        yield Fault(code, where, f"its entry {stated.index} says another {different}")
