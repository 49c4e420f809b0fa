"""Who may do what: one table, asked in one place, for every route and page.

A view says what it needs with `@requires(Permission.X)` or `@public`; `create_app` installs `enforce` before every
request. A view that says nothing is refused (fail closed), and a test walks all routes times all roles.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from flask import current_app, g, request

from app.core.clock import now_ms
from app.core.errors import Forbidden, NotSignedIn

View = TypeVar("View", bound=Callable[..., Any])

CONFIRMED_MS = 15 * 60 * 1000
"""How long a password or passkey, once shown, stands for acts that would hurt in the hands of a passer-by."""


class SecondFactorOwed(Forbidden):
    """The role needs a second factor, and this sign-in had none."""

    def __init__(self, message: str = "Your role needs a second factor beside the password.", **keywords: Any) -> None:
        super().__init__(message, code="second_factor_owed", **keywords)


class ConfirmationNeeded(Forbidden):
    """The caller is known and may do this, after showing once more who it is."""

    def __init__(
        self, message: str = "Confirm once more that it is you; nothing was done yet.", **keywords: Any
    ) -> None:
        super().__init__(message, code="confirmation_needed", **keywords)


class OrganisationNotApproved(Forbidden):
    """The role allows it, and the registry has not approved the organisation."""

    def __init__(
        self, message: str = "This opens when the registry has approved your organisation.", **keywords: Any
    ) -> None:
        super().__init__(message, code="organisation_not_approved", **keywords)


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

    ACCOUNT_OWN = "account.own"  # the signed-in person's own account, whatever the role
    ORGANISATION_READ = "organisation.read"
    ORGANISATION_MANAGE = "organisation.manage"  # requests for rights, delegations, limits
    ORGANISATION_APPROVE = "organisation.approve"  # the registry's desk: organisations, issuing rights, lost accounts
    MEMBER_MANAGE = "member.manage"  # invitations, roles, removals
    MACHINE_MANAGE = "machine.manage"  # API keys, OAuth clients, certificates, webhooks
    KEY_MANAGE = "key.manage"  # signing keys: registering, replacing, revoking
    KEY_SIGN = "key.sign"  # hand in what a key held by the firm has signed
    DEVICE_ENROL = "device.enrol"  # a device of one's own
    DEVICE_MANAGE = "device.manage"  # every device of the organisation
    ACT_READ = "act.read"  # the record of administrative acts
    ALARM_READ = "alarm.read"  # the registry's security alarms
    PRODUCT_READ = "product.read"
    PRODUCT_WRITE = "product.write"
    BATCH_READ = "batch.read"
    BATCH_COMMISSION = "batch.commission"
    BATCH_RELEASE = "batch.release"  # as the second person, above the organisation's threshold
    LABEL_PRINT = "label.print"
    UNIT_ACTIVATE = "unit.activate"
    UNIT_SELL = "unit.sell"  # sell, dispense, return, and undo of these
    UNIT_RECALL = "unit.recall"  # recall, lock and report stolen: own goods
    UNIT_DETAIN = "unit.detain"  # hold, seize, release: an approved authority
    VERIFY_PROFESSIONAL = "verify.professional"  # exact reasons; scans count as professional
    VERIFY_BATCH = "verify.batch"
    PROOF_READ = "proof.read"
    JOB_READ = "job.read"


_ALL = {Permission.ACCOUNT_OWN, Permission.ORGANISATION_READ}
_MAKES = {
    Permission.PRODUCT_READ,
    Permission.PRODUCT_WRITE,
    Permission.BATCH_READ,
    Permission.BATCH_COMMISSION,
    Permission.BATCH_RELEASE,
    Permission.LABEL_PRINT,
    Permission.UNIT_ACTIVATE,
    Permission.KEY_SIGN,
    Permission.JOB_READ,
}
_CHECKS = {
    Permission.VERIFY_PROFESSIONAL,
    Permission.VERIFY_BATCH,
    Permission.PROOF_READ,
    Permission.JOB_READ,
}
_MANAGES = {
    Permission.ORGANISATION_MANAGE,
    Permission.MEMBER_MANAGE,
    Permission.MACHINE_MANAGE,
    Permission.KEY_MANAGE,
    Permission.DEVICE_MANAGE,
    Permission.ACT_READ,
}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(
        _ALL | _MANAGES | _MAKES | _CHECKS | {Permission.DEVICE_ENROL, Permission.UNIT_SELL, Permission.UNIT_RECALL}
    ),
    Role.OPERATOR: frozenset(_ALL | _MAKES | _CHECKS | {Permission.DEVICE_ENROL, Permission.UNIT_SELL}),
    Role.RETAILER: frozenset(
        _ALL
        | {
            Permission.DEVICE_ENROL,
            Permission.UNIT_SELL,
            Permission.VERIFY_PROFESSIONAL,
            Permission.VERIFY_BATCH,
            Permission.JOB_READ,
        }
    ),
    Role.SUPPLIER: frozenset(_ALL | {Permission.PRODUCT_READ, Permission.VERIFY_PROFESSIONAL, Permission.JOB_READ}),
    Role.CO_OPERATIVE: frozenset(_ALL | {Permission.PRODUCT_READ, Permission.VERIFY_PROFESSIONAL, Permission.JOB_READ}),
    Role.CARRIER: frozenset(_ALL | {Permission.DEVICE_ENROL, Permission.VERIFY_PROFESSIONAL, Permission.VERIFY_BATCH}),
    Role.CUSTOMS_BROKER: frozenset(
        _ALL | {Permission.VERIFY_PROFESSIONAL, Permission.VERIFY_BATCH, Permission.PROOF_READ}
    ),
    Role.INSPECTOR: frozenset(_ALL | _CHECKS | {Permission.DEVICE_ENROL, Permission.UNIT_DETAIN}),
    Role.ANALYST: frozenset(_ALL | _CHECKS | {Permission.PRODUCT_READ, Permission.BATCH_READ}),
    Role.AUDITOR: frozenset(
        _ALL | {Permission.ACT_READ, Permission.PRODUCT_READ, Permission.BATCH_READ, Permission.PROOF_READ}
    ),
    Role.CUSTOMS_CLIENT: frozenset(_ALL | _CHECKS),
    Role.PLATFORM_ADMINISTRATOR: frozenset(
        _ALL | _MANAGES | {Permission.ORGANISATION_APPROVE, Permission.ALARM_READ, Permission.JOB_READ}
    ),
}
"""The one table: what each role may do. What an organisation's kind takes away is in `app.accounts.vocabulary`."""


CONFIRMED = frozenset(
    {
        Permission.MEMBER_MANAGE,
        Permission.MACHINE_MANAGE,
        Permission.KEY_MANAGE,
        Permission.ORGANISATION_APPROVE,
    }
)
"""Whoever gives or takes powers in a browser under one of these has shown a password or passkey a moment ago."""

FRAMEWORK_ENDPOINTS = frozenset({"static", "api-docs.openapi_json"})
"""Open to everybody though their views are not ours to mark: files of the pages, and the API's own description."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: a person signed in for one organisation, a machine, or nobody in particular.

    machine: its stable name for records, such as ``api-key:3``. confirmed_at: when the person last showed a password or
    passkey (milliseconds); None for all who show what they are with each request. owes_second_factor: the role asks for
    one and this sign-in had none, which is why `permissions` are few. withheld: what the role would allow, were the
    organisation approved.
    """

    organisation_id: int | None = None
    role: Role | None = None
    person_id: int | None = None
    machine: str | None = None
    permissions: frozenset[Permission] = frozenset()
    name: str = "anonymous"
    confirmed_at: int | None = None
    owes_second_factor: bool = False
    withheld: frozenset[Permission] = frozenset()

    @property
    def is_anonymous(self) -> bool:
        """Nobody in particular: the public."""
        return self.role is None

    @property
    def actor(self) -> str:
        """Stable name of the acting party for records: ``person:7``, ``api-key:3`` or ``anonymous``."""
        if self.person_id is not None:
            return f"person:{self.person_id}"
        return self.machine or "anonymous"

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


def needs_confirmation(view: View) -> View:
    """Mark a view of the pages as one for which a person must have shown a password or passkey a moment ago.

    What changes something under a permission of `CONFIRMED` needs no mark.
    """
    view.needs_confirmation = True  # type: ignore[attr-defined]
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
        raise _refusal(principal, permission)
    if asks_for_confirmation(request.endpoint, method) and not is_confirmed(principal):
        raise ConfirmationNeeded


def _refusal(principal: Principal, permission: Permission | str) -> Forbidden:
    if principal.owes_second_factor:
        return SecondFactorOwed()
    return OrganisationNotApproved() if permission in principal.withheld else Forbidden()


def asks_for_confirmation(endpoint: str, method: str) -> bool:
    """Whether a person must have shown a password or passkey a moment ago for this route."""
    view = current_app.view_functions[endpoint]
    changes = method != "GET" and permission_of_endpoint(endpoint, method) in CONFIRMED
    return changes or getattr(view, "needs_confirmation", False)


def is_confirmed(principal: Principal) -> bool:
    """Whether the caller has shown a password or passkey a moment ago; machines do with each request."""
    return principal.confirmed_at is None or now_ms() - principal.confirmed_at <= CONFIRMED_MS
