"""Who may do what: one table, asked in one place, for every route and page.

A view says what it needs with `@requires(Permission.X)` or `@public`; `create_app` installs `enforce` before every
request. A view that says nothing is refused (fail closed), and a test walks all routes times all roles.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from flask import current_app, g, request

from app.core.errors import Forbidden, NotSignedIn

View = TypeVar("View", bound=Callable[..., Any])


class Role(StrEnum):
    """What a member or a machine is to its organisation."""

    OWNER = "owner"
    OPERATOR = "operator"
    RETAILER = "retailer"
    SUPPLIER = "supplier"
    CO_OPERATIVE = "co_operative"
    CARRIER = "carrier"
    CUSTOMS_BROKER = "customs_broker"
    INSPECTOR = "inspector"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    CUSTOMS_CLIENT = "customs_client"
    PLATFORM_ADMINISTRATOR = "platform_administrator"


class Permission(StrEnum):
    """One thing that can be done; API key scopes are made of these words."""

    ORGANISATION_READ = "organisation.read"
    ORGANISATION_MANAGE = "organisation.manage"  # members, API keys, issuing keys, requests for rights
    ORGANISATION_APPROVE = "organisation.approve"  # decide on organisations and issuing rights
    PRODUCT_READ = "product.read"
    PRODUCT_WRITE = "product.write"
    BATCH_READ = "batch.read"
    BATCH_COMMISSION = "batch.commission"
    LABEL_PRINT = "label.print"
    UNIT_ACTIVATE = "unit.activate"
    UNIT_SELL = "unit.sell"  # sell, dispense, return, and undo of these
    UNIT_RECALL = "unit.recall"  # recall, lock and report stolen: own goods
    UNIT_DETAIN = "unit.detain"  # hold, seize, release: an approved authority
    VERIFY_PROFESSIONAL = "verify.professional"  # exact reasons; scans count as professional
    VERIFY_BATCH = "verify.batch"
    PROOF_READ = "proof.read"
    JOB_READ = "job.read"


P = Permission
_MAKES = {P.PRODUCT_READ, P.PRODUCT_WRITE, P.BATCH_READ, P.BATCH_COMMISSION, P.LABEL_PRINT, P.UNIT_ACTIVATE, P.JOB_READ}
_CHECKS = {P.VERIFY_PROFESSIONAL, P.VERIFY_BATCH, P.PROOF_READ, P.JOB_READ}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(_MAKES | _CHECKS | {P.ORGANISATION_READ, P.ORGANISATION_MANAGE, P.UNIT_SELL, P.UNIT_RECALL}),
    Role.OPERATOR: frozenset(_MAKES | _CHECKS | {P.ORGANISATION_READ, P.UNIT_SELL}),
    Role.RETAILER: frozenset({P.ORGANISATION_READ, P.UNIT_SELL, P.VERIFY_PROFESSIONAL, P.VERIFY_BATCH, P.JOB_READ}),
    Role.SUPPLIER: frozenset({P.ORGANISATION_READ, P.PRODUCT_READ, P.VERIFY_PROFESSIONAL, P.JOB_READ}),
    Role.CO_OPERATIVE: frozenset({P.ORGANISATION_READ, P.PRODUCT_READ, P.VERIFY_PROFESSIONAL, P.JOB_READ}),
    Role.CARRIER: frozenset({P.ORGANISATION_READ, P.VERIFY_PROFESSIONAL, P.VERIFY_BATCH}),
    Role.CUSTOMS_BROKER: frozenset({P.ORGANISATION_READ, P.VERIFY_PROFESSIONAL, P.VERIFY_BATCH, P.PROOF_READ}),
    Role.INSPECTOR: frozenset(_CHECKS | {P.ORGANISATION_READ, P.UNIT_DETAIN}),
    Role.ANALYST: frozenset(_CHECKS | {P.ORGANISATION_READ, P.PRODUCT_READ, P.BATCH_READ}),
    Role.AUDITOR: frozenset({P.ORGANISATION_READ, P.PRODUCT_READ, P.BATCH_READ, P.PROOF_READ}),
    Role.CUSTOMS_CLIENT: frozenset(_CHECKS | {P.ORGANISATION_READ}),
    Role.PLATFORM_ADMINISTRATOR: frozenset(
        {P.ORGANISATION_READ, P.ORGANISATION_MANAGE, P.ORGANISATION_APPROVE, P.JOB_READ}
    ),
}


FRAMEWORK_ENDPOINTS = frozenset({"static", "api-docs.openapi_json"})
"""Open to everybody though their views are not ours to mark: files of the pages, and the API's own description."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: a person signed in for one organisation, an API key, or nobody in particular."""

    organisation_id: int | None = None
    role: Role | None = None
    person_id: int | None = None
    api_key_id: int | None = None
    permissions: frozenset[Permission] = frozenset()
    name: str = "anonymous"

    @property
    def is_anonymous(self) -> bool:
        """Nobody in particular: the public."""
        return self.role is None

    @property
    def actor(self) -> str:
        """Stable name of the acting party for records: ``person:7``, ``api-key:3`` or ``anonymous``."""
        if self.person_id is not None:
            return f"person:{self.person_id}"
        return f"api-key:{self.api_key_id}" if self.api_key_id is not None else "anonymous"

    def may(self, permission: Permission) -> bool:
        """Whether the table (and, for an API key, its scopes) allows `permission`."""
        return permission in self.permissions


ANONYMOUS = Principal()


def permissions_of(role: Role, scopes: frozenset[Permission] | None = None) -> frozenset[Permission]:
    """What `role` may do, narrowed to `scopes` where an API key has some."""
    allowed = ROLE_PERMISSIONS[role]
    return allowed if scopes is None else allowed & scopes


def requires(permission: Permission) -> Callable[[View], View]:
    """Mark a view as needing `permission`."""

    def mark(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        return view

    return mark


def public(view: View) -> View:
    """Mark a view as open to everybody."""
    view.permission = None  # type: ignore[attr-defined]
    return view


def current_principal() -> Principal:
    """The caller of this request."""
    principal: Principal = g.get("principal", ANONYMOUS)
    return principal


def current_organisation_id() -> int:
    """The organisation for which the caller acts; raises NotSignedIn for the public."""
    organisation_id = current_principal().organisation_id
    if organisation_id is None:
        raise NotSignedIn
    return organisation_id


def permission_of_endpoint(endpoint: str, method: str) -> Permission | str | None:
    """The permission a route asks for; None when public; the text "unlisted" when it says nothing."""
    if endpoint in FRAMEWORK_ENDPOINTS:
        return None
    view = current_app.view_functions[endpoint]
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        view = getattr(view_class, method.lower(), view)
    return getattr(view, "permission", "unlisted")


def enforce() -> None:
    """Refuse the request unless its view is public or the caller may do what it asks for (before_request)."""
    if request.endpoint is None:
        return  # no route: Flask answers 404 or 405
    method = "GET" if request.method == "HEAD" else request.method
    if method == "OPTIONS":
        return
    permission = permission_of_endpoint(request.endpoint, method)
    if permission is None:
        return
    principal = current_principal()
    if principal.is_anonymous:
        raise NotSignedIn
    if not isinstance(permission, Permission) or not principal.may(permission):
        raise Forbidden
