"""Of two histories one is ever cosigned, and the other is kept as evidence."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.note import NoteSigner
from ledger.witness.cosigner import Cosigner
from ledger.witness.protocol import AddCheckpoint, parse_size
from ledger.witness.state import MAX_EVIDENCE, Evidence
from tests.small_log import ORIGIN, signer
from tests.witness_builders import (
    NOW,
    make_cosigner,
    request_for,
)


def test_a_fork_is_kept_as_evidence_with_both_signed_notes(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    for _ in range(3):
        cosigner.add_checkpoint(request_for(5, 5, "forked"))
    [found] = cosigner.state.evidence()
    assert found.origin == ORIGIN
    assert "two histories" in found.reason
    seen = [open_checkpoint(note, signer().verifier).checkpoint for note in (found.cosigned, found.refused)]
    assert seen[0].size == seen[1].size == 5
    assert seen[0].root != seen[1].root


def test_evidence_is_bounded(cosigner: Cosigner) -> None:
    with cosigner.state.exclusive() as state:
        kept = [state.add_evidence(Evidence(ORIGIN, NOW, "reason", "a", f"note {at}")) for at in range(150)]
    assert sum(kept) == len(cosigner.state.evidence()) == MAX_EVIDENCE


def test_a_stranger_can_not_fill_the_evidence(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    note = sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), NoteSigner.generate(ORIGIN)).note_text
    cosigner.add_checkpoint(AddCheckpoint(5, (), note).to_bytes())
    assert cosigner.state.evidence() == []


def ask_together(cosigner: Cosigner, size: int, history: str, start: threading.Barrier) -> tuple[str, int, bytes]:
    body = request_for(0, size, history)
    start.wait()
    answer = cosigner.add_checkpoint(body)
    return history, answer.status, answer.body


def test_of_two_forks_asked_for_by_eight_threads_one_root_is_ever_cosigned(tmp_path: Path) -> None:
    for size in range(4, 12):
        folder = tmp_path / str(size)
        folder.mkdir()
        cosigners = [make_cosigner(folder) for _ in range(2)]
        start = threading.Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            asked = [
                pool.submit(ask_together, cosigners[number // 4], size, f"h{number % 2}", start) for number in range(8)
            ]
        answers = [one.result() for one in asked]
        cosigned = {history for history, status, _ in answers if status == 200}
        assert len(cosigned) == 1
        assert {status for _, status, _ in answers} == {200, 409}
        assert all(body == b"%d\n" % size for _, status, body in answers if status == 409)


def test_a_growing_log_and_its_fork_never_both_advance(tmp_path: Path) -> None:
    """Each thread follows one history and goes on from whatever size it is told."""
    make_cosigner(tmp_path)
    cosigned: list[tuple[int, str]] = []

    def follow(history: str) -> None:
        cosigner, known = make_cosigner(tmp_path), 0
        for size in range(4, 20):
            answer = cosigner.add_checkpoint(request_for(min(known, size), size, history))
            if answer.status == 409:
                known = parse_size(answer.body)
                answer = cosigner.add_checkpoint(request_for(min(known, size), size, history))
            if answer.status == 200:
                known = size
                cosigned.append((size, history))

    threads = [threading.Thread(target=follow, args=(f"h{number % 2}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cosigned
    assert len({history for _, history in cosigned}) == 1
