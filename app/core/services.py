"""The parts that live as long as the process: made once by `create_app`, reached through `services()`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import current_app
from sqlalchemy import Engine

from app.core.checkpoint_keys import CheckpointKeys
from app.core.config import Settings
from app.core.sealing import Sealer
from app.core.service_keys import KeyPurpose, ServiceKey
from ledger.log import Log
from ledger.witnessing.cosigned import CosignedCheckpoints


@dataclass(frozen=True, slots=True)
class Services:
    """What use cases need beside a session: passed as keyword arguments to those that are called outside requests."""

    settings: Settings
    engine: Engine
    sealer: Sealer
    keys: Mapping[KeyPurpose, ServiceKey]
    checkpoint_keys: CheckpointKeys
    log: Log
    checkpoints: CosignedCheckpoints
    features: dict[type, Any] = field(default_factory=dict)
    """Long-lived parts of features by type (for instance the scan store), put here when the feature is wired."""


def services() -> Services:
    """The services of the running application."""
    found: Services = current_app.extensions["marchamo"]
    return found
