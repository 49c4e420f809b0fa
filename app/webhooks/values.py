"""What others see of webhooks."""

from dataclasses import dataclass
from enum import StrEnum

from app.core.notices import NoticeKind

TEST_KIND = "webhook.test"
"""Type of the message that a person sends to try a webhook."""


class WebhookState(StrEnum):
    """Whether a webhook gets messages."""

    WORKING = "working"
    FAILING = "failing"
    PAUSED = "paused"


class DeliveryState(StrEnum):
    """Where a message stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook without its secrets. kinds: what it is told; empty for everything. Times in milliseconds."""

    reference: str
    url: str
    kinds: tuple[NoticeKind, ...]
    created_by: str
    created_at: int
    failing_since: int | None
    paused_at: int | None

    @property
    def state(self) -> WebhookState:
        """Whether it gets messages."""
        if self.paused_at is not None:
            return WebhookState.PAUSED
        return WebhookState.WORKING if self.failing_since is None else WebhookState.FAILING


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message and what came of it. status: of the last answer; problem: a code of `OutboundFailed` if none came."""

    message_id: str
    kind: str
    state: DeliveryState
    attempts: int
    created_at: int
    next_attempt_at: int
    finished_at: int | None
    status: int | None
    problem: str | None
