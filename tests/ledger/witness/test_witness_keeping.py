"""What a witness keeps on disk: its state and its folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.cosignature import CosignatureSigner
from ledger.errors import WitnessError
from ledger.witness.cosigner import Cosigner
from ledger.witness.keeping import KEY_FILE, STATE_FILE, open_folder, read_keys
from ledger.witness.state import NEVER, WitnessState
from tests.small_log import signer
from tests.witness_builders import (
    latest,
    make_cosigner,
    request_for,
    told,
)


def test_the_state_is_read_again_after_a_restart(tmp_path: Path) -> None:
    make_cosigner(tmp_path).add_checkpoint(request_for(0, 5))
    again = make_cosigner(tmp_path)
    assert told(again.add_checkpoint(request_for(0, 9))) == (409, "5\n")
    assert again.add_checkpoint(request_for(5, 9)).status == 200


def test_nothing_leaves_when_the_state_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cosigner = make_cosigner(tmp_path)

    def full(*_args: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("ledger.witness.state.StateWriter.put", full)
    with pytest.raises(sqlite3.OperationalError):
        cosigner.add_checkpoint(request_for(0, 5))
    monkeypatch.undo()
    assert latest(cosigner) == NEVER
    assert cosigner.add_checkpoint(request_for(0, 5)).status == 200


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE latest SET size = 4",
        "UPDATE latest SET root = zeroblob(32)",
        "UPDATE latest SET origin = 'other'",
        "DELETE FROM latest",
        "DELETE FROM evidence",
    ],
)
def test_the_database_itself_refuses_to_go_back(tmp_path: Path, statement: str) -> None:
    cosigner = make_cosigner(tmp_path)
    cosigner.add_checkpoint(request_for(0, 5))
    cosigner.add_checkpoint(request_for(5, 5, "forked"))
    with closing(sqlite3.connect(tmp_path / STATE_FILE)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    cosigner = make_cosigner(tmp_path)
    with cosigner.state.exclusive() as state:
        assert state._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert state._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_no_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WitnessError, match="cannot be read"):
        WitnessState(tmp_path / "absent.db")
    assert not (tmp_path / "absent.db").exists()
    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        connection.execute("CREATE TABLE other (a)")
    with pytest.raises(WitnessError, match="is not the state of a witness"):
        WitnessState(tmp_path / "empty.db")


def test_a_folder_is_made_once_and_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "witness"
    made = open_folder(folder, "witness.example/w1")
    assert made.name == "witness.example/w1"
    assert [key.verifier.signature_type for key in made.signers] == [4, 6]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert open_folder(folder).signers == made.signers
    assert open_folder(folder, "witness.example/w1").signers == read_keys(folder) == made.signers


def test_a_witness_of_another_name_is_not_taken_over(tmp_path: Path) -> None:
    open_folder(tmp_path, "witness.example/w1")
    with pytest.raises(WitnessError, match=r"is called witness\.example/w1, not witness\.example/w2"):
        open_folder(tmp_path, "witness.example/w2")


def test_a_first_start_needs_a_sound_name(tmp_path: Path) -> None:
    with pytest.raises(WitnessError, match="there is no witness"):
        open_folder(tmp_path)
    with pytest.raises(WitnessError, match="cannot be the name of a witness"):
        open_folder(tmp_path, "two words")
    assert list(tmp_path.iterdir()) == []


def test_a_witness_that_forgot_what_it_cosigned_does_not_start(tmp_path: Path) -> None:
    open_folder(tmp_path, "witness.example/w1")
    (tmp_path / STATE_FILE).unlink()
    with pytest.raises(WitnessError, match="has forgotten what it cosigned"):
        open_folder(tmp_path, "witness.example/w1")
    assert not (tmp_path / STATE_FILE).exists()


def test_a_witness_that_lost_its_keys_gets_no_new_ones(tmp_path: Path) -> None:
    made = open_folder(tmp_path, "witness.example/w1")
    Cosigner(made.signers, [signer().verifier], made.state).add_checkpoint(request_for(0, 5))
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(WitnessError, match="is gone, but the witness there has cosigned"):
        open_folder(tmp_path, "witness.example/w1")


def test_a_first_start_that_was_cut_short_is_taken_up(tmp_path: Path) -> None:
    WitnessState.create(tmp_path / STATE_FILE)
    assert open_folder(tmp_path, "witness.example/w1").state.all_latest() == {}


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"\xff", b"PRIVATE+KEY+a+00000000+BAAA\n"])
def test_a_damaged_key_file_is_refused_without_repeating_it(tmp_path: Path, content: bytes) -> None:
    open_folder(tmp_path, "witness.example/w1")
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(WitnessError) as refused:
        open_folder(tmp_path)
    assert "PRIVATE" not in refused.value.diagnostics()


def test_keys_of_two_witnesses_in_one_file_are_refused(tmp_path: Path) -> None:
    open_folder(tmp_path, "witness.example/w1")
    (tmp_path / KEY_FILE).write_text("".join(f"{CosignatureSigner.generate(name).to_text()}\n" for name in "ab"))
    with pytest.raises(WitnessError, match="the keys of one witness"):
        read_keys(tmp_path)


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    open_folder(tmp_path, "witness.example/w1")
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(WitnessError, match="may be read by others") as refused:
        open_folder(tmp_path)
    assert "chmod 600" in (refused.value.fix or "")
