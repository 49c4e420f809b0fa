"""A backup is one state of a database in use, shows by itself that it is whole, and fills an empty database only."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text

from ledger.audit import audit
from ledger.backup import check_backup, make_backup, making, read_for_restore, restore_backup
from ledger.backup.manifest import MANIFEST_FILE, BackupFile, Manifest, read_manifest, write_manifest
from ledger.backup.restoring import LEFT_BY_SQLITE
from ledger.checkpoint import Checkpoint
from ledger.errors import BackupError, ForkDetected
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.storage.engine import begin_write, create_database_engine
from tests.databases import Databases
from tests.log_builders import ORIGIN, facts, new_entry, prepare_log_database

SCHEMA = "7"
ENTRIES = 300  # more than one tile


@pytest.fixture
def filled(log: Log) -> Log:
    """A log of 300 entries, its last checkpoint published at 290."""
    log.append_many([new_entry(number) for number in range(290)])
    assert log.checkpoint(at_least=290).checkpoint.size == 290
    log.append_many([new_entry(number) for number in range(290, ENTRIES)])
    return log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def manifest(filled: Log, engine: Engine, folder: Path) -> Manifest:
    """The manifest of a backup of `filled` in `folder`."""
    made = back_up(engine, folder)
    assert (made.size, made.root) == filled.head()
    return made


@pytest.fixture
def other(database_kind: str, databases: Databases, tmp_path: Path) -> Iterator[Engine]:
    """Another database of the same kind, without a table."""
    (tmp_path / "other").mkdir()
    url = databases.fresh(database_kind, tmp_path / "other")
    engine = create_database_engine(url, durable=False)
    yield engine
    engine.dispose()
    databases.discard(url)


def back_up(engine: Engine, folder: Path, **further: Path) -> Manifest:
    named = {f"{name}.db": path for name, path in further.items()}
    return make_backup(engine, folder, origin=ORIGIN, schema=SCHEMA, further_files=named)


def restore(engine: Engine, folder: Path, further: Callable[[str], Path | None] = lambda _name: None) -> None:
    manifest = read_for_restore(engine, folder)
    url = engine.url.render_as_string(hide_password=False)

    def prepare() -> None:
        if not inspect(engine).get_table_names():
            prepare_log_database(url)

    restore_backup(engine, folder, manifest, prepare=prepare, further_files=further)


def entries_file(folder: Path, kind: str) -> Path:
    return folder / ("database.db" if kind == "sqlite" else "ledger_entries.copy")


def hash_again(folder: Path) -> None:
    """What somebody does who changes a backup and its manifest with it."""
    manifest = read_manifest(folder)
    files = []
    for file in manifest.files:
        data = (folder / file.name).read_bytes()
        files.append(replace(file, bytes=len(data), sha256=sha256(data).hexdigest()))
    write_manifest(folder, replace(manifest, files=tuple(files)))


def test_what_was_backed_up_is_what_is_put_back(
    filled: Log, manifest: Manifest, folder: Path, other: Engine, signer: NoteSigner
) -> None:
    assert check_backup(folder) == manifest
    restore(other, folder)
    again = Log.open(other, origin=ORIGIN, signer=signer)
    assert again.head() == filled.head()
    assert [again.entry(at) for at in (0, 255, 256, 299)] == [filled.entry(at) for at in (0, 255, 256, 299)]
    assert again.published() == filled.published()
    report = audit(other, signer.verifier)
    assert report.ok, report
    assert again.append(new_entry(5)).duplicate, "what was recorded is found again"
    assert again.append(new_entry(ENTRIES)).index == ENTRIES


def test_the_guards_are_put_back_too(manifest: Manifest, folder: Path, other: Engine) -> None:
    restore(other, folder)
    with pytest.raises(Exception, match="append-only"), begin_write(other) as connection:
        connection.execute(text("DELETE FROM ledger_heads"))


def test_an_empty_log_can_be_backed_up(log: Log, engine: Engine, folder: Path, other: Engine) -> None:
    assert back_up(engine, folder).size == log.head()[0] == 0
    restore(other, folder)


def test_a_backup_beside_writers_is_one_state_with_what_they_committed_together(
    log: Log, engine: Engine, folder: Path, other: Engine, signer: NoteSigner
) -> None:
    stop = threading.Event()
    started = threading.Event()

    def write(first: int) -> None:
        number = first
        while not stop.is_set():
            log.append(
                new_entry(number),
                lambda connection, index, number=number: connection.execute(  # type: ignore[misc]
                    text("INSERT INTO facts VALUES (:number, :place)"), {"number": number, "place": index}
                ),
            )
            number += 2
            started.set()

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 1)]
    for writer in writers:
        writer.start()
    started.wait(10)
    try:
        manifests = [back_up(engine, folder / str(number)) for number in range(4)]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert all(check_backup(folder / str(number)) == manifest for number, manifest in enumerate(manifests))
    assert manifests[-1].size > manifests[0].size > 0
    restore(other, folder / "3")
    assert audit(other, signer.verifier).ok
    assert sorted(place for _, place in facts(other)) == list(range(manifests[3].size))


def test_what_is_written_during_a_backup_neither_enters_nor_delays_it(
    filled: Log, engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step of the copy is followed by a write, which would make SQLite begin again without its snapshot."""
    monkeypatch.setattr(making, "PAGES_A_STEP", 4)
    numbers = iter(range(1_000, 1_050))

    def write(_what: str, _done: int, _whole: int) -> None:
        for number in numbers:
            filled.append(new_entry(number))
            break

    manifest = make_backup(engine, folder, origin=ORIGIN, schema=SCHEMA, progress=write)
    assert manifest.size == ENTRIES < filled.head()[0]
    assert check_backup(folder) == manifest


def test_a_folder_in_use_is_never_written_over(manifest: Manifest, engine: Engine, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(BackupError, match="not empty"):
        back_up(engine, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert read_manifest(folder) == manifest


def test_a_backup_is_for_its_owner_only(manifest: Manifest, folder: Path) -> None:
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_nothing_lies_beside_the_files_that_the_manifest_names(manifest: Manifest, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {MANIFEST_FILE, *(file.name for file in manifest.files)}


def test_an_unfinished_backup_is_none(manifest: Manifest, folder: Path) -> None:
    (folder / MANIFEST_FILE).unlink()
    with pytest.raises(BackupError, match="not finished"):
        check_backup(folder)


def test_a_changed_byte_in_any_file_is_named(manifest: Manifest, folder: Path) -> None:
    for file in manifest.files:
        path = folder / file.name
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(BackupError, match=file.name):
            check_backup(folder)
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    check_backup(folder)


def test_a_missing_file_is_named(manifest: Manifest, folder: Path, database_kind: str) -> None:
    path = entries_file(folder, database_kind)
    path.unlink()
    with pytest.raises(BackupError, match=f"{path.name} is missing"):
        check_backup(folder)


def test_an_entry_that_is_changed_together_with_the_hashes_is_found(
    filled: Log, engine: Engine, folder: Path, database_kind: str
) -> None:
    body = filled.entry(17).body
    assert body is not None
    back_up(engine, folder)
    path = entries_file(folder, database_kind)
    data = path.read_bytes()
    assert data.count(body.statement) == 1
    path.write_bytes(data.replace(body.statement, body.statement[:-1] + b"x"))
    hash_again(folder)
    with pytest.raises(BackupError, match="root"):
        check_backup(folder)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda manifest: replace(manifest, size=299), "greatest head"),
        (lambda manifest: replace(manifest, size=301), "greatest head"),
        (lambda manifest: replace(manifest, root=bytes(32)), "greatest head"),
        (lambda manifest: replace(manifest, origin="log.test/other"), "checkpoint"),
        (
            lambda manifest: replace(manifest, checkpoint=manifest.checkpoint.replace("\n290\n", "\n289\n")),
            "checkpoint",
        ),
        (
            lambda manifest: replace(manifest, checkpoint=manifest.checkpoint.replace("\n290\n", "\n301\n")),
            "checkpoint",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_its_entries_is_refused(
    manifest: Manifest, folder: Path, change: Callable[[Manifest], Manifest], what: str
) -> None:
    write_manifest(folder, change(manifest))
    with pytest.raises(BackupError, match=what):
        check_backup(folder)


def test_entries_cut_off_together_with_the_heads_are_found_by_a_known_checkpoint_only(
    filled: Log, engine: Engine, folder: Path
) -> None:
    manifest = back_up(engine, folder)
    size, root = filled.head()
    check_backup(folder, known=[Checkpoint(ORIGIN, size, root), Checkpoint(ORIGIN, size + 1, root)])
    with pytest.raises(ForkDetected, match="size 200"):
        check_backup(folder, known=[Checkpoint(ORIGIN, 200, root)])
    assert manifest.size == size


def test_a_database_that_holds_anything_is_not_restored_into(
    manifest: Manifest, folder: Path, other: Engine, database_kind: str
) -> None:
    with begin_write(other) as connection:
        connection.execute(text("CREATE TABLE precious (number BIGINT)"))
        connection.execute(text("INSERT INTO precious VALUES (1)"))
    with pytest.raises(BackupError, match="precious has rows"):
        read_for_restore(other, folder)


def test_a_restore_that_fails_leaves_an_empty_database(manifest: Manifest, folder: Path, other: Engine) -> None:
    if manifest.database == "sqlite":
        further = replace(manifest.files[0], name="stranger.db")
        (folder / further.name).write_bytes((folder / manifest.files[0].name).read_bytes())
        files: tuple[BackupFile, ...] = (further, *manifest.files)
    else:
        files = tuple(replace(file, rows=file.rows + 1) if file.table == "facts" else file for file in manifest.files)
    write_manifest(folder, replace(manifest, files=files))
    with pytest.raises(BackupError, match=r"belongs|rows"):
        restore(other, folder)
    write_manifest(folder, manifest)
    restore(other, folder)


def test_a_backup_of_the_other_kind_of_database_is_refused(
    manifest: Manifest, folder: Path, other: Engine, database_kind: str
) -> None:
    path = folder / MANIFEST_FILE
    members = json.loads(path.read_bytes())
    members["database"] = "postgresql" if database_kind == "sqlite" else "sqlite"
    path.write_text(json.dumps(members))
    with pytest.raises(BackupError):
        read_for_restore(other, folder)


def test_further_files_come_along_in_sqlite(
    databases: Databases, tmp_path: Path, folder: Path, signer: NoteSigner
) -> None:
    (tmp_path / "new").mkdir()
    engine = create_database_engine(databases.copy_of("log", prepare_log_database, "sqlite", tmp_path), durable=False)
    Log.open(engine, origin=ORIGIN, signer=signer).append(new_entry(1))
    store = tmp_path / "store.db"
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE seen (number INTEGER)")
        connection.execute("INSERT INTO seen VALUES (42)")
        connection.commit()
        back_up(engine, folder, store=store)
    engine.dispose()
    target = create_database_engine(f"sqlite:///{tmp_path / 'new' / 'test.db'}")
    restore(target, folder, lambda name: tmp_path / "new" / name)
    target.dispose()
    with closing(sqlite3.connect(tmp_path / "new" / "store.db")) as connection:
        assert connection.execute("SELECT number FROM seen").fetchall() == [(42,)]
    again = create_database_engine(f"sqlite:///{tmp_path / 'new2.db'}")
    with pytest.raises(BackupError, match="there already"):
        restore(again, folder, lambda name: tmp_path / "new" / name)
    again.dispose()


@pytest.mark.postgresql
@pytest.mark.parametrize("end", LEFT_BY_SQLITE)
@pytest.mark.parametrize("beside", ["database", "further"])
def test_what_an_earlier_file_left_beside_its_place_is_not_played_into_the_restored_one(
    databases: Databases, folder: Path, tmp_path: Path, end: str, beside: str
) -> None:
    url = databases.copy_of("log", prepare_log_database, "sqlite", tmp_path)
    engine, scans = create_database_engine(url, durable=False), tmp_path / "scans.db"
    with closing(sqlite3.connect(scans)) as connection:
        connection.execute("CREATE TABLE scans (number INTEGER)")
    manifest = back_up(engine, folder, scans=scans)
    engine.dispose()
    place, target = tmp_path / "other.db", tmp_path / "restored.db"
    other = create_database_engine(f"sqlite:///{place}", durable=False)
    read_for_restore(other, folder)
    other.dispose()
    stale = {"database": place, "further": target}[beside]
    left = stale.with_name(stale.name + end)
    left.write_bytes(b"of another day")
    place.unlink()
    with pytest.raises(BackupError, match=left.name):
        restore_backup(other, folder, manifest, prepare=lambda: None, further_files=lambda _name: target)
    assert left.read_bytes() == b"of another day"
    assert not place.exists()
    assert not target.exists()
    left.unlink()
    restore_backup(other, folder, manifest, prepare=lambda: None, further_files=lambda _name: target)
    assert target.exists()
    other.dispose()


def test_numbers_given_out_before_the_backup_are_not_given_out_again(databases: Databases, folder: Path) -> None:
    def prepare(url: str) -> None:
        prepare_log_database(url)
        engine = create_database_engine(url)
        with begin_write(engine) as connection:
            connection.execute(text("CREATE TABLE things (id BIGSERIAL PRIMARY KEY, name TEXT)"))
        engine.dispose()

    urls = [databases.fresh("postgresql", folder) for _ in range(2)]
    prepare(urls[0])
    first, second = (create_database_engine(url) for url in urls)
    with begin_write(first) as connection:
        connection.execute(text("INSERT INTO things (name) VALUES ('one'), ('two'), ('three')"))
        connection.execute(text("DELETE FROM things WHERE name = 'three'"))
    manifest = back_up(first, folder)
    assert manifest.sequences == {"things.id": 3}
    read_for_restore(second, folder)
    restore_backup(second, folder, manifest, prepare=lambda: prepare(urls[1]))
    with begin_write(second) as connection:
        number = connection.execute(text("INSERT INTO things (name) VALUES ('four') RETURNING id")).scalar()
    assert number == 4
    for engine, url in zip((first, second), urls, strict=True):
        engine.dispose()
        databases.discard(url)
