"""The programs and the commands in docs/verify-from-outside.md are run as they are printed there."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.cosignature import ML_DSA_44_COSIGNATURE, CosignatureSigner
from ledger.errors import NoteError
from ledger.export import export
from ledger.log import Log
from ledger.note import add_signatures
from ledger.proof import format_proof, parse_proof
from ledger.storage.engine import create_database_engine
from tests import log_builders
from tests.ledger.map.map_builders import MappedLog, subject_of
from tests.log_builders import Clock, prepare_log_database
from tests.outside.building import skip_when_offline
from tests.outside.published import publish
from tests.small_log import signer
from tests.vectors.make_ledger import vectors

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "verify-from-outside.md").read_text()
HERE = Path(__file__).parent

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="the Go toolchain is not here")
needs_cargo = pytest.mark.skipif(shutil.which("cargo") is None, reason="the Rust toolchain is not here")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


MIRROR, CHECK = blocks("sh")
MAIN_GO, AUDIT_GO, VERIFY_GO = blocks("go")
AUDIT_PY, WITNESSED_PY, CHECK_PY, STATE_PY, OURS_PY = blocks("python")
(MAIN_RS,) = blocks("rust")
GO, SHELL, PYTHON, RUST = blocks("console")


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """The files of the page's table, from the worked example and a small published log."""
    example = vectors()
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "log.key").write_text(example["log_key"] + "\n")
    (folder / "issuer.key").write_text(example["issuer_key"] + "\n")
    (folder / "unit.json").write_text(json.dumps(example["unit_proof"]))
    (folder / "code.bin").write_bytes(b64decode(example["unit_content"]))
    (folder / "batch.tlog-proof").write_text(example["leaf_proof"])
    (folder / "batch.leaf").write_bytes(b64decode(example["leaf"]))
    published = publish(tmp_path, (2, 5, 9))
    shutil.copytree(published.folder, folder / "published")
    (folder / "kept").mkdir()
    for path in published.kept:
        shutil.copy(path, folder / "kept")
    programs = {
        "main.go": MAIN_GO,
        "audit.go": AUDIT_GO,
        "verify.go": VERIFY_GO,
        "check.sh": CHECK,
        "audit.py": AUDIT_PY,
    }
    for name, text in programs.items():
        (folder / name).write_text(text)
    (folder / "src").mkdir()
    (folder / "src/main.rs").write_text(MAIN_RS)
    return folder


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # `python` on the page is the one that runs these tests.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=environment
    )


def follow(console: str, folder: Path) -> None:
    """Type the commands of a console block and expect what is printed below each."""
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", console, re.MULTILINE):
        done = run(["sh", "-c", command], folder)
        if done.returncode:
            skip_when_offline(done.stderr)
        assert (done.returncode, done.stdout) == (0, expected), f"{command}\n{done.stderr}"


def refuses(command: str, folder: Path) -> bool:
    return run(["sh", "-c", command], folder).returncode == 1


@contextmanager
def another(path: Path, old: bytes, new: bytes) -> Iterator[None]:
    """The file with something exchanged in it."""
    original = path.read_bytes()
    assert old in original
    path.write_bytes(original.replace(old, new))
    yield
    path.write_bytes(original)


def test_the_sources_on_the_page_are_those_that_are_tested() -> None:
    assert f"// audit.go\n{(HERE / 'go/audit.go').read_text()}" == AUDIT_GO
    assert (HERE / "go/verify.go").read_text() == VERIFY_GO
    assert (HERE / "rust/src/main.rs").read_text() == MAIN_RS
    assert MAIN_GO.startswith("// main.go\n")


@pytest.mark.parametrize(
    "program", [MAIN_GO, AUDIT_GO, VERIFY_GO, CHECK, MIRROR, AUDIT_PY, WITNESSED_PY, CHECK_PY, STATE_PY, MAIN_RS]
)
def test_the_programs_need_nothing_of_ours(program: str) -> None:
    assert not re.search(r"(from|import) (ledger|scanners|app)\b", program)


# --- Go -----------------------------------------------------------------------------------------------------------


@pytest.mark.go
@needs_go
def test_the_go_commands_give_what_the_page_shows_and_refuse_forgeries(evidence: Path) -> None:
    follow(GO, evidence)
    with another(evidence / "code.bin", b"unit", b"Unit"):
        assert refuses("./check unit", evidence)
    with another(evidence / "batch.leaf", b"\x02", b"\x01"):
        assert refuses("./check leaf", evidence)
    with another(evidence / "kept/checkpoint-5", b"\n5\n", b"\n6\n"):
        assert refuses("./check audit published kept/*", evidence)


# --- openssl and shell --------------------------------------------------------------------------------------------


@needs_openssl
def test_the_page_of_shell_accepts_the_leaf_with_and_without_other_signatures(evidence: Path) -> None:
    follow(SHELL, evidence)
    proof = parse_proof((evidence / "batch.tlog-proof").read_text())
    text = proof.checkpoint_note.partition("\n\n")[0] + "\n"
    witness = CosignatureSigner.generate("witness.example").sign(text)
    (evidence / "batch.tlog-proof").write_text(
        format_proof(proof.index, proof.path, add_signatures(proof.checkpoint_note, [witness]), b"extra")
    )
    follow(SHELL, evidence)


@needs_openssl
def test_the_page_of_shell_refuses_every_changed_hash_number_and_signature(evidence: Path) -> None:
    path = evidence / "batch.tlog-proof"
    head, _, note = path.read_text().partition("\n\n")
    lines = head.split("\n")
    forged = b64encode(bytes(32)).decode()
    proofs = [
        *("\n".join([*lines[:at], forged, *lines[at + 1 :]]) for at in range(2, len(lines))),
        *("\n".join([*lines[:at], *lines[at + 1 :]]) for at in range(2, len(lines))),
        "\n".join([*lines, forged]),
        "\n".join([*lines[:2], *lines[:1:-1]]),
        head.replace("index 5", "index 4"),
        head.replace("index 5", "index 9"),
        head.replace("index 5", "index -1"),
        head.replace("index 5", "index five"),
        head.replace("index 5", "index"),
    ]
    notes = [
        note.replace("\n9\n", "\n10\n"),
        note.replace("\n9\n", "\n9\nmore\n", 1),
        note.replace("log.example/small\n", "log.example/other\n", 1),
        note.replace("— log.example/small", "— log.example/other"),
        note.partition("\n\n")[0] + "\n\n",
        re.sub(r"small (....)(.*)", r"small AAAA\2", note),
        re.sub(r"small (.{40}).", r"small \g<1>A", note),
        re.sub("(?<=\n9\n).*", forged, note),
    ]
    changed = [f"{other}\n\n{note}" for other in proofs] + [f"{head}\n\n{other}" for other in notes]
    assert len(changed) >= 20
    for text in changed:
        assert text != f"{head}\n\n{note}"
        path.write_text(text)
        assert run(["sh", "check.sh", "log.key", "batch.tlog-proof", "batch.leaf"], evidence).returncode != 0, text
    path.write_text(f"{head}\n\n{note}")
    with another(evidence / "batch.leaf", b"\x02", b"\x01"):
        assert refuses("sh check.sh log.key batch.tlog-proof batch.leaf", evidence)
    stranger = vectors()["log_key"].replace("small", "large")
    (evidence / "log.key").write_text(stranger)
    assert refuses("sh check.sh log.key batch.tlog-proof batch.leaf", evidence)


# --- other implementations ----------------------------------------------------------------------------------------


def test_the_python_auditor_gives_what_the_page_shows_and_refuses_a_forgery(evidence: Path) -> None:
    follow(PYTHON, evidence)
    with another(evidence / "kept/checkpoint-5", b"\n5\n", b"\n6\n"):
        assert refuses(PYTHON.splitlines()[0].removeprefix("$ "), evidence)


@pytest.mark.long
@needs_cargo
def test_the_rust_commands_give_what_the_page_shows_and_refuse_a_forgery(evidence: Path) -> None:
    follow(RUST, evidence)
    with another(evidence / "kept/checkpoint-5", b"\n5\n", b"\n6\n"):
        assert refuses(RUST.splitlines()[1].removeprefix("$ "), evidence)


@pytest.mark.parametrize("signature_type", [4, ML_DSA_44_COSIGNATURE])
def test_the_cosignatures_of_witnesses_are_read_by_another_library(evidence: Path, signature_type: int) -> None:
    note = (evidence / "published/checkpoint").read_text()
    text = note.partition("\n\n")[0] + "\n"
    try:
        one, two, unknown = (CosignatureSigner.generate(f"{name}.example", signature_type) for name in ("a", "b", "c"))
    except NoteError:
        pytest.skip("the cryptography library of this machine has no ML-DSA-44")
    (evidence / "witnesses.keys").write_text(f"{one.verifier.to_text()}\n{two.verifier.to_text()}\n")
    (evidence / "witnessed.py").write_text(WITNESSED_PY)
    program = [sys.executable, "witnessed.py", "published/checkpoint"]
    assert run(program, evidence).stdout == "9 leaves, cosigned by nobody\n"
    lines = [cosigner.sign(text) for cosigner in (one, two, unknown)]
    (evidence / "published/checkpoint").write_text(add_signatures(note, lines))
    assert run(program, evidence).stdout == "9 leaves, cosigned by a.example, b.example\n"
    other = one.sign(text.replace("\n9\n", "\n8\n"))
    (evidence / "published/checkpoint").write_text(add_signatures(note, [other, lines[1]]))
    assert run(program, evidence).stdout == "9 leaves, cosigned by b.example\n"


# --- the mirror ---------------------------------------------------------------------------------------------------


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder over HTTP."""
    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_the_mirror_copies_a_log_from_its_address(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    published = publish(tmp_path / "one", (700,))
    (tmp_path / "mirror.sh").write_text(MIRROR)
    kept = tmp_path / "two/published/tile/entries/000"
    with served(published.folder) as address:
        for _ in range(2):
            done = run(["sh", str(tmp_path / "mirror.sh"), address], tmp_path / "two")
            assert (done.returncode, done.stderr) == (0, "")
            for name in published.files():
                assert (tmp_path / "two/published" / name).read_bytes() == (published.folder / name).read_bytes()
            written = kept.stat().st_mtime_ns
        assert run(["sh", str(tmp_path / "mirror.sh"), f"{address}/nothing"], tmp_path / "two").returncode != 0
    assert kept.stat().st_mtime_ns == written


def test_the_mirror_writes_large_numbers_as_the_specification_says() -> None:
    function = re.search(r"^place\(\).*?^}$", MIRROR, re.MULTILINE | re.DOTALL)
    assert function is not None
    numbers = {0: "000", 999: "999", 1000: "x001/000", 1234067: "x001/x234/067", 5_000_000_017: "x005/x000/x000/017"}
    for number, path in numbers.items():
        assert run(["sh", "-c", f"{function[0]}\nplace {number}"], Path.cwd()).stdout == path


# --- Python -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", [CHECK_PY, OURS_PY], ids=["plain", "ours"])
def test_the_python_on_the_page_accepts_the_example_and_refuses_a_forgery(evidence: Path, program: str) -> None:
    command = [sys.executable, "-c", program]
    assert run(command, evidence).returncode == 0, run(command, evidence).stderr
    for name in ("code.bin", "unit.json"):
        with another(evidence / name, b"7", b"8"):
            assert run(command, evidence).returncode == 1


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[MappedLog]:
    """A log whose subject "unit" has three entries, and a map after all of them."""
    url = f"sqlite:///{tmp_path / 'mapped.sqlite'}"
    prepare_log_database(url)
    engine = create_database_engine(url, durable=False)
    clock = Clock()
    log = Log.open(engine, origin=log_builders.ORIGIN, signer=signer(log_builders.ORIGIN), clock=clock)
    mapped = MappedLog(log, engine, clock)
    for number in range(300):
        mapped.record(*(["unit", f"other {number}"] if number in {7, 200, 260} else [f"other {number}"]))
    mapped.publish()
    mapped.record("later")
    yield mapped
    engine.dispose()


def show_state(mapped: MappedLog, folder: Path) -> None:
    """The files that state.py reads."""
    folder.mkdir()
    (folder / "check.py").write_text(CHECK_PY)
    (folder / "state.py").write_text(STATE_PY)
    (folder / "log.key").write_text(mapped.verifier.to_text() + "\n")
    (folder / "map.key").write_text(b64encode(mapped.key.public_key().public_bytes_raw()).decode())
    mapped.clock.now += 2
    mapped.log.checkpoint(at_least=mapped.log.head()[0])
    (folder / "state.json").write_text(mapped.map.prove(subject_of("unit")).to_json())
    export(mapped.log, folder / "published")


def test_plain_python_finds_that_nothing_was_left_out_and_that_the_map_is_the_true_one(
    mapped: MappedLog, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    show_state(mapped, folder)
    command = [sys.executable, "state.py", subject_of("unit").hex(), "published"]
    done = run(command, folder)
    assert done.returncode == 0, done.stderr
    answer, comparison = done.stdout.splitlines()
    assert re.fullmatch(r"3 entries about this subject, and no other among the first 30\d of the log", answer)
    assert comparison == "the map is that of the published log"
    assert run([sys.executable, "state.py", subject_of("other 5").hex()], folder).returncode == 1


def test_plain_python_refuses_an_answer_with_an_entry_left_out_or_put_in(mapped: MappedLog, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    show_state(mapped, folder)
    command = [sys.executable, "state.py", subject_of("unit").hex()]
    answer = json.loads((folder / "state.json").read_text())
    entries = answer["entries"]
    assert len(entries) == 3
    forged = [
        *({"entries": entries[:count]} for count in range(3)),
        {"entries": entries[1:]},
        {"entries": [entries[0], entries[2]]},
        {"entries": [*entries, entries[2]]},
        {"entries": [entries[1], entries[0], entries[2]]},
        {"entries": [*entries[:2], entries[2] | {"index": 261}]},
        {"entries": [*entries[:2], entries[2] | {"salt": entries[1]["salt"]}]},
        {"bucket": b64encode(bytes(24)).decode()},
        {"bucket_path": answer["bucket_path"][::-1]},
        {"map": entries[0]},
    ]
    for change in forged:
        (folder / "state.json").write_text(json.dumps(answer | change))
        assert run(command, folder).returncode == 1, change


def test_plain_python_finds_a_map_that_is_not_that_of_the_published_leaves(mapped: MappedLog, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    show_state(mapped, folder)
    bundle = folder / "published/tile/entries/000"
    data = bytearray(bundle.read_bytes())
    data[-1] ^= 1
    bundle.write_bytes(bytes(data))
    done = run([sys.executable, "state.py", subject_of("unit").hex(), "published"], folder)
    assert (done.returncode, done.stderr) == (1, "refused: the registry has stated a false map\n")
