"""Redaction of old scans: what tells of people goes, what the ledger said of them can still be checked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select, text

from app.core.clock import now_ms
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.facts.models import scan_commitments, scan_redactions, scan_secrets
from app.facts.scans import Scan, ScanStore, redacting
from app.facts.scans.auditing import scan_check
from app.facts.scans.committing import commit_new_scans
from app.facts.scans.open import open_scan_store
from app.facts.scans.proving import scan_proof
from app.facts.scans.redacting import DAY_MS, REDACTED, ScansDiffer, redact, redact_old_scans
from ledger.audit import audit
from ledger.audit.report import Fault
from ledger.proof import verify_unit_proof
from ledger.storage.engine import begin_write
from tests.builders import on_sqlite

KEPT_DAYS = 730
SECRET = bytes(32)


@pytest.fixture
def store(services: Services) -> Iterator[ScanStore]:
    opened = open_scan_store(services.settings, services.engine)
    yield opened
    opened.close()


def scan(number: int, **changed: Any) -> Scan:
    plain = Scan(
        unit_id=number,
        device=f"12:till {number % 3}",
        key=f"secret-key-{number}",
        received_at=1_700_000_000_000 + number,
        scanned_at=1_700_000_000_000,
        role="retailer",
        organisation_id=12,
        action="check",
        latitude=19_432_608,
        longitude=-99_133_209,
        accuracy=30,
        place_source="gps",
        offline=False,
        operator_saw="PASS",
        signature="valid",
        code_digest=number.to_bytes(32, "big"),
    )
    return plain._replace(**changed)


def later(services: Services, store: ScanStore) -> int:
    """Record and commit to 30 scans in three commitments; gives a time at which they are too old to be kept whole."""
    for start in (1, 11, 21):
        store.record_many([scan(number) for number in range(start, start + 10)])
        commit_new_scans(services, store)
    return now_ms() + KEPT_DAYS * DAY_MS + 1000


@pytest.fixture
def early_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redactions say that nothing has to be kept for long: tests can not wait for two years."""
    append = redacting._append
    monkeypatch.setattr(redacting, "_append", lambda services, redaction, **_: append(services, redaction, kept_days=0))


def faults(services: Services) -> list[Fault]:
    """What the audit of scans finds."""
    report = audit(
        services.engine,
        services.log.verifier,
        origin=services.log.origin,
        extra_checks=(scan_check(services.sealer, partial(open_scan_store, services.settings, services.engine)),),
    )
    return list(report.faults)


def kept(services: Services, table: Any) -> int:
    with services.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def all_scans(store: ScanStore) -> list[Scan]:
    return [one for part, newest in sorted(store.settled().items()) for _, one in store.arrived(part, 0, newest)]


def test_a_redacted_scan_tells_of_the_goods_and_of_no_person() -> None:
    before = scan(7)
    after = redact(before, 99, SECRET)
    assert (after.latitude, after.longitude, after.accuracy) == (19_400_000, -99_100_000, 7_930)
    assert (after.organisation_id, after.operator_saw, after.statement, after.key) == (None, None, None, "r:99")
    assert after.device.startswith(REDACTED)
    for member in ("unit_id", "received_at", "scanned_at", "role", "action", "signature", "code_digest", "offline"):
        assert getattr(after, member) == getattr(before, member)
    assert redact(after, 99, SECRET) is after


def test_who_recorded_an_act_is_kept_since_the_ledger_states_it_anyway() -> None:
    assert redact(scan(7, action="sell"), 1, SECRET).organisation_id == 12


def test_devices_of_a_unit_are_still_told_apart_and_can_not_be_followed_to_another_unit() -> None:
    visitors = [scan(7, device=f"p:{number:024x}", organisation_id=None, role="public") for number in range(5)]
    assert len({redact(one, 1, SECRET).device for one in visitors}) == 5
    assert redact(visitors[0], 1, SECRET).device == redact(visitors[0], 2, SECRET).device
    assert redact(visitors[0], 1, SECRET).device != redact(visitors[0]._replace(unit_id=8), 1, SECRET).device


def test_tills_and_people_of_one_organisation_become_one() -> None:
    names = {redact(scan(7, device=f"12:person:{number}"), 1, SECRET).device for number in range(5)}
    assert len(names) == 1


def test_old_scans_are_redacted_and_the_audit_has_nothing_to_say(
    services: Services, store: ScanStore, early_is_fine: None
) -> None:
    now = later(services, store)
    assert faults(services) == []
    assert redact_old_scans(services, now=now) == 30
    found = all_scans(store)
    assert len(found) == 30
    assert all(one.device.startswith(REDACTED) and one.operator_saw is None for one in found)
    assert len({one.key for one in found}) == 30
    assert faults(services) == []
    assert (kept(services, scan_commitments), kept(services, scan_redactions), kept(services, scan_secrets)) == (
        3,
        1,
        1,
    )
    assert redact_old_scans(services, now=now) == 0
    store.record(scan(100))
    commit_new_scans(services, store)
    assert faults(services) == []


def test_young_scans_are_left_alone(services: Services, store: ScanStore) -> None:
    later(services, store)
    assert redact_old_scans(services, now=now_ms()) == 0
    assert all_scans(store)[0].operator_saw == "PASS"


def test_a_redaction_before_its_time_is_named(services: Services, store: ScanStore) -> None:
    now = later(services, store)
    redact_old_scans(services, now=now)
    assert [fault.code for fault in faults(services)] == ["redaction.early"]


def test_many_scans_make_several_redactions(
    services: Services, store: ScanStore, monkeypatch: pytest.MonkeyPatch, early_is_fine: None
) -> None:
    monkeypatch.setattr(redacting, "MOST_SCANS", 20)
    now = later(services, store)
    assert redact_old_scans(services, now=now) == 30
    assert kept(services, scan_redactions) == 2
    assert faults(services) == []


def tamper(services: Services, store: ScanStore, statement: str) -> None:
    """What somebody with the scans in hand can do."""
    if services.engine.dialect.name == "postgresql":
        with begin_write(services.engine) as connection:
            connection.execute(text(statement))
        return
    number = next(part for part, newest in store.settled().items() if newest)
    store._shard(number).execute(statement)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DELETE FROM scans WHERE arrival = 1", "scan.missing"),
        ("UPDATE scans SET action = 'sell' WHERE arrival = 1", "scan.changed"),
        ("UPDATE scans SET latitude = 0 WHERE arrival = 1", "scan.changed"),
    ],
)
def test_a_redacted_scan_that_is_taken_away_or_changed_is_named(
    services: Services, store: ScanStore, early_is_fine: None, statement: str, code: str
) -> None:
    redact_old_scans(services, now=later(services, store))
    tamper(services, store, statement)
    assert [fault.code for fault in faults(services)] == [code]


@pytest.mark.parametrize(
    ("column", "code"), [("leaves", "scans.leaves"), ("root", "redaction.entry"), ("marks", "redaction.marks")]
)
@on_sqlite
def test_a_changed_row_of_a_redaction_is_named(
    services: Services, store: ScanStore, early_is_fine: None, column: str, code: str
) -> None:
    redact_old_scans(services, now=later(services, store))
    with begin_write(services.engine) as connection:
        connection.execute(text("DROP TRIGGER scan_redactions_no_update"))
        connection.execute(text(f"UPDATE scan_redactions SET {column} = zeroblob(length({column}))"))  # noqa: S608
    assert code in {fault.code for fault in faults(services)}


@on_sqlite
def test_scans_that_were_redacted_without_an_entry_are_named(
    services: Services, store: ScanStore, early_is_fine: None
) -> None:
    later(services, store)
    part, newest = next(iter(store.settled().items()))
    store.replace(part, [(at, redact(one, at, SECRET)) for at, one in store.arrived(part, 0, newest)])
    assert {fault.code for fault in faults(services)} == {"scan.changed"}


def test_what_an_audit_would_name_is_not_redacted_away(services: Services, store: ScanStore) -> None:
    now = later(services, store)
    tamper(services, store, "UPDATE scans SET action = 'sell' WHERE arrival = 1")
    with pytest.raises(ScansDiffer):
        redact_old_scans(services, now=now)
    assert "scan.changed" in {fault.code for fault in faults(services)}


@pytest.mark.parametrize("step", ["replace", "sweep"])
def test_a_redaction_that_was_cut_off_is_finished_by_the_next_round(
    services: Services, store: ScanStore, monkeypatch: pytest.MonkeyPatch, early_is_fine: None, step: str
) -> None:
    now = later(services, store)

    def fail(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), step, fail)
        with pytest.raises(RuntimeError, match="killed"):
            redact_old_scans(services, now=now)
    assert faults(services) == [], "between two steps nothing is amiss either"
    assert redact_old_scans(services, now=now) == 0
    assert all(one.device.startswith(REDACTED) for one in all_scans(store))
    assert kept(services, scan_secrets) == 1
    assert faults(services) == []


def test_a_redacted_scan_is_proved_as_it_is_now(services: Services, store: ScanStore, early_is_fine: None) -> None:
    redact_old_scans(services, now=later(services, store))
    key = services.keys[KeyPurpose.STATEMENT].public_key
    one = all_scans(store)[13]
    found = scan_proof(services, store, unit_id=one.unit_id, device=one.device, key=one.key)
    verify_unit_proof(
        found.proof,
        content=found.content,
        log_verifier=services.log.verifier,
        statement_key=key,
        kind=redacting.KIND,
    )


@on_sqlite
def test_a_recording_waits_for_a_chunk_and_not_for_the_whole(
    services: Services, store: ScanStore, early_is_fine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redacting, "CHUNK", 7)
    sizes: list[int] = []
    whole = type(store).replace

    def counted(self: Any, part: int, redacted: Any) -> None:
        sizes.append(len(redacted))
        whole(self, part, redacted)

    monkeypatch.setattr(type(store), "replace", counted)
    redact_old_scans(services, now=later(services, store))
    assert sum(sizes) == 30
    assert max(sizes) <= 7
