"""The witness against C2SP tlog-witness: every status, and the promise that one root only is ever cosigned."""

from __future__ import annotations

import io
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.cosignature import ML_DSA_44_COSIGNATURE, CosignatureSigner
from ledger.errors import FormatError, NoteError, WitnessError
from ledger.note import Note, NoteSigner, Signature, Verifier, open_note, parse_note
from ledger.strict import encode_base64
from ledger.witness.application import WitnessApplication
from ledger.witness.cosigner import Cosigner
from ledger.witness.keeping import KEY_FILE, STATE_FILE, open_folder, read_keys
from ledger.witness.protocol import MAX_REQUEST_SIZE, AddCheckpoint, format_size, parse_size
from ledger.witness.state import MAX_EVIDENCE, NEVER, Evidence, Latest, WitnessState
from tests.small_log import ORIGIN, signer
from tests.witness_builders import (
    NOW,
    checkpoint_note,
    cosigner_key,
    leaf_hashes,
    make_cosigner,
    request_for,
    told,
)

W1 = cosigner_key("witness.example/w1")


@pytest.fixture
def cosigner(tmp_path: Path) -> Cosigner:
    return make_cosigner(tmp_path)


def latest(cosigner: Cosigner, origin: str = ORIGIN) -> Latest:
    return cosigner.state.all_latest().get(origin, NEVER)


# What is cosigned


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


# What is refused, with the status of the specification


def test_an_old_size_that_is_not_the_latest_is_answered_with_the_latest(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    for old, new in [(0, 5), (0, 9), (3, 9), (4, 5), (6, 9)]:
        answer = cosigner.add_checkpoint(request_for(old, new))
        assert told(answer) == (409, "5\n")
        assert answer.content_type == "text/x.tlog.size"
    assert told(make_cosigner_of_nothing(cosigner)) == (404, "this witness does not know that log\n")


def make_cosigner_of_nothing(cosigner: Cosigner) -> Any:
    note = checkpoint_note(5, origin="unknown.example/log")
    return cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes())


def test_a_log_never_seen_is_at_size_zero(cosigner: Cosigner) -> None:
    assert told(cosigner.add_checkpoint(request_for(3, 5))) == (409, "0\n")


def test_an_unknown_log_is_not_found_even_when_the_key_is_known(cosigner: Cosigner) -> None:
    checkpoint = Checkpoint("unknown.example/log", 5, bytes(32))
    note = sign_checkpoint(checkpoint, signer()).note_text
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == 404


def test_a_checkpoint_that_no_known_key_signed_is_forbidden(cosigner: Cosigner) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), NoteSigner.generate(ORIGIN)).note_text
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == 403


def test_a_broken_signature_of_a_known_key_is_forbidden_beside_a_good_one(cosigner: Cosigner) -> None:
    note = parse_note(checkpoint_note(5))
    broken = Signature(ORIGIN, signer().verifier.key_id, bytes(64))
    text = Note(note.text, (*note.signatures, broken)).to_text()
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), text).to_bytes()).status == 403
    assert latest(cosigner) == NEVER


def test_an_old_size_beyond_the_checkpoint_is_a_bad_request(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 9))
    body = AddCheckpoint(9, (), checkpoint_note(5)).to_bytes()
    assert cosigner.add_checkpoint(body).status == 400
    # Also before the size is compared with what the witness knows.
    assert cosigner.add_checkpoint(AddCheckpoint(20, (), checkpoint_note(5)).to_bytes()).status == 400


def test_a_proof_that_does_not_verify_is_not_processed(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    sound = AddCheckpoint.from_bytes(request_for(5, 9))
    for path in [(), sound.path[:-1], (*sound.path, bytes(32)), sound.path[::-1], (bytes(32), *sound.path[1:])]:
        answer = cosigner.add_checkpoint(AddCheckpoint(5, path, sound.note_text).to_bytes())
        assert answer.status == 422
    assert latest(cosigner).size == 5


def test_a_proof_from_the_empty_tree_must_be_empty(cosigner: Cosigner) -> None:
    body = AddCheckpoint(0, (bytes(32),), checkpoint_note(5)).to_bytes()
    assert cosigner.add_checkpoint(body).status == 422


def test_a_proof_between_equal_sizes_must_be_empty(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    assert cosigner.add_checkpoint(AddCheckpoint(5, (bytes(32),), checkpoint_note(5)).to_bytes()).status == 422


def test_another_root_for_the_same_size_is_not_processed(cosigner: Cosigner) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    assert cosigner.add_checkpoint(request_for(5, 5, "forked")).status == 422
    assert latest(cosigner).root == merkle.root(leaf_hashes(5))


def test_an_empty_tree_with_a_root_of_its_own_is_not_processed(cosigner: Cosigner) -> None:
    text = f"{ORIGIN}\n0\n{encode_base64(bytes(32))}\n"
    note = Note(text, (signer().sign(text),)).to_text()
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == 422


@pytest.mark.parametrize("text", ["0\n", "00\n!\n", "5\nroot\n", "x\ny\n", "0\nnotbase64\n"])
def test_a_signed_text_that_is_no_checkpoint_is_a_bad_request(cosigner: Cosigner, text: str) -> None:
    text = f"{ORIGIN}\n{text}"
    note = Note(text, (signer().sign(text),)).to_text()
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == 400


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"",
        lambda body: b"old 5",
        lambda body: body.replace(b"old 5", b"old 05"),
        lambda body: body.replace(b"old 5", b"old -5"),
        lambda body: body.replace(b"old 5", b"old  5"),
        lambda body: body.replace(b"old 5", b"old 5 "),
        lambda body: body.replace(b"old 5", b"Old 5"),
        lambda body: body.replace(b"old 5", b"old \xd9\xa5"),
        lambda body: body.replace(b"old 5", b"old 9223372036854775808"),
        lambda body: body.replace(b"old 5\n", b"old 5\nold 5\n"),
        lambda body: body.replace(b"old 5\n", b"old 5\r\n"),
        lambda body: body.replace(b"old 5\n", b"old 5\nAAAA\n"),
        lambda body: body.replace(b"=\n", b"\n", 1),
        lambda body: body.replace("—".encode(), b"-"),
        lambda body: body.removesuffix(b"\n"),
        lambda body: body + b"\xff",
        lambda body: body + b"\n",
        lambda body: body.partition(b"\n\n")[0] + b"\n\n",
    ],
)
def test_a_malformed_request_is_a_bad_request(cosigner: Cosigner, change: Any) -> None:
    cosigner.add_checkpoint(request_for(0, 5))
    body = request_for(5, 9)
    assert cosigner.add_checkpoint(change(body)).status == 400
    assert cosigner.add_checkpoint(body).status == 200


def test_the_first_empty_line_ends_the_proof(cosigner: Cosigner) -> None:
    body = request_for(5, 9).replace(b"old 5\n", b"old 5\n\n")
    assert AddCheckpoint.from_bytes(body).path == ()
    assert cosigner.add_checkpoint(body).status == 404  # the rest of the proof is no log that anybody knows


def test_63_hashes_are_read_and_64_are_refused() -> None:
    path = tuple(bytes([at]) * 32 for at in range(63))
    request = AddCheckpoint(1, path, checkpoint_note(5))
    assert AddCheckpoint.from_bytes(request.to_bytes()) == request
    with pytest.raises(FormatError, match="at most 63 hashes"):
        AddCheckpoint.from_bytes(AddCheckpoint(1, (*path, bytes(32)), checkpoint_note(5)).to_bytes())


def test_a_request_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(FormatError, match="at most 262144 bytes"):
        AddCheckpoint.from_bytes(b"old 0\n" + b"x" * MAX_REQUEST_SIZE)


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.text(max_size=50))
def test_a_request_is_written_and_read_back(old_size: int, path: list[bytes], note_text: str) -> None:
    request = AddCheckpoint(old_size, tuple(path), note_text)
    assert AddCheckpoint.from_bytes(request.to_bytes()) == request


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_octets_get_an_answer(cosigner: Cosigner, body: bytes) -> None:
    assert cosigner.add_checkpoint(body).status == 400


@given(st.integers(0, 2**63 - 1))
def test_a_told_size_is_written_and_read_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("body", [b"", b"5", b"05\n", b"5\n\n", b" 5\n", b"\xff\n", b"-1\n", b"9223372036854775808\n"])
def test_a_told_size_in_another_spelling_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError):
        parse_size(body)


# Evidence


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


# One root only


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


# The state on disk


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


# The folder


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


# HTTP


def call(
    application: WitnessApplication, method: str, path: str, body: bytes | None = None, **environ: Any
) -> tuple[int, dict[str, str], bytes]:
    """Ask as a web server does."""
    given: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(body or b"")}
    if body is not None:
        given["CONTENT_LENGTH"] = str(len(body))
    answered: list[Any] = []
    data = b"".join(application(given | environ, lambda status, headers: answered.extend([status, headers])))
    return int(answered[0].split(" ")[0]), dict(answered[1]), data


@pytest.fixture
def application(cosigner: Cosigner) -> WitnessApplication:
    return WitnessApplication(cosigner)


def test_a_checkpoint_is_cosigned_over_http(application: WitnessApplication) -> None:
    status, headers, body = call(application, "POST", "/add-checkpoint", request_for(0, 5))
    assert status == 200
    assert headers["Content-Length"] == str(len(body))
    open_note(checkpoint_note(5).encode() + body, [W1.verifier])
    status, headers, body = call(application, "POST", "/add-checkpoint", request_for(0, 9))
    assert (status, headers["Content-Type"], body) == (409, "text/x.tlog.size", b"5\n")


def test_a_prefix_is_part_of_the_address(cosigner: Cosigner) -> None:
    application = WitnessApplication(cosigner, prefix="/w1/")
    assert call(application, "POST", "/w1/add-checkpoint", request_for(0, 5))[0] == 200
    assert call(application, "GET", "/w1/")[0] == 200
    for path in ("/add-checkpoint", "/", "/w1", "/w1add-checkpoint", ""):
        assert call(application, "POST", path, request_for(0, 5))[0] == 404


def test_monitors_get_the_latest_cosigned_checkpoint(application: WitnessApplication) -> None:
    address = f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
    assert call(application, "GET", address)[0] == 404
    _, _, line = call(application, "POST", "/add-checkpoint", request_for(0, 5))
    status, headers, note = call(application, "GET", address)
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    verifiers: list[Verifier] = [signer().verifier, W1.verifier]
    assert open_note(note, verifiers)[1] == tuple(verifiers)
    assert note.endswith(line)
    assert call(application, "HEAD", address)[2] == b""
    assert call(application, "GET", address.upper().replace("CHECKPOINT", "checkpoint"))[0] == 404


def test_people_see_who_this_is_and_what_it_has_seen(application: WitnessApplication) -> None:
    assert "nothing cosigned yet" in call(application, "GET", "/")[2].decode()
    call(application, "POST", "/add-checkpoint", request_for(0, 5))
    call(application, "POST", "/add-checkpoint", request_for(5, 5, "forked"))
    text = call(application, "GET", "/")[2].decode()
    assert W1.verifier.to_text() in text
    assert f"{ORIGIN}: 5 entries, cosigned 2023-11-14 22:13:20 UTC" in text
    assert text.endswith("contradict what was cosigned: 1\n")
    assert "PRIVATE" not in text


def test_a_witness_with_an_impossible_clock_still_shows_itself(tmp_path: Path) -> None:
    application = WitnessApplication(make_cosigner(tmp_path, clock=lambda: 2.0**62))
    assert call(application, "POST", "/add-checkpoint", request_for(0, 5))[0] == 200
    assert str(2**62) in call(application, "GET", "/")[2].decode()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/add-checkpoint", "POST"), ("PUT", "/add-checkpoint", "POST"), ("POST", "/", "GET, HEAD")],
)
def test_other_methods_are_not_allowed(application: WitnessApplication, method: str, path: str, allowed: str) -> None:
    status, headers, _ = call(application, method, path)
    assert (status, headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/nothing", "/add-checkpoint/", "//", "/0/checkpoint", "/sign-subtree"])
def test_there_is_nothing_elsewhere(application: WitnessApplication, path: str) -> None:
    assert call(application, "GET", path)[0] == 404


def test_the_length_of_a_request_is_bounded(application: WitnessApplication) -> None:
    large = b"x" * (MAX_REQUEST_SIZE + 1)
    assert call(application, "POST", "/add-checkpoint", large)[0] == 413
    chunked: dict[str, Any] = {"wsgi.input": io.BytesIO(large), "wsgi.input_terminated": True}
    assert call(application, "POST", "/add-checkpoint", **chunked)[0] == 413
    assert call(application, "POST", "/add-checkpoint")[0] == 411
    for length in ("-1", "5x", "٣", "9" * 13):
        assert call(application, "POST", "/add-checkpoint", b"", CONTENT_LENGTH=length)[0] == 400


def test_a_request_of_unstated_length_is_read_to_its_end(application: WitnessApplication) -> None:
    chunked: dict[str, Any] = {"wsgi.input": io.BytesIO(request_for(0, 5)), "wsgi.input_terminated": True}
    assert call(application, "POST", "/add-checkpoint", **chunked)[0] == 200


def test_a_state_that_fails_is_told_and_nothing_is_cosigned(
    application: WitnessApplication, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / STATE_FILE).unlink()
    status, _, body = call(application, "POST", "/add-checkpoint", request_for(0, 5))
    assert (status, body) == (503, b"the witness cannot reach its state; try again\n")
    assert "the witness's state failed" in caplog.text
    assert not (tmp_path / STATE_FILE).exists()


def test_a_note_that_is_not_read_is_a_note_error() -> None:
    with pytest.raises(NoteError):
        parse_note(AddCheckpoint.from_bytes(b"old 0\n\nno note").note_text)
