"""Commitments to scans: every scan once, in the order of arrival, whatever any clock says, and nobody commits twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from app.cli import cli
from app.core.config import Settings
from app.core.errors import Conflict, NotFound
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.facts.models import scan_commitments
from app.facts.scans import Scan, ScanStore, committing
from app.facts.scans.committing import commit_new_scans, scan_content, scan_subject
from app.facts.scans.open import open_scan_store
from app.facts.scans.proving import scan_proof
from app.facts.scans.scan import scan_number
from app.facts.scans.sqlite import SqliteScanStore
from ledger.errors import LogReadOnly, ProofError
from ledger.leaf import SaltedLeaves
from ledger.merkle import root
from ledger.proof import UnitProof, verify_unit_proof
from ledger.statement import read_unverified
from ledger.storage.engine import begin_write
from ledger.strict import decode_base64, decode_json_object


@pytest.fixture
def store(services: Services) -> Iterator[ScanStore]:
    opened = open_scan_store(services.settings, services.engine)
    yield opened
    opened.close()


def scan(number: int, *, received_at: int | None = None) -> Scan:
    return Scan(
        unit_id=number,
        device=f"device {number % 3}",
        key=f"key-{number}",
        received_at=1_700_000_000_000 + number if received_at is None else received_at,
        scanned_at=1_700_000_000_000,
        role="public",
        organisation_id=None,
        action="check",
        latitude=19_432_608,
        longitude=None,
        accuracy=None,
        place_source="gps",
        offline=number % 2 == 0,
        operator_saw=None,
        signature="valid",
        code_digest=number.to_bytes(32, "big"),
    )


def committed(services: Services) -> list[tuple[int, int]]:
    """(number, size) of each commitment."""
    with services.engine.connect() as connection:
        rows = connection.execute(select(scan_commitments).order_by(scan_commitments.c.number))
        return [(row.number, row.size) for row in rows]


def test_each_scan_is_committed_to_once(services: Services, store: ScanStore) -> None:
    assert commit_new_scans(services, store) == []
    store.record_many([scan(number) for number in range(40)])
    [first] = commit_new_scans(services, store)
    assert commit_new_scans(services, store) == []
    store.record(scan(100))
    store.record(scan(3))  # a retry is no new scan
    [second] = commit_new_scans(services, store)
    assert committed(services) == [(1, 40), (2, 1)]
    assert services.log.entries_of(scan_subject(services.sealer)) == [first, second]


def test_a_scan_that_comes_late_with_an_old_time_is_committed_to(services: Services, store: ScanStore) -> None:
    store.record(scan(1))
    commit_new_scans(services, store)
    store.record(scan(2, received_at=1))
    store.record(scan(3, received_at=2**40))
    assert len(commit_new_scans(services, store)) == 1
    assert committed(services) == [(1, 1), (2, 2)]


def test_the_root_is_the_one_of_the_salted_scans(services: Services, store: ScanStore) -> None:
    store.record_many([scan(number) for number in range(9)])
    [index] = commit_new_scans(services, store)
    body = services.log.entry(index).body
    assert body is not None
    stated = read_unverified(body.statement).payload
    with services.engine.connect() as connection:
        row = connection.execute(select(scan_commitments)).one()
        leaves = SaltedLeaves(
            committing.open_secret(connection, services.sealer, committing.secret_context(row.number))
        )
    hashes, marks = [], b""
    for part, after, upto in stated["stretches"]:
        for arrival, one in store.arrived(part, after, upto):
            number = scan_number(part, arrival)
            hashes.append(leaves.hash(number, scan_content(one, number)))
            marks += number.to_bytes(8, "big") + hashes[-1][:8]
    assert decode_base64(stated["root"]) == root(hashes) == row.root
    assert (stated["size"], stated["number"]) == (9, 1)
    assert row.marks == marks


def test_the_content_of_a_scan_says_all_that_is_stored_of_it() -> None:
    content = decode_json_object(scan_content(scan(4), 77))
    # Without a statement the content is what it was before devices signed, so that old roots can be computed again.
    assert content.keys() == {*Scan._fields, "number"} - {"statement"}
    signed = decode_json_object(scan_content(scan(4)._replace(statement="0" * 64), 77))
    assert signed.keys() == {*Scan._fields, "number"}
    assert (content["number"], content["offline"], content["latitude"]) == (77, True, 19_432_608)
    as_stored = scan(4)._replace(offline=1)  # type: ignore[arg-type]  # what SQLite gives for a truth
    assert scan_content(as_stored, 77) == scan_content(scan(4), 77)
    assert scan_content(scan(4)._replace(received_at=5), 77) != scan_content(scan(4), 77)


def test_many_scans_make_several_entries(services: Services, store: ScanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "MOST_SCANS", 16)
    store.record_many([scan(number) for number in range(40)])
    assert len(commit_new_scans(services, store)) == 3
    assert committed(services) == [(1, 16), (2, 16), (3, 8)]


def test_two_workers_do_not_commit_to_the_same_scans(services: Services, store: ScanStore) -> None:
    store.record_many([scan(number) for number in range(40)])
    before = committing._last(services.engine)
    commit_new_scans(services, store)

    with pytest.MonkeyPatch.context() as patch:
        # Another worker that looked before this one had committed.
        patch.setattr(committing, "_last", lambda _engine: before)
        with pytest.raises(Conflict):
            commit_new_scans(services, store)
    assert committed(services) == [(1, 40)]


def test_nothing_is_passed_over_while_others_record(services: Services, store: ScanStore) -> None:
    def record(worker: int) -> None:
        own = open_scan_store(services.settings, services.engine)
        for number in range(100):
            own.record(scan(1000 * worker + number))
        own.close()

    workers = [threading.Thread(target=record, args=(worker,)) for worker in range(1, 4)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        commit_new_scans(services, store)
    commit_new_scans(services, store)
    assert sum(size for _, size in committed(services)) == 300 == store.count()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_number_that_was_drawn_is_waited_for(services: Services, store: ScanStore) -> None:
    store.record(scan(1))
    answered: list[dict[int, int]] = []
    with services.engine.begin() as slow:
        slow.execute(
            text(
                "INSERT INTO scans SELECT 7, device, scan_key, received_at, scanned_at, role, "
                "organisation_id, action, latitude, longitude, accuracy, place_source, offline, "
                "operator_saw, signature, code_digest FROM scans"
            )
        )
        store.record(scan(2))
        asking = threading.Thread(target=lambda: answered.append(store.settled()))
        asking.start()
        asking.join(0.2)
        assert answered == [], "a transaction that drew a number is under way"
    asking.join(5)
    assert answered == [{0: 3}]
    assert [arrival for arrival, _ in store.arrived(0, 0, 3)] == [1, 2, 3]


def test_arrivals_count_the_scans_of_a_file(tmp_path: Path) -> None:
    store = SqliteScanStore(tmp_path / "scans", power_safe=False)
    store.record_many([scan(number) for number in range(200)])
    settled = store.settled()
    assert sum(settled.values()) == 200
    for part, newest in settled.items():
        assert [arrival for arrival, _ in store.arrived(part, 0, newest)] == list(range(1, newest + 1))
        assert list(store.arrived(part, newest, newest)) == []
    store.close()


def test_a_commitment_can_be_neither_changed_nor_removed(services: Services, store: ScanStore) -> None:
    store.record(scan(1))
    commit_new_scans(services, store)
    for statement in ("UPDATE scan_commitments SET size = 2", "DELETE FROM scan_commitments"):
        with pytest.raises(DBAPIError, match="append-only"), begin_write(services.engine) as connection:
            connection.execute(text(statement))


def test_the_worker_commits_by_itself(services: Services, store: ScanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "ROUND_SECONDS", 0.01)
    with committing.regular_commitments(services):
        store.record(scan(1))
        for _ in range(500):
            if committed(services):
                break
            threading.Event().wait(0.01)
    assert committed(services) == [(1, 1)]


def test_in_a_read_only_ledger_the_worker_says_so_once_without_a_trace(
    services: Services, store: ScanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "ROUND_SECONDS", 0.01)
    rounds: list[int] = []

    def refuse(*_: Any) -> list[int]:
        rounds.append(1)
        raise LogReadOnly("the mark is missing")

    monkeypatch.setattr(committing, "commit_new_scans", refuse)
    with capture_logs() as logs, committing.regular_commitments(services):
        while len(rounds) < 5:
            threading.Event().wait(0.01)
    assert [(line["log_level"], line.get("code"), "exc_info" in line) for line in logs] == [
        ("warning", "ledger.read_only", False)
    ]


def test_each_scan_can_be_proved_and_no_other_in_its_name(services: Services, store: ScanStore) -> None:
    for start in (0, 20, 40):
        store.record_many([scan(number) for number in range(start, start + 20)])
        commit_new_scans(services, store)
    key = services.keys[KeyPurpose.STATEMENT].public_key
    for number in range(0, 60, 7):
        one = scan(number)
        found = scan_proof(services, store, unit_id=one.unit_id, device=one.device, key=one.key)
        assert decode_json_object(found.content)["key"] == one.key

        def check(content: bytes, proof: UnitProof = found.proof) -> None:
            verify_unit_proof(
                proof, content=content, log_verifier=services.log.verifier, statement_key=key, kind=committing.KIND
            )

        check(found.content)
        with pytest.raises(ProofError):
            check(found.content.replace(b"19432608", b"19432609"))


def test_what_was_not_committed_to_is_not_proved(services: Services, store: ScanStore) -> None:
    with pytest.raises(NotFound) as refusal:
        scan_proof(services, store, unit_id=1, device="device 1", key="key-1")
    assert refusal.value.code == "unknown_scan"
    store.record(scan(1))
    with pytest.raises(NotFound) as refusal:
        scan_proof(services, store, unit_id=1, device="device 1", key="key-1")
    assert refusal.value.code == "scan_is_new"


def test_the_command_prints_a_proof(
    services: Services, store: ScanStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "from_environment", lambda: settings)
    store.record(scan(1))
    commit_new_scans(services, store)
    arguments = ["facts", "prove-scan", "--unit", "1", "--device", "device 1", "--key", "key-1"]
    shown = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert shown.exit_code == 0
    members = decode_json_object(shown.output.encode())
    assert members["format"] == "marchamo scan proof v1"
    assert decode_json_object(decode_base64(members["content"]))["unit_id"] == 1
    UnitProof.from_members(members["scan_proof"])
