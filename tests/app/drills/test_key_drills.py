"""Drills: what happens when a key is lost or stolen, told step by step and asserted at each.

Where something can not be prevented the drill asserts that too: a thief of a key signs, and nobody can stop that; what
matters is what each reader says of it, before the revocation and after.
"""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.access import service as access
from app.accounts import service as accounts
from app.accounts.vocabulary import KeyHolder
from app.core.authorisation import ANONYMOUS, Permission, Principal, Role
from app.core.clock import now_ms
from app.core.errors import Conflict, Invalid
from app.core.sealing import Sealer, SealError
from app.core.services import Services
from app.registry import service as registry
from app.registry.service import CommissionRequest
from app.verification import service as verification
from app.verification.actions import Action
from app.verification.request import ScanRequest
from app.verification.verdict import Authenticity, Summary
from ledger.strict import encode_json
from scanners.codes.build import code_text
from scanners.codes.identity import CodeIdentity
from scanners.codes.signature import sign_code
from scanners.offline import OfflineAuthenticity, judge
from scanners.proofs import ProofRefused, check_document
from scanners.trust import TrustList
from tests.app.registry.registry_builders import Firm, commissioned, make_firm
from tests.builders import api_key, bearer, gtin, make_approved_firm, on_sqlite, principal
from tests.firm_keys import register_firm_key, sign_batch


@dataclass(frozen=True)
class House:
    """A firm that holds its key itself, and one batch that it has signed."""

    services: Services
    firm: Firm
    record: accounts.KeyRecord
    key: Ed25519PrivateKey
    batch: registry.Batch

    def codes(self, batch: registry.Batch) -> list[str]:
        stem = self.services.settings.code_stem
        with Session(self.services.engine) as session:
            return [code.text for code in registry.codes_of_batch(session, self.services.sealer, batch, stem=stem)]

    def forged(self, key: Ed25519PrivateKey) -> str:
        """A code for a serial that nobody ever issued, signed with this key under the firm's number."""
        identity = CodeIdentity(self.batch.kind, gtin(), self.batch.handle + secrets.token_hex(6).upper())
        elements = (("10", "L1"),)
        signature = sign_code(key, identity, elements, self.record.key_id)
        return code_text(identity, elements, stem=self.services.settings.code_stem, signature=signature)

    def online(self, text: str, who: Principal = ANONYMOUS) -> tuple[Authenticity, Summary]:
        answer = verification.verify(self.services, text=text, principal=who, request=ScanRequest())
        return answer.verdict.authenticity, answer.verdict.summary

    def trust(self) -> TrustList:
        return TrustList.from_json(encode_json(verification.trust_list(self.services)))


def batch_signed(services: Services, firm: Firm, key: Ed25519PrivateKey) -> registry.Batch:
    batch = commissioned(services, firm.organisation, CommissionRequest(product=gtin(), quantity=3, lot="L1"))
    sign_batch(services, firm.organisation, batch, key)
    return batch


def offline(text: str, trust: TrustList) -> tuple[OfflineAuthenticity, str]:
    verdict = judge(text, trust, now=now_ms())
    return verdict.authenticity, verdict.summary


@pytest.fixture
def house(services: Services) -> House:
    firm = make_firm(services)
    record, key = register_firm_key(services, firm.organisation)
    batch = batch_signed(services, firm, key)
    owner = principal(firm.organisation)
    verification.act_on_batch(services, handle=batch.handle, action=Action.ACTIVATE, principal=owner)
    return House(services, firm, record, key, batch)


def test_lost_key_the_disk_is_gone_and_business_goes_on(house: House) -> None:
    services, firm = house.services, house.firm
    printed = house.codes(house.batch)
    unsigned = commissioned(services, firm.organisation, CommissionRequest(product=gtin(), quantity=2))
    # 1. The disk is gone: the batch that was waiting can not be signed any more, and nothing prints its codes.
    with pytest.raises(Conflict):
        house.codes(unsigned)
    # 2. A new key is registered; nothing is revoked, since nobody has the old one.
    record, key = register_firm_key(services, firm.organisation)
    # 3. What was printed before is what it was, and its labels can even be printed again: signatures are kept.
    assert house.online(printed[0]) == (Authenticity.REGISTERED, Summary.PASS)
    assert house.codes(house.batch) == printed
    # 4. The goods of the waiting batch are commissioned again, and signed with the new key.
    again = batch_signed(services, firm, key)
    assert again.key_id == record.key_id
    assert house.online(house.codes(again)[0])[0] is Authenticity.REGISTERED
    # 5. Whoever has an old trust list does not know the new key, and says so.
    assert offline(printed[0], house.trust())[0] is OfflineAuthenticity.SIGNATURE_VALID_NOT_CONFIRMED


def test_stolen_key_what_each_reader_says_before_and_after_the_revocation(house: House) -> None:
    services, firm, key = house.services, house.firm, house.key
    old_list = house.trust()
    printed, invented = house.codes(house.batch)[0], house.forged(key)
    # 1. The thief signs a serial that was never issued. Online: the unit is not on record. Offline nobody can tell.
    assert house.online(invented) == (Authenticity.UNKNOWN_UNIT, Summary.STOP)
    assert offline(invented, old_list) == (OfflineAuthenticity.SIGNATURE_VALID_NOT_CONFIRMED, "CHECK")
    # 2. Signing an issued serial gives the very code that is printed: a copy, which no key helps against.
    identity = CodeIdentity(house.batch.kind, gtin(), printed.split("/21/")[1].split("?")[0])
    signature = sign_code(key, identity, (("10", "L1"),), house.record.key_id)
    assert code_text(identity, (("10", "L1"),), stem=services.settings.code_stem, signature=signature) == printed
    # 3. The theft is noticed after another batch was made; it is revoked from the position at which it happened.
    stolen_at = services.log.head()[0]
    after = batch_signed(services, firm, key)
    later = house.codes(after)[0]
    with Session(services.engine) as session:
        preview = registry.revocation_preview(
            services, session, organisation_id=firm.id, key_id=house.record.key_id, from_index=stolen_at
        )
    assert (preview.batches_before, preview.units_before) == (1, 3)
    assert (preview.batches_after, preview.units_after) == (1, 3)
    accounts.revoke_key(
        services, organisation_id=firm.id, key_id=house.record.key_id, reason="Stolen.", from_index=stolen_at
    )
    # 4. Online: what was registered before stays good; what came after is not to be relied on; inventions stay unknown.
    assert house.online(printed) == (Authenticity.REGISTERED, Summary.PASS)
    assert house.online(later) == (Authenticity.KEY_REVOKED, Summary.CHECK)
    assert house.online(invented) == (Authenticity.UNKNOWN_UNIT, Summary.STOP)
    # 5. Offline: the old list knows nothing and still never passes anything; the new one warns of all that it signed.
    new_list = house.trust()
    for text in (printed, later, invented):
        assert offline(text, old_list) == (OfflineAuthenticity.SIGNATURE_VALID_NOT_CONFIRMED, "CHECK")
        assert offline(text, new_list) == (OfflineAuthenticity.KEY_REVOKED, "CHECK")
    # 6. A proof tells the two apart without a connection: the position of the batch is in it.
    before_proof, after_proof = (proof_of(house, batch) for batch in (house.batch, after))
    check_document(before_proof, new_list, now=now_ms())
    with pytest.raises(ProofRefused) as refused:
        check_document(after_proof, new_list, now=now_ms())
    assert refused.value.code == "key_revoked"
    check_document(after_proof, old_list, now=now_ms())  # whoever holds the list of before can not know
    # 7. The key signs nothing more: no batch is published under it, and the firm has to register the next one.
    with Session(services.engine) as session, pytest.raises(Conflict) as none:
        accounts.code_key_in_use(session, organisation_id=firm.id)
    assert none.value.code == "no_key"
    record, _ = register_firm_key(services, firm.organisation)
    assert record.key_id != house.record.key_id


def proof_of(house: House, batch: registry.Batch) -> bytes:
    with Session(house.services.engine) as session:
        serial = registry.serial_at(session, batch, 0)
    bundle = verification.proof_bundle(
        house.services,
        handle=batch.handle,
        serial=serial,
        signature=None,
        principal=principal(house.firm.organisation),
    )
    return encode_json(bundle)


@on_sqlite
def test_stolen_api_key_makes_no_code_without_the_firms_key(house: House, client: FlaskClient) -> None:
    services, firm = house.services, house.firm
    scopes = frozenset({Permission.BATCH_COMMISSION, Permission.BATCH_READ, Permission.KEY_SIGN, Permission.JOB_READ})
    secret = api_key(services, Role.OPERATOR, organisation=firm.organisation, scopes=scopes)
    # 1. The thief has units put on the ledger in the firm's name: that is what the API key is for.
    batch = commissioned(services, firm.organisation, CommissionRequest(product=gtin(), quantity=2))
    # 2. But no code of them: there is no signature to print, and his own do not fit.
    answer = client.get(f"/v1/batches/{batch.handle}/units", headers=bearer(secret))
    assert answer.get_json()["code"] == "codes_unsigned"
    thief = Ed25519PrivateKey.generate()
    with pytest.raises(Invalid) as refused:
        sign_batch(services, firm.organisation, batch, thief)
    assert refused.value.code == "signature_wrong"
    # 3. Nor can he register a key of his own, or withdraw the firm's: the API key has no such scope.
    for path, body in (
        ("/v1/keys/registrations", {"public_key": "A" * 43 + "="}),
        (f"/v1/keys/{house.record.key_id}/revocation", {"reason": "Mine now."}),
    ):
        assert client.post(path, json=body, headers=bearer(secret)).status_code == 403
    # 4. The firm ends the API key: at once in the process that is told, within five seconds elsewhere.
    access.revoke_api_key(services, principal=principal(firm.organisation), prefix=secret[:12])
    assert client.get(f"/v1/batches/{batch.handle}/signing", headers=bearer(secret)).status_code == 401


@on_sqlite
def test_stolen_database_without_the_key_encryption_key_signs_nothing(house: House) -> None:
    services = house.services
    other = make_approved_firm(services, prefix=None)  # its code key is held by the service
    with Session(services.engine) as session:
        held = accounts.code_key_in_use(session, organisation_id=other.id)
        own = accounts.code_key_by_id(session, services.sealer, organisation_id=other.id, key_id=held.key_id)
    assert held.holder is KeyHolder.SERVICE
    path = services.settings.effective_database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as stolen:
        # 1. Every private key of the service is there, and sealed; none of them opens with a key of the thief's.
        sealed = stolen.execute("SELECT key_id, sealed_private_key FROM organisation_keys").fetchall()
        thief = Sealer(secrets.token_bytes(32))
        opened = [data for _, data in sealed if data is not None]
        assert len(opened) == len(sealed) - 1  # all but the one that the firm holds
        for key_id, data in sealed:
            if data is not None:
                with pytest.raises(SealError):
                    thief.open(bytes(data), f"organisation key {key_id}")
        # 2. And the firm's own key is in no byte of the database, nor is one of the others in the clear.
        dump = "\n".join(stolen.iterdump()).lower()
    for key in (house.key, own.private_key):
        assert key.private_bytes_raw().hex() not in dump
