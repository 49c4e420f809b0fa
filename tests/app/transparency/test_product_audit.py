"""The product's part of an audit: what its tables say is what is on the ledger, or the row that lies is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.core.bootstrap import migrate, open_services
from app.core.config import Settings
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.transparency.service.product import product_checks
from app.verification.parts import close_parts
from ledger.audit import AuditReport, audit
from ledger.statement import STATEMENT_TYPE, sign_statement
from ledger.storage.engine import create_database_engine
from tests.app.conftest import KEY_ENCRYPTION_KEY
from tests.app.transparency.product_story import (
    ProductStory,
    as_owner,
    audit_with_product,
    change_scans,
    sql,
    tell,
)
from tests.log_builders import new_entry
from tests.small_log import private_key

PLACES = {
    "sale": "(SELECT min(id) FROM events WHERE kind = 'sold')",
    "undo": "(SELECT id FROM events WHERE kind = 'undone')",
    "own": "(SELECT id FROM batches WHERE first_serial = 'OWN000')",
    "large": "(SELECT id FROM batches WHERE quantity = 40)",
    "recalled": "(SELECT batch_id FROM events WHERE kind = 'recalled')",
    "suspended": "status = 'suspended'",
    "revoked": "revoked_index IS NOT NULL",
}
"""What the statements of a tampering speak of."""


@dataclass(frozen=True)
class Honest:
    """A registry on SQLite in which nothing is wrong, to be copied and changed."""

    folder: Path
    services: Services


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Honest]:
    folder = tmp_path_factory.mktemp("honest")
    settings = Settings(
        data_dir=folder,
        public_url="http://localhost",
        key_encryption_key=KEY_ENCRYPTION_KEY,
        scan_durability="kill",
        rate_limits=False,
    )
    migrate(settings)
    services = open_services(settings)
    tell(services)
    close_parts(services)
    yield Honest(folder, services)
    services.engine.dispose()


@dataclass(frozen=True)
class Copy:
    """A copy of the honest registry that belongs to one test."""

    honest: Honest
    settings: Settings

    def change(self, *statements: str) -> None:
        engine = create_database_engine(self.settings.effective_database_url)
        as_owner(engine, sql(*statements))
        engine.dispose()

    def change_scans(self, statement: str) -> None:
        change_scans(self.settings.scans_dir, statement)

    def audit(self, *, since: int | None = None, sample: int | None = None) -> AuditReport:
        engine = create_database_engine(self.settings.effective_database_url)
        services = self.honest.services
        checks = product_checks(self.settings, engine, services.sealer)
        report = audit(
            engine,
            services.log.verifier,
            origin=services.log.origin,
            since=since,
            sample=sample,
            extra_checks=checks,
        )
        engine.dispose()
        return report


@pytest.fixture
def copy(honest: Honest, tmp_path: Path) -> Copy:
    target = tmp_path / "copy"
    shutil.copytree(honest.folder, target)
    return Copy(honest, replace(honest.services.settings, data_dir=target))


@pytest.fixture
def story(services: Services) -> Iterator[ProductStory]:
    yield tell(services)
    close_parts(services)


def test_nothing_is_wrong_with_an_honest_registry(story: ProductStory) -> None:
    assert story.audit().faults == []
    assert story.audit(since=0).faults == []
    assert story.audit(sample=10_000).faults == []


TAMPERINGS = {
    "an event taken out": (
        ("DELETE FROM events WHERE id = {sale}",),
        "event.missing",
        "ledger_entries",
    ),
    "an event put in": (
        (
            (
                "INSERT INTO events SELECT 999, 'urn:uuid:new', kind, organisation_id, actor, batch_id, event_time, "
                "record_time, NULL, 9999, body FROM events WHERE id = {sale}"
            ),
        ),
        "event.entry",
        "events with log index 9999",
    ),
    "a body edited": (
        ("UPDATE events SET body = replace(body, 'retail_sold', 'returned') WHERE id = {sale}",),
        "event.body",
        "events urn:uuid",
    ),
    "a body that is no JSON": (("UPDATE events SET body = '[' WHERE id = {sale}",), "event.body", "events urn"),
    "a body emptied": (("UPDATE events SET body = '' WHERE id = {sale}",), "event.body", "events urn:uuid"),
    "an event of another entry": (
        ("UPDATE events SET log_index = 0 WHERE id = {sale}",),
        "event.log_index",
        "events urn:uuid",
    ),
    "an event of another kind": (
        ("UPDATE events SET kind = 'returned' WHERE id = {sale}",),
        "event.entry",
        "events urn:uuid",
    ),
    "an event of a kind that there is not": (
        ("UPDATE events SET kind = 'eaten' WHERE id = {sale}",),
        "event.entry",
        "events urn:uuid",
    ),
    "an event in another name": (
        ("UPDATE events SET organisation_id = 1 WHERE id = {sale}",),
        "event.entry",
        "events urn:uuid",
    ),
    "an event at another time": (
        ("UPDATE events SET event_time = event_time + 1 WHERE id = {sale}",),
        "event.entry",
        "events urn:uuid",
    ),
    "a time that is none": (
        ("UPDATE events SET record_time = 999999999999999999 WHERE id = {sale}",),
        "event.entry",
        "events urn:uuid",
    ),
    "an undo of another event": (
        ("UPDATE events SET undoes = (SELECT event_id FROM events WHERE id = {sale}) WHERE id = {undo}",),
        "event.entry",
        "events urn:uuid",
    ),
    "an event about another unit": (
        ("UPDATE event_units SET unit_id = unit_id + 20 WHERE event = {sale}",),
        "event.goods",
        "events urn:uuid",
    ),
    "a unit left out of an event": (
        ("DELETE FROM event_units WHERE event = {sale}",),
        "event.goods",
        "events urn:uuid",
    ),
    "a recall of another batch": (
        ("UPDATE events SET batch_id = {large} WHERE kind = 'recalled'",),
        "event.goods",
        "events urn:uuid",
    ),
    "a recall taken out of the states": (
        ("UPDATE batch_states SET statuses = 'NOT_ACTIVATED' WHERE batch_id = {recalled}",),
        "state.batch",
        "batch_states",
    ),
    "a sale taken out of the states": (
        ("DELETE FROM unit_states WHERE unit_id = (SELECT min(unit_id) FROM unit_states)",),
        "state.unit",
        "unit_states",
    ),
    "a state of a unit without events": (
        ("UPDATE unit_states SET unit_id = unit_id + 30 WHERE unit_id = (SELECT max(unit_id) FROM unit_states)",),
        "state.unit",
        "unit_states",
    ),
    "a batch with another root": (
        ("UPDATE batches SET root = zeroblob(32) WHERE id = {own}",),
        "batch.root",
        "batches",
    ),
    "a batch without root": (("UPDATE batches SET root = NULL WHERE id = {own}",), "batch.root", "batches"),
    "a larger batch": (("UPDATE batches SET quantity = 21 WHERE id = {own}",), "batch.entry", "batches"),
    "another lot": (("UPDATE batches SET lot = 'L2' WHERE id = {large}",), "batch.entry", "batches"),
    "another expiry": (("UPDATE batches SET expiry = '301231' WHERE id = {large}",), "batch.entry", "batches"),
    "another code key": (("UPDATE batches SET key_id = 1 WHERE id = {large}",), "batch.entry", "batches"),
    "a profile that there is not": (
        ("UPDATE batches SET profile = 'x' WHERE id = {large}",),
        "batch.entry",
        "batches",
    ),
    "another secret": (
        ("UPDATE batches SET sealed_secret = (SELECT sealed_secret FROM batches WHERE id = {own}) WHERE id = {large}",),
        "batch.secret",
        "batches",
    ),
    "a batch taken back": (
        ("UPDATE batches SET log_index = NULL WHERE id = {own}",),
        "batch.missing",
        "ledger_entries",
    ),
    "a batch under another entry": (
        ("UPDATE batches SET log_index = 0 WHERE id = {own}",),
        "batch.entry",
        "batches",
    ),
    "a batch taken out": (("DELETE FROM batches WHERE id = {own}",), "unit.batch", "units OWN000"),
    "a unit taken out": (("DELETE FROM units WHERE serial = 'OWN007'",), "batch.units", "units OWN008"),
    "the last unit taken out": (("DELETE FROM units WHERE serial = 'OWN019'",), "batch.units", "batches"),
    "a unit with another serial": (
        ("UPDATE units SET serial = 'OWN0071' WHERE serial = 'OWN007'",),
        "unit.content",
        "units OWN0071",
    ),
    "a unit put in": (
        ("INSERT INTO units SELECT product_id, 'OWN9', unit_id + 1 FROM units WHERE serial = 'OWN019'",),
        "batch.units",
        "batches",
    ),
    "a unit of no batch": (
        ("INSERT INTO units SELECT product_id, 'FREE', unit_id + (1000 << 24) FROM units WHERE serial = 'OWN019'",),
        "unit.batch",
        "units FREE",
    ),
    "two units that changed places": (
        (
            "UPDATE units SET unit_id = unit_id + 1 WHERE serial = 'OWN003'",
            "UPDATE units SET unit_id = unit_id - 1 WHERE serial = 'OWN004'",
        ),
        "batch.units",
        "units OWN003",
    ),
    "a tile of a batch changed": (
        (
            (
                "UPDATE batch_tiles SET data = (SELECT data FROM batch_tiles WHERE batch_id = {large} AND level = 0 "
                "AND tile_index = 0) WHERE batch_id = {own} AND level = 0 AND tile_index = 0"
            ),
        ),
        "batch.tile",
        "/0/0",
    ),
    "a tile of a batch taken out": (
        ("DELETE FROM batch_tiles WHERE batch_id = {own} AND level = 1",),
        "batch.tile",
        "/1/0",
    ),
    "a product of another name": (("UPDATE products SET name = 'Water' WHERE id = 2",), "product.entry", "products"),
    "a product without its entry": (
        ("UPDATE products SET log_index = NULL WHERE id = 2",),
        "product.missing",
        "ledger_entries",
    ),
    "a suspension taken back": (
        ("UPDATE organisations SET status = 'approved' WHERE {suspended}",),
        "organisation.entry",
        "organisations",
    ),
    "a suspension taken back with its entry": (
        ("UPDATE organisations SET status = 'approved', log_index = log_index - 1 WHERE {suspended}",),
        "organisation.entry",
        "organisations",
    ),
    "an organisation of another name": (
        ("UPDATE organisations SET name = 'Other' WHERE {suspended}",),
        "organisation.entry",
        "organisations",
    ),
    "an organisation under another handle": (
        ("UPDATE organisations SET issuer = 'AAAAAA' WHERE {suspended}",),
        "organisation.missing",
        "ledger_entries",
    ),
    "an approval that nobody gave": (
        ("UPDATE organisations SET status = 'approved', log_index = NULL WHERE {suspended}",),
        "organisation.entry",
        "organisations",
    ),
    "a right given back": (
        ("UPDATE issuing_rights SET status = 'approved' WHERE kind = 'prefix' AND status = 'revoked'",),
        "right.entry",
        "issuing_rights",
    ),
    "a delegation given back": (
        ("UPDATE issuing_rights SET status = 'approved' WHERE kind = 'delegation'",),
        "right.entry",
        "issuing_rights",
    ),
    "a right of another prefix": (
        ("UPDATE issuing_rights SET value = '952' WHERE kind = 'prefix'",),
        "right.entry",
        "issuing_rights",
    ),
    "a right of another firm": (
        ("UPDATE issuing_rights SET organisation_id = 1 WHERE kind = 'prefix'",),
        "right.entry",
        "issuing_rights",
    ),
    "a right taken out": (
        ("DELETE FROM issuing_rights WHERE kind = 'delegation'",),
        "right.missing",
        "ledger_entries",
    ),
    "a key exchanged": (
        ("UPDATE organisation_keys SET public_key = zeroblob(32) WHERE {revoked}",),
        "key.entry",
        "organisation_keys",
    ),
    "a revocation taken back": (
        (
            (
                "UPDATE organisation_keys SET revoked_index = NULL, revoked_at = NULL, revocation_reason = NULL "
                "WHERE {revoked}"
            ),
        ),
        "key.missing",
        "ledger_entries",
    ),
    "a key that is valid for longer": (
        ("UPDATE organisation_keys SET valid_until = valid_until + 1000 WHERE {revoked}",),
        "key.entry",
        "organisation_keys",
    ),
    "a key taken out": (("DELETE FROM organisation_keys WHERE {revoked}",), "key.missing", "ledger_entries"),
    "a commitment to scans taken out": (
        ("DELETE FROM scan_commitments WHERE number = 2",),
        "scans.missing",
        "ledger_entries",
    ),
    "a commitment to other scans": (
        ("UPDATE scan_commitments SET root = zeroblob(32) WHERE number = 1",),
        "scans.entry",
        "scan_commitments 1",
    ),
    "a commitment that ends elsewhere": (
        ("UPDATE scan_commitments SET upto = '[]' WHERE number = 1",),
        "scans.entry",
        "scan_commitments 1",
    ),
    "a commitment without its secret": (
        ("UPDATE scan_commitments SET sealed_secret = zeroblob(60) WHERE number = 1",),
        "scans.secret",
        "scan_commitments 1",
    ),
    "a commitment with other marks": (
        ("UPDATE scan_commitments SET marks = zeroblob(16) WHERE number = 1",),
        "scans.marks",
        "scan_commitments 1",
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_what_was_changed_in_the_products_tables_is_named(copy: Copy, tampering: str) -> None:
    statements, code, where = TAMPERINGS[tampering]
    copy.change(*(statement.format(**PLACES) for statement in statements))
    found = [(fault.code, fault.where) for fault in copy.audit().faults]
    assert any(each == code and where in place for each, place in found), found


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DELETE FROM scans WHERE scan_key = 'k3'", "scan.missing"),
        ("UPDATE scans SET received_at = received_at + 1 WHERE scan_key = 'k3'", "scan.changed"),
        ("UPDATE scans SET role = 'consumer', latitude = 1 WHERE scan_key = 'k3'", "scan.changed"),
        ("UPDATE scans SET unit_id = unit_id + 1 WHERE scan_key = 'k3'", "scan.changed"),
        ("UPDATE scans SET arrival = 7000 WHERE scan_key = 'k3'", "scan.missing"),
        (
            (
                "INSERT INTO scans SELECT unit_id, device, 'k3b', received_at, scanned_at, role, organisation_id, "
                "action, latitude, longitude, accuracy, place_source, offline, operator_saw, signature, code_digest, 0 "
                "FROM scans WHERE scan_key = 'k3'"
            ),
            "scan.surplus",
        ),
    ],
)
def test_a_scan_that_was_changed_or_taken_away_is_named(copy: Copy, statement: str, code: str) -> None:
    copy.change_scans(statement)
    found = [(fault.code, fault.where) for fault in copy.audit().faults]
    assert [each for each, _ in found] == [code]
    assert found[0][1].startswith("scans ")


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "tampering",
    [
        "an event taken out",
        "a body edited",
        "an event about another unit",
        "a recall taken out of the states",
        "a unit with another serial",
        "a tile of a batch changed",
        "a suspension taken back",
        "a revocation taken back",
        "a commitment to scans taken out",
    ],
)
def test_it_is_named_on_postgresql_too(story: ProductStory, tampering: str) -> None:
    statements, code, where = TAMPERINGS[tampering]
    as_owner(story.services.engine, sql(*(statement.format(**PLACES) for statement in statements)))
    found = [(fault.code, fault.where) for fault in story.audit().faults]
    assert any(each == code and where in place for each, place in found), found


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_scan_that_was_changed_is_named_on_postgresql_too(story: ProductStory) -> None:
    as_owner(story.services.engine, sql("UPDATE scans SET latitude = 7 WHERE scan_key = 'k3'"))
    assert [fault.code for fault in story.audit().faults] == ["scan.changed"]


def test_scans_that_cannot_be_read_are_a_fault_and_no_crash(copy: Copy) -> None:
    files = copy.settings.scans_dir
    for path in files.glob("*.db*"):
        path.unlink()
    (files / "03.db").write_bytes(b"no database" * 100)
    assert "scans.unreadable" in {fault.code for fault in copy.audit().faults}
    shutil.rmtree(files)
    files.write_text("a file where the folder should be")
    assert [fault.code for fault in copy.audit().faults] == ["scans.unreadable"]


def test_a_sample_and_an_audit_since_name_what_they_look_at(copy: Copy) -> None:
    copy.change("UPDATE batches SET root = zeroblob(32)", "UPDATE events SET organisation_id = 99")
    for report in (copy.audit(sample=10_000), copy.audit(since=0)):
        assert {"batch.root", "event.entry"} <= {fault.code for fault in report.faults}


def test_a_statement_that_its_key_did_not_sign_is_named(story: ProductStory) -> None:
    services = story.services
    unknown = services.log.append(new_entry(1)).index
    stolen = new_entry(2)
    token = sign_statement(
        {"v": 1, "kind": stolen.kind},
        private_key=private_key("thief"),
        key_id=services.keys[KeyPurpose.STATEMENT].key_id,
        typ=STATEMENT_TYPE,
    )
    forged = services.log.append(
        replace(stolen, statement=token, key_id=services.keys[KeyPurpose.STATEMENT].key_id)
    ).index
    found = {(fault.code, fault.where) for fault in audit_with_product(services, services.engine).faults}
    assert ("statement.key", f"ledger_entries {unknown}") in found
    assert ("statement.signature", f"ledger_entries {forged}") in found
