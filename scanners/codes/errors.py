"""Errors of the code format: one base, a stable code, a sentence for people and a fix where there is one."""

from __future__ import annotations


class CodeError(ValueError):
    """A code, or a part of one, that was refused.

    `code` is stable and machine-readable ("check_digit", "signature_length", ...), the message is a sentence for
    people, and `fix` says what the person holding the scanner can do, where anything can be done.
    """

    def __init__(self, code: str, message: str, *, fix: str | None = None) -> None:
        # Both in `args`: an error must survive the way back from a worker process.
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        """Return the sentence for people."""
        return self.message
