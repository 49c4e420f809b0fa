"""TLS client certificates that act for an organisation: registered by thumbprint, ended for good."""

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.access.certificates import read_registration
from app.access.machine_models import ClientCertificateRow
from app.access.service.granting import check_grant, common_values, end_machine, newest_first, refuse_too_many
from app.access.uses import last_days
from app.access.values import CertificateRecord
from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal, Role
from app.core.errors import Conflict, Invalid, NotFound
from app.core.services import Services


def register_certificate(
    services: Services,
    *,
    principal: Principal,
    name: str,
    role: Role,
    scopes: frozenset[Permission] | None,
    days: int,
    certificate: str,
) -> CertificateRecord:
    """Let the holder of a certificate act for the organisation; certificate: PEM, or its thumbprint in hexadecimal.

    It works for `days`, but never after the certificate's own end. A thumbprint is registered once: what was ended
    never returns. Raises Invalid, Forbidden, Conflict.
    """
    thumbprint, parsed = read_registration(certificate)
    grant = check_grant(services, principal=principal, name=name, role=role, scopes=scopes, days=days)
    if parsed is not None:
        if parsed.not_after <= grant.created_at:
            raise Invalid("This certificate has expired.", code="certificate_expired")
        grant = replace(grant, expires_at=min(grant.expires_at, parsed.not_after))

    def apply(session: Session) -> CertificateRecord:
        refuse_too_many(session, ClientCertificateRow, grant, code="too_many_certificates")
        row = ClientCertificateRow(thumbprint=thumbprint, **grant.columns())
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:
            raise Conflict("This certificate is registered already, or was once.", code="certificate_known") from None
        return _value(row, None)

    return accounts.perform(
        services,
        accounts.Act.CERTIFICATE_REGISTERED,
        organisation_id=grant.organisation_id,
        by=principal,
        details={"certificate": thumbprint.hex(), **grant.details()},
        apply=apply,
    )


def list_certificates(session: Session, *, organisation_id: int) -> list[CertificateRecord]:
    """The organisation's certificates, newest first, those that no longer work included."""
    rows = newest_first(session, ClientCertificateRow, organisation_id=organisation_id)
    used = last_days(session, [_machine(row) for row in rows])
    return [_value(row, used.get(_machine(row))) for row in rows]


def revoke_certificate(services: Services, *, principal: Principal, thumbprint: str) -> CertificateRecord:
    """End a certificate: at once here, within `CACHE_SECONDS` in other processes. Raises NotFound, Forbidden."""
    return end_machine(
        services,
        accounts.Act.CERTIFICATE_REVOKED,
        principal=principal,
        details={"certificate": thumbprint},
        find=lambda session, organisation_id: _row(session, organisation_id, thumbprint),
        value=_value,
    )


def _row(session: Session, organisation_id: int, thumbprint: str) -> ClientCertificateRow:
    try:
        digest = bytes.fromhex(thumbprint)
    except ValueError:
        raise NotFound from None
    row = session.scalar(
        select(ClientCertificateRow).where(
            ClientCertificateRow.thumbprint == digest, ClientCertificateRow.organisation_id == organisation_id
        )
    )
    if row is None or row.thumbprint.hex() != thumbprint:
        raise NotFound
    return row


def _machine(row: ClientCertificateRow) -> str:
    return f"certificate:{row.id}"


def _value(row: ClientCertificateRow, last_used_at: int | None) -> CertificateRecord:
    return CertificateRecord(thumbprint=row.thumbprint.hex(), **common_values(row, _machine(row), last_used_at))
