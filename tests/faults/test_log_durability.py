"""What a power cut needs: the disk has the entry and its mark before anybody is told, system call by system call.

A killed process leaves what it wrote to the system, a machine without power only what it waited for. So the calls of a
process are traced, and at each acknowledgement nothing that it rests on may still be on its way to the disk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from ledger.note import NoteSigner
from tests.faults.log_appender import Work, read
from tests.log_builders import ORIGIN, prepare_log_database

ENTRIES = 15

PROGRAM = (
    "import json, sys; from tests.faults.log_appender import append_until_killed as go; go(**json.loads(sys.argv[1]))"
)

_CALL = re.compile(r"^\d+ +(?P<call>\w+)\(\d+<(?P<path>[^>]+)>.*= (?P<result>-?\d+)")
_WRITES = {"write", "pwrite64"}
_SYNCS = {"fsync", "fdatasync"}


def trace(work: Work, output: Path) -> list[tuple[str, str]]:
    """Run a process that appends, and give its successful calls that write or wait for the disk: (call, path)."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    calls = ",".join(sorted(_WRITES | _SYNCS))
    command = [strace, "-f", "-y", "-e", f"trace={calls}", "-o", str(output)]
    run = subprocess.run(
        [*command, sys.executable, "-c", PROGRAM, json.dumps(asdict(work))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "ptrace" in run.stderr or "PTRACE" in run.stderr:
        pytest.skip("no process may be traced here")
    assert run.returncode == 0, run.stderr
    found = [_CALL.match(line) for line in output.read_text(errors="replace").splitlines()]
    return [(match["call"], match["path"]) for match in found if match is not None and int(match["result"]) >= 0]


def test_nothing_is_acknowledged_that_is_still_on_its_way_to_the_disk(tmp_path: Path) -> None:
    database, mark, said = (str(tmp_path / name) for name in ("log.db", "mark", "acknowledged"))
    prepare_log_database(f"sqlite:///{database}")
    signer = NoteSigner.generate(ORIGIN)
    work = Work(f"sqlite:///{database}", signer.to_text(), said, 0, threads=1, limit=ENTRIES, mark=mark)
    journal = f"{database}-wal"
    waiting: set[str] = set()
    written: Counter[str] = Counter()
    acknowledgements = 0
    for call, path in trace(work, tmp_path / "trace"):
        if call in _SYNCS:
            waiting.discard(path)
        elif path == said:
            acknowledgements += 1
            assert not waiting & {journal, mark}, f"acknowledgement {acknowledgements} did not wait for the disk"
        else:
            waiting.add(path)
            written[path] += 1
    assert acknowledgements == len(read(Path(said))) >= ENTRIES
    assert written[journal] >= ENTRIES, "the trace does not show where the entries were written"
    assert written[mark] >= ENTRIES, "the trace does not show where the mark was written"
