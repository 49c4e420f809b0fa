"""A whole published log before Cloudflare's crates signed_note and tlog_tiles."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.outside.building import build_rust
from tests.outside.published import Published, changed, changes, false_witnesses, needed_files, publish
from tests.small_log import signer

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("cargo") is None, reason="the Rust toolchain is not here"),
]

KEY = signer().verifier.to_text()


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_rust(Path(__file__).parent / "rust", tmp_path_factory.mktemp("rust"))


def audit(judge: Path, published: Published, *kept: Path) -> subprocess.CompletedProcess[str]:
    command = [str(judge), str(published.folder), KEY, *map(str, published.kept + kept)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_rust_accepts_the_published_log_and_refuses_every_change_of_what_it_reads(judge: Path, tmp_path: Path) -> None:
    published = publish(tmp_path, (1, 100, 256, 300))
    done = audit(judge, published)
    assert (done.returncode, done.stdout) == (0, "verified 300 entries\n"), done.stderr
    read = {"checkpoint", *needed_files(published)}
    accepted, tried = [], 0
    for change in changes(published, flips=10):
        # It reads no more than it needs; and an older checkpoint is a true one to whoever has not kept the newer.
        if change.file not in read or change.name == "rolled back to an older one":
            continue
        tried += 1
        with changed(published, change):
            if audit(judge, published).returncode != 1:
                accepted.append((change.name, change.file))
    print(f"Rust refused {tried - len(accepted)} of {tried} changes of a published log")
    assert accepted == []
    assert tried >= 150
    for name, path in false_witnesses(published, tmp_path):
        assert audit(judge, published, path).returncode == 1, name
