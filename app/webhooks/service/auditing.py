"""The audit's check of webhooks: each goes where, and is told what, somebody of its organisation said on the ledger.

Who can write into the database could otherwise lead a firm's messages elsewhere. Each act is compared with the ledger
by the check of accounts; here the webhooks are compared with the acts.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.webhooks.models import WebhookRow
from app.webhooks.service.subscribing import url_digest
from ledger.audit import AuditScope, Fault


def webhook_check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
    """Compare every webhook with the acts that made and ended it; only an audit of everything does so."""
    if not scope.whole:
        return
    made = {act.details["webhook"]: act for act in accounts.acts_everywhere(connection, accounts.Act.WEBHOOK_CREATED)}
    ended = {act.details["webhook"] for act in accounts.acts_everywhere(connection, accounts.Act.WEBHOOK_REMOVED)}
    with Session(bind=connection) as session:
        for row in session.scalars(select(WebhookRow).order_by(WebhookRow.id)):
            where, act = f"webhooks {row.reference}", made.pop(row.reference, None)
            if act is None:
                yield Fault("webhook.entry", where, "no act on the ledger made it")
            elif not _agrees(row, act):
                finding = f"its entry {act.log_index} says another organisation, address or other kinds"
                yield Fault("webhook.entry", where, finding)
            if (row.removed_at is not None) != (row.reference in ended):
                yield Fault("webhook.entry", where, "the ledger does not agree on whether it has ended")
    for reference, act in made.items():
        yield Fault("webhook.missing", f"webhooks {reference}", f"entry {act.log_index} made it, and it is not there")


def _agrees(row: WebhookRow, act: accounts.ActRecord) -> bool:
    said = (act.details["for"], act.details["url_sha256"], act.details["kinds"])
    return said == (row.organisation_id, url_digest(row.url), row.kinds)
