"""The person behind a browser's sign-in session."""

from flask import request, session
from sqlalchemy.orm import Session

from app.access.models import SignInSessionRow
from app.accounts import service as accounts
from app.accounts.vocabulary import WHILE_WAITING, OrganisationStatus, permissions_in
from app.core.authorisation import ANONYMOUS, Principal, current_principal
from app.core.clock import now_ms
from app.core.errors import NotSignedIn
from app.core.tokens import token_hash

SESSION_TOKEN = "token"  # noqa: S105  the name of a cookie member, not a secret


def principal_of_session(database: Session, token: str) -> Principal:
    """The person behind a sign-in session; the public when it ended."""
    signed_in = database.get(SignInSessionRow, token_hash(token), populate_existing=True)
    if signed_in is None or signed_in.expires_at <= now_ms():
        return ANONYMOUS
    membership = accounts.membership_in(
        database, person_id=signed_in.person_id, organisation_id=signed_in.organisation_id
    )
    if membership is None or membership.organisation.status is OrganisationStatus.SUSPENDED:
        return ANONYMOUS
    allowed = permissions_in(membership.organisation.kind, membership.role)
    if membership.organisation.status is not OrganisationStatus.APPROVED:
        allowed &= WHILE_WAITING
    return Principal(
        organisation_id=signed_in.organisation_id,
        role=membership.role,
        person_id=signed_in.person_id,
        permissions=allowed,
        name=accounts.person_by_id(database, signed_in.person_id).name,
    )


def start_session(token: str) -> None:
    """Let the browser of this request carry a sign-in session."""
    session.clear()  # nothing that was set before signing in stays
    session[SESSION_TOKEN] = token


def current_person_id() -> int:
    """The signed-in person; raises NotSignedIn."""
    person_id = current_principal().person_id
    if person_id is None:
        raise NotSignedIn
    return person_id


def remote_address() -> str:
    """The network address that the request came from."""
    return request.remote_addr or "unknown"
