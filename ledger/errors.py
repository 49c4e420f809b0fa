"""What the ledger refuses, and what a person can do about it.

One base class: whoever wants to catch everything catches `LedgerError`. Each class carries a stable `code` for
machines, a sentence for people and, where there is one, a `fix`. No message contains a secret.
"""

from __future__ import annotations

from typing import ClassVar


class LedgerError(Exception):
    """Base of every error raised by this package."""

    code: ClassVar[str] = "ledger.error"

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def diagnostics(self) -> str:
        """Give the sentence and the fix as one text for a terminal."""
        return self.message if self.fix is None else f"{self.message}\n{self.fix}"


class FormatError(LedgerError):
    """Bytes or text that break the rules of their format."""

    code = "ledger.format"


class ProofError(LedgerError):
    """An inclusion or consistency proof that is malformed or does not lead to the signed root."""

    code = "ledger.proof"


class NoteError(LedgerError):
    """A signed note, verifier key or checkpoint that is malformed, or not signed by the key asked for."""

    code = "ledger.note"


class UnknownKey(NoteError):
    """A signed note that none of the keys asked for has signed."""

    code = "ledger.unknown_key"


class LogKeyError(LedgerError):
    """The record of the log's keys contradicts itself, or a key has signed what it was not allowed to."""

    code = "ledger.log_key"


class TrustRootError(LedgerError):
    """A trust root that is malformed, forged, older than the one that is held, or out of its time."""

    code = "ledger.trust_root"


class StatementError(LedgerError):
    """A signed statement that is malformed, of another type, or not signed by the key asked for."""

    code = "ledger.statement"


class StorageError(LedgerError):
    """The database holds something the ledger could not have written."""

    code = "ledger.storage"


class LogUnavailable(LedgerError):
    """The log cannot take or answer this now; nothing was acknowledged."""

    code = "ledger.unavailable"


class LogReadOnly(LogUnavailable):
    """This log answers and proves but takes no entries until somebody has looked at what is said here."""

    code = "ledger.read_only"


class LogFrozen(LogUnavailable):
    """The log has ended: it answers and proves for ever and takes no more entries."""

    code = "ledger.frozen"


class StateRefused(LedgerError):
    """What was asked does not fit the state of the log: nothing was changed."""

    code = "ledger.state"


class ForkDetected(LedgerError):
    """Two heads of one log contradict each other: the log must not sign any more."""

    code = "ledger.fork"


class EntryNotFound(LedgerError):
    """The index lies beyond the log, or the proof was asked for a size the log does not have."""

    code = "ledger.not_found"


class PolicyError(LedgerError):
    """A witness policy that is malformed or cannot be read: nothing starts with it."""

    code = "ledger.policy"


class WitnessError(LedgerError):
    """A witness's own key or state is missing, damaged or another's: it must not cosign."""

    code = "ledger.witness"


class BackupError(LedgerError):
    """A backup that can not be made or put back, or whose files are not those that its manifest names."""

    code = "ledger.backup"


class TransportError(LedgerError):
    """Another server could not be reached, or gave no whole answer in time."""

    code = "ledger.transport"


class AcknowledgedLost(LedgerError):
    """Somebody outside knows of entries that the database does not hold, or holds differently."""

    code = "ledger.acknowledged_lost"


class RoleRefused(LedgerError):
    """A database role that can not be made the one that serves."""

    code = "ledger.role"
