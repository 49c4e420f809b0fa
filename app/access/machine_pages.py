"""The page of an organisation's machines: their keys."""

from flask import Blueprint, request
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.access import service
from app.accounts import service as accounts
from app.accounts.forms import text, whole_number, word
from app.accounts.showing import once, page, then
from app.core.authorisation import Permission, Role, current_organisation_id, current_principal, requires
from app.core.database import request_session
from app.core.errors import AppError
from app.core.services import services

blueprint = Blueprint("machine_pages", __name__)


@blueprint.get("/organisation/machines")
@requires(Permission.MACHINE_MANAGE)
def machines() -> AnyResponse:
    """Keys of machines that act for the organisation."""
    return _machines_page()


@blueprint.post("/organisation/api-keys")
@requires(Permission.MACHINE_MANAGE)
def create_api_key() -> AnyResponse:
    """Make a machine's key and show its secret once."""
    try:
        key, secret = service.create_api_key(
            services(),
            principal=current_principal(),
            name=text("name"),
            role=word(Role, "role"),
            scopes=None,
            days=whole_number("days") or 0,
        )
    except AppError as error:
        return _machines_page(error)
    return once(_machines_page(new_key=key, secret=secret))


@blueprint.post("/organisation/api-keys/<prefix>/revocation")
@requires(Permission.MACHINE_MANAGE)
def revoke_api_key(prefix: str) -> AnyResponse:
    """End a machine's key."""
    return then(
        _machines_page,
        "/organisation/machines",
        gettext("The machine's key has ended."),
        lambda: service.revoke_api_key(services(), organisation_id=current_organisation_id(), prefix=prefix),
    )


def _machines_page(
    error: AppError | None = None, *, new_key: service.ApiKey | None = None, secret: str | None = None
) -> AnyResponse:
    database, number = request_session(), current_organisation_id()
    return page(
        "access/machines.html",
        error=error,
        api_keys=service.list_api_keys(database, organisation_id=number),
        roles=accounts.roles_for(accounts.organisation_by_id(database, number).kind),
        new_key=new_key,
        secret=secret,
        entry=request.form if error else {},
    )
