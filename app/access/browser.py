"""The person behind a browser's sign-in session."""

from flask import request, session
from sqlalchemy.orm import Session

from app.access.service.sessions import live_session, note_seen
from app.access.visitors import Visitor, browser_family
from app.accounts import service as accounts
from app.accounts.vocabulary import WHILE_WAITING, OrganisationStatus, permissions_in
from app.core.authorisation import ANONYMOUS, Permission, Principal, current_principal
from app.core.errors import NotSignedIn
from app.core.networks import network_of
from app.core.services import services

SESSION_TOKEN = "token"  # noqa: S105  the name of a cookie member, not a secret

WITHOUT_SECOND_FACTOR = frozenset({Permission.ACCOUNT_OWN})
"""What a person whose role needs a second factor may do before showing one: set one up."""


def principal_of_session(database: Session, token: str) -> Principal:
    """The person behind a sign-in session; the public when it ended."""
    signed_in = live_session(database, token)
    if signed_in is None:
        return ANONYMOUS
    membership = accounts.membership_in(
        database, person_id=signed_in.person_id, organisation_id=signed_in.organisation_id
    )
    if membership is None or membership.organisation.status is OrganisationStatus.SUSPENDED:
        return ANONYMOUS
    allowed = permissions_in(membership.organisation.kind, membership.role)
    withheld: frozenset[Permission] = frozenset()
    if membership.organisation.status is not OrganisationStatus.APPROVED:
        allowed, withheld = allowed & WHILE_WAITING, allowed - WHILE_WAITING
    owes = not signed_in.strong and membership.role in services().settings.second_factor_roles
    note_seen(services(), signed_in)
    return Principal(
        organisation_id=signed_in.organisation_id,
        role=membership.role,
        person_id=signed_in.person_id,
        permissions=allowed & WITHOUT_SECOND_FACTOR if owes else allowed,
        name=accounts.person_by_id(database, signed_in.person_id).name,
        confirmed_at=signed_in.confirmed_at,
        owes_second_factor=owes,
        withheld=withheld,
    )


def start_session(token: str) -> None:
    """Let the browser of this request carry a sign-in session."""
    session.clear()  # nothing that was set before signing in stays
    session[SESSION_TOKEN] = token


def keep_session(token: str) -> None:
    """Let the browser of this request carry the same session under its new token."""
    session[SESSION_TOKEN] = token


def current_token() -> str:
    """The token of this browser's session; raises NotSignedIn."""
    token = session.get(SESSION_TOKEN)
    if not isinstance(token, str):
        raise NotSignedIn
    return token


def current_person_id() -> int:
    """The signed-in person; raises NotSignedIn."""
    person_id = current_principal().person_id
    if person_id is None:
        raise NotSignedIn
    return person_id


def current_visitor() -> Visitor:
    """Where this request comes from."""
    return Visitor(remote_address(), browser_family(request.headers.get("User-Agent", "")))


def remote_address() -> str:
    """The network address that the request came from, as it is counted."""
    return network_of(request.remote_addr) or "unknown"
