"""A whole published log before Go's golang.org/x/mod/sumdb: accepted as it is, refused with any change."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.strict import encode_base64
from tests.outside.building import build_go
from tests.outside.published import Published, changed, changes, false_witnesses, publish
from tests.small_log import signer

pytestmark = [
    pytest.mark.go,
    pytest.mark.skipif(shutil.which("go") is None, reason="the Go toolchain is not here"),
]

KEY = signer().verifier.to_text()
SIZES = (1, 100, 256, 300, 600)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_go(Path(__file__).parent / "go", tmp_path_factory.mktemp("go") / "outside")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp("log"), SIZES)


def audit(judge: Path, published: Published, *kept: Path) -> subprocess.CompletedProcess[str]:
    command = [str(judge), "audit", str(published.folder), KEY, *map(str, published.kept + kept)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("sizes", [(1,), (2,), (255,), (256,), (257,), SIZES, (300, 1_000, 1_025)])
def test_go_accepts_every_tile_leaf_path_and_pair_of_checkpoints(
    judge: Path, tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    done = audit(judge, publish(tmp_path, sizes))
    assert (done.returncode, done.stdout) == (0, f"verified {sizes[-1]} entries\n"), done.stderr


def test_go_refuses_every_change_of_a_published_log(judge: Path, published: Published) -> None:
    accepted, tried = [], 0
    for change in changes(published):
        with changed(published, change):
            tried += 1
            if audit(judge, published).returncode != 1:
                accepted.append((change.name, change.file, encode_base64(change.data or b"")[:200]))
    print(f"Go refused {tried - len(accepted)} of {tried} changes of a published log")
    assert accepted == []
    assert tried >= 400
    assert audit(judge, published).returncode == 0, "the folder is whole again"


def test_go_refuses_a_log_that_had_signed_another_history(judge: Path, published: Published, tmp_path: Path) -> None:
    for name, path in false_witnesses(published, tmp_path):
        assert audit(judge, published, path).returncode == 1, name
