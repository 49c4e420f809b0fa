"""The modules that a verifier must be able to trust are tested on every branch, by their own tests alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    "merkle",
    "tiles",
    "note",
    "checkpoint",
    "proof",
    "leaf",
    "statement",
    "strict",
    "cosignature",
    "keys/log_keys",
)


@pytest.mark.long
def test_every_branch_of_the_tree_note_and_proof_modules_is_taken_by_their_own_tests(tmp_path: Path) -> None:
    environment = os.environ | {"COVERAGE_FILE": str(tmp_path / "measured")}
    # In a process of its own: this one has imported the modules already, and may run under another tool.
    environment.pop("PYTEST_XDIST_WORKER", None)
    coverage = [sys.executable, "-m", "coverage"]
    tests = [f"tests/ledger/{path.parent}/test_{path.name}.py" for path in map(PurePosixPath, MODULES)]
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0", *tests]
    ran = subprocess.run(
        [*coverage, "run", "--branch", "--include=ledger/*", *pytest],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    report = tmp_path / "report.json"
    subprocess.run([*coverage, "json", "-q", "-o", str(report)], cwd=ROOT, env=environment, check=True)
    files = json.loads(report.read_text())["files"]
    measured = {module: files[f"ledger/{module}.py"] for module in MODULES}
    missing = {
        module: {"lines": file["missing_lines"], "branches": file["missing_branches"]}
        for module, file in measured.items()
        if file["missing_lines"] or file["missing_branches"] or file["excluded_lines"]
    }
    assert not missing, missing
    assert all(file["summary"]["num_branches"] >= 10 for file in measured.values())
