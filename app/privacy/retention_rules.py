"""How long rows are kept, by table. Data only; the worker goes through it once a day (`service.retention`)."""

from dataclasses import dataclass

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of `table` go when `column` (ms) lies `kept_ms` back; rows in which it is NULL stay."""

    table: str
    column: str
    kept_ms: int = 0

    @property
    def task(self) -> str:
        """Name of the task in logs and records."""
        return f"{self.table}.{self.column}"


RULES = (
    Rule("sign_in_sessions", "expires_at"),
    Rule("sign_in_steps", "expires_at"),
    Rule("passkey_challenges", "expires_at"),
    Rule("recovery_links", "expires_at"),
    # A removal of factors takes effect at the person's next sign-in: one that never came is asked for again.
    Rule("factor_resets", "effective_at", 90 * DAY_MS),
    Rule("security_events", "at", 180 * DAY_MS),
    Rule("attempts", "window_ends_at"),
    Rule("tallies", "ends_at"),
    Rule("alarms", "last_at", 365 * DAY_MS),
    Rule("token_ids", "expires_at"),
    Rule("access_tokens", "expires_at"),
    Rule("applications", "expires_at"),
    Rule("invitations", "expires_at", 30 * DAY_MS),
    Rule("device_codes", "expires_at"),
    Rule("key_registrations", "created_at", 7 * DAY_MS),
    Rule("outgoing_mail", "created_at", 2 * DAY_MS),
    Rule("notices", "created_at", 90 * DAY_MS),
    Rule("webhook_deliveries", "finished_at", 30 * DAY_MS),
)
LABEL_FILES_MS = 30 * DAY_MS
"""A label sheet holds a firm's codes: it is printed within days, and can be made again."""
