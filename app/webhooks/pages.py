"""Pages of webhooks: where an organisation's systems are told what happens, and what became of each message."""

from flask import Blueprint, redirect, request
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from app.accounts.forms import text
from app.accounts.showing import once, page, then
from app.core.authorisation import Permission, current_organisation_id, current_principal, requires
from app.core.database import request_session
from app.core.errors import AppError, Malformed
from app.core.notices import NoticeKind
from app.core.services import services
from app.webhooks import service, words

blueprint = Blueprint("webhook_pages", __name__)

HOME = "/organisation/webhooks"


@blueprint.get(HOME)
@requires(Permission.MACHINE_MANAGE)
def webhooks() -> AnyResponse:
    """Webhooks of the organisation."""
    return _list_page()


@blueprint.post(HOME)
@requires(Permission.MACHINE_MANAGE)
def create_webhook() -> AnyResponse:
    """Make a webhook and show its secret once."""
    try:
        kinds = [NoticeKind(value) for value in request.form.getlist("kinds")[: len(NoticeKind)]]
    except ValueError:
        raise Malformed("A choice of this form is missing.", code="choice_missing") from None
    try:
        webhook, secret = service.create_webhook(
            services(), principal=current_principal(), url=text("url").strip(), kinds=kinds
        )
    except AppError as error:
        return _list_page(error)
    return once(_one_page(webhook.reference, secret=secret))


@blueprint.get(f"{HOME}/<reference>")
@requires(Permission.MACHINE_MANAGE)
def webhook(reference: str) -> AnyResponse:
    """One webhook and its messages."""
    return _one_page(reference)


@blueprint.post(f"{HOME}/<reference>/secret")
@requires(Permission.MACHINE_MANAGE)
def replace_secret(reference: str) -> AnyResponse:
    """Make a new secret and show it once."""
    secret = service.replace_secret(services(), organisation_id=current_organisation_id(), reference=reference)
    return once(_one_page(reference, secret=secret))


@blueprint.post(f"{HOME}/<reference>/tests")
@requires(Permission.MACHINE_MANAGE)
def send_test(reference: str) -> AnyResponse:
    """Send a test message."""
    return then(
        lambda error: _one_page(reference, error),
        f"{HOME}/{reference}",
        gettext("The test message is on its way. Load the page again to see what became of it."),
        lambda: service.send_test(services(), organisation_id=current_organisation_id(), reference=reference),
    )


@blueprint.post(f"{HOME}/<reference>/deliveries/<message_id>")
@requires(Permission.MACHINE_MANAGE)
def send_again(reference: str, message_id: str) -> AnyResponse:
    """Send a message again."""
    service.send_again(
        services(), organisation_id=current_organisation_id(), reference=reference, message_id=message_id
    )
    return redirect(f"{HOME}/{reference}", 303)


@blueprint.post(f"{HOME}/<reference>/resumption")
@requires(Permission.MACHINE_MANAGE)
def resume(reference: str) -> AnyResponse:
    """Send again to a webhook that was paused."""
    service.resume(services(), organisation_id=current_organisation_id(), reference=reference)
    return redirect(f"{HOME}/{reference}", 303)


@blueprint.post(f"{HOME}/<reference>/removal")
@requires(Permission.MACHINE_MANAGE)
def remove_webhook(reference: str) -> AnyResponse:
    """End a webhook."""
    return then(
        _list_page,
        HOME,
        gettext("The webhook has ended."),
        lambda: service.remove_webhook(services(), principal=current_principal(), reference=reference),
    )


def _list_page(error: AppError | None = None) -> AnyResponse:
    return page(
        "webhooks/webhooks.html",
        error=error,
        webhooks=service.list_webhooks(request_session(), organisation_id=current_organisation_id()),
        kinds=list(NoticeKind),
        chosen=request.form.getlist("kinds") if error else [],
        entry=request.form if error else {},
        words=words,
    )


def _one_page(reference: str, error: AppError | None = None, *, secret: str | None = None) -> AnyResponse:
    number = current_organisation_id()
    # A session of its own: the request's began to read before the change that this page may be about.
    with Session(services().engine) as database:
        webhook = service.find_webhook(database, organisation_id=number, reference=reference)
        deliveries = service.list_deliveries(database, organisation_id=number, reference=reference)
    return page(
        "webhooks/webhook.html", error=error, webhook=webhook, deliveries=deliveries, secret=secret, words=words
    )
