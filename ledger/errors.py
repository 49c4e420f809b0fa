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


class StatementError(LedgerError):
    """A signed statement that is malformed, of another type, or not signed by the key asked for."""

    code = "ledger.statement"


class StorageError(LedgerError):
    """The database holds something the ledger could not have written."""

    code = "ledger.storage"


class LogUnavailable(LedgerError):
    """The log cannot take or answer this now; nothing was acknowledged."""

    code = "ledger.unavailable"


class ForkDetected(LedgerError):
    """Two heads of one log contradict each other: the log must not sign any more."""

    code = "ledger.fork"


class EntryNotFound(LedgerError):
    """The index lies beyond the log, or the proof was asked for a size the log does not have."""

    code = "ledger.not_found"
