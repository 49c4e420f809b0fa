"""The audit finds every kind of change, and names the row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest
from sqlalchemy import Connection, Engine, text

from ledger.audit import AuditReport, AuditScope, Fault, audit
from ledger.audit.statements import stretches
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.storage.engine import begin_write
from ledger.storage.interface import EntryRow
from tests.guards import without_guards
from tests.log_builders import ORIGIN, Clock, new_entry

Change = Callable[[Connection, "Story"], None]


class Story:
    """A log of 620 entries with heads and published checkpoints at 100, 200, ... 600, 610, 620; two full tiles."""

    def __init__(self, engine: Engine, signer: NoteSigner, clock: Clock) -> None:
        self.engine = engine
        self.signer = signer
        self.log = Log.open(engine, origin=ORIGIN, signer=signer, clock=clock)
        for start, stop in [*((at, at + 100) for at in range(0, 600, 100)), (600, 610), (610, 620)]:
            clock.now += 2
            entries = [new_entry(number, subject=f"unit {number % 7}") for number in range(start, stop)]
            self.last = self.log.append_many(entries)[-1].checkpoint

    def tamper(self, change: Change) -> None:
        """Change the database as somebody would who owns it: no guard stands in the way."""
        with begin_write(self.engine) as connection, without_guards(connection):
            change(connection, self)

    def audit(self, **options: object) -> AuditReport:
        return audit(self.engine, self.signer.verifier, **options)  # type: ignore[arg-type]


@pytest.fixture
def story(engine: Engine, signer: NoteSigner, clock: Clock) -> Story:
    return Story(engine, signer, clock)


def sql(*statements: str) -> Change:
    def change(connection: Connection, _story: Story) -> None:
        for statement in statements:
            connection.execute(text(statement))

    return change


def edit_blob(table: str, column: str, where: str, edit: Callable[[bytes], bytes]) -> Change:
    def change(connection: Connection, _story: Story) -> None:
        data = connection.execute(text(f"SELECT {column} FROM {table} WHERE {where}")).scalar_one()  # noqa: S608
        connection.execute(text(f"UPDATE {table} SET {column} = :data WHERE {where}"), {"data": edit(bytes(data))})  # noqa: S608

    return change


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def swap_bodies(first: int, second: int) -> Change:
    def change(connection: Connection, _story: Story) -> None:
        columns = "statement_key, salt, body"
        rows = {
            index: connection.execute(
                text(f'SELECT {columns} FROM ledger_entries WHERE "index" = :index'),  # noqa: S608
                {"index": index},
            ).one()
            for index in (first, second)
        }
        for target, source in ((first, second), (second, first)):
            connection.execute(
                text('UPDATE ledger_entries SET statement_key = :a, salt = :b, body = :c WHERE "index" = :index'),
                {**dict(zip("abc", rows[source], strict=True)), "index": target},
            )

    return change


def swap_tiles(connection: Connection, _story: Story) -> None:
    tiles = [
        connection.execute(text(f'SELECT data FROM ledger_tiles WHERE level = 0 AND "index" = {index}')).scalar_one()  # noqa: S608
        for index in (0, 1)
    ]
    for index, data in enumerate(reversed(tiles)):
        connection.execute(text(f'UPDATE ledger_tiles SET data = :data WHERE "index" = {index}'), {"data": data})  # noqa: S608


def forged_note(size: int, *, root: bytes | None = None, name: str = ORIGIN, own_key: bool = False) -> Change:
    def change(connection: Connection, story: Story) -> None:
        signer = story.signer if own_key else NoteSigner.generate(name)
        real_root = connection.execute(text(f"SELECT root FROM ledger_heads WHERE size = {size}")).scalar_one()  # noqa: S608
        signed = sign_checkpoint(Checkpoint(ORIGIN, size, root or bytes(real_root)), signer)
        connection.execute(
            text(f"UPDATE ledger_checkpoints SET note = :note WHERE size = {size}"),  # noqa: S608
            {"note": signed.note_text},
        )

    return change


def cut_back_to_600(connection: Connection, _story: Story) -> None:
    connection.execute(text('DELETE FROM ledger_entries WHERE "index" >= 600'))
    connection.execute(text('DELETE FROM ledger_tags WHERE "index" >= 600'))
    connection.execute(text("DELETE FROM ledger_heads WHERE size > 600"))


def forget_everything_after_600(connection: Connection, story: Story) -> None:
    cut_back_to_600(connection, story)
    connection.execute(text("DELETE FROM ledger_checkpoints WHERE size > 600"))


def record_twice(connection: Connection, _story: Story) -> None:
    """Put an earlier statement into a later entry, its key too, so that it stands in the log twice."""
    row = connection.execute(text('SELECT statement_key, body FROM ledger_entries WHERE "index" = 3')).one()
    connection.execute(
        text('UPDATE ledger_entries SET statement_key = :key, body = :body WHERE "index" = 615'),
        {"key": row[0], "body": row[1]},
    )


def file_a_false_tag(connection: Connection, _story: Story) -> None:
    connection.execute(text('INSERT INTO ledger_tags (tag, "index") VALUES (:tag, 5)'), {"tag": b"\x07" * 16})


def erase_without_entry(index: int, *, erased_by: int | None = None) -> Change:
    """Put what the leaf needs in the place of salt and body, with or without a record of the erasure."""

    def change(connection: Connection, _story: Story) -> None:
        where = f'WHERE "index" = {index}'
        salt, body = connection.execute(text(f"SELECT salt, body FROM ledger_entries {where}")).one()  # noqa: S608
        content = EntryRow(index, 0, bytes(salt), bytes(body)).content()
        connection.execute(
            text(f"UPDATE ledger_entries SET salt = NULL, body = :content {where}"),  # noqa: S608
            {"content": content},
        )
        if erased_by is not None:
            connection.execute(text(f"INSERT INTO ledger_erasures VALUES ({index}, {erased_by})"))  # noqa: S608

    return change


REPLACE_STATEMENT = (b"e30.000005.", b"e30.ffffff.")

MATRIX: dict[str, tuple[Change, str, str]] = {
    "a body is edited": (
        edit_blob("ledger_entries", "body", '"index" = 5', lambda data: data.replace(b"test.event", b"test.evenu")),
        "entry.content",
        "ledger_entries 5",
    ),
    "a body is edited in the part without tiles": (
        edit_blob("ledger_entries", "body", '"index" = 605', lambda data: data.replace(b"test.event", b"test.evenu")),
        "head.root",
        "ledger_heads 610",
    ),
    "a bit of a body flips": (
        edit_blob("ledger_entries", "body", '"index" = 300', flip(0)),
        "entry.body",
        "ledger_entries 300",
    ),
    "a bit of a salt flips": (
        edit_blob("ledger_entries", "salt", '"index" = 511', flip(31)),
        "entry.content",
        "ledger_entries 511",
    ),
    "a bit of the first salt flips": (
        edit_blob("ledger_entries", "salt", '"index" = 0', flip(0)),
        "entry.content",
        "ledger_entries 0",
    ),
    "a body is emptied": (
        edit_blob("ledger_entries", "body", '"index" = 17', lambda _: b""),
        "entry.body",
        "ledger_entries 17",
    ),
    "a salt is lost": (
        sql('UPDATE ledger_entries SET salt = NULL WHERE "index" = 17'),
        "entry.content",
        "ledger_entries 17",
    ),
    "a statement is exchanged": (
        edit_blob("ledger_entries", "body", '"index" = 5', lambda data: data.replace(*REPLACE_STATEMENT)),
        "entry.statement_key",
        "ledger_entries 5",
    ),
    "a statement key is changed": (
        sql('UPDATE ledger_entries SET statement_key = 1 WHERE "index" = 8'),
        "entry.statement_key",
        "ledger_entries 8",
    ),
    "a tag is filed under another entry": (
        sql('UPDATE ledger_tags SET "index" = 9 WHERE "index" = 8'),
        "entry.tag",
        "ledger_entries 8",
    ),
    "a tag is removed, so that its entry is omitted": (
        sql('DELETE FROM ledger_tags WHERE "index" = 619'),
        "entry.tag",
        "ledger_entries 619",
    ),
    "a tag is added that no entry bears": (
        file_a_false_tag,
        "tag.surplus",
        "ledger_tags",
    ),
    "a body is erased as the guards allow it, but nothing says so": (
        erase_without_entry(33),
        "entry.content",
        "ledger_entries 33",
    ),
    "an erasure names an entry that says nothing of it": (
        erase_without_entry(33, erased_by=40),
        "erasure.unlogged",
        "ledger_erasures 33",
    ),
    "an erasure is on record and the body is still there": (
        sql('INSERT INTO ledger_erasures ("index", erased_by) VALUES (33, 40)'),
        "erasure.undone",
        "ledger_erasures 33",
    ),
    "a subject's chain leaves one entry out": (
        edit_blob(
            "ledger_entries",
            "body",
            '"index" = 21',
            lambda data: data.replace(b",3]]}", b",9]]}"),
        ),
        "entry.subject_chain",
        "ledger_entries 21",
    ),
    "an entry is removed": (
        sql('DELETE FROM ledger_entries WHERE "index" = 100'),
        "entry.missing",
        "ledger_entries 100",
    ),
    "the last entry is removed": (
        sql('DELETE FROM ledger_entries WHERE "index" = 619'),
        "entry.missing",
        "ledger_entries 619",
    ),
    "all entries are removed": (
        sql("DELETE FROM ledger_entries"),
        "entry.missing",
        "ledger_entries 0",
    ),
    "an entry is added beyond the head": (
        sql('INSERT INTO ledger_entries SELECT 620, 1, salt, body FROM ledger_entries WHERE "index" = 1'),
        "entry.surplus",
        "ledger_entries 620",
    ),
    "two entries are swapped": (swap_bodies(40, 47), "entry.subject_chain", "ledger_entries 40"),
    "two entries are swapped in the part without tiles": (
        swap_bodies(602, 609),
        "entry.subject_chain",
        "ledger_entries 602",
    ),
    "a statement is recorded twice": (record_twice, "entry.duplicate", "ledger_entries 615"),
    "a bit of a tile flips": (
        edit_blob("ledger_tiles", "data", 'level = 0 AND "index" = 0', flip(32 * 77 + 3)),
        "tile.content",
        "ledger_tiles 0/000",
    ),
    "a bit of a tile's first hash flips": (
        edit_blob("ledger_tiles", "data", 'level = 0 AND "index" = 1', flip(0)),
        "tile.content",
        "ledger_tiles 0/001",
    ),
    "a tile is removed": (
        sql('DELETE FROM ledger_tiles WHERE level = 0 AND "index" = 1'),
        "tile.missing",
        "ledger_tiles 0/001",
    ),
    "two tiles are swapped": (swap_tiles, "tile.content", "ledger_tiles 0/000"),
    "a tile is added beyond the head": (
        sql('INSERT INTO ledger_tiles SELECT 0, 2, data FROM ledger_tiles WHERE "index" = 1'),
        "tile.surplus",
        "ledger_tiles 0/2",
    ),
    "a tile is added at a level without any": (
        sql('INSERT INTO ledger_tiles SELECT 1, 0, data FROM ledger_tiles WHERE "index" = 1'),
        "tile.surplus",
        "ledger_tiles 1/0",
    ),
    "a bit of a head's root flips": (
        edit_blob("ledger_heads", "root", "size = 300", flip(9)),
        "head.root",
        "ledger_heads 300",
    ),
    "a bit of the last head's root flips": (
        edit_blob("ledger_heads", "root", "size = 620", flip(9)),
        "head.root",
        "ledger_heads 620",
    ),
    "a head is removed": (sql("DELETE FROM ledger_heads WHERE size = 300"), "head.chain", "ledger_heads 400"),
    "a head is moved": (sql("UPDATE ledger_heads SET size = 301 WHERE size = 300"), "head.root", "ledger_heads 301"),
    "the last head is removed": (
        sql("DELETE FROM ledger_heads WHERE size = 620"),
        "entry.surplus",
        "ledger_entries 610",
    ),
    "all heads are removed": (sql("DELETE FROM ledger_heads"), "entry.surplus", "ledger_entries 0"),
    "a head is raised beyond the entries": (
        sql("UPDATE ledger_heads SET size = 700 WHERE size = 620"),
        "entry.missing",
        "ledger_entries 620",
    ),
    "a checkpoint is signed by another key of the same name": (
        forged_note(300),
        "checkpoint.signature",
        "ledger_checkpoints 300",
    ),
    "a checkpoint is signed by a stranger": (
        forged_note(300, name="stranger.test"),
        "checkpoint.signature",
        "ledger_checkpoints 300",
    ),
    "a checkpoint was signed for another tree (split view)": (
        forged_note(300, root=sha256(b"another tree").digest(), own_key=True),
        "checkpoint.root",
        "ledger_checkpoints 300",
    ),
    "a checkpoint is filed under another size": (
        sql("UPDATE ledger_checkpoints SET size = 301 WHERE size = 300"),
        "checkpoint.size",
        "ledger_checkpoints 301",
    ),
    "a letter of a checkpoint is changed": (
        sql("UPDATE ledger_checkpoints SET note = replace(note, '300', '310') WHERE size = 300"),
        "checkpoint.signature",
        "ledger_checkpoints 300",
    ),
    "the log is cut back to an earlier head": (cut_back_to_600, "checkpoint.ahead", "ledger_checkpoints 610"),
}


def test_an_untouched_log_has_no_fault_and_everything_was_counted(story: Story) -> None:
    report = story.audit()
    assert report.faults == []
    assert (report.size, report.entries, report.tiles, report.heads, report.checkpoints) == (620, 620, 2, 8, 8)
    assert report.root == story.last.checkpoint.root.hex()


@pytest.mark.parametrize("kind", MATRIX)
def test_the_full_audit_names_the_change(story: Story, kind: str) -> None:
    change, code, where = MATRIX[kind]
    story.tamper(change)
    report = story.audit()
    assert not report.ok
    assert (code, where) in [(fault.code, fault.where) for fault in report.faults]
    assert report.faults[0].where == where or code in {"entry.duplicate", "checkpoint.ahead", "entry.surplus"}


def test_one_changed_entry_below_a_tile_is_one_fault(story: Story) -> None:
    story.tamper(edit_blob("ledger_entries", "salt", '"index" = 130', flip(3)))
    assert [fault.where for fault in story.audit().faults] == ["ledger_entries 130"]


def test_a_log_forgotten_back_to_an_earlier_state_is_found_by_a_checkpoint_kept_outside(story: Story) -> None:
    kept = story.last.note_text
    story.tamper(forget_everything_after_600)
    assert story.audit().ok
    [fault] = story.audit(known_checkpoints=[kept]).faults
    assert (fault.code, fault.where) == ("checkpoint.ahead", "known checkpoint 1")


def test_an_audit_since_an_entry_reads_only_the_rest(story: Story) -> None:
    story.tamper(edit_blob("ledger_entries", "salt", '"index" = 5', flip(3)))
    report = story.audit(since=520)
    assert (report.faults, report.entries) == ([], 620 - 512)
    story.tamper(edit_blob("ledger_entries", "salt", '"index" = 615', flip(3)))
    assert {fault.where for fault in story.audit(since=520).faults} == {"ledger_heads 620", "ledger_checkpoints 620"}


def test_an_audit_since_an_entry_beyond_the_log_is_an_empty_one(story: Story) -> None:
    assert story.audit(since=10**6).entries == 620 - 512


def test_a_sample_of_all_entries_finds_a_changed_one(story: Story) -> None:
    assert story.audit(sample=50).ok
    story.tamper(edit_blob("ledger_entries", "salt", '"index" = 5', flip(3)))
    assert [fault.where for fault in story.audit(sample=10**6).faults] == ["ledger_entries 5"]


def test_a_sample_finds_a_head_that_does_not_fit(story: Story) -> None:
    story.tamper(edit_blob("ledger_heads", "root", "size = 620", flip(3)))
    assert "ledger_heads 620" in {fault.where for fault in story.audit(sample=1).faults}


def test_an_empty_log_has_no_fault(engine: Engine, signer: NoteSigner) -> None:
    assert audit(engine, signer.verifier).ok
    assert audit(engine, signer.verifier, sample=5).ok
    assert audit(engine, signer.verifier, since=5).ok


def test_checks_of_the_product_run_in_the_same_snapshot(story: Story) -> None:
    def batch_roots(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        assert scope == AuditScope(620)
        yield Fault("extra", "batches 1", str(connection.execute(text("SELECT max(size) FROM ledger_heads")).scalar()))

    assert story.audit(extra_checks=[batch_roots]).faults == [Fault("extra", "batches 1", "620")]


def test_progress_is_told_up_to_the_end(story: Story) -> None:
    told: list[tuple[int, int]] = []
    story.audit(progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (620, 620)


def test_the_checks_of_the_product_tell_of_their_progress_too(story: Story) -> None:
    told: list[tuple[int, int]] = []

    def check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        for _ in range(2):  # a check may go through the entries twice
            for _ in stretches(connection, scope, None):
                pass
        yield from ()

    story.audit(extra_checks=[check, check], progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (3 * 620, 3 * 620)
    assert told == sorted(told)
    assert {total for _, total in told} == {3 * 620}


def test_a_database_without_the_ledgers_tables_is_a_fault_not_a_crash(engine: Engine, signer: NoteSigner) -> None:
    with begin_write(engine) as connection:
        connection.execute(text("DROP TABLE ledger_heads"))
    [fault] = audit(engine, signer.verifier).faults
    assert fault.code == "storage.unreadable"
