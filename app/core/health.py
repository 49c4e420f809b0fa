"""Health: whether this process can do its work, for load balancers and container engines."""

from flask import Blueprint, Response, jsonify
from sqlalchemy import text

from app.core.authorisation import public
from app.core.services import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@public
def health() -> Response:
    """Answer 200 with the ledger's size when database and ledger can be reached; any failure is a 500 or 503."""
    running = services()
    with running.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    size, _root = running.log.head()
    return jsonify({"status": "ok", "ledger_size": size})
