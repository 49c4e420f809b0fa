"""How the ledger is: size, growth, published checkpoint, witnesses, audits, alarms, and whether it takes entries.

Nothing here says more than the public files of the log do: sizes and times of checkpoints are everybody's to watch.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median

import structlog
from sqlalchemy import Connection, select

from app.core.services import Services
from app.core.witness_results import WitnessResult, read_results
from app.transparency.service.growing import Growth, growth
from ledger.alarms import Alarm, count_alarms, list_alarms
from ledger.audit.records import AuditRecord, last_audits
from ledger.checkpoint import SignedCheckpoint
from ledger.cosignature import CosignatureVerifier
from ledger.errors import LedgerError
from ledger.keys.log_keys import LogKeys
from ledger.mark.high_water import MarkState
from ledger.storage.tables import ledger_checkpoints, ledger_cosignatures, ledger_freezes
from ledger.witnessing.client import Result
from ledger.witnessing.policy import Witnessed

SHOWN_ALARMS = 20
SHOWN_AUDITS = 8
SHOWN_LAGS = 40
"""Checkpoints of which each witness's lag is shown."""

logger = structlog.get_logger(__name__)


class LedgerState(StrEnum):
    """Whether the log takes entries."""

    WRITABLE = "writable"
    READ_ONLY = "read_only"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class WitnessHealth:
    """How far one witness has come.

    size: of the latest checkpoint it cosigned, time: when (ms); both None before its first. entries_behind: entries of
    the published checkpoint that it has not seen. lags: (checkpoint's time, ms it took the witness), oldest first,
    without the first of all, since nobody waited for it before. last: what it answered when it was
    asked last; None when nobody asks it, or the worker of this machine has not yet.
    """

    name: str
    size: int | None
    time: int | None
    entries_behind: int
    lags: tuple[tuple[int, int], ...] = ()
    last: WitnessResult | None = None

    @property
    def usual_lag(self) -> int | None:
        """The median of the lags, ms."""
        return round(median(lag for _, lag in self.lags)) if self.lags else None

    @property
    def contradicts(self) -> bool:
        """Whether it knows another history than this log: then it is not behind."""
        return self.last is not None and self.last.result is Result.CONTRADICTED

    @property
    def is_well(self) -> bool:
        """Whether it cosigned what it was shown last, as far as is known."""
        return self.last is None or self.last.result is Result.COSIGNED


@dataclass(frozen=True, slots=True)
class Health:
    """The ledger at `now` (ms).

    checkpoint: the one to rest on, with its cosignatures, which `witnessed` counts; None while nothing was ever
    published. published_at in ms. keys: all that the log ever had.
    """

    now: int
    origin: str
    keys: LogKeys
    checkpoint: SignedCheckpoint | None
    published_at: int | None
    state: LedgerState
    growth: Growth
    witnessed: Witnessed
    witnesses: tuple[WitnessHealth, ...]
    audits: tuple[AuditRecord, ...]
    alarms: tuple[Alarm, ...]
    alarm_count: int

    @property
    def age_seconds(self) -> int | None:
        """Age of the published checkpoint."""
        return None if self.published_at is None else max(0, self.now - self.published_at) // 1000


def health(services: Services, *, now: int) -> Health:
    """Look the ledger over. now: ms."""
    signed, witnessed = _published(services)
    size = 0 if signed is None else signed.checkpoint.size
    with services.engine.connect() as connection:
        published_at = connection.execute(
            select(ledger_checkpoints.c.time).where(ledger_checkpoints.c.size == size)
        ).scalar()
        frozen = connection.execute(select(ledger_freezes.c.entry).limit(1)).first() is not None
        policy = services.checkpoints.policy
        answers = read_results(services.settings.data_dir)
        witnesses = tuple(
            replace(_witness(connection, one.verifier, size), last=answers.get(one.verifier.name))
            for one in policy.witnesses
        )
    return Health(
        now=now,
        origin=services.log.origin,
        keys=services.log.keys(),
        checkpoint=signed,
        published_at=published_at,
        state=LedgerState.FROZEN if frozen else _state(services),
        growth=growth(services, now=now),
        witnessed=witnessed,
        witnesses=witnesses,
        audits=tuple(last_audits(services.engine, limit=SHOWN_AUDITS)),
        alarms=tuple(list_alarms(services.engine, limit=SHOWN_ALARMS)),
        alarm_count=count_alarms(services.engine),
    )


def _published(services: Services) -> tuple[SignedCheckpoint | None, Witnessed]:
    try:
        found = services.checkpoints.read()
    except LedgerError as error:
        # A log that may not sign still shows what it signed last, and says that it is not well.
        logger.warning("no new checkpoint", code=error.code, reason=error.message)
        return services.log.published(), services.checkpoints.policy.judge({})
    return found.signed, found.witnessed


def _state(services: Services) -> LedgerState:
    try:
        finding = services.log.finding()
    except OSError:
        return LedgerState.READ_ONLY  # the high-water mark can not be read: nothing can be acknowledged
    return LedgerState.WRITABLE if finding is None or finding.state is MarkState.OK else LedgerState.READ_ONLY


def _witness(connection: Connection, verifier: CosignatureVerifier, size: int) -> WitnessHealth:
    key_id, name = verifier.key_id, verifier.name
    signed, published = ledger_cosignatures.c, ledger_checkpoints.c
    rows = connection.execute(
        select(signed.size, signed.time, published.time)
        .join(ledger_checkpoints, published.size == signed.size)
        .where(signed.key_id == key_id)
        .order_by(signed.size.desc())
        .limit(SHOWN_LAGS)
    ).all()
    if not rows:
        return WitnessHealth(name, None, None, size)
    latest, signed_at, _ = rows[0]
    if len(rows) < SHOWN_LAGS:
        rows = rows[:-1]  # its very first: that checkpoint may be older than the witness
    # A witness's clock is its own: one that runs ahead of ours did not sign before there was something to sign.
    lags = tuple((shown_at, max(0, at - shown_at)) for _, at, shown_at in reversed(rows))
    return WitnessHealth(name, latest, signed_at, max(0, size - latest), lags)
