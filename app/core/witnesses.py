"""The witnesses of the ledger: the policy that the settings name, and the loop that shows them its checkpoints."""

import threading
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Engine

from app.core.clock import now_ms
from app.core.config import Settings
from app.core.once import Once
from app.core.services import Services
from app.core.witness_results import WitnessResults
from ledger.alarms import AlarmKind, raise_alarm
from ledger.errors import LedgerError, PolicyError
from ledger.storage.sql import SqlLogStorage
from ledger.witnessing.client import Report, Result, Witnessing
from ledger.witnessing.policy import Policy, read_policy
from ledger.witnessing.transport import HttpTransport, check_url

ROUND_SECONDS = 1.0
"""A checkpoint is published at most once a second; so often are witnesses looked after."""

logger = structlog.get_logger(__name__)


def load_policy(settings: Settings) -> Policy:
    """Read the witness policy; one without witnesses when no file is set.

    Raises PolicyError when the file cannot be read or used: a service that went on without it would look witnessed to
    those who set it.
    """
    if not settings.witness_policy:
        return Policy()
    path = Path(settings.witness_policy)
    policy = read_policy(path)
    for witness in policy.witnesses:
        if witness.url is not None:
            check_url(witness.url)
    origin = settings.effective_log_origin
    if policy.logs and origin not in {known.verifier.name for known in policy.logs}:
        raise PolicyError(
            f"the witness policy {path} names other logs than {origin}.",
            fix="Put this log's verifier key on a log line of the policy, or leave all log lines out.",
        )
    try:
        policy.to_bytes().decode("utf-8")
    except UnicodeDecodeError:
        # It is handed on as text, in the trust list.
        raise PolicyError(f"the witness policy {path} cannot be used: its names must be UTF-8") from None
    return policy


def has_witnesses(services: Services) -> bool:
    """Say whether the policy has witnesses that can be asked."""
    return any(witness.url is not None for witness in services.checkpoints.policy.witnesses)


def witness_until(stopping: threading.Event, services: Services) -> None:
    """Show every new checkpoint to the witnesses, once a second, until told to stop."""
    transport = HttpTransport()
    witnessing = Witnessing(
        services.log,
        SqlLogStorage(services.engine),
        services.checkpoints.policy,
        transport=transport,
        alarm=partial(_alarm, services.engine),
    )
    results, obstacles = WitnessResults(services.settings.data_dir), Once()
    while not stopping.wait(ROUND_SECONDS):
        try:
            for report in witnessing.run_once():
                _tell(report, results)
            obstacles.well()
        except LedgerError as refusal:
            if obstacles.is_news(refusal.code):
                logger.warning("witnesses are not asked", code=refusal.code, reason=refusal.message)
        except Exception:
            # The database may be restarting; without this loop no checkpoint would ever be witnessed again.
            logger.exception("witnesses could not be asked")
    witnessing.close()
    transport.close()


def _tell(report: Report, results: WitnessResults) -> None:
    """Note a witness's result, and log it when it differs from the last one: not every second the same."""
    if not results.note(report, now=now_ms()):
        return
    level = logger.info if report.result is Result.COSIGNED else logger.warning
    level("witness", witness=report.witness, result=report.result.value, size=report.size, detail=report.detail)


def _alarm(engine: Engine, *, proven: bool, detail: str, evidence: str) -> None:
    alarm = raise_alarm(engine, AlarmKind.FORK if proven else AlarmKind.WITNESS, detail=detail, evidence=evidence)
    logger.critical("a witness contradicts the ledger", alarm=alarm.number, proven=proven, detail=detail)
