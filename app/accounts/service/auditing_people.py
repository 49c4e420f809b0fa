"""The audit's view of who may act for whom, and of the documents that rights were decided on.

Memberships have no entry of their own: what they must be follows from the registry's decisions, which name everybody
who acts for an organisation at that moment, and from the acts since. So they are compared as a whole, and only by an
audit that looks at the whole log.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson
from sqlalchemy import Connection, select

from app.accounts.models import (
    AdministrativeActRow,
    EvidenceDocumentRow,
    IssuingRightRow,
    MembershipRow,
    OrganisationRow,
)
from app.accounts.service.acts import Act
from app.accounts.service.evidence import open_document
from app.accounts.vocabulary import RightStatus
from app.core.audit_rows import said
from app.core.sealing import Sealer, SealError
from ledger.audit import ExtraCheck
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import stretches

_organisations = OrganisationRow.__table__.c
_acts = AdministrativeActRow.__table__.c
_rights = IssuingRightRow.__table__.c
_documents = EvidenceDocumentRow.__table__.c

_CHANGES = (Act.MEMBER_JOINED, Act.MEMBER_ROLE_CHANGED, Act.MEMBER_REMOVED, Act.PERSON_ERASED)

Roles = dict[str, str]
"""Role by person (``person:7``)."""


def check_memberships(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
    """Compare every membership with what the ledger's decisions and acts leave standing (ExtraCheck)."""
    if not scope.whole:
        return
    expected = _expected(connection, scope)
    found = _found(connection)
    for issuer, roles in sorted(found.items()):
        if issuer not in expected:
            continue  # nobody has decided on it yet, or the check of organisations names it
        for person, role in sorted(roles.items()):
            stands = expected[issuer].pop(person, None)
            if stands is None:
                finding = "it is a member, and no entry of the ledger says so"
                yield Fault("membership.entry", f"memberships {person} of {issuer}", finding)
            elif stands != role:
                finding = f"its role is {role}, and the ledger says {stands}"
                yield Fault("membership.entry", f"memberships {person} of {issuer}", finding)
    for issuer, left in sorted(expected.items()):
        for person, role in sorted(left.items()):
            finding = f"the ledger says that it is {role}, and there is no such row"
            yield Fault("membership.missing", f"memberships {person} of {issuer}", finding)


def _expected(connection: Connection, scope: AuditScope) -> dict[str, Roles]:
    """Follow decisions and acts in the order of the ledger; organisations without a decision are left out."""
    changes: list[tuple[int, str, Any]] = []
    for stretch in stretches(connection, scope, {"organisation"}):
        for index, stated in stretch.entries.items():
            members = said(stated, "members")
            if isinstance(members, dict):
                changes.append((index, str(said(stated, "organisation")), members))
    acts = (
        select(_acts.log_index, _organisations.issuer, _acts.act, _acts.details)
        .join(OrganisationRow, _organisations.id == _acts.organisation_id)
        .where(_acts.act.in_(_CHANGES))
    )
    changes += [(row.log_index, row.issuer, (row.act, orjson.loads(row.details))) for row in connection.execute(acts)]
    standing: dict[str, Roles] = {}
    for _index, issuer, change in sorted(changes, key=lambda each: each[0]):
        if isinstance(change, dict):
            standing[issuer] = dict(change)
            continue
        act, details = change
        person = str(details.get("person"))
        if act == Act.PERSON_ERASED:
            for roles in standing.values():
                roles.pop(person, None)
        elif issuer in standing:  # what was done before the first decision is in the decision
            if act == Act.MEMBER_REMOVED:
                standing[issuer].pop(person, None)
            else:
                standing[issuer][person] = str(details.get("role"))
    return standing


def _found(connection: Connection) -> dict[str, Roles]:
    members = MembershipRow.__table__.c
    found: dict[str, Roles] = {}
    query = select(_organisations.issuer, members.person_id, members.role).join(
        OrganisationRow, _organisations.id == members.organisation_id
    )
    for issuer, person, role in connection.execute(query):
        found.setdefault(issuer, {})[f"person:{person}"] = role
    return found


def evidence_check(sealer: Sealer) -> ExtraCheck:
    """Make the check of documents: each opens, and is the one whose hash the right's statement has."""

    def check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        if not scope.whole:
            return
        rights = select(_rights.id, _rights.reference, _rights.evidence_sha256).where(
            _rights.evidence_sha256.is_not(None), _rights.status != RightStatus.REQUESTED
        )
        for right in connection.execute(rights).all():
            where = f"evidence_documents of {right.reference}"
            sealed = connection.scalar(select(_documents.sealed).where(_documents.right_id == right.id))
            if sealed is None:
                yield Fault("evidence.missing", where, "the document that was decided on is not there")
                continue
            try:
                data = open_document(sealer, right.reference, sealed)
            except SealError:
                yield Fault("evidence.document", where, "the document does not open: it was changed or is another's")
                continue
            if hashlib.sha256(data).hexdigest() != right.evidence_sha256:
                yield Fault("evidence.document", where, "it is another document than the one that was decided on")

    return check
