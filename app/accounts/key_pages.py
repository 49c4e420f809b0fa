"""The pages of an organisation's keys: which there are, who holds them, and how the firm takes one into its own hands.

What a script of these pages sends is the public half of a key and signatures; there is no field for anything else.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.accounts import service
from app.accounts.forms import text, whole_number
from app.accounts.showing import answered, page, then
from app.accounts.values import KeyRecord
from app.accounts.vocabulary import KeyHolder, OrganisationKeyPurpose, OrganisationKind, OrganisationStatus
from app.core.authorisation import (
    Permission,
    current_organisation_id,
    current_principal,
    needs_confirmation,
    requires,
)
from app.core.database import request_session
from app.core.errors import AppError
from app.core.given import given_bytes
from app.core.services import services
from ledger.strict import encode_base64

blueprint = Blueprint("key_pages", __name__)

ADDRESS = "/organisation/keys"
OWN = f"{ADDRESS}/own"


@blueprint.get(ADDRESS)
@requires(Permission.KEY_MANAGE)
def keys() -> AnyResponse:
    """Signing keys, and who holds them."""
    return _keys_page()


@blueprint.get(OWN)
@requires(Permission.KEY_MANAGE)
@needs_confirmation
def own_key() -> AnyResponse:
    """Make a key in the browser, register it, and keep it there."""
    database, number = request_session(), current_organisation_id()
    known = [key for key in service.list_keys(database, organisation_id=number) if key.holder is KeyHolder.FIRM]
    return page(
        "accounts/key_own.html",
        organisation=service.organisation_by_id(database, number),
        known=[{"key_id": key.key_id, "public_key": encode_base64(key.public_key)} for key in known],
    )


@blueprint.post(f"{ADDRESS}/registrations")
@requires(Permission.KEY_MANAGE)
def begin_registration() -> AnyResponse:
    """Set a number aside for a key that the firm holds: the first of two steps of the page's script."""

    def begin() -> dict[str, Any]:
        waiting = service.begin_registration(
            services(),
            organisation_id=current_organisation_id(),
            public_key=given_bytes(text("public_key"), size=32),
        )
        return {
            "key_id": waiting.key_id,
            "issuer": waiting.issuer,
            "possession_message": encode_base64(waiting.message),
        }

    return answered(begin)


@blueprint.post(ADDRESS)
@requires(Permission.KEY_MANAGE)
def register_key() -> AnyResponse:
    """Register a key that the firm holds, with its signature of the message: the second step."""

    def register() -> dict[str, Any]:
        key = service.register_firm_key(
            services(),
            organisation_id=current_organisation_id(),
            key_id=whole_number("key_id") or 0,
            public_key=given_bytes(text("public_key"), size=32),
            possession=given_bytes(text("possession"), size=64),
            actor=current_principal().actor,
        )
        return {"key_id": key.key_id, "registered_index": key.registered_index}

    return answered(register)


@blueprint.post(f"{ADDRESS}/<int(max=4294967295):key_id>/rotation")
@requires(Permission.KEY_MANAGE)
def rotate_key(key_id: int) -> AnyResponse:
    """Replace a key by one that the service holds; where the firm held its own, it hands the signing back."""
    return then(
        _keys_page,
        ADDRESS,
        gettext("A new key signs from now on. Codes made before stay valid."),
        lambda: service.rotate_key(
            services(),
            organisation_id=current_organisation_id(),
            key_id=key_id,
            hand_back=text("holder") == KeyHolder.SERVICE,
            actor=current_principal().actor,
        ),
    )


def _keys_page(error: AppError | None = None) -> AnyResponse:
    database, number = request_session(), current_organisation_id()
    found = service.list_keys(database, organisation_id=number)
    organisation = service.organisation_by_id(database, number)
    newest = next((key for key in found if key.purpose is OrganisationKeyPurpose.CODE), None)
    return page(
        "accounts/keys.html",
        error=error,
        keys=found,
        newest=newest,
        firm_holds=newest is not None and newest.holder is KeyHolder.FIRM,
        has_code_key=service.has_code_key(database, organisation_id=number),
        may_hold=organisation.kind is OrganisationKind.FIRM and organisation.status is OrganisationStatus.APPROVED,
        is_replaceable=_is_replaceable(newest),
        public_halves={key.key_id: encode_base64(key.public_key) for key in found},
    )


def _is_replaceable(newest: KeyRecord | None) -> Callable[[KeyRecord], bool]:
    """Tell of a key whether the service can make its successor: not of code keys while the firm holds its own."""

    def tell(key: KeyRecord) -> bool:
        is_code = key.purpose is OrganisationKeyPurpose.CODE
        return key.revoked_at is None and not (is_code and newest is not None and newest.holder is KeyHolder.FIRM)

    return tell
