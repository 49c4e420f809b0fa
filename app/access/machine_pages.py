"""The page of an organisation's machines: their keys, OAuth clients and certificates."""

from typing import Any

from flask import Blueprint, request
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from app.access import service
from app.access.values import Machine
from app.accounts import service as accounts
from app.accounts.forms import text, whole_number, word
from app.accounts.role_words import PERMISSIONS
from app.accounts.showing import once, page, then
from app.core.authorisation import (
    ROLE_PERMISSIONS,
    Permission,
    Role,
    current_organisation_id,
    current_principal,
    requires,
)
from app.core.clock import now_ms
from app.core.database import request_session
from app.core.errors import AppError, Invalid, Malformed
from app.core.services import services
from ledger.errors import FormatError
from ledger.strict import decode_json_object

EXPIRY_WARNING_MS = 14 * 24 * 3600 * 1000
"""How long before its end a machine is marked on the page."""
ADDRESS = "/organisation/machines"

blueprint = Blueprint("machine_pages", __name__)


@blueprint.get(ADDRESS)
@requires(Permission.MACHINE_MANAGE)
def machines() -> AnyResponse:
    """Machines that act for the organisation."""
    return _page()


@blueprint.post("/organisation/api-keys")
@requires(Permission.MACHINE_MANAGE)
def create_api_key() -> AnyResponse:
    """Make a machine's key and show its secret once."""
    try:
        key, secret = service.create_api_key(services(), principal=current_principal(), **_granted())
    except AppError as error:
        return _page(error, form="api-key")
    return once(_page(made=key.name, secrets=[(gettext("Key"), secret)]))


@blueprint.post("/organisation/api-keys/<prefix>/rotation")
@requires(Permission.MACHINE_MANAGE)
def rotate_api_key(prefix: str) -> AnyResponse:
    """Replace a machine's key; both work for the hours of overlap."""
    try:
        hours = whole_number("overlap_hours")
        key, secret = service.rotate_api_key(
            services(), principal=current_principal(), prefix=prefix, overlap_hours=24 if hours is None else hours
        )
    except AppError as error:
        return _page(error)
    return once(_page(made=key.name, secrets=[(gettext("Key"), secret)]))


@blueprint.post("/organisation/api-keys/<prefix>/revocation")
@requires(Permission.MACHINE_MANAGE)
def revoke_api_key(prefix: str) -> AnyResponse:
    """End a machine's key."""
    return then(
        _page,
        ADDRESS,
        gettext("The machine's key has ended."),
        lambda: service.revoke_api_key(services(), principal=current_principal(), prefix=prefix),
    )


@blueprint.post("/organisation/oauth-clients")
@requires(Permission.MACHINE_MANAGE)
def create_oauth_client() -> AnyResponse:
    """Make a client of the token endpoint; show its secret once, when it has one."""
    try:
        client, secret = service.create_oauth_client(
            services(), principal=current_principal(), public_jwk=_posted_jwk(), **_granted()
        )
    except AppError as error:
        return _page(error, form="client")
    shown = [(gettext("Client"), client.client_id)]
    return once(_page(made=client.name, secrets=shown if secret is None else [*shown, (gettext("Secret"), secret)]))


@blueprint.post("/organisation/oauth-clients/<client_id>/revocation")
@requires(Permission.MACHINE_MANAGE)
def revoke_oauth_client(client_id: str) -> AnyResponse:
    """End a client and its tokens."""
    return then(
        _page,
        ADDRESS,
        gettext("The client and its tokens have ended."),
        lambda: service.revoke_oauth_client(services(), principal=current_principal(), client_id=client_id),
    )


@blueprint.post("/organisation/client-certificates")
@requires(Permission.MACHINE_MANAGE)
def register_certificate() -> AnyResponse:
    """Register a client certificate."""
    return then(
        lambda error: _page(error, form="certificate"),
        ADDRESS,
        gettext("The certificate is registered."),
        lambda: service.register_certificate(
            services(), principal=current_principal(), certificate=_posted_certificate(), **_granted()
        ),
    )


@blueprint.post("/organisation/client-certificates/<thumbprint>/revocation")
@requires(Permission.MACHINE_MANAGE)
def revoke_certificate(thumbprint: str) -> AnyResponse:
    """End a certificate for good."""
    return then(
        _page,
        ADDRESS,
        gettext("The certificate has ended."),
        lambda: service.revoke_certificate(services(), principal=current_principal(), thumbprint=thumbprint),
    )


def _page(
    error: AppError | None = None,
    *,
    form: str = "",
    made: str | None = None,
    secrets: list[tuple[str, str]] | None = None,
) -> AnyResponse:
    """Give the page; form: which of the forms was refused."""
    database, number = request_session(), current_organisation_id()
    roles = accounts.roles_for(accounts.organisation_by_id(database, number).kind)
    api_keys = service.list_api_keys(database, organisation_id=number)
    clients = service.list_oauth_clients(database, organisation_id=number)
    certificates = service.list_certificates(database, organisation_id=number)
    return page(
        "access/machines.html",
        error=error,
        api_keys=api_keys,
        clients=clients,
        certificates=certificates,
        makers=_makers(database, number, [*api_keys, *clients, *certificates]),
        takes_certificates=bool(services().settings.client_certificate_header),
        roles=roles,
        scopes=[(permission.value, str(PERMISSIONS[permission])) for permission in _offered(roles)],
        chosen=request.form.getlist("scopes") if error else [],
        scope_words=PERMISSIONS,
        now=now_ms(),
        soon=now_ms() + EXPIRY_WARNING_MS,
        made=made,
        secrets=secrets or [],
        refused_form=form,
        entry=request.form if error else {},
    )


def _makers(database: Session, organisation_id: int, machines: list[Machine]) -> dict[str, str | None]:
    """Who made the machines: a name, None for a person who is no member any more, the machine's own word otherwise."""
    found: dict[str, str | None] = {}
    for actor in {machine.created_by for machine in machines}:
        kind, _, digits = actor.partition(":")
        if kind != "person":
            found[actor] = actor
            continue
        if digits == "0":
            found[actor] = gettext("The registry")  # its command line: nobody has that number
            continue
        membership = accounts.membership_in(database, person_id=int(digits), organisation_id=organisation_id)
        found[actor] = None if membership is None else accounts.person_by_id(database, int(digits)).name
    return found


def _offered(roles: list[Role]) -> list[Permission]:
    """The scopes from which to choose: what one of the roles may do, less what only a person has."""
    allowed = frozenset[Permission]().union(*(ROLE_PERMISSIONS[role] for role in roles)) - {Permission.ACCOUNT_OWN}
    return [permission for permission in Permission if permission in allowed]


def _granted() -> dict[str, Any]:
    """What every machine is given; no scope chosen means all that the role may."""
    chosen = request.form.getlist("scopes")
    if len(chosen) > len(Permission) or not all(scope in set(Permission) for scope in chosen):
        raise Malformed("A choice of this form is missing.", code="choice_missing")
    return {
        "name": text("name"),
        "role": word(Role, "role"),
        "scopes": frozenset(Permission(scope) for scope in chosen) if chosen else None,
        "days": whole_number("days") or 0,
    }


def _posted_jwk() -> dict[str, Any] | None:
    pasted = text("public_jwk").strip()
    if not pasted:
        return None
    try:
        return decode_json_object(pasted.encode())
    except FormatError:
        raise Invalid("The public key can not be read as JSON.", code="jwk_unreadable") from None


def _posted_certificate() -> str:
    """The posted PEM text or thumbprint: longer than other fields; `certificates` bounds it."""
    return request.form.get("certificate", "")
