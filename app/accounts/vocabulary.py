"""Words of the accounts feature, with their wire names once."""

from enum import StrEnum

from app.core.authorisation import Permission, Role, permissions_of


class OrganisationKind(StrEnum):
    """What an organisation is; it bounds the roles its members can have."""

    FIRM = "firm"
    SHOP = "shop"
    AUTHORITY = "authority"
    REGISTRY = "registry"


class OrganisationStatus(StrEnum):
    """Where an organisation stands with the registry."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    SUSPENDED = "suspended"


class RightKind(StrEnum):
    """What an issuing right covers."""

    PREFIX = "prefix"  # a GS1 company prefix, 4-12 digits
    GTIN = "gtin"  # a single GTIN-14
    DELEGATION = "delegation"  # a GTIN-14 of another organisation, revocable by it


class RightStatus(StrEnum):
    """Where an issuing right stands."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"
    REVOKED = "revoked"


class OrganisationKeyPurpose(StrEnum):
    """What a key of an organisation signs."""

    CODE = "code"
    STATEMENT = "statement"


class KeyHolder(StrEnum):
    """Who holds the private half of a key; the wire name stands in the registration on the ledger."""

    SERVICE = "service"
    FIRM = "firm"


ROLES_OF_KIND: dict[OrganisationKind, frozenset[Role]] = {
    OrganisationKind.FIRM: frozenset(
        {
            Role.OWNER,
            Role.OPERATOR,
            Role.SUPPLIER,
            Role.CO_OPERATIVE,
            Role.CARRIER,
            Role.CUSTOMS_BROKER,
            Role.RETAILER,
            Role.ANALYST,
            Role.AUDITOR,
        }
    ),
    OrganisationKind.SHOP: frozenset({Role.OWNER, Role.RETAILER, Role.AUDITOR}),
    OrganisationKind.AUTHORITY: frozenset(
        {Role.OWNER, Role.INSPECTOR, Role.ANALYST, Role.AUDITOR, Role.CUSTOMS_CLIENT}
    ),
    OrganisationKind.REGISTRY: frozenset({Role.PLATFORM_ADMINISTRATOR, Role.ANALYST, Role.AUDITOR}),
}
"""Which roles people and machines of an organisation can have: a firm can not make itself an inspector."""

KINDS_OPEN_TO_SIGN_UP = (OrganisationKind.FIRM, OrganisationKind.SHOP, OrganisationKind.AUTHORITY)

WHILE_WAITING = frozenset(
    {
        Permission.ACCOUNT_OWN,
        Permission.ORGANISATION_READ,
        Permission.ORGANISATION_MANAGE,
        Permission.MEMBER_MANAGE,
        Permission.ACT_READ,
    }
)
"""What people may do before the registry has approved their firm: look after their own application."""

_OF_MAKERS = frozenset(
    {
        Permission.PRODUCT_READ,
        Permission.PRODUCT_WRITE,
        Permission.BATCH_READ,
        Permission.BATCH_COMMISSION,
        Permission.BATCH_RELEASE,
        Permission.KEY_SIGN,
        Permission.LABEL_PRINT,
        Permission.UNIT_ACTIVATE,
        Permission.UNIT_RECALL,
    }
)
"""What is about an organisation's own products: only firms have some."""


def permissions_in(
    kind: OrganisationKind, role: Role, scopes: frozenset[Permission] | None = None
) -> frozenset[Permission]:
    """What `role` may do in an organisation of `kind`, narrowed to the scopes of an API key."""
    allowed = permissions_of(role, scopes)
    return allowed if kind is OrganisationKind.FIRM else allowed - _OF_MAKERS
