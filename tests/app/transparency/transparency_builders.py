"""Builders for transparency: the log's own signer, for notes that the log never published."""

from __future__ import annotations

from app.core.services import Services
from ledger.note import NoteSigner
from ledger.storage.sql import SqlLogStorage
from ledger.witnessing.cosigned import CosignedCheckpoints
from ledger.witnessing.policy import Policy


def log_signer(services: Services) -> NoteSigner:
    """The key of the log's checkpoints: whoever holds it can sign a second history."""
    [signer] = services.checkpoint_keys.current()
    return signer


def with_policy(services: Services, policy: Policy) -> None:
    """Let these services count the witnesses of a policy, as if the settings had named it."""
    cosigned = CosignedCheckpoints(services.log, SqlLogStorage(services.engine), policy)
    object.__setattr__(services, "checkpoints", cosigned)
