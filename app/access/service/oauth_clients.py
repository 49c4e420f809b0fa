"""Clients of the token endpoint: made with a secret shown once, or with a public key; ended with their tokens."""

import secrets
from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.access.machine_models import AccessTokenRow, OAuthClientRow
from app.access.oauth.clients import OAuthClient
from app.access.oauth.keys import read_jwk
from app.access.principals import scopes_of_words
from app.access.service.granting import check_grant, common_values, end_machine, newest_first, refuse_too_many
from app.access.uses import last_days
from app.access.values import ClientRecord
from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal, Role
from app.core.clock import now_ms
from app.core.errors import NotFound
from app.core.services import Services
from app.core.tokens import new_token, token_hash
from ledger.strict import encode_base64

CLIENT_PREFIX = "mcc_"
SECRET_PREFIX = "mcs_"  # noqa: S105  how every secret begins


def create_oauth_client(
    services: Services,
    *,
    principal: Principal,
    name: str,
    role: Role,
    scopes: frozenset[Permission] | None,
    days: int,
    public_jwk: Mapping[str, Any] | None = None,
) -> tuple[ClientRecord, str | None]:
    """The new client, and its secret, which nobody can read again; with a public key (JWK) there is no secret.

    What may be given is said by `granting.check_grant`. Raises Invalid, Forbidden, Conflict when there are too many.
    """
    grant = check_grant(services, principal=principal, name=name, role=role, scopes=scopes, days=days)
    jwk = None
    if public_jwk is not None:
        jwk = orjson.dumps(read_jwk(public_jwk), option=orjson.OPT_SORT_KEYS).decode()
    secret = SECRET_PREFIX + new_token() if jwk is None else None
    client_id = CLIENT_PREFIX + secrets.token_hex(8)

    def apply(session: Session) -> ClientRecord:
        refuse_too_many(session, OAuthClientRow, grant, code="too_many_clients")
        row = OAuthClientRow(
            client_id=client_id,
            secret_hash=None if secret is None else token_hash(secret),
            public_jwk=jwk,
            **grant.columns(),
        )
        session.add(row)
        session.flush()
        return _value(row, None)

    client = accounts.perform(
        services,
        accounts.Act.CLIENT_CREATED,
        organisation_id=grant.organisation_id,
        by=principal,
        details={
            "client": client_id,
            "digest": encode_base64(token_hash(jwk or secret or "")),
            **grant.details(),
            "has_key": jwk is not None,
        },
        apply=apply,
    )
    return client, secret


def list_oauth_clients(session: Session, *, organisation_id: int) -> list[ClientRecord]:
    """The organisation's clients, newest first, those that no longer work included."""
    rows = newest_first(session, OAuthClientRow, organisation_id=organisation_id)
    used = last_days(session, [_machine(row) for row in rows])
    return [_value(row, used.get(_machine(row))) for row in rows]


def revoke_oauth_client(services: Services, *, principal: Principal, client_id: str) -> ClientRecord:
    """End a client and every token it has: at once here, within `CACHE_SECONDS` in other processes.

    Raises NotFound, Forbidden.
    """
    return end_machine(
        services,
        accounts.Act.CLIENT_REVOKED,
        principal=principal,
        details={"client": client_id},
        find=lambda session, organisation_id: _row(session, organisation_id, client_id),
        value=_value,
        also=lambda session: session.execute(delete(AccessTokenRow).where(AccessTokenRow.client_id == client_id)),
    )


def registered_client(session: Session, client_id: str) -> OAuthClient | None:
    """The source of the clients that organisations register (see `oauth.clients`)."""
    row = session.scalar(select(OAuthClientRow).where(OAuthClientRow.client_id == client_id))
    if row is None:
        return None
    return OAuthClient(
        client_id=row.client_id,
        organisation_id=row.organisation_id,
        role=Role(row.role),
        machine=_machine(row),
        name=row.name,
        scopes=scopes_of_words(row.scopes),
        secret_hash=row.secret_hash,
        public_jwk=None if row.public_jwk is None else orjson.loads(row.public_jwk),
        valid=row.revoked_at is None and row.expires_at > now_ms(),
    )


def _row(session: Session, organisation_id: int, client_id: str) -> OAuthClientRow:
    row = session.scalar(
        select(OAuthClientRow).where(
            OAuthClientRow.client_id == client_id, OAuthClientRow.organisation_id == organisation_id
        )
    )
    if row is None:
        raise NotFound
    return row


def _machine(row: OAuthClientRow) -> str:
    return f"oauth-client:{row.client_id}"


def _value(row: OAuthClientRow, last_used_at: int | None) -> ClientRecord:
    return ClientRecord(
        client_id=row.client_id,
        public_jwk=None if row.public_jwk is None else orjson.loads(row.public_jwk),
        **common_values(row, _machine(row), last_used_at),
    )
