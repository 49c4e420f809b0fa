"""A whole published log before tlog-scales: C2SP tlog-tiles once more, sharing nothing with Go's packages or ours."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from pathlib import Path

import pytest

from tests.outside.published import Change, Published, changed, changes, false_witnesses, needed_files, publish
from tests.outside.test_verify_from_outside import AUDIT_PY
from tests.small_log import signer

KEY = signer().verifier.to_text()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("auditor") / "audit.py"
    path.write_text(AUDIT_PY)
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp("log"), (1, 100, 256, 300))


def accepts(program: Path, published: Published, *kept: Path) -> bool:
    """Run the program in this process: hundreds of new ones would take minutes."""
    arguments, before = ["audit.py", str(published.folder), KEY, *map(str, published.kept + kept)], sys.argv
    sys.argv = arguments
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            runpy.run_path(str(program), run_name="__main__")
    except Exception:  # it refuses with whatever its parts raise
        return False
    finally:
        sys.argv = before
    return output.getvalue() == f"verified {published.size} entries\n"


def is_only_another_spelling(change: Change) -> bool:
    """What this library lets pass: line ends and numbers in another spelling, bytes behind those of a partial tile."""
    if change.file == "checkpoint":
        return change.name in {"the last byte cut off", "size in another spelling", "line ends of another system"}
    return ".p/" in change.file and change.name in {"twice", "a hash added", "leaf 43 twice"}


def test_another_library_accepts_every_leaf_path_and_growth(program: Path, tmp_path: Path) -> None:
    for number, sizes in enumerate([(1,), (2, 3), (255, 256), (257,), (5, 600)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert accepts(program, publish(folder, sizes)), sizes


def test_another_library_refuses_every_change_of_what_it_reads(program: Path, published: Published) -> None:
    read = {"checkpoint", *needed_files(published)}
    accepted, tried = [], 0
    for change in changes(published, flips=10):
        if change.file not in read or is_only_another_spelling(change):
            continue
        tried += 1
        with changed(published, change):
            if accepts(program, published):
                accepted.append((change.name, change.file))
    print(f"tlog-scales refused {tried - len(accepted)} of {tried} changes of a published log")
    assert accepted == []
    assert tried >= 150
    assert accepts(program, published), "the folder is whole again"


def test_another_library_refuses_a_log_that_had_signed_another_history(
    program: Path, published: Published, tmp_path: Path
) -> None:
    for name, path in false_witnesses(published, tmp_path):
        assert not accepts(program, published, path), name
