"""Which person stands behind a caller: a machine acts for whoever made it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.machine_models import ClientCertificateRow, OAuthClientRow
from app.access.models import ApiKeyRow
from app.core.authorisation import Principal


def person_behind(session: Session, principal: Principal) -> int | None:
    """Number of the person who calls or who made the machine that does; None where nobody knows.

    A machine may have been made by a machine, and so on. That is followed to its end, which there is, for each was made
    before the next: whoever put enough machines between would otherwise be nobody, and a second person to oneself.
    """
    if principal.person_id is not None:
        return principal.person_id
    actor = principal.machine or ""
    while True:
        kind, _, name = actor.partition(":")
        if kind == "person":
            return int(name)
        maker = _maker(session, kind, name)
        if maker is None:
            return None
        actor = maker


def _maker(session: Session, kind: str, name: str) -> str | None:
    if kind == "oauth-client":
        return session.scalar(select(OAuthClientRow.created_by).where(OAuthClientRow.client_id == name))
    if kind == "api-key":
        return session.scalar(select(ApiKeyRow.created_by).where(ApiKeyRow.id == int(name)))
    if kind == "certificate":
        return session.scalar(select(ClientCertificateRow.created_by).where(ClientCertificateRow.id == int(name)))
    return None
