"""What the script of a batch's page asks for: what is to be signed, and where the signatures go.

The same use cases as under /v1, for a person with a browser session; refusals are in the reader's language.
"""

from typing import Any

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from app.accounts.forms import text
from app.accounts.showing import answered
from app.core.authorisation import Permission, current_organisation_id, requires
from app.core.database import request_session
from app.core.errors import Malformed
from app.core.given import given_bytes
from app.core.services import services
from app.registry import service as registry
from app.registry.answers import signing_answer, signing_page_answer
from app.registry.unit_id import MAX_BATCH_SIZE

blueprint = Blueprint("signing_pages", __name__)

MAX_SERIAL = 20


@blueprint.get("/batches/<handle>/signing.json")
@requires(Permission.KEY_SIGN)
def signing_page(handle: str) -> AnyResponse:
    """What the firm is to sign of one of its batches, a page of serials at a time."""

    def read() -> dict[str, Any]:
        start, after = _place()
        page = registry.signing_page(
            services(),
            request_session(),
            handle=handle,
            organisation_id=current_organisation_id(),
            start=start,
            after=after,
        )
        return signing_page_answer(page)

    return answered(read)


@blueprint.put("/batches/<handle>/signatures")
@requires(Permission.KEY_SIGN)
def put_signatures(handle: str) -> AnyResponse:
    """Hand signatures in; each is verified, and the same part may be sent again."""

    def put() -> dict[str, Any]:
        organisation_id = current_organisation_id()
        registry.find_batch(request_session(), handle, organisation_id=organisation_id)
        if request.mimetype != "application/octet-stream":
            raise Malformed("Send the signatures as application/octet-stream.", code="content_type")
        start, after = _place()
        signing = registry.put_signatures(
            services(),
            handle=handle,
            organisation_id=organisation_id,
            start=start,
            after=after,
            signatures=request.get_data(cache=False),
        )
        return signing_answer(handle, signing)

    return answered(put)


@blueprint.post("/batches/<handle>/seal")
@requires(Permission.KEY_SIGN)
def close_signing(handle: str) -> AnyResponse:
    """Close a batch whose signatures are all in."""

    def close() -> dict[str, Any]:
        organisation_id = current_organisation_id()
        registry.find_batch(request_session(), handle, organisation_id=organisation_id)
        seal = given_bytes(text("seal"), size=64)
        return signing_answer(
            handle, registry.close_signing(services(), handle=handle, organisation_id=organisation_id, seal=seal)
        )

    return answered(close)


def _place() -> tuple[int, str | None]:
    """Position of the first unit, and the serial before it where the script knows it; raises Malformed."""
    start, after = request.args.get("from", "0"), request.args.get("after")
    if not (start.isascii() and start.isdigit() and len(start) <= 9 and int(start) <= MAX_BATCH_SIZE):
        raise Malformed("The position is no position of a batch.", code="position")
    if after is not None and not 1 <= len(after) <= MAX_SERIAL:
        raise Malformed("The serial before the position is none.", code="serial")
    return int(start), after
