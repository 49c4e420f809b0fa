"""Coverage-guided fuzzing of every reader; MARCHAMO_FUZZ_SECONDS (default 20) is the time for each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.ledger.fuzz_targets import TARGETS

SECONDS = int(os.environ.get("MARCHAMO_FUZZ_SECONDS", "20"))
ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not here (it has no wheel for this platform)"),
]


@pytest.mark.parametrize("name", [target.name for target in TARGETS])
def test_steered_by_coverage_nothing_but_declared_errors_comes_out(name: str, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.ledger.fuzz_with_atheris", name, str(tmp_path / "corpus")]
    done = subprocess.run(
        [*program, f"-max_total_time={SECONDS}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 120,
        check=False,
    )
    found = [path.read_bytes() for path in tmp_path.glob("crash-*")]
    assert (done.returncode, found) == (0, []), done.stdout[-3000:] + done.stderr[-3000:]
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs is not None
    assert int(runs[1]) > 100 * SECONDS, "the fuzzer hardly ran"
