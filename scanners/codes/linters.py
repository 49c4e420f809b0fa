"""What a component of a GS1 value means: the linters that the GS1 Barcode Syntax Dictionary names."""

from __future__ import annotations

from collections.abc import Callable

from scanners.codes.check_digits import has_valid_check_digit
from scanners.codes.errors import CodeError

Linter = Callable[[str], str | None]


def _check_digit(value: str) -> str | None:
    return None if has_valid_check_digit(value) else "check_digit"


LINTERS: dict[str, Linter] = {"csum": _check_digit}


def lint(name: str, value: str, *, ai: str) -> None:
    """Apply the linter `name` to a component of AI `ai`. Raises CodeError with the linter's code."""
    linter = LINTERS.get(name)
    fault = linter(value) if linter else None
    if fault is not None:
        raise CodeError(fault, f"The value of AI ({ai}) is wrong ({fault.replace('_', ' ')}).")
