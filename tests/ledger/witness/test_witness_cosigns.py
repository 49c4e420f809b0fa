"""What a witness cosigns."""

from __future__ import annotations

from pathlib import Path

from ledger import merkle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import ML_DSA_44_COSIGNATURE
from ledger.note import Note, NoteSigner, Verifier, open_note, parse_note
from ledger.witness.cosigner import Cosigner
from ledger.witness.protocol import AddCheckpoint
from tests.small_log import ORIGIN, signer
from tests.witness_builders import (
    NOW,
    checkpoint_note,
    cosigner_key,
    latest,
    leaf_hashes,
    make_cosigner,
    request_for,
)

W1 = cosigner_key("witness.example/w1")


def test_a_first_checkpoint_and_its_successors_are_cosigned(cosigner: Cosigner) -> None:
    for old, new in [(0, 3), (3, 4), (4, 4), (4, 1_000)]:
        answer = cosigner.add_checkpoint(request_for(old, new))
        assert answer.status == 200, answer
        note = checkpoint_note(new)
        verifiers: list[Verifier] = [signer().verifier, W1.verifier]
        assert open_note(note + answer.body.decode(), verifiers)[1] == tuple(verifiers)
        assert latest(cosigner)[:3] == (new, merkle.root(leaf_hashes(new)), NOW)


def test_every_key_of_the_witness_signs(tmp_path: Path) -> None:
    keys = [W1, cosigner_key("witness.example/w1", ML_DSA_44_COSIGNATURE)]
    answer = make_cosigner(tmp_path, keys=keys).add_checkpoint(request_for(0, 5))
    note = parse_note(checkpoint_note(5) + answer.body.decode())
    assert [line.key_id for line in note.signatures[1:]] == [key.verifier.key_id for key in keys]
    assert open_note(note.to_text(), [key.verifier for key in keys])[1] == tuple(key.verifier for key in keys)


def test_an_empty_log_is_cosigned(cosigner: Cosigner) -> None:
    assert cosigner.add_checkpoint(request_for(0, 0)).status == 200
    assert cosigner.add_checkpoint(request_for(0, 7)).status == 200


def test_signatures_of_strangers_are_ignored_and_not_kept(cosigner: Cosigner) -> None:
    note = parse_note(checkpoint_note(5))
    stranger = NoteSigner.generate(ORIGIN).sign(note.text)
    text = Note(note.text, (stranger, *note.signatures, stranger)).to_text()
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), text).to_bytes()).status == 200
    kept = parse_note(latest(cosigner).note)
    assert [line.key_id for line in kept.signatures] == [signer().verifier.key_id, W1.verifier.key_id]


def test_a_log_in_the_middle_of_changing_its_key_is_known_by_either(tmp_path: Path) -> None:
    old, new = signer(), NoteSigner.generate(ORIGIN)
    cosigner = make_cosigner(tmp_path, logs=[old.verifier, new.verifier])
    checkpoints = [Checkpoint(ORIGIN, size, merkle.root(leaf_hashes(size))) for size in (3, 5, 8)]
    for before, checkpoint, signers in zip((0, 3, 5), checkpoints, ([old], [old, new], [new]), strict=True):
        path = merkle.consistency_path(leaf_hashes(checkpoint.size), before)
        note = sign_checkpoint(checkpoint, *signers).note_text
        assert cosigner.add_checkpoint(AddCheckpoint(before, tuple(path), note).to_bytes()).status == 200


def test_logs_do_not_disturb_each_other(tmp_path: Path) -> None:
    others = [f"other.example/{number}" for number in range(3)]
    cosigner = make_cosigner(tmp_path, logs=[signer(origin).verifier for origin in [ORIGIN, *others]])
    for size, origin in enumerate([ORIGIN, *others], start=3):
        note = checkpoint_note(size, origin=origin)
        assert cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == 200
    assert [latest(cosigner, origin).size for origin in [ORIGIN, *others]] == [3, 4, 5, 6]


def test_extension_lines_are_cosigned_as_they_are(cosigner: Cosigner) -> None:
    checkpoint = Checkpoint(ORIGIN, 5, merkle.root(leaf_hashes(5)), ("extension",))
    note = sign_checkpoint(checkpoint, signer()).note_text
    answer = cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes())
    open_note(note + answer.body.decode(), [W1.verifier])


def test_a_clock_that_is_set_back_makes_no_earlier_cosignature_a_lie(tmp_path: Path) -> None:
    moments = iter([NOW, NOW - 3_600, NOW + 1])
    cosigner = make_cosigner(tmp_path, clock=lambda: next(moments))
    times = []
    for old, new in [(0, 3), (3, 5), (5, 6)]:
        line = parse_note(checkpoint_note(new) + cosigner.add_checkpoint(request_for(old, new)).body.decode())
        times.append(W1.verifier.time_of(line.signatures[1].signature))
    assert times == [NOW, NOW, NOW + 1]
