"""The manifest is read strictly: a backup is an outside input like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.backup.manifest import MANIFEST_FILE, MAX_MANIFEST_SIZE, BackupFile, Manifest, read_manifest, write_manifest
from ledger.errors import BackupError, FormatError
from ledger.merkle import EMPTY_ROOT

MANIFEST = Manifest(
    database="postgresql",
    schema="0001",
    origin="log.test/marchamo",
    size=0,
    root=EMPTY_ROOT,
    checkpoint="",
    made_at="2026-11-24T10:00:00Z",
    files=(BackupFile("ledger_entries.copy", 21, "0" * 64, 0, ("index", "body")),),
    sequences={"batches.id": 7},
)


def changed(**members: Any) -> bytes:
    return json.dumps({**json.loads(MANIFEST.to_bytes()), **members}).encode()


def changed_file(**members: Any) -> bytes:
    [file] = json.loads(MANIFEST.to_bytes())["files"]
    return changed(files=[{**file, **members}])


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST_FILE]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        changed(format="marchamo backup v2"),
        changed(database="oracle"),
        changed(size=-1),
        changed(size=True),
        changed(size=2**63),
        changed(root="AAAA"),
        changed(made_at="yesterday"),
        changed(further=1),
        changed(files={}),
        changed(files=["x"]),
        changed(files=json.loads(MANIFEST.to_bytes())["files"] * 2),
        changed(sequences={"batches": 7}),
        changed(sequences={"batches.id": "7"}),
        changed(sequences={'batches"; DROP TABLE x; --.id': 7}),
        changed_file(name="../../escaped.copy"),
        changed_file(name="/etc/passwd"),
        changed_file(name="manifest.json"),
        changed_file(name='x"; DROP TABLE y; --.copy'),
        changed_file(bytes=-1),
        changed_file(rows="many"),
        changed_file(sha256="0" * 63),
        changed_file(columns=['a"; DROP TABLE y; --']),
        changed_file(columns=[1]),
        changed_file(further=1),
    ],
)
def test_a_manifest_of_another_shape_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        Manifest.from_bytes(data)


def test_what_reads_a_folder_says_what_is_wrong_with_its_manifest(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_bytes(b"{}")
    with pytest.raises(BackupError, match="malformed"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST_FILE).write_bytes(b" " * (MAX_MANIFEST_SIZE + 1))
    with pytest.raises(BackupError, match="larger"):
        read_manifest(tmp_path)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(MANIFEST.to_bytes()))), _json)
def test_any_value_of_any_member_is_read_or_refused(member: str, value: Any) -> None:
    try:
        manifest = Manifest.from_bytes(changed(**{member: value}))
    except FormatError:
        return
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
