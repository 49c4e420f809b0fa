"""The audit's view of machines: each key, client and certificate has the powers that an act on the ledger gave it.

A row has no entry of its own to point at: what it must say follows from the acts about it. So machines are compared as
a whole, and only by an audit that looks at the whole log.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from app.access.machine_models import ClientCertificateRow, OAuthClientRow
from app.access.models import ApiKeyRow
from app.accounts import service as accounts
from app.accounts.service import Act
from app.core.audit_rows import stated_time
from app.core.database import session_on
from app.core.tokens import token_hash
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import stretches
from ledger.strict import encode_base64

_KIND = frozenset({"act"})


@dataclass(frozen=True)
class _Table:
    """A table of machines.

    member: of an act's details, the machine's name there. column: that name in the table. digest: of what a row lets
    in, None where the name says it.
    """

    name: str
    member: str
    made: Act
    ended: Act
    rows: Select[Any]
    column: str
    digest: Callable[[Row[Any]], bytes | None] = lambda _row: None

    def named(self, row: Row[Any]) -> str:
        value = getattr(row, self.column)
        return value.hex() if isinstance(value, bytes) else str(value)


def _client_digest(row: Row[Any]) -> bytes | None:
    """The digest of a client's secret, or of its key; None for one that has both, or neither."""
    if row.public_jwk is None or row.secret_hash is not None:
        return row.secret_hash if row.public_jwk is None else None
    return token_hash(row.public_jwk)


_TABLES = (
    _Table(
        *("api_keys", "key", Act.API_KEY_CREATED, Act.API_KEY_REVOKED),
        *(select(ApiKeyRow.__table__), "prefix", lambda row: row.key_hash),
    ),
    _Table(
        *("oauth_clients", "client", Act.CLIENT_CREATED, Act.CLIENT_REVOKED),
        *(select(OAuthClientRow.__table__), "client_id", _client_digest),
    ),
    _Table(
        *("client_certificates", "certificate", Act.CERTIFICATE_REGISTERED, Act.CERTIFICATE_REVOKED),
        *(select(ClientCertificateRow.__table__), "thumbprint"),
    ),
)


@dataclass
class _Stated:
    """What the acts say of one machine. organisation: its issuer name; None where only the table of acts was read."""

    organisation: str | None
    by: str
    role: object
    scopes: object
    until: object
    digest: object
    ended: bool = False


@dataclass
class _Machines:
    """What the acts say of every machine, by the name of its table and its own."""

    stated: dict[tuple[str, str], _Stated] = field(default_factory=dict)

    def add(self, organisation: str | None, act: str, by: str, details: Mapping[str, Any]) -> None:
        """Take in one act, in the order of the ledger."""
        for table in _TABLES:
            known = self.stated.get((table.name, str(details.get(table.member))))
            if act == table.ended and known is not None:
                known.ended = True
            elif act == table.made:
                role, scopes, until, digest = (details.get(name) for name in ("role", "scopes", "until", "digest"))
                one = _Stated(organisation, by, role, scopes, until, digest)
                self.stated[table.name, str(details.get(table.member))] = one
                replaced = self.stated.get((table.name, str(details.get("replaces"))))
                if replaced is not None:
                    replaced.until = details.get("replaced_until")


def check_machines(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
    """Compare every key, client and certificate with the acts about it (ExtraCheck)."""
    if not scope.whole:
        return
    machines = _stated(connection, scope)
    for table in _TABLES:
        rows = connection.execute(table.rows).all()
        with session_on(connection) as session:
            issuers = accounts.issuers_of(session, {row.organisation_id for row in rows})
        for row in rows:
            stated = machines.stated.pop((table.name, table.named(row)), None)
            finding = _finding(row, stated, issuers.get(row.organisation_id), table.digest(row))
            if finding is not None:
                yield Fault("machine.entry", f"{table.name} {table.named(row)}", finding)
    for (name, machine), stated in sorted(machines.stated.items()):
        if stated.organisation is not None:
            yield Fault("machine.missing", f"{name} {machine}", "the ledger says that it was made, and there is no row")


def _stated(connection: Connection, scope: AuditScope) -> _Machines:
    machines = _Machines()
    for stretch in stretches(connection, scope, _KIND):
        for index in sorted(stretch.entries):
            said = stretch.entries[index].payload or {}
            if isinstance(said.get("details"), dict):
                machines.add(said.get("organisation"), str(said.get("act")), str(said.get("by")), said["details"])
    # Machines that were made or ended while the audit ran: their entries are beyond what it looks at.
    later = [
        (record.log_index, act, record)
        for table in _TABLES
        for act in (table.made, table.ended)
        for record in accounts.acts_everywhere(connection, act)
        if record.log_index >= scope.size
    ]
    for _, act, record in sorted(later, key=lambda one: one[0]):
        machines.add(None, act, record.actor, record.details)
    return machines


def _finding(row: Row[Any], stated: _Stated | None, issuer: str | None, digest: bytes | None) -> str | None:
    """What is wrong with a row, None when it is what the acts say."""
    if stated is None:
        return "no act on the ledger made it"
    if stated.organisation is not None and stated.organisation != issuer:
        return f"it acts for {issuer}, and the ledger says for {stated.organisation}"
    if (row.revoked_at is not None) != stated.ended:
        return "the ledger says that it was ended" if stated.ended else "it was ended, and the ledger does not say so"
    known_by = None if digest is None else encode_base64(digest)
    found = (row.created_by, row.role, row.scopes, stated_time(row.expires_at), known_by)
    expected = (stated.by, stated.role, stated.scopes, stated.until, stated.digest)
    names = ("maker", "role", "scopes", "end", "secret or key")
    different = next((name for name, a, b in zip(names, found, expected, strict=True) if a != b), None)
    return None if different is None else f"the ledger says another {different}"
