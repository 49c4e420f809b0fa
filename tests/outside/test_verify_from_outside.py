"""The programs in docs/verify-from-outside.md are run as they are printed there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from tests.vectors.make_ledger import vectors

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "verify-from-outside.md").read_text()
GO_SOURCE = Path(__file__).parent / "go"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """The files of the page's table, from the worked example."""
    example = vectors()
    (tmp_path / "log.key").write_text(example["log_key"] + "\n")
    (tmp_path / "issuer.key").write_text(example["issuer_key"] + "\n")
    (tmp_path / "unit.json").write_text(json.dumps(example["unit_proof"]))
    (tmp_path / "code.bin").write_bytes(b64decode(example["unit_content"]))
    (tmp_path / "batch.tlog-proof").write_text(example["leaf_proof"])
    (tmp_path / "batch.leaf").write_bytes(b64decode(example["leaf"]))
    return tmp_path


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("block", [0, 1])
def test_the_python_on_the_page_accepts_the_example_and_refuses_a_forgery(evidence: Path, block: int) -> None:
    program = [sys.executable, "-c", blocks("python")[block]]
    assert run(program, evidence).returncode == 0, run(program, evidence).stderr
    for name in ("code.bin", "unit.json"):
        original = (evidence / name).read_bytes()
        (evidence / name).write_bytes(original.replace(b"7", b"8"))
        assert run(program, evidence).returncode == 1
        (evidence / name).write_bytes(original)


def test_the_plain_python_needs_nothing_of_ours() -> None:
    assert "ledger" not in blocks("python")[0]


def test_the_go_file_on_the_page_is_the_one_that_is_tested() -> None:
    main, verify = blocks("go")
    assert main.startswith("// main.go\n")
    assert verify == (GO_SOURCE / "verify.go").read_text()


@pytest.mark.go
@pytest.mark.skipif(shutil.which("go") is None, reason="the Go toolchain is not here")
def test_the_go_program_on_the_page_accepts_the_example_and_refuses_a_forgery(evidence: Path, tmp_path: Path) -> None:
    source = tmp_path / "check"
    source.mkdir()
    for name, text in zip(("main.go", "verify.go"), blocks("go"), strict=True):
        (source / name).write_text(text)
    for name in ("go.mod", "go.sum"):
        shutil.copy(GO_SOURCE / name, source)
    built = run(["go", "build", "-o", "check", "."], source)
    if built.returncode and any(sign in built.stderr for sign in ("dial tcp", "GOPROXY=off", "no such host")):
        pytest.skip("golang.org/x/mod is not in the Go module cache and cannot be downloaded")
    assert built.returncode == 0, built.stderr
    accepted = run([str(source / "check")], evidence)
    assert accepted.stdout == "leaf 5 is in the log of 9 leaves\nthis unit is one of 20 of batch 7K2QX\n"
    (evidence / "code.bin").write_bytes(b"another code")
    refused = run([str(source / "check")], evidence)
    assert refused.returncode == 1
    assert "unit refused" in refused.stderr
