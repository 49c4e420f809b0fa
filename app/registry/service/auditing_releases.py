"""The audit's view of four eyes: whoever released or refused codes is on the ledger, and nothing was made without."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from app.accounts import service as accounts
from app.core.audit_rows import said
from app.core.jobs import JobRow, JobState
from app.registry.models import BatchRow
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import Stated, stretches

_DECISIONS = {accounts.Act.BATCH_RELEASED.value, accounts.Act.BATCH_REFUSED.value}


def check_releases(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
    """Compare jobs that waited for a second person with the acts that decided about them."""
    decided: set[str] = set()
    for stretch in stretches(connection, scope, {accounts.ACT_KIND}):
        acts = {_job_of(stated): stated for stated in stretch.entries.values() if said(stated, "act") in _DECISIONS}
        decided |= acts.keys()
        rows = connection.execute(select(JobRow.__table__).where(JobRow.id.in_(acts.keys()))).all()
        for row in rows:
            stated = acts.pop(row.id)
            refused = said(stated, "act") == accounts.Act.BATCH_REFUSED
            details = said(stated, "details") or {}
            agrees = (
                row.decided_by == said(stated, "by")
                and (row.total, row.created_by) == (details.get("units"), details.get("asked_by"))
                and row.state != JobState.WAITING
                and (row.state == JobState.FAILED or not refused)
            )
            if not agrees:
                finding = f"entry {stated.index} says something else of who asked for it, how much, or who decided"
                yield Fault("release.entry", f"jobs {row.id}", finding)
        for job_id, stated in acts.items():
            finding = f"entry {stated.index} decides about job {job_id}, which is not there"
            yield Fault("release.missing", f"ledger_entries {stated.index}", finding)
    if scope.whole:
        yield from _check_undecided(connection, decided)


def _check_undecided(connection: Connection, decided: set[str]) -> Iterator[Fault]:
    claimed = select(JobRow.id).where(JobRow.decided_by.is_not(None)).order_by(JobRow.id)
    for job_id in connection.scalars(claimed):
        if job_id not in decided:
            yield Fault(
                "release.entry", f"jobs {job_id}", "a second person decided, and no entry of the ledger says so"
            )
    made = (
        select(JobRow.id)
        .where(JobRow.waits_until.is_not(None), JobRow.decided_by.is_(None))
        .where(select(BatchRow.id).where(BatchRow.job_id == JobRow.id, BatchRow.log_index.is_not(None)).exists())
        .order_by(JobRow.id)
    )
    for job_id in connection.scalars(made):
        yield Fault("release.entry", f"jobs {job_id}", "its codes were made, and no second person released them")


def _job_of(stated: Stated) -> str:
    details = said(stated, "details")
    return str(details.get("job")) if isinstance(details, dict) else ""
