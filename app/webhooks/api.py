"""Routes of webhooks under /v1: parse, call one use case, answer."""

from typing import Any

from app.core.api import Blueprint
from app.core.authorisation import Permission, current_organisation_id, current_principal, requires
from app.core.database import request_session
from app.core.notices import NoticeKind
from app.core.services import services
from app.webhooks import schemas, service
from app.webhooks.answers import delivery_answer, webhook_answer

blueprint = Blueprint(
    "webhooks", __name__, url_prefix="/v1/webhooks", description="Be told what happened (Standard Webhooks)"
)

Answer = dict[str, Any]


@blueprint.route("", methods=["GET"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.WebhookListSchema)
def list_webhooks() -> Answer:
    """Webhooks of the caller's organisation."""
    found = service.list_webhooks(request_session(), organisation_id=current_organisation_id())
    return {"items": [webhook_answer(webhook) for webhook in found]}


@blueprint.route("", methods=["POST"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.arguments(schemas.WebhookRequestSchema)
@blueprint.response(201, schemas.NewWebhookSchema)
def create_webhook(entry: Answer) -> Answer:
    """Make a webhook. Its secret is shown in this answer and never again."""
    webhook, secret = service.create_webhook(
        services(),
        principal=current_principal(),
        url=entry["url"],
        kinds=[NoticeKind(kind) for kind in entry["kinds"]],
    )
    return webhook_answer(webhook) | {"secret": secret}


@blueprint.route("/<reference>", methods=["GET"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.WebhookSchema)
def show_webhook(reference: str) -> Answer:
    """Give one webhook."""
    found = service.find_webhook(request_session(), organisation_id=current_organisation_id(), reference=reference)
    return webhook_answer(found)


@blueprint.route("/<reference>", methods=["DELETE"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(204)
def remove_webhook(reference: str) -> None:
    """End a webhook; what waits for it is given up."""
    service.remove_webhook(services(), principal=current_principal(), reference=reference)


@blueprint.route("/<reference>/secret", methods=["POST"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.SecretSchema)
def replace_secret(reference: str) -> Answer:
    """Make a new secret; for a day messages are signed with the former one too."""
    return {
        "secret": service.replace_secret(services(), organisation_id=current_organisation_id(), reference=reference)
    }


@blueprint.route("/<reference>/resumption", methods=["POST"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.WebhookSchema)
def resume(reference: str) -> Answer:
    """Send again to a webhook that was paused, and what waits for it at once."""
    return webhook_answer(service.resume(services(), organisation_id=current_organisation_id(), reference=reference))


@blueprint.route("/<reference>/tests", methods=["POST"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(202, schemas.DeliverySchema)
def send_test(reference: str) -> Answer:
    """Send a test message."""
    return delivery_answer(
        service.send_test(services(), organisation_id=current_organisation_id(), reference=reference)
    )


@blueprint.route("/<reference>/deliveries", methods=["GET"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.DeliveryListSchema)
def list_deliveries(reference: str) -> Answer:
    """Give the newest messages of a webhook and what came of them."""
    found = service.list_deliveries(request_session(), organisation_id=current_organisation_id(), reference=reference)
    return {"items": [delivery_answer(delivery) for delivery in found]}


@blueprint.route("/<reference>/deliveries/<message_id>", methods=["POST"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(202, schemas.DeliverySchema)
def send_again(reference: str, message_id: str) -> Answer:
    """Send a message again, under the same id."""
    return delivery_answer(
        service.send_again(
            services(), organisation_id=current_organisation_id(), reference=reference, message_id=message_id
        )
    )
