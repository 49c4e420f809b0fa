"""The witness as a process of its own, killed at the worst moments: what it cosigned it never forgets."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from ledger.errors import TransportError
from ledger.note import open_note
from ledger.witness.keeping import STATE_FILE, open_folder
from ledger.witness.state import WitnessState
from ledger.witnessing.transport import Answer, HttpTransport
from tests.serving import COMMAND, environment, free_port
from tests.small_log import ORIGIN, signer
from tests.witness_builders import checkpoint_note, make_cosigner, request_for, told, wait_for_witness

NAME = "witness.example/w1"
STOP_SECONDS = 20.0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_the_commit_loses_nothing_that_was_answered(tmp_path: Path, moment: str) -> None:
    make_cosigner(tmp_path).add_checkpoint(request_for(0, 5))
    program = [sys.executable, str(Path(__file__).parent / "witness_killed.py"), str(tmp_path), moment]
    body = request_for(5, 9)
    done = subprocess.run(program, input=body, capture_output=True, env=environment(), timeout=60, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    again = make_cosigner(tmp_path)
    if moment == "before":
        # Nobody was told anything: the log asks again and gets its cosignature, whichever history it shows now.
        assert told(again.add_checkpoint(request_for(0, 9))) == (409, "5\n")
        assert again.add_checkpoint(request_for(5, 9)).status == 200
    else:
        # The answer was lost, the promise was not: a fork of the same size is refused for ever.
        assert told(again.add_checkpoint(request_for(5, 9, "forked"))) == (409, "9\n")
        assert again.add_checkpoint(request_for(9, 9, "forked")).status == 422
        assert again.add_checkpoint(request_for(9, 9)).status == 200


@contextmanager
def served(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A witness as people start it."""
    arguments = ["ledger", "witness", "--state", folder, "--name", NAME, "--log", signer().verifier.to_text()]
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--listen", f"127.0.0.1:{port}"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_for_witness(port, process)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _wait_until_gone(port: int) -> None:
    end = time.monotonic() + STOP_SECONDS
    with closing(HttpTransport()) as transport:
        while time.monotonic() < end:
            try:
                transport.get(f"http://127.0.0.1:{port}/")
            except TransportError:
                return
            time.sleep(0.05)
    raise AssertionError("something still answers on the port of a witness that was stopped")


def _post(transport: HttpTransport, port: int, body: bytes) -> Answer:
    return transport.post(f"http://127.0.0.1:{port}/add-checkpoint", body)


def test_a_witness_is_started_asked_and_stopped_by_ctrl_c(tmp_path: Path) -> None:
    folder, port, transport = tmp_path / "witness", free_port(), HttpTransport()
    with served(folder, port) as process:
        answer = _post(transport, port, request_for(0, 5))
        assert answer.status == 200
        keys = [key.verifier for key in open_folder(folder).signers]
        assert open_note(checkpoint_note(5).encode() + answer.body, keys)[1] == tuple(keys)
        assert told_by(_post(transport, port, request_for(0, 9))) == (409, "text/x.tlog.size", b"5\n")
        transport.close()
        started = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(STOP_SECONDS) == 0
        assert time.monotonic() - started < STOP_SECONDS
        assert process.stdout is not None
        said = process.stdout.read().decode()
    assert said.startswith(f"Witness {NAME} listens on 127.0.0.1:{port}.")
    assert keys[0].to_text() in said
    assert "Traceback" not in said
    assert "PRIVATE" not in said


def told_by(answer: Answer) -> tuple[int, str, bytes]:
    return answer.status, answer.content_type, answer.body


def test_a_witness_killed_again_and_again_never_goes_back(tmp_path: Path) -> None:
    """Every size that a log was given a cosignature for is known after a kill at a random moment."""
    folder, port, chance = tmp_path / "witness", free_port(), random.Random(5)  # noqa: S311 -- repeatable
    size = 0
    for _ in range(3):
        transport = HttpTransport()
        with served(folder, port) as process:
            killer = threading.Timer(chance.uniform(0.05, 0.4), os.killpg, [process.pid, signal.SIGKILL])
            killer.start()
            with suppress(TransportError):
                while True:
                    answer = _post(transport, port, request_for(size, size + 1))
                    assert answer.status == 200
                    size += 1
            killer.join()
            process.wait()
        transport.close()
        latest = WitnessState(folder / STATE_FILE).all_latest()[ORIGIN]
        # What was answered is known; the one request whose answer was cut off may or may not be.
        assert latest.size in {size, size + 1}
        assert latest.size > 0
        open_note(latest.note, [key.verifier for key in open_folder(folder).signers])
        size = latest.size


def test_the_parent_being_killed_leaves_no_server_behind(tmp_path: Path) -> None:
    port = free_port()
    with served(tmp_path / "witness", port) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        _wait_until_gone(port)
