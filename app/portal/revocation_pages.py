"""The page on which a key is withdrawn: first what that would do, then the deed.

A key of codes can be withdrawn from an earlier position of the ledger on, that of a theft. People do not know
positions: they choose the first batch that is not theirs, or that they no longer trust.
"""

from enum import StrEnum

from flask import Blueprint, flash, redirect, request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response as AnyResponse

from app.accounts import service as accounts
from app.accounts.forms import text, word
from app.accounts.showing import page
from app.accounts.vocabulary import KeyHolder, OrganisationKeyPurpose
from app.core.authorisation import Permission, current_organisation_id, current_principal, requires
from app.core.database import request_session
from app.core.errors import AppError, Invalid
from app.core.services import services
from app.registry import service as registry

blueprint = Blueprint("revocation_pages", __name__)

ADDRESS = "/organisation/keys/<int(max=4294967295):key_id>/revocation"
BATCHES = 100
"""Batches offered to choose a position by."""
MAX_NOTE = 500


class Reason(StrEnum):
    """Why a key is withdrawn, as it stands on the ledger."""

    STOLEN = "stolen"
    FEARED = "feared stolen"
    PERSON_LEFT = "somebody who knew it left"
    LOST = "lost"
    OTHER = "other"


REASONS = {
    Reason.STOLEN: _("Its file was stolen, or somebody else signed with it"),
    Reason.FEARED: _("We fear that somebody has a copy"),
    Reason.PERSON_LEFT: _("Somebody who could use it has left"),
    Reason.LOST: _("It is lost"),
    Reason.OTHER: _("Another reason"),
}


@blueprint.get(ADDRESS)
@requires(Permission.KEY_MANAGE)
def revocation(key_id: int) -> AnyResponse:
    """What withdrawing the key would do, from now on or from the position that was chosen."""
    try:
        return _page(key_id, _position(request.args.get("from_index", "")))
    except Invalid as error:
        return _page(key_id, None, error)


@blueprint.post(ADDRESS)
@requires(Permission.KEY_MANAGE)
def revoke_key(key_id: int) -> AnyResponse:
    """Withdraw the key."""
    organisation_id = current_organisation_id()
    accounts.find_key(request_session(), organisation_id=organisation_id, key_id=key_id)
    from_index = None
    try:
        from_index = _position(text("from_index"))
        reason, note = word(Reason, "reason"), text("note").strip()[:MAX_NOTE]
        accounts.revoke_key(
            services(),
            organisation_id=organisation_id,
            key_id=key_id,
            reason=f"{reason.value}: {note}" if note else reason.value,
            from_index=from_index,
            actor=current_principal().actor,
        )
    except AppError as error:
        return _page(key_id, from_index, error)
    flash(gettext("The key is withdrawn. Batches registered before keep their signatures."), "good")
    return redirect("/organisation/keys", 303)


def _page(key_id: int, from_index: int | None, error: AppError | None = None) -> AnyResponse:
    session, organisation_id = request_session(), current_organisation_id()
    session.rollback()  # the key may have been changed on another connection
    try:
        preview = registry.revocation_preview(
            services(), session, organisation_id=organisation_id, key_id=key_id, from_index=from_index
        )
    except Invalid as refused:
        error = error or refused
        preview = registry.revocation_preview(services(), session, organisation_id=organisation_id, key_id=key_id)
    key = preview.key
    found = registry.list_batches(session, organisation_id=organisation_id, key_id=key_id, limit=BATCHES)
    return page(
        "accounts/key_revocation.html",
        error=error,
        key=key,
        preview=preview,
        signs_codes=key.purpose is OrganisationKeyPurpose.CODE,
        firm_holds=key.holder is KeyHolder.FIRM,
        batches=found.items,
        last_index=services().log.head()[0],
        reasons=[(reason.value, said) for reason, said in REASONS.items()],
        said_reason=_said_reason(key.revocation_reason),
        entry=request.form,
    )


def _said_reason(reason: str | None) -> str | None:
    """The reason as it stands on the ledger, its word in the reader's language where it is one of ours."""
    if reason is None:
        return None
    named, colon, note = reason.partition(": ")
    try:
        return f"{REASONS[Reason(named)]}{colon}{note}"
    except ValueError:
        return reason


def _position(given: str) -> int | None:
    """The ledger position that was chosen, None for now; raises Invalid."""
    given = given.strip().replace(",", "")
    if not given:
        return None
    if not (given.isascii() and given.isdigit()) or len(given) > 15:
        raise Invalid("A position of the register is a whole number.", code="from_index")
    return int(given)
