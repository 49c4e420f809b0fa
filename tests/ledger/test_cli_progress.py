"""Work that takes a while shows a bar on a terminal; nothing else ever does."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from ledger.cli import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error as a terminal, on which everything counts as slow."""
    made = Terminal()
    # Not sys.stderr itself: pytest puts its own there between a fixture and its test.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=made))
    monkeypatch.setattr(progress, "Console", lambda **_options: Console(file=made))
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return made


def test_slow_work_shows_what_is_done(terminal: Terminal) -> None:
    with progress.slow_progress() as report:
        report("entries", 1, 4)
        report("entries", 4, 4)
    assert "entries" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_quick_work_shows_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 60.0)
    with progress.slow_progress() as report:
        report("entries", 1, 4)
    assert "entries" not in terminal.getvalue()


def test_for_machines_nothing_is_shown(terminal: Terminal) -> None:
    with progress.slow_progress(quiet=True) as report:
        report("entries", 1, 4)
    assert terminal.getvalue() == ""
