"""The subject map of the registry's log: who states it, and how often.

A map is stated by the worker when something was recorded since the last one, and at once when somebody asks for a
proof (`SubjectMap.prove`). So the worker need not hurry: each map is an entry of the log, and one a second would double
a log that records one event a second.
"""

import time
from collections.abc import Callable

import structlog

from app.core.once import Once
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from ledger.checkpoint import SignedCheckpoint
from ledger.errors import LedgerError, LogUnavailable
from ledger.map.keeper import SubjectMap
from ledger.own import StatementSigner

PUBLISH_SECONDS = 10.0
"""The worker states a map at most this often."""

SHARE_OF_TIME = 0.2
"""Nor does it spend more than this share of its time on it: a map of millions of tags takes seconds under load."""

logger = structlog.get_logger(__name__)


def subject_map(services: Services) -> SubjectMap:
    """The subject map, stated with the registry's statement key and proved under the best checkpoint there is."""
    key = services.keys[KeyPurpose.STATEMENT]

    def checkpoint(at_least: int) -> SignedCheckpoint:
        witnessed = services.checkpoints.latest().signed
        return witnessed if witnessed.checkpoint.size >= at_least else services.log.checkpoint(at_least=at_least)

    signer = StatementSigner(key.key_id, key.private_key)
    return SubjectMap(services.log, services.engine, signer, checkpoint=checkpoint)


class MapPublisher:
    """States the map from within the worker's loop."""

    def __init__(self, services: Services, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._map = subject_map(services)
        self._clock = clock
        self._due = clock()
        self._obstacles = Once()

    def publish_when_due(self) -> None:
        """State the map when it is time. What the ledger refuses is said once, and tried again later."""
        started = self._clock()
        if started < self._due:
            return
        self._due = started + PUBLISH_SECONDS
        try:
            head = self._map.publish()
        except LogUnavailable as refusal:
            # Frozen or read-only: nothing is broken here, and an operator has to act elsewhere.
            if self._obstacles.is_news(refusal.code):
                logger.warning("no subject map is stated", code=refusal.code, reason=refusal.message)
            return
        except LedgerError as refusal:
            if self._obstacles.is_news(refusal.code):
                logger.exception("subject map could not be stated", code=refusal.code)
            return
        self._obstacles.well()
        finished = self._clock()
        self._due = max(self._due, finished + (finished - started) / SHARE_OF_TIME)
        if head is not None:
            logger.info("subject map stated", size=head.size, log_index=head.entry)
