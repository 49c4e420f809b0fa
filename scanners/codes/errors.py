"""Errors of the code format: one base, a stable code, a sentence for people and a fix where there is one."""

from __future__ import annotations


class CodeError(ValueError):
    """A code, or a part of one, that was refused.

    `code` is stable and machine-readable ("check_digit", "signature_length", ...), the message is a sentence for
    people, and `fix` says what the person holding the scanner can do, where anything can be done.
    """

    def __init__(self, code: str, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix
