"""docs/roles.md as it follows from the tables in the code: `marchamo account roles` prints it, and a test compares."""

from collections.abc import Iterator

from app.accounts.role_words import PERMISSIONS, ROLES
from app.accounts.vocabulary import ROLES_OF_KIND, WHILE_WAITING, OrganisationKind, permissions_in
from app.core.authorisation import ROLE_PERMISSIONS, Permission, Role

_HEAD = """# Roles: who may do what

Made from the tables in `app/core/authorisation.py` and `app/accounts/vocabulary.py` by `marchamo account roles`; a test
fails when this page and the code differ. Every route and page asks that one table, and another test tries all of them
with every role. A machine (API key, OAuth client, device) has one of these roles, narrowed to its scopes, which are the
words in the first column below.
"""


def document() -> str:
    """The page in Markdown, in English."""
    return "\n".join([_HEAD, *_roles(), "", *_permissions(), "", *_standing()]) + "\n"


def kinds_with(role: Role) -> list[OrganisationKind]:
    """The kinds of organisation in which somebody can have the role."""
    return [kind for kind in OrganisationKind if role in ROLES_OF_KIND[kind]]


def kinds_without(role: Role, permission: Permission) -> list[OrganisationKind]:
    """The kinds of organisation in which the role is without a permission that it has elsewhere."""
    return [kind for kind in kinds_with(role) if permission not in permissions_in(kind, role)]


def _roles() -> Iterator[str]:
    yield "## The roles"
    yield ""
    yield "| role | in organisations of kind | what it is |"
    yield "|---|---|---|"
    for role in Role:
        kinds = ", ".join(kind.value for kind in kinds_with(role))
        yield f"| `{role.value}` | {kinds} | {ROLES[role]} |"


def _permissions() -> Iterator[str]:
    yield "## What each may do"
    yield ""
    yield "What is about an organisation's own products is open in firms only, whatever the role."
    yield ""
    yield "| permission | in words | roles |"
    yield "|---|---|---|"
    for permission in Permission:
        roles = ", ".join(
            role.value + _elsewhere(role, permission) for role in Role if permission in ROLE_PERMISSIONS[role]
        )
        yield f"| `{permission.value}` | {PERMISSIONS[permission]} | {roles} |"


def _elsewhere(role: Role, permission: Permission) -> str:
    without = kinds_without(role, permission)
    return f" (not in: {', '.join(kind.value for kind in without)})" if without else ""


def _standing() -> Iterator[str]:
    yield "## Before and after the registry's approval"
    yield ""
    waiting = ", ".join(f"`{word.value}`" for word in Permission if word in WHILE_WAITING)
    yield f"People of an organisation that waits or was refused may, as far as their role goes: {waiting}."
    yield "Its machines may do nothing. Nobody acts for a suspended organisation."
