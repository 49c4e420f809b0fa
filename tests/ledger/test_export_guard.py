"""An export that others may have seen is remembered: a log that was put back does not write over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import ForkDetected, NoteError
from ledger.export import export
from ledger.log import Log
from ledger.note import NoteSigner
from tests.log_builders import ORIGIN, new_entry


def test_an_export_of_more_entries_than_the_log_has_is_kept(log: Log, signer: NoteSigner, tmp_path: Path) -> None:
    log.append_many([new_entry(number) for number in range(5)])
    export(log, tmp_path)
    note = sign_checkpoint(Checkpoint(ORIGIN, 9, bytes(32)), signer).note_text
    (tmp_path / "checkpoint").write_text(note)
    with pytest.raises(ForkDetected, match="an export of 9 entries, the log has only 5"):
        export(log, tmp_path)
    assert (tmp_path / "checkpoint").read_text() == note


def test_an_export_of_another_history_is_kept(log: Log, signer: NoteSigner, tmp_path: Path) -> None:
    log.append_many([new_entry(number) for number in range(5)])
    note = sign_checkpoint(Checkpoint(ORIGIN, 4, bytes(32)), signer).note_text
    (tmp_path / "checkpoint").write_text(note)
    with pytest.raises(ForkDetected, match="another history"):
        export(log, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_folder_of_another_log_is_not_written_into(log: Log, tmp_path: Path) -> None:
    log.append(new_entry(0))
    other = NoteSigner.generate("log.test/other")
    (tmp_path / "checkpoint").write_text(sign_checkpoint(Checkpoint("log.test/other", 4, bytes(32)), other).note_text)
    with pytest.raises(NoteError):
        export(log, tmp_path)


def test_an_export_goes_on_where_the_last_one_ended(log: Log, tmp_path: Path) -> None:
    log.append_many([new_entry(number) for number in range(300)])
    first = export(log, tmp_path)
    log.append(new_entry(300))
    log.checkpoint(at_least=301)
    assert export(log, tmp_path).checkpoint.checkpoint.size == 301 > first.checkpoint.checkpoint.size
