"""Commissioning: from a request to units that can be found, printed and proved."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.jobs import JobState
from app.core.services import Services
from app.registry import service as registry
from app.registry.service import CommissionRequest, Profile
from ledger.proof import verify_unit_proof
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.reader import read_code
from scanners.codes.signature import verify_code
from tests.app.registry.registry_builders import (
    NOTHING,
    ask,
    commissioned,
    finished,
    leftovers,
    make_firm,
    make_product,
)
from tests.builders import PREFIX, gtin, make_approved_firm, on_sqlite, principal

HOSTS = {"localhost"}


def codes(services: Services, batch: registry.Batch, **more: int) -> list[registry.UnitCode]:
    with Session(services.engine) as session:
        stem = services.settings.code_stem
        return list(registry.codes_of_batch(session, services.sealer, batch, stem=stem, **more))


def find(services: Services, identity: CodeIdentity) -> registry.Unit:
    with Session(services.engine) as session:
        unit = registry.find_unit(session, identity)
    assert unit is not None
    return unit


def test_every_code_of_a_signed_batch_reads_verifies_and_names_its_unit(services: Services) -> None:
    firm = make_firm(services)
    batch = commissioned(
        services, firm.organisation, CommissionRequest(product=gtin(), quantity=1_203, lot="L-7/a", expiry="271231")
    )
    assert batch.quantity == 1_203
    printed = codes(services, batch)
    assert len({code.text for code in printed}) == 1_203
    key = accounts.public_code_key(services.engine, batch.key_id)
    assert key is not None
    for position, code in enumerate(printed):
        assert registry.position_of(code.unit_id) == position
        read = read_code(code.text, trusted_hosts=HOSTS)
        assert read.signature is not None
        assert read.identity == CodeIdentity(CodeKind.GTIN, gtin(), code.serial)
        assert verify_code(key.public_key, read.message(batch.key_id), read.signature.signature)
    assert find(services, CodeIdentity(CodeKind.GTIN, gtin(), printed[700].serial)).unit_id == printed[700].unit_id
    assert leftovers(services) == NOTHING


def test_a_unit_proof_climbs_from_the_code_to_the_signed_tree_head(services: Services) -> None:
    firm = make_firm(services)
    batch = commissioned(services, firm.organisation, CommissionRequest(product=gtin(), quantity=777, expiry="270100"))
    key = accounts.public_code_key(services.engine, batch.key_id)
    assert key is not None
    for position in (0, 15, 16, 255, 256, 511, 776):
        code = codes(services, batch, start=position, count=1)[0]
        unit = find(services, CodeIdentity(CodeKind.GTIN, gtin(), code.serial))
        read = read_code(code.text, trusted_hosts=HOSTS)
        proof = registry.unit_proof(services, unit)
        verified = verify_unit_proof(
            proof, content=read.message(batch.key_id), log_verifier=services.log.verifier, statement_key=None
        )
        assert (verified.index, verified.position, verified.kind) == (batch.log_index, position, "batch")
        assert verified.statement.payload["handle"] == batch.handle
        assert verified.statement.payload["event"]["bizStep"] == "commissioning"
        assert registry.unit_content(unit) == read.message(batch.key_id)


def test_a_compact_code_carries_neither_signature_nor_lot(services: Services) -> None:
    firm = make_firm(services)
    batch = commissioned(
        services, firm.organisation, CommissionRequest(product=gtin(), quantity=3, profile=Profile.COMPACT, lot="L1")
    )
    for code in codes(services, batch):
        assert code.text == f"HTTP://LOCALHOST/01/{gtin()}/21/{code.serial}"
        assert code.serial.startswith(batch.handle)


@on_sqlite
def test_items_without_gtin_are_signed_under_their_issuer(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    product = make_product(services, firm, item="QUESO-1")
    assert product.reference == f"{firm.issuer}/QUESO-1"
    batch = commissioned(
        services, firm, CommissionRequest(product=product.reference, quantity=2, lot="L1", expiry="271231")
    )
    key = accounts.public_code_key(services.engine, batch.key_id)
    assert key is not None
    for code in codes(services, batch):
        read = read_code(code.text, trusted_hosts=HOSTS)
        assert read.identity == CodeIdentity(CodeKind.ITEM, product.reference, code.serial)
        assert read.signature is not None
        assert verify_code(key.public_key, read.message(batch.key_id), read.signature.signature)


def test_cases_get_consecutive_sscc_numbers_of_the_company_prefix(services: Services) -> None:
    firm = make_firm(services)
    asked = CommissionRequest(case_prefix=PREFIX, quantity=12, profile=Profile.CASE)
    first, second = (commissioned(services, firm.organisation, asked) for _ in range(2))
    serials = [code.serial for batch in (first, second) for code in codes(services, batch)]
    assert serials[0][:-1] == f"0{PREFIX}".ljust(17, "0")
    assert [int(serial[8:17]) for serial in serials] == list(range(24))
    assert all(code.text.startswith(f"HTTP://LOCALHOST/00/{code.serial}?S=") for code in codes(services, first))


def test_a_firm_may_bring_its_own_serials(services: Services) -> None:
    firm = make_firm(services)
    own = ("b", "A/1", "Z%9", "a", "0")
    batch = commissioned(services, firm.organisation, CommissionRequest(product=gtin(), serials=own))
    between = commissioned(services, firm.organisation, CommissionRequest(product=gtin(), serials=("B", "1", "c")))
    assert [code.serial for code in codes(services, batch)] == sorted(own)
    assert [code.serial for code in codes(services, between)] == ["1", "B", "c"]
    assert [code.serial for code in codes(services, batch, start=2, count=2)] == ["Z%9", "a"]
    assert leftovers(services) == NOTHING


def test_serials_that_exist_are_refused_by_name_and_nothing_is_kept(services: Services) -> None:
    firm = make_firm(services)
    commissioned(services, firm.organisation, CommissionRequest(product=gtin(), serials=("A", "B", "C")))
    again = CommissionRequest(product=gtin(), serials=("X", "C", "A"), serial_places=("row 2", "row 3", "row 4"))
    with pytest.raises(Conflict) as refusal:
        ask(services, firm.organisation, again)
    assert refusal.value.code == "serial_exists"
    assert [fault.where for fault in refusal.value.faults] == ["row 3", "row 4"]
    other = make_product(services, firm.organisation, gtin=gtin(2))
    commissioned(services, firm.organisation, CommissionRequest(product=other.reference, serials=("A", "B", "C")))


def test_of_two_jobs_with_the_same_serial_one_is_refused_whole(services: Services) -> None:
    firm = make_firm(services)
    crowd = tuple(f"S{number:05}" for number in range(1_500))
    first = ask(services, firm.organisation, CommissionRequest(product=gtin(), serials=(*crowd, "TWICE")))
    second = ask(services, firm.organisation, CommissionRequest(product=gtin(), serials=("AAA", "TWICE", "ZZZ")))
    assert finished(services, first).state is JobState.DONE
    refused = finished(services, second)
    assert refused.state is JobState.FAILED
    assert refused.problem is not None
    assert refused.problem["code"] == "serial_exists"
    assert [fault["message"] for fault in refused.problem["errors"]] == ["The serial “TWICE” exists already."]
    assert leftovers(services) == NOTHING


def test_one_job_makes_several_batches_in_order(services: Services) -> None:
    firm = make_firm(services)
    requests = [CommissionRequest(product=gtin(), quantity=number, lot=f"L{number}") for number in (1, 17, 501)]
    job = finished(services, ask(services, firm.organisation, *requests))
    assert job.state is JobState.DONE
    with Session(services.engine) as session:
        made = registry.batches_of_job(session, job.id)
        page = registry.list_batches(session, organisation_id=firm.id, limit=2)
        rest = registry.list_batches(session, organisation_id=firm.id, limit=2, cursor=page.next_cursor)
    assert [(batch.quantity, batch.lot) for batch in made] == [(1, "L1"), (17, "L17"), (501, "L501")]
    assert [batch.lot for batch in (*page.items, *rest.items)] == ["L501", "L17", "L1"]
    assert rest.next_cursor is None


def test_the_same_key_commissions_once(services: Services) -> None:
    firm = make_firm(services)
    asked = CommissionRequest(product=gtin(), serials=("A", "B"))
    first = ask(services, firm.organisation, asked, key="once")
    assert finished(services, first).state is JobState.DONE
    assert ask(services, firm.organisation, asked, key="once").id == first.id
    with pytest.raises(Conflict) as refusal:
        ask(services, firm.organisation, CommissionRequest(product=gtin(), serials=("C",)), key="once")
    assert refusal.value.code == "idempotency_key_reused"


@on_sqlite
def test_without_a_right_nothing_is_commissioned(services: Services) -> None:
    firm = make_firm(services)
    stranger = make_approved_firm(services, prefix="9529999")
    with pytest.raises(Forbidden) as refusal:
        ask(services, stranger, CommissionRequest(product=gtin(), quantity=1))
    assert refusal.value.code == "no_right_to_gtin"
    with pytest.raises(Forbidden):
        ask(services, stranger, CommissionRequest(case_prefix=PREFIX, quantity=1, profile=Profile.CASE))
    with pytest.raises(NotFound):
        ask(services, firm.organisation, CommissionRequest(product=gtin(77), quantity=1))
    item = make_product(services, firm.organisation, item="CHEESE")
    with pytest.raises(NotFound):
        ask(services, stranger, CommissionRequest(product=item.reference, quantity=1))


def test_a_delegate_commissions_within_its_quota_and_no_further(services: Services) -> None:
    firm = make_firm(services)
    maker = make_approved_firm(services, prefix=None)
    accounts.delegate_gtin(
        services,
        owner_organisation_id=firm.id,
        gtin=gtin(),
        to_issuer=maker.issuer,
        quota=10,
        actor=principal(firm.organisation),
        valid_until=4_000_000_000_000,
    )
    # Both are within the quota when they are asked for; together they are not.
    jobs = [ask(services, maker, CommissionRequest(product=gtin(), quantity=6)) for _ in range(2)]
    first, second = (finished(services, job) for job in jobs)
    assert (first.state, second.state) == (JobState.DONE, JobState.FAILED)
    assert second.problem is not None
    assert second.problem["code"] == "quota_exhausted"
    assert leftovers(services) == NOTHING
    with pytest.raises(Conflict) as refusal:
        ask(services, maker, CommissionRequest(product=gtin(), quantity=5))
    assert refusal.value.code == "quota_exhausted"
    with pytest.raises(Conflict):
        ask(services, maker, *[CommissionRequest(product=gtin(), quantity=2)] * 3)
    commissioned(services, maker, CommissionRequest(product=gtin(), quantity=4))


@on_sqlite
@pytest.mark.parametrize(
    ("request_", "places"),
    [
        (CommissionRequest(product=gtin(), quantity=0), ["/quantity"]),
        (CommissionRequest(product=gtin()), ["/quantity", "/quantity"]),
        (CommissionRequest(product=gtin(), quantity=1, serials=("A",)), ["/quantity"]),
        (CommissionRequest(product=gtin(), quantity=5_000_001), ["/quantity"]),
        (CommissionRequest(product=gtin(), quantity=1, lot="ñ"), ["/lot"]),
        (CommissionRequest(product=gtin(), quantity=1, expiry="271345"), ["/expiry"]),
        (CommissionRequest(product=gtin(), quantity=1, profile=Profile.CASE), ["/profile"]),
        (CommissionRequest(product=gtin(), serials=("A", "A", "é", "")), ["/serials/1", "/serials/2", "/serials/3"]),
        (CommissionRequest(product=gtin(), serials=("A1", "A2"), profile=Profile.COMPACT), ["/profile"]),
        (CommissionRequest(product=gtin(), quantity=1, note="x" * 501), ["/note"]),
    ],
)
def test_every_fault_of_a_request_is_named_at_its_place(
    services: Services, request_: CommissionRequest, places: list[str]
) -> None:
    firm = make_firm(services)
    with pytest.raises(Invalid) as refusal:
        ask(services, firm.organisation, request_)
    assert [fault.where for fault in refusal.value.faults] == places


@on_sqlite
def test_a_batch_of_a_revoked_key_is_not_published(services: Services) -> None:
    firm = make_firm(services)
    with Session(services.engine) as session:
        key = accounts.code_key_in_use(session, organisation_id=firm.id)
    job = ask(services, firm.organisation, CommissionRequest(product=gtin(), quantity=1))
    accounts.revoke_key(services, organisation_id=firm.id, key_id=key.key_id, reason="lost")
    batch_job = finished(services, job)  # a successor was registered with the revocation, and signs
    assert batch_job.state is JobState.DONE
    with Session(services.engine) as session:
        assert registry.batches_of_job(session, batch_job.id)[0].key_id != key.key_id


def test_the_look_up_of_a_scan_uses_indexes_only(services: Services) -> None:
    firm = make_firm(services)
    commissioned(services, firm.organisation, CommissionRequest(product=gtin(), quantity=600))
    explain = "EXPLAIN QUERY PLAN " if services.engine.dialect.name == "sqlite" else "EXPLAIN "
    compiled = registry.unit_lookup().compile(services.engine)
    parameters = {"kind": "gtin", "identifier": gtin(), "serial": "X"}
    with services.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET enable_seqscan = off")
        ordered = tuple(parameters[name] for name in compiled.positiontup or ()) if compiled.positional else parameters
        plan = "\n".join(str(tuple(row)) for row in connection.exec_driver_sql(explain + str(compiled), ordered))
    assert "SCAN" not in plan.replace("Index Scan", "")
    assert "Seq Scan" not in plan
