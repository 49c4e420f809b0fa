"""What may be given to a machine, and how it is taken back: one set of rules for keys, clients and certificates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access.machine_models import ClientCertificateRow, OAuthClientRow
from app.access.models import ApiKeyRow
from app.access.principals import scopes_in_words, scopes_of_words
from app.access.remembered import forget_machine
from app.access.values import Machine
from app.accounts import service as accounts
from app.accounts.vocabulary import ROLES_OF_KIND
from app.core.authorisation import Permission, Principal, Role, permissions_of
from app.core.clock import now_ms, to_iso
from app.core.errors import Conflict, Faults, Forbidden, Invalid
from app.core.services import Services

DAY_MS = 24 * 3600 * 1000
MAX_DAYS = 366
MAX_MACHINES = 100
"""How many keys, clients and certificates that still work an organisation may have, of each."""

MachineRow = ApiKeyRow | OAuthClientRow | ClientCertificateRow
Row = TypeVar("Row", ApiKeyRow, OAuthClientRow, ClientCertificateRow)
Record = TypeVar("Record", bound=Machine)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a machine is given, checked. Times are milliseconds."""

    organisation_id: int
    name: str
    role: Role
    scopes: frozenset[Permission] | None
    created_by: str
    created_at: int
    expires_at: int

    def details(self) -> dict[str, str | int | bool | None]:
        """The grant as the ledger states it; without the name, which somebody chose freely."""
        return {"role": self.role.value, "scopes": scopes_in_words(self.scopes), "until": to_iso(self.expires_at)}

    def columns(self) -> dict[str, Any]:
        """The grant as the tables of machines keep it."""
        return {
            "organisation_id": self.organisation_id,
            "name": self.name,
            "role": self.role.value,
            "scopes": scopes_in_words(self.scopes),
            "created_by": self.created_by,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
        }


def check_grant(
    services: Services,
    *,
    principal: Principal,
    name: str,
    role: Role,
    scopes: frozenset[Permission] | None,
    days: int,
) -> Grant:
    """What `principal` may give to a machine.

    A person who manages the organisation may give a machine any role that a member could have; a machine never more
    than it may itself. Raises Invalid, Forbidden.
    """
    if principal.organisation_id is None or principal.role is None:
        raise Forbidden
    faults = Faults()
    name = " ".join(name.split())
    if not 1 <= len(name) <= 100 or not name.isprintable():
        faults.add("/name", "The name has 1 to 100 characters.")
    if not 1 <= days <= MAX_DAYS:
        faults.add("/days", "A key works for 1 to 366 days.")
    if scopes is not None and not scopes <= permissions_of(role):
        faults.add("/scopes", "The scopes must be permissions of the role.")
    faults.refuse_if_any("Some of the entries can not be used.")
    if principal.machine is not None and not permissions_of(role, scopes) <= principal.permissions:
        raise Forbidden("A machine can not make another that may do more than itself.")
    with Session(services.engine) as session:
        kind = accounts.organisation_by_id(session, principal.organisation_id).kind
    if role not in ROLES_OF_KIND[kind]:
        raise Invalid(
            "Nobody can be %(role)s in an organisation of kind %(kind)s.",
            code="role_not_of_kind",
            role=role.value,
            kind=kind.value,
        )
    now = now_ms()
    return Grant(principal.organisation_id, name, role, scopes, principal.actor, now, now + days * DAY_MS)


def refuse_too_many(session: Session, table: type[MachineRow], grant: Grant, *, code: str, times: int = 1) -> None:
    """Raise Conflict when the organisation has `times` as many as `MAX_MACHINES` in this table that still work."""
    most = times * MAX_MACHINES
    working = session.scalar(
        select(func.count())
        .select_from(table)
        .where(
            table.organisation_id == grant.organisation_id,
            table.revoked_at.is_(None),
            table.expires_at > grant.created_at,
        )
    )
    if (working or 0) >= most:
        raise Conflict("The organisation has %(most)s of these already.", code=code, most=most)


def common_values(row: MachineRow, machine: str, last_used_at: int | None) -> dict[str, Any]:
    """The members of `values.Machine` from a row, without anything that opens a door."""
    return {
        "machine": machine,
        "name": row.name,
        "role": Role(row.role),
        "scopes": scopes_of_words(row.scopes),
        "created_by": row.created_by,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "last_used_at": last_used_at,
    }


def newest_first(session: Session, table: type[Row], *, organisation_id: int) -> Sequence[Row]:
    """The organisation's machines of one kind, those that no longer work included."""
    return session.scalars(
        select(table).where(table.organisation_id == organisation_id).order_by(table.created_at.desc(), table.id.desc())
    ).all()


def end_machine(
    services: Services,
    act: accounts.Act,
    *,
    principal: Principal,
    details: Mapping[str, str],
    find: Callable[[Session, int], Row],
    value: Callable[[Row, int | None], Record],
    also: Callable[[Session], object] = lambda _session: None,
) -> Record:
    """End a machine's credential: at once here, within `CACHE_SECONDS` in other processes.

    find: gives its row in an organisation, or raises NotFound. also: what ends with it, in the same transaction. One
    that has ended before is given back as it is. Raises Forbidden.
    """
    if principal.organisation_id is None:
        raise Forbidden
    organisation_id = principal.organisation_id
    with Session(services.engine) as session:
        known = find(session, organisation_id)
        if known.revoked_at is not None:
            return value(known, None)

    def apply(session: Session) -> Record:
        row = find(session, organisation_id)
        row.revoked_at = now_ms()
        also(session)
        return value(row, None)

    ended = accounts.perform(services, act, organisation_id=organisation_id, by=principal, details=details, apply=apply)
    forget_machine(ended.machine)
    return ended
