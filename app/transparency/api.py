"""Routes about the ledger itself under /v1/log, open to everybody: they say no more than the log's public files."""

from typing import Any

from flask import Response

from app.core.api import Blueprint
from app.core.authorisation import public
from app.core.clock import now_ms
from app.core.services import services
from app.transparency import schemas, service
from app.transparency.answers import health_members

blueprint = Blueprint("transparency", __name__, url_prefix="/v1/log", description="Check the ledger itself")

ASK_AGAIN = "public, no-cache"
FOR_EVER = "public, max-age=31536000, immutable"


@blueprint.route("", methods=["GET"])
@public
@blueprint.response(200, schemas.LedgerSchema)
def ledger() -> tuple[dict[str, Any], int, dict[str, str]]:
    """Give the ledger's keys, latest checkpoint and health: size, growth, witnesses, audits, alarms."""
    members = health_members(service.health(services(), now=now_ms()))
    return members, 200, {"Cache-Control": ASK_AGAIN, "Access-Control-Allow-Origin": "*"}


@blueprint.route("/consistency", methods=["GET"])
@public
@blueprint.arguments(schemas.SizesQuery(), location="query")
@blueprint.response(200, schemas.ConsistencySchema)
def consistency(sizes: dict[str, int]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Give the proof that one published state of the ledger extends another. It never changes: keep it for ever."""
    path = service.consistency(services(), **sizes)
    return {**sizes, "path": path}, 200, {"Cache-Control": FOR_EVER, "Access-Control-Allow-Origin": "*"}


@blueprint.route("/entries/<int:index>/proof", methods=["GET"])
@public
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def leaf_proof(index: int) -> Response:
    """Give the proof (C2SP tlog-proof) that entry `index` is in the ledger, under the latest published checkpoint.

    The leaf itself is in the entry bundle, /log/tile/entries/...
    """
    response = Response(service.leaf_proof(services(), index), content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = ASK_AGAIN
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
