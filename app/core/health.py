"""Health: whether this process can do its work, for load balancers and container engines."""

from flask import Blueprint, Response, jsonify
from sqlalchemy import select, text

from app.core.alarms import count_recent_alarms
from app.core.authorisation import public
from app.core.services import services
from ledger.alarms import count_alarms
from ledger.mark.high_water import MarkState
from ledger.storage.tables import ledger_freezes

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@public
def health() -> Response:
    """Answer 200 with the ledger's size when database and ledger can be reached; any failure is a 500 or 503.

    ledger: `writable`; `read_only` when its high-water mark stands against it, `frozen` when it has ended: then this
    process verifies and proves, and answers 503 to whatever would need an entry.
    ledger_alarms: how many things contradict the ledger. A process with alarms does its work, so this stays 200: a
    load balancer can do nothing about them, somebody who watches this number must. security_alarms: how many went on
    within a day (guessing).
    """
    running = services()
    with running.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        frozen = connection.execute(select(ledger_freezes.c.entry).limit(1)).first() is not None
    size, _root = running.log.head()
    finding = running.log.finding()
    fits = finding is None or finding.state is MarkState.OK
    state = "frozen" if frozen else "writable" if fits else "read_only"
    return jsonify(
        {
            "status": "ok",
            "ledger": state,
            "ledger_size": size,
            "ledger_alarms": count_alarms(running.engine),
            "security_alarms": count_recent_alarms(running.engine),
        }
    )
