"""Codes signed by the firm: what it is given, what is kept of what it hands in, and what is on the ledger then."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Permission, Role
from app.core.errors import Conflict, Invalid, NotFound
from app.core.services import Services
from app.registry import service as registry
from app.registry.models import unit_signatures
from app.registry.service import CommissionRequest, Profile
from app.registry.service.codes import codes_of_batch
from ledger.statement import read_unverified
from ledger.strict import decode_base64, encode_base64
from scanners.codes.identity import CodeIdentity
from scanners.codes.key_messages import seal_message
from scanners.codes.reader import read_code
from scanners.codes.signature import verify_code
from scanners.codes.unit_contents import UnitContents
from tests.app.registry.registry_builders import Firm, commissioned, make_firm
from tests.builders import (
    PREFIX,
    api_key,
    bearer,
    gtin,
    make_approved_firm,
    on_sqlite,
    owner_email,
    principal,
    signed_in,
)
from tests.firm_keys import register_firm_key, sign_batch, signatures_of

QUANTITY = 1_100


@pytest.fixture
def firm(services: Services) -> Firm:
    return make_firm(services)


@pytest.fixture
def key(services: Services, firm: Firm) -> Ed25519PrivateKey:
    return register_firm_key(services, firm.organisation)[1]


def make_batch(
    services: Services, firm: Firm, quantity: int = QUANTITY, *, lot: str | None = None, expiry: str | None = None
) -> registry.Batch:
    asked = CommissionRequest(product=gtin(), quantity=quantity, lot=lot, expiry=expiry)
    return commissioned(services, firm.organisation, asked)


def put(services: Services, firm: Firm, batch: registry.Batch, start: int, signatures: bytes) -> registry.Signing:
    return registry.put_signatures(
        services, handle=batch.handle, organisation_id=firm.id, start=start, signatures=signatures
    )


def texts(services: Services, batch: registry.Batch, **more: int) -> list[str]:
    with Session(services.engine) as session:
        stem = services.settings.code_stem
        return [code.text for code in codes_of_batch(session, services.sealer, batch, stem=stem, **more)]


def rows(services: Services) -> int:
    with services.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(unit_signatures)) or 0


def test_a_batch_under_the_firms_key_is_on_the_ledger_and_prints_nothing_until_it_is_signed(
    services: Services, firm: Firm, key: Ed25519PrivateKey
) -> None:
    batch = make_batch(services, firm, lot="L1", expiry="271231")
    with pytest.raises(Conflict) as refused:
        texts(services, batch)
    assert refused.value.code == "codes_unsigned"
    assert f"marchamo sign {batch.handle}" in (refused.value.fix or "")
    with pytest.raises(Conflict) as refused:
        registry.request_labels(
            services,
            principal=principal(firm.organisation),
            request=registry.LabelRequest(handle=batch.handle),
        )
    assert refused.value.code == "codes_unsigned"
    state = sign_batch(services, firm.organisation, batch, key)
    assert (state.signed, state.first_unsigned) == (QUANTITY, None)
    public_key = key.public_key()
    printed = texts(services, batch)
    assert len(set(printed)) == QUANTITY
    for text in (printed[0], printed[511], printed[512], printed[-1]):
        read = read_code(text, trusted_hosts={"localhost"})
        assert read.signature is not None
        assert verify_code(public_key, read.message(batch.key_id), read.signature.signature)
    assert texts(services, batch, start=700, count=3) == printed[700:703]


def test_the_entry_that_closes_a_batch_holds_the_firms_seal(
    services: Services, firm: Firm, key: Ed25519PrivateKey
) -> None:
    batch = make_batch(services, firm)
    state = sign_batch(services, firm.organisation, batch, key)
    assert state.log_index is not None
    body = services.log.entry(state.log_index).body
    assert body is not None
    said = read_unverified(body.statement).payload
    assert (said["kind"], said["handle"], said["count"], said["key_id"]) == (
        "signed",
        batch.handle,
        QUANTITY,
        batch.key_id,
    )
    message = seal_message(key_id=batch.key_id, root=batch.root, count=QUANTITY)
    key.public_key().verify(decode_base64(str(said["seal"])), message)
    size = services.log.head()[0]
    assert sign_batch(services, firm.organisation, batch, key).log_index == state.log_index
    assert services.log.head()[0] == size


def test_a_wrong_signature_is_named_by_its_position_and_nothing_of_its_part_is_kept(
    services: Services, firm: Firm, key: Ed25519PrivateKey
) -> None:
    batch = make_batch(services, firm)
    whole = signatures_of(services, batch, key)
    broken = bytearray(whole)
    broken[1_000 * 64] ^= 1
    with pytest.raises(Invalid) as refused:
        put(services, firm, batch, 512, bytes(broken[512 * 64 :]))
    assert (refused.value.code, refused.value.parameters["position"]) == ("signature_wrong", 1_000)
    assert rows(services) == 0
    swapped = whole[64:128] + whole[:64] + whole[128 : 512 * 64]
    with pytest.raises(Invalid):
        put(services, firm, batch, 0, swapped)
    assert rows(services) == 0


def test_parts_come_in_any_order_and_twice(services: Services, firm: Firm, key: Ed25519PrivateKey) -> None:
    batch = make_batch(services, firm)
    whole = signatures_of(services, batch, key)
    state = put(services, firm, batch, 1_024, whole[1_024 * 64 :])
    assert (state.signed, state.first_unsigned) == (512, 0)
    state = put(services, firm, batch, 0, whole[: 512 * 64])
    assert put(services, firm, batch, 0, whole[: 512 * 64]) == state
    assert state.first_unsigned == 512
    with pytest.raises(Conflict) as refused:
        registry.close_signing(services, handle=batch.handle, organisation_id=firm.id, seal=bytes(64))
    assert refused.value.code == "signatures_missing"
    state = put(services, firm, batch, 0, whole)
    assert (state.signed, state.first_unsigned, state.log_index) == (QUANTITY, None, None)
    with pytest.raises(Invalid) as wrong:
        registry.close_signing(services, handle=batch.handle, organisation_id=firm.id, seal=bytes(64))
    assert wrong.value.code == "seal"


@on_sqlite
@pytest.mark.parametrize(
    ("start", "size"),
    [(0, 63), (0, 0), (1, 512 * 64), (0, 511 * 64), (1_024, 77 * 64), (512_000_000, 512 * 64)],
)
def test_a_part_of_another_shape_is_refused(
    services: Services, firm: Firm, key: Ed25519PrivateKey, start: int, size: int
) -> None:
    batch = make_batch(services, firm)
    with pytest.raises(Invalid) as refused:
        put(services, firm, batch, start, bytes(size))
    assert refused.value.code == ("signature_position" if size and size % 64 == 0 else "signature_length")


@on_sqlite
def test_what_is_to_be_signed_can_be_computed_from_what_is_given(
    services: Services, firm: Firm, key: Ed25519PrivateKey
) -> None:
    batch = make_batch(services, firm, quantity=3, lot="L1", expiry="271231")
    with Session(services.engine) as session:
        page = registry.signing_page(services, session, handle=batch.handle, organisation_id=firm.id)
        unit = registry.find_unit(session, CodeIdentity(batch.kind, batch.reference, page.serials[1]))
    assert unit is not None
    assert page.following is None
    contents = UnitContents(batch.kind, batch.reference, page.elements, batch.key_id)
    assert contents.of(page.serials[1]) == registry.unit_content(unit)


@on_sqlite
def test_cases_and_items_are_signed_by_the_firm_too_and_compact_codes_need_no_signature(
    services: Services, firm: Firm, key: Ed25519PrivateKey
) -> None:
    cases = commissioned(
        services, firm.organisation, CommissionRequest(case_prefix=PREFIX, quantity=3, profile=Profile.CASE)
    )
    sign_batch(services, firm.organisation, cases, key)
    assert len(texts(services, cases)) == 3
    compact = commissioned(
        services, firm.organisation, CommissionRequest(product=gtin(), quantity=3, profile=Profile.COMPACT)
    )
    assert len(texts(services, compact)) == 3
    with pytest.raises(Conflict) as refused:
        sign_batch(services, firm.organisation, compact, key)
    assert refused.value.code == "not_signed_by_firm"


@on_sqlite
def test_batches_under_a_key_of_the_service_are_printed_at_once(services: Services, firm: Firm) -> None:
    batch = make_batch(services, firm, quantity=2)
    assert len(texts(services, batch)) == 2
    with pytest.raises(Conflict):
        put(services, firm, batch, 0, bytes(128))


@on_sqlite
def test_nobody_signs_the_batch_of_another(services: Services, firm: Firm, key: Ed25519PrivateKey) -> None:
    batch = make_batch(services, firm, quantity=2)
    other = make_approved_firm(services, prefix=None)
    signatures = signatures_of(services, batch, key)
    with pytest.raises(NotFound):
        registry.put_signatures(services, handle=batch.handle, organisation_id=other.id, start=0, signatures=signatures)


@on_sqlite
def test_the_api_leads_from_an_unsigned_batch_to_printed_codes(
    services: Services, client: FlaskClient, firm: Firm, key: Ed25519PrivateKey
) -> None:
    batch = make_batch(services, firm, quantity=600)
    scopes = frozenset({Permission.KEY_SIGN, Permission.BATCH_READ})
    machine = bearer(api_key(services, Role.OPERATOR, organisation=firm.organisation, scopes=scopes))
    address = f"/v1/batches/{batch.handle}"
    assert client.get(f"{address}/units", headers=machine).get_json()["code"] == "codes_unsigned"
    page = client.get(f"{address}/signing?from=590&limit=5", headers=machine).get_json()
    assert (page["start"], len(page["serials"]), page["next_from"]) == (590, 5, 595)
    signatures = signatures_of(services, batch, key)
    binary = {**machine, "Content-Type": "application/octet-stream"}
    assert client.put(f"{address}/signatures", data=signatures, headers=machine).status_code == 400
    answer = client.put(f"{address}/signatures?from=0", data=signatures, headers=binary)
    assert answer.get_json() == {
        "handle": batch.handle,
        "key_id": batch.key_id,
        "quantity": 600,
        "signed": 600,
        "first_unsigned": None,
        "log_index": None,
    }
    seal = encode_base64(key.sign(seal_message(key_id=batch.key_id, root=batch.root, count=600)))
    closed = client.post(f"{address}/seal", json={"seal": seal}, headers=machine)
    assert closed.status_code == 200, closed.text
    assert closed.get_json()["log_index"] == services.log.head()[0] - 1
    assert len(client.get(f"{address}/units?limit=600", headers=machine).get_json()["items"]) == 600
    too_much = client.put(f"{address}/signatures", data=bytes(1024 * 1024 + 64), headers=binary)
    assert too_much.status_code == 413


def test_a_signature_that_was_changed_in_the_database_is_not_printed(
    services: Services, firm: Firm, key: Ed25519PrivateKey
) -> None:
    batch = make_batch(services, firm, quantity=2)
    sign_batch(services, firm.organisation, batch, key)
    with services.engine.begin() as connection:
        connection.execute(unit_signatures.update().values(data=bytes(128)))
    with pytest.raises(Exception, match="does not fit"):
        texts(services, batch)


@on_sqlite
def test_the_service_no_longer_publishes_under_its_own_key_once_the_firm_has_one(
    services: Services, firm: Firm
) -> None:
    with Session(services.engine) as session:
        own = accounts.code_key_in_use(session, organisation_id=firm.id)
    record, _ = register_firm_key(services, firm.organisation)
    with pytest.raises(Conflict) as refused, services.engine.begin() as connection:
        accounts.refuse_unusable_key(connection, organisation_id=firm.id, key_id=own.key_id)
    assert refused.value.code == "key_superseded"
    assert make_batch(services, firm, quantity=1).key_id == record.key_id


@on_sqlite
def test_a_hint_where_a_page_begins_never_changes_what_is_on_it(
    services: Services, firm: Firm, key: Ed25519PrivateKey
) -> None:
    batch = make_batch(services, firm, quantity=40)

    def page(after: str | None) -> tuple[str, ...]:
        with Session(services.engine) as session:
            given = {"handle": batch.handle, "organisation_id": firm.id, "start": 20, "limit": 10}
            return registry.signing_page(services, session, after=after, **given).serials  # type: ignore[arg-type]

    with Session(services.engine) as session:
        serials = [serial for _, serial in registry.unit_serials(session, batch)]
    expected = tuple(serials[20:30])
    for hint in (None, serials[19], serials[0], serials[25], serials[39], "0", "ZZZZ", "~"):
        assert page(hint) == expected


@on_sqlite
def test_the_page_of_an_unsigned_batch_says_what_to_run_instead_of_offering_labels(
    services: Services, client: FlaskClient, firm: Firm, key: Ed25519PrivateKey
) -> None:
    batch = make_batch(services, firm, quantity=3)
    browser = signed_in(client, services, owner_email(services, firm.organisation))
    page = browser.get(f"/batches/{batch.handle}").get_data(as_text=True)
    assert f"marchamo sign {batch.handle} --key FILE" in page
    assert f"/batches/{batch.handle}/labels" not in page
    sign_batch(services, firm.organisation, batch, key)
    page = browser.get(f"/batches/{batch.handle}").get_data(as_text=True)
    assert "marchamo sign" not in page
    assert f"/batches/{batch.handle}/labels" in page
