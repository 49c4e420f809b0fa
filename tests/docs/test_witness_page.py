"""The commands of docs/witness.md do what the page says, in its order."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.witness.protocol import MAX_REQUEST_SIZE
from ledger.witness.state import MAX_EVIDENCE
from ledger.witnessing.policy import Policy
from ledger.witnessing.transport import HttpTransport
from tests.serving import COMMAND, environment, free_port, run_command
from tests.small_log import ORIGIN, signer
from tests.witness_builders import cosigner_key, request_for, wait_for_witness

PAGE = (Path(__file__).parents[2] / "docs" / "witness.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
ADDRESS = "127.0.0.1:8100"


@contextmanager
def started(line: str, folder: Path, port: int) -> Iterator[None]:
    words = shlex.split(line.replace("$LOG_KEY", signer().verifier.to_text()).replace(ADDRESS, f"127.0.0.1:{port}"))
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [*COMMAND, *words[1:]], cwd=folder, env=environment(), stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_for_witness(port, process)
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_the_commands_do_what_the_page_says(tmp_path: Path) -> None:
    start, key, curl, evidence = COMMANDS
    port, transport = free_port(), HttpTransport()
    with started(start, tmp_path, port):
        printed = run_command(*shlex.split(key)[1:], folder=tmp_path).stdout.splitlines()
        assert [line.split("+")[0] for line in printed] == ["witness.example.org/w1"] * 2
        [command, url] = shlex.split(curl)
        assert command == "curl"
        seen = transport.get(url.replace(ADDRESS, f"127.0.0.1:{port}")).body.decode()
        assert all(line in seen for line in printed)
        assert f"{ORIGIN}: nothing cosigned yet" in seen
        none = run_command(*shlex.split(evidence)[1:], folder=tmp_path)
        assert (none.returncode, none.stdout) == (0, "No checkpoint contradicted what was cosigned.\n")
        post = f"http://127.0.0.1:{port}/add-checkpoint"
        assert [
            transport.post(post, request_for(0, 5)).status,
            transport.post(post, request_for(5, 5, "x")).status,
        ] == [
            200,
            422,
        ]
        transport.close()
        kept = run_command(*shlex.split(evidence)[1:], folder=tmp_path)
        assert kept.returncode == 1
        assert kept.stdout.count(f"{ORIGIN}\n5\n") == 2
    assert run_command("ledger", "witness-key", "--state", "absent", folder=tmp_path).returncode == 3
    assert run_command("ledger", "witness-evidence", "--state", "absent", folder=tmp_path).returncode == 3


def test_what_stands_against_a_start_is_said_in_a_sentence(tmp_path: Path) -> None:
    key = signer().verifier.to_text()
    wrong = {
        ("--log", key): "there is no witness in",
        ("--log", f"{key}x", "--name", "w.example"): "base64",
        ("--log", key, "--name", "two words"): "cannot be the name of a witness",
        ("--log", key, "--name", "w.example", "--listen", "192.0.2.1:8100"): "cannot be listened on",
    }
    for options, reason in wrong.items():
        done = run_command("ledger", "witness", "--state", "witness", *options, folder=tmp_path)
        assert done.returncode == 3, done.stderr
        assert reason in done.stderr
    for address in ("8100", ":8100", "host:", "host:0", "host:65536", "host:٣"):
        done = run_command("ledger", "witness", "--state", "w", "--log", key, "--listen", address, folder=tmp_path)
        assert done.returncode == 2
        assert "an address is host:port" in done.stderr


def test_the_policy_of_the_page_is_one() -> None:
    [text] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    text = text.replace("LOG_KEY", signer().verifier.to_text())
    for number, word in enumerate(["WITNESS_KEY", "SECOND_KEY", "THIRD_KEY"]):
        text = text.replace(word, cosigner_key(f"w{number}.example").verifier.to_text())
    policy = Policy.from_bytes(text.encode())
    assert [witness.name for witness in policy.witnesses] == ["customs", "shops", "museum"]
    assert policy.groups[0].threshold == 2


def test_figures_of_the_page_are_those_of_the_program() -> None:
    assert f"at most {MAX_EVIDENCE} of each log" in PAGE
    assert MAX_REQUEST_SIZE > 16 * 5_000  # a checkpoint with the signatures that a reader must accept
