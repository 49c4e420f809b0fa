"""Access tokens: opaque, short-lived, worth nothing without their client."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.access.machine_models import AccessTokenRow
from app.access.oauth.clients import OAuthClient, find_client
from app.access.principals import machine_principal, refusal, scopes_of_words
from app.core.authorisation import Permission, Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.services import Services
from app.core.tokens import new_token, token_hash

ACCESS_TOKEN_PREFIX = "mct_"  # noqa: S105  how every token begins
LIFE_SECONDS = 1800


def new_access_token() -> str:
    """A fresh access token."""
    return ACCESS_TOKEN_PREFIX + new_token()


def save_access_token(services: Services, *, token: str, client_id: str, scopes: str) -> None:
    """Let the token open what its client may do within `scopes` (words), for `LIFE_SECONDS`."""
    now = now_ms()
    with write_session(services.engine) as session:
        session.execute(delete(AccessTokenRow).where(AccessTokenRow.expires_at <= now))
        session.add(
            AccessTokenRow(
                token_hash=token_hash(token),
                client_id=client_id,
                scopes=scopes,
                created_at=now,
                expires_at=now + LIFE_SECONDS * 1000,
            )
        )


def principal_of_client(
    database: Session, client: OAuthClient | None, *, scopes: frozenset[Permission] | None = None
) -> Principal:
    """The client as a caller, narrowed to a token's scopes if there are some; raises NotSignedIn unless it is valid."""
    if client is None or not client.valid:
        raise refusal()
    if client.scopes is not None:
        scopes = client.scopes if scopes is None else client.scopes & scopes
    return machine_principal(
        database,
        organisation_id=client.organisation_id,
        role=client.role,
        scopes=scopes,
        machine=client.machine,
        name=client.name,
    )


def principal_of_access_token(database: Session, digest: bytes) -> Principal:
    """The caller behind an access token's hash; raises NotSignedIn when it expired or its client is not valid now."""
    token = database.scalar(select(AccessTokenRow).where(AccessTokenRow.token_hash == digest))
    if token is None or token.expires_at <= now_ms():
        raise refusal()
    return principal_of_client(database, find_client(database, token.client_id), scopes=scopes_of_words(token.scopes))
