"""The audit computes the subject map again, and knows when a frozen log went on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, text

from ledger.audit import audit
from ledger.log import Log
from ledger.map.keeper import SubjectMap
from ledger.note import NoteSigner
from ledger.own import StatementSigner
from ledger.storage.engine import begin_write
from tests.ledger.audit.test_audit import Story
from tests.log_builders import Clock, new_entry
from tests.small_log import private_key


@pytest.fixture
def story(engine: Engine, signer: NoteSigner, clock: Clock) -> Story:
    story = Story(engine, signer, clock)
    subject_map = SubjectMap(story.log, engine, StatementSigner("registry-1", private_key("registry")), clock=clock)
    assert subject_map.publish() is not None
    story.log.append(new_entry(1000, subject="unit 3"))
    clock.now += 2
    assert subject_map.publish() is not None
    return story


def tamper(story: Story, statement: str, **values: bytes) -> None:
    def change(connection: Connection, _story: Story) -> None:
        connection.execute(text(statement), values)

    story.tamper(change)


def sql(statement: str) -> Callable[[Story], None]:
    return lambda story: tamper(story, statement)


def root_of_another_map(story: Story) -> None:
    tamper(story, "UPDATE ledger_map_heads SET root = :root", root=bytes(32))


def flip_a_tile(story: Story) -> None:
    tamper(story, 'UPDATE ledger_map_tiles SET data = :data WHERE level = 1 AND "index" = 7', data=bytes(512))


MATRIX: dict[str, tuple[Callable[[Story], None], str, str]] = {
    "a root is exchanged": (root_of_another_map, "map.head", "ledger_map_heads 620"),
    "the newest root is exchanged": (root_of_another_map, "map.root", "ledger_map_heads 622"),
    "a head is filed under another entry": (
        sql("UPDATE ledger_map_heads SET entry = 621 WHERE size = 620"),
        "map.head",
        "ledger_map_heads 620",
    ),
    "a head is filed under another size": (
        sql("UPDATE ledger_map_heads SET size = 600 WHERE size = 620"),
        "map.head",
        "ledger_map_heads 600",
    ),
    "a tile is changed": (flip_a_tile, "map.tile", "ledger_map_tiles 1/7"),
    "a tile is removed": (
        sql('DELETE FROM ledger_map_tiles WHERE level = 3 AND "index" = 0'),
        "map.tile",
        "ledger_map_tiles 3/0",
    ),
    "a tag is removed from under the map": (
        sql('DELETE FROM ledger_tags WHERE "index" = 3'),
        "map.root",
        "ledger_map_heads 622",
    ),
}


def test_an_untouched_map_has_no_fault(story: Story) -> None:
    report = story.audit()
    assert report.faults == []
    assert report.map_heads == 2


@pytest.mark.parametrize("kind", MATRIX)
def test_the_full_audit_names_the_change(story: Story, kind: str) -> None:
    change, code, where = MATRIX[kind]
    change(story)
    assert (code, where) in [(fault.code, fault.where) for fault in story.audit().faults]


def test_an_audit_of_the_newest_part_checks_the_heads_stated_there(story: Story) -> None:
    root_of_another_map(story)
    faults = story.audit(since=621).faults
    assert ("map.head", "ledger_map_heads 622") in [(fault.code, fault.where) for fault in faults]


def test_a_log_that_went_on_after_it_was_frozen_is_named(log: Log, engine: Engine, signer: NoteSigner) -> None:
    log.append_many([new_entry(number) for number in range(10)])
    with begin_write(engine) as connection:
        connection.execute(text("INSERT INTO ledger_freezes (entry, time) VALUES (7, 1)"))
    faults = audit(engine, signer.verifier).faults
    assert [(fault.code, fault.where) for fault in faults] == [("log.frozen", "ledger_freezes 7")]
