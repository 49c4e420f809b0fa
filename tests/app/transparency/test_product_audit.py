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
from tests.app.transparency.tamperings import PLACES, TAMPERINGS
from tests.log_builders import new_entry
from tests.small_log import private_key


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
                "action, latitude, longitude, accuracy, place_source, offline, operator_saw, signature, code_digest, "
                "0, NULL FROM scans WHERE scan_key = 'k3'"
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
