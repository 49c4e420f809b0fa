"""From what is recorded of a machine to the caller it is: one place for keys, tokens, certificates and devices."""

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationStatus, permissions_in
from app.core.authorisation import Permission, Principal, Role
from app.core.errors import NotSignedIn

API_KEY_PREFIX = "mch_"
"""How every API key begins."""


def refusal() -> NotSignedIn:
    """The one answer to every credential that does not open: it says nothing about why."""
    return NotSignedIn("This key, token or certificate is not known, has expired or was revoked.")


def machine_principal(
    database: Session,
    *,
    organisation_id: int,
    role: Role,
    scopes: frozenset[Permission] | None,
    machine: str,
    name: str,
) -> Principal:
    """The machine as a caller; raises NotSignedIn unless its organisation is approved."""
    organisation = accounts.organisation_by_id(database, organisation_id)
    if organisation.status is not OrganisationStatus.APPROVED:
        raise refusal()
    return Principal(
        organisation_id=organisation_id,
        role=role,
        machine=machine,
        permissions=permissions_in(organisation.kind, role, scopes),
        name=name,
    )


def scopes_in_words(scopes: frozenset[Permission] | None) -> str | None:
    """Scopes as they are stored and stated: words in order, None for no narrowing."""
    return None if scopes is None else " ".join(sorted(scopes))


def scopes_of_words(words: str | None) -> frozenset[Permission] | None:
    """The other way round."""
    return None if words is None else frozenset(Permission(word) for word in words.split())
