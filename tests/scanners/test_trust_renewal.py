"""From one trust list to the next: `marchamo trust`, and a change of the log's key as readers in the field see it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ledger.keys.log_keys import fingerprint
from ledger.note import parse_note
from ledger.proof import parse_proof
from scanners import cli
from scanners.client import Registry
from scanners.proofs import ProofRefused, check_document
from scanners.trust import TrustList
from scanners.whole_files import replace_file
from tests.scanners.conftest import SmallRegistry, make_small_registry
from tests.serving import Server, run_command, serving
from tests.trust_builders import DAY, NOW, LogOwner

ROTATED_PUBLISH_SECONDS = 1.1
"""A server shows a checkpoint for up to a second before it reads the next one."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Let every registry that `marchamo trust` asks give this text, at the time NOW."""

    def serve(text: bytes, *, now: int = NOW) -> None:
        class Served:
            def __init__(self, _url: str, _key: str | None = None) -> None:
                pass

            def trust_list(self) -> bytes:
                return text

        monkeypatch.setattr(cli, "Registry", Served)
        monkeypatch.setattr(cli, "_now", lambda: now)

    return serve


def trust(*arguments: object) -> Result:
    return CliRunner().invoke(cli.trust, ["http://registry.example", *(str(argument) for argument in arguments)])


def test_the_first_use_asks_to_compare_the_fingerprint(served: Any, tmp_path: Path) -> None:
    owner = LogOwner()
    served(owner.text())
    done = trust("--output", tmp_path / "trust.json")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "First use" in done.stderr
    assert fingerprint(owner.keys.verifiers[0]) in done.stderr
    assert owner.keys.verifiers[0].to_text() in done.stderr
    assert TrustList.from_file(tmp_path / "trust.json").log_keys == owner.keys
    assert TrustList.from_json(trust().stdout.encode()) == TrustList.from_file(tmp_path / "trust.json")


def test_a_renewed_list_takes_the_place_of_the_old_one(served: Any, tmp_path: Path) -> None:
    owner, path = LogOwner(), tmp_path / "trust.json"
    path.write_bytes(owner.text())
    owner.rotate()
    served(owner.text())
    done = trust("--previous", path, "--output", path)
    assert done.exit_code == 0
    assert "First use" not in done.stderr
    assert "The list you hold, of 20" in done.stderr
    assert "vouches for this one" in done.stderr
    assert TrustList.from_file(path).log_keys == owner.keys
    assert [found.name for found in tmp_path.iterdir()] == ["trust.json"]


@pytest.mark.parametrize("kind", ["forged", "rolled back", "expired", "from the future", "damaged", "no list"])
def test_a_list_that_may_not_follow_is_refused_and_the_held_one_stays(kind: str, served: Any, tmp_path: Path) -> None:
    owner, path = LogOwner(), tmp_path / "trust.json"
    older = owner.text()
    owner.rotate()
    path.write_bytes(owner.text())
    held, now = path.read_bytes(), NOW
    text, told = {
        "forged": (LogOwner().text(version=99), "not signed by a key"),
        "rolled back": (older, "older"),
        "expired": (owner.text(version=99, at=NOW - 91 * DAY), "already expired, since 20"),
        "from the future": (owner.text(version=99, at=NOW + 2 * DAY), "set the clock"),
        "damaged": (owner.text(version=99).replace(b"Marchamo", b"Marchama"), "changed or damaged"),
        "no list": (b'{"format": "x"}', "this is not a"),
    }[kind]
    served(text, now=now)
    for arguments in (("--previous", path, "--output", path), ("--previous", path)):
        done = trust(*arguments)
        assert (done.exit_code, done.stdout) == (3, "")
        assert told in done.stderr
        assert path.read_bytes() == held


def test_an_expired_list_still_vouches_for_the_next(served: Any, tmp_path: Path) -> None:
    owner, path = LogOwner(), tmp_path / "trust.json"
    path.write_bytes(owner.text())
    later = NOW + 200 * DAY
    served(owner.text(at=later), now=later)
    assert trust("--previous", path, "--output", path).exit_code == 0


def test_a_held_list_that_the_shell_has_emptied_is_told(served: Any, tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    path.touch()
    served(LogOwner().text())
    done = trust("--previous", path)
    assert done.exit_code == 3
    assert "--output" in done.stderr


def test_a_place_that_cannot_be_written_is_told(served: Any, tmp_path: Path) -> None:
    served(LogOwner().text())
    done = trust("--output", tmp_path / "no" / "trust.json")
    assert done.exit_code == 3
    assert "cannot be written" in done.stderr


def test_a_file_is_replaced_whole_or_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(folder, b"new")
    assert [found.name for found in tmp_path.iterdir()] == ["folder"]
    replace_file(tmp_path / "file", b"old")
    replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_scan_with_an_expired_list_says_so_and_is_no_success(
    small_registry: SmallRegistry, trust_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = small_registry.trust_list.root.expires_at
    for now, exit_code, reason in ((end - 1, 0, "signature_valid"), (end, 1, "trust_list_expired")):
        monkeypatch.setattr(cli, "_now", lambda now=now: now)
        done = CliRunner().invoke(cli.scan, ["-", "--json", "--trust", str(trust_file)], input=small_registry.codes[0])
        assert done.exit_code == exit_code
        [row] = json.loads(done.stdout)
        assert (row["summary"], row["reasons"]) == ("CHECK", [reason])


def test_an_archive_is_checked_as_of_the_day_of_its_list_and_only_when_asked_so(
    small_registry: SmallRegistry, trust_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the registry has ended there is no newer list: who opens its archive has to say that he knows."""
    monkeypatch.setattr(cli, "_now", lambda: small_registry.trust_list.root.expires_at + 3_650 * DAY)
    (tmp_path / "proof.json").write_bytes(small_registry.bundle)
    arguments = ["--trust", str(trust_file), str(tmp_path / "proof.json")]
    refused = CliRunner().invoke(cli.verify_proof, arguments)
    # Nothing was judged: neither the words nor the exit code may be those of a forgery.
    assert (refused.exit_code, "trust_list_expired" in refused.output) == (3, True)
    assert "proof.json: not judged: " in refused.output
    assert "does not hold" not in refused.output
    assert "--as-of-list" in refused.output
    as_json = CliRunner().invoke(cli.verify_proof, ["--json", *arguments])
    assert (as_json.exit_code, json.loads(as_json.stdout)[0]["holds"]) == (3, None)
    asked = CliRunner().invoke(cli.verify_proof, ["--as-of-list", *arguments])
    assert asked.exit_code == 0
    assert "The trust list has expired" in asked.stderr
    monkeypatch.setattr(cli, "_now", lambda: small_registry.trust_list.root.as_of)
    assert CliRunner().invoke(cli.verify_proof, ["--as-of-list", *arguments]).stderr == ""


def test_a_clock_that_is_behind_is_to_be_set_and_no_list_renewed(
    small_registry: SmallRegistry, trust_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_now", lambda: small_registry.trust_list.root.as_of - 30 * DAY)
    (tmp_path / "proof.json").write_bytes(small_registry.bundle)
    done = CliRunner().invoke(cli.verify_proof, ["--trust", str(trust_file), str(tmp_path / "proof.json")])
    assert (done.exit_code, "set the clock" in done.output) == (3, True)
    assert "Renew" not in done.output
    assert "--as-of-list" not in done.output
    scanned = CliRunner().invoke(cli.scan, ["-", "--json", "--trust", str(trust_file)], input=small_registry.codes[0])
    assert "set the clock" in json.loads(scanned.stdout)[0]["sentence"]
    assert "Renew" not in scanned.stdout


# --- a whole change of the log's key, with the server running ---------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path) -> SmallRegistry:
    return make_small_registry(tmp_path / "registry")


@pytest.fixture
def running(registry: SmallRegistry) -> Iterator[Server]:
    settings = registry.settings
    with serving(settings.data_dir, port=int(settings.public_url.rsplit(":", 1)[1])) as started:
        started.wait_until_healthy()
        yield started


def signatures(document: bytes) -> int:
    proof: str = json.loads(document)["unit_proof"]["leaf_proof"]
    return len(parse_note(parse_proof(proof).checkpoint_note).signatures)


def test_readers_in_the_field_live_through_a_change_of_the_logs_key(
    registry: SmallRegistry, running: Server, tmp_path: Path
) -> None:
    folder = registry.settings.data_dir

    def ledger(*arguments: str) -> str:
        # The origin of the log stands in its checkpoints; the command must call it by the same name as the server.
        done = run_command("ledger", *arguments, data_dir=folder, public_url=registry.settings.public_url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fetch(name: str, *options: object) -> TrustList:
        path = tmp_path / name
        done = run_command("trust", running.url, "--output", path, *options)
        assert done.returncode == 0, done.stderr
        return TrustList.from_file(path)

    def bundle() -> bytes:
        time.sleep(ROTATED_PUBLISH_SECONDS)
        code = registry.codes[0]
        answer = Registry(running.url)
        [item] = answer.verify([code])
        return json.dumps(answer.proof(f"{item['verdict']['proof_url']}?S={code.split('S=')[1]}")).encode()

    def refused(document: bytes, held: TrustList) -> ProofRefused | None:
        try:
            check_document(document, held, now=time.time_ns() // 1_000_000)
        except ProofRefused as refusal:
            return refusal
        return None

    old = fetch("old.json")
    documents = [registry.bundle, bundle()]

    assert "both sign" in ledger("rotate-key")
    documents.append(bundle())
    between = fetch("between.json", "--previous", tmp_path / "old.json")
    assert not any(refused(document, held) for held in (old, between) for document in documents)

    assert "What this breaks" in ledger("retire-key", "--now")
    documents.append(bundle())
    new = fetch("new.json", "--previous", tmp_path / "between.json")
    assert [signatures(document) for document in documents] == [1, 1, 2, 1]
    unknown = refused(documents[-1], old)
    assert unknown is not None
    assert unknown.code == "log_key_unknown"
    assert "marchamo trust SERVER --previous" in unknown.message
    assert not any(refused(document, held) for held in (between, new) for document in documents)
    # Who missed the overlap renews by the succession; nothing else has to vouch for the new key.
    assert fetch("late.json", "--previous", tmp_path / "old.json").log_keys == new.log_keys
    assert "No fault found." in ledger("audit")
