"""State bundles: whoever asks what was recorded about a unit notices when something is left out of the answer."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from app.access import service as access
from app.accounts import service as accounts
from app.core.authorisation import Role
from app.core.bootstrap import migrate
from app.core.clock import now_ms
from app.core.config import Settings
from app.core.services import Services
from app.core.state_map import subject_map
from app.demo import parties as making
from app.registry import service as registry
from app.verification import service as verification
from app.verification.actions import Action
from ledger.erasure import erase
from ledger.leaf import Body, subject_tag
from ledger.map.state_proof import StateProof
from ledger.map.subject_map import bucket_of, bucket_path, encode_bucket
from ledger.own import StatementSigner
from ledger.statement import read_unverified
from ledger.storage.map_sql import MapReader
from ledger.strict import decode_base64, encode_base64
from scanners.cli import verify_proof
from scanners.proofs import ProofRefused, Proved, check_document
from scanners.trust import TrustList
from tests.builders import bearer

Bundle = dict[str, Any]


@dataclass
class Told:
    """A registry in which a unit was sold, held and, with its whole batch, recalled; and what it answers."""

    services: Services
    client: FlaskClient
    parties: making.Parties
    codes: list[str]
    serials: list[str]
    keys: dict[str, dict[str, str]]

    def get(self, path: str, who: str | None, **query: str) -> TestResponse:
        return self.client.get(path, headers=self.keys[who] if who else {}, query_string=query)

    def unit_path(self, number: int = 0) -> str:
        return f"/v1/states/units/{self.parties.batch}/{self.serials[number]}"

    def bundle(self, path: str, who: str = "customs") -> Bundle:
        answer = self.get(path, who)
        assert answer.status_code == 200, answer.text
        members: Bundle = answer.get_json()
        return members

    @property
    def trust(self) -> TrustList:
        return TrustList.from_json(self.client.get("/v1/trust").data)

    def check(self, bundle: Bundle) -> Proved:
        return check_document(json.dumps(bundle).encode(), self.trust, now=now_ms())

    def refusal(self, bundle: Bundle) -> ProofRefused:
        with pytest.raises(ProofRefused) as refused:
            self.check(bundle)
        return refused.value

    def act(self, who: str, numbers: list[int], action: str) -> None:
        texts = [self.codes[number] for number in numbers]
        answer = self.client.post("/v1/units/actions", headers=self.keys[who], json={"codes": texts, "action": action})
        assert all(item["verdict"]["action"]["recorded"] for item in answer.get_json()["items"]), answer.text


def told_in(folder: Path) -> Told:
    settings = Settings(data_dir=folder, rate_limits=False)
    migrate(settings)
    application = create_app(settings)
    services: Services = application.extensions["marchamo"]
    parties = making.ensure_parties(services, units=5)
    keys = {}
    for name, role, party in (
        ("customs", Role.INSPECTOR, parties.customs),
        ("firm", Role.OWNER, parties.firm),
        ("shop", Role.OWNER, parties.shop),
        ("till", Role.RETAILER, parties.shop),
    ):
        _, key = access.create_api_key(
            services, principal=making.principal_of(services, party), name=name, role=role, scopes=None, days=1
        )
        keys[name] = bearer(key)
    with Session(services.engine) as session:
        batch = registry.find_batch(session, parties.batch)
        codes = registry.codes_of_batch(session, services.sealer, batch, stem=settings.code_stem, start=0, count=None)
        texts = [code.text for code in codes]
        serials = [registry.serial_at(session, batch, number) for number in range(5)]
    told = Told(services, application.test_client(), parties, texts, serials, keys)
    told.act("shop", [0, 1], "sell")
    told.act("customs", [0], "hold")
    act_on_batch(told, Action.RECALL)
    return told


def act_on_batch(told: Told, action: Action) -> None:
    owner = making.principal_of(told.services, told.parties.firm)
    verification.act_on_batch(told.services, handle=told.parties.batch, action=action, principal=owner)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    told = told_in(tmp_path_factory.mktemp("told"))
    yield told
    told.services.engine.dispose()


@pytest.fixture
def bundle(told: Told) -> Bundle:
    return told.bundle(told.unit_path())


def whats(proved: Proved) -> list[tuple[str, str]]:
    return [(event["of"], event["what"]) for event in proved.facts["events"]]


# --- what is told ---------------------------------------------------------------------------------------------------


def test_everything_recorded_about_a_unit_and_its_batch_is_told_in_order(told: Told, bundle: Bundle) -> None:
    proved = told.check(bundle)
    assert proved.kind == "state"
    assert whats(proved) == [
        ("batch", "commissioned"),
        ("batch", "active (activating)"),
        ("unit", "retail_sold (retail_selling)"),
        ("unit", "held_by_authority (holding)"),
        ("batch", "recalled (holding)"),
    ]
    assert all(event["covered"] for event in proved.facts["events"])
    by = [event["by"] for event in proved.facts["events"]]
    assert by[2:4] == [told.parties.shop.issuer, told.parties.customs.issuer]
    last = proved.facts["as_of_size"] - 1
    assert proved.facts["complete"].startswith(f"nothing is omitted among entries 0 to {last}, time 2")
    assert proved.facts["not_shown"] == 0
    assert proved.facts["issuer"] == told.parties.firm.issuer


def test_units_of_one_event_and_of_none_have_their_own_states(told: Told) -> None:
    assert ("unit", "held_by_authority (holding)") not in whats(told.check(told.bundle(told.unit_path(1))))
    assert [of for of, _ in whats(told.check(told.bundle(told.unit_path(2))))] == ["batch"] * 3


def test_a_batch_and_an_organisation_have_states_too(told: Told) -> None:
    batch = told.check(told.bundle(f"/v1/states/batches/{told.parties.batch}", "firm"))
    assert [what for _, what in whats(batch)] == ["commissioned", "active (activating)", "recalled (holding)"]
    firm = told.check(told.bundle(f"/v1/states/organisations/{told.parties.firm.issuer}"))
    said = [what for _, what in whats(firm)]
    assert said[0] == "organisation approved"
    assert len(said) >= 3
    assert all(what.startswith("key ") and what.endswith(" registered") for what in said[1:])
    # Each names the firm, but it is the registry that approves firms and registers their keys: no firm does it itself.
    assert {event["by"] for event in firm.facts["events"]} == {"the registry"}
    assert {event["by"] for event in batch.facts["events"]} == {told.parties.firm.issuer}


def test_the_batch_names_the_subject_of_its_issuer(told: Told, bundle: Bundle) -> None:
    body = Body.from_bytes(bundle["unit"]["unit_proof"]["batch_entry"]["body"].encode())
    statement = read_unverified(body.statement).payload
    organisation = told.bundle(f"/v1/states/organisations/{told.parties.firm.issuer}")
    assert statement["issuer_subject"] == organisation["states"]["organisation"]["subject"]


# --- the lying registry ---------------------------------------------------------------------------------------------


def entries(bundle: Bundle, kind: str) -> list[Any]:
    found: list[Any] = bundle["states"][kind]["entries"]
    return found


def test_a_registry_that_leaves_the_recall_out_is_caught(told: Told, bundle: Bundle) -> None:
    lie = copy.deepcopy(bundle)
    entries(lie, "batch").pop()
    assert told.refusal(lie).code == "ledger.proof"
    # It also takes the proof of absence from where the recall's tag would lie: there the recall is named.
    recall_at = entries(bundle, "batch")[-1]["index"]
    subject = decode_base64(bundle["states"]["batch"]["subject"])
    lie["states"]["batch"] = lying_state(told, subject, entries(bundle, "batch")[:-1])
    assert f"left out of the answer: entry {recall_at}" in told.refusal(lie).message


def lying_state(told: Told, subject: bytes, shown: list[Any]) -> Any:
    """The state of the subject with these entries only, and the bucket in which the next tag lies."""
    honest = subject_map(told.services).prove(subject).to_members()
    with told.services.engine.connect() as connection:
        own = MapReader(connection)
        head = own.head()
        assert head is not None
        bucket = bucket_of(subject_tag(subject, len(shown)))
        records = [record for record in own.records(bucket) if record[1] < head.size]
        path = bucket_path(own.tile, bucket)
    return honest | {
        "entries": honest["entries"][: len(shown)],
        "bucket": encode_base64(encode_bucket(records)),
        "bucket_path": [encode_base64(step) for step in path],
    }


def test_nor_can_any_other_event_be_left_out_or_put_elsewhere(told: Told, bundle: Bundle) -> None:
    for kind in ("unit", "batch"):
        for at in range(len(entries(bundle, kind))):
            lie = copy.deepcopy(bundle)
            del entries(lie, kind)[at]
            told.refusal(lie)
    for kind, other in (("unit", "batch"), ("batch", "unit")):
        lie = copy.deepcopy(bundle)
        lie["states"][kind] = bundle["states"][other]
        assert "another subject" in told.refusal(lie).message


def test_the_state_of_another_unit_is_refused(told: Told, bundle: Bundle) -> None:
    other = told.bundle(told.unit_path(1))
    assert "another subject" in told.refusal(bundle | {"states": other["states"]}).message
    assert "another subject" in told.refusal(bundle | {"unit": other["unit"], "name": other["name"]}).message
    assert told.refusal(bundle | {"unit": other["unit"]}).code == "another_unit"
    assert told.refusal(bundle | {"name": other["name"]}).code == "another_unit"


def test_an_answer_from_before_the_recall_says_until_when_it_is_complete(tmp_path: Path) -> None:
    told = told_in(tmp_path)
    before = told.bundle(told.unit_path(3))
    recall_undone = told.services.log.head()[0]
    act_on_batch(told, Action.LIFT_RECALL)
    old = told.check(before)
    assert ("batch", "active (lifting_recall)") not in whats(old)
    assert old.facts["as_of_size"] <= recall_undone
    # A new map is stated for an asker when the last is a second old; the worker states it now instead.
    assert subject_map(told.services).publish() is not None
    new = told.check(told.bundle(told.unit_path(3)))
    assert whats(new)[-1] == ("batch", "active (lifting_recall)")
    assert new.facts["as_of_size"] > old.facts["as_of_size"]
    assert new.facts["as_of_time"] > old.facts["as_of_time"]
    told.services.engine.dispose()


def test_an_erased_event_is_told_as_one(tmp_path: Path) -> None:
    told = told_in(tmp_path)
    bundle = told.bundle(told.unit_path())
    held = entries(bundle, "unit")[1]["index"]
    signer = StatementSigner("statement-test", Ed25519PrivateKey.generate())
    erase(told.services.log, told.services.engine, held, reason="Asked for.", signer=signer)
    proved = told.check(told.bundle(told.unit_path()))
    assert [event["what"][:6] for event in proved.facts["events"] if event["index"] == held] == ["erased"]
    assert [event["index"] for event in proved.facts["events"] if not event["shown"]] == [held]
    assert proved.facts["not_shown"] == 1
    # A hold that is hidden must not look like a clean state: not in the first line, not in the exit code.
    (tmp_path / "trust.json").write_bytes(told.client.get("/v1/trust").data)
    (tmp_path / "state.json").write_text(json.dumps(told.bundle(told.unit_path())))
    arguments = ["--trust", str(tmp_path / "trust.json"), str(tmp_path / "state.json")]
    done = CliRunner().invoke(verify_proof, arguments)
    assert done.exit_code == 5, done.output
    first, *others = done.stdout.splitlines()
    assert "holds (state), but 1 of 5 entries not shown" in first
    assert "a hold, a recall or a theft may be among them" in first
    assert [line for line in others if line.strip().startswith("time not shown  ") and f"entry {held}," in line]
    told.services.engine.dispose()


def test_a_revoked_key_is_in_the_state_of_its_organisation(tmp_path: Path) -> None:
    told = told_in(tmp_path)
    with Session(told.services.engine) as session:
        firm = accounts.organisation_by_issuer(session, told.parties.firm.issuer)
        key = accounts.list_keys(session, organisation_id=firm.id)[0]
    accounts.revoke_key(told.services, organisation_id=firm.id, key_id=key.key_id, reason="Lost.")
    proved = told.check(told.bundle(f"/v1/states/organisations/{firm.issuer}", "firm"))
    assert ("organisation", f"key {key.key_id} revoked") in whats(proved)
    told.services.engine.dispose()


# --- shapes ----------------------------------------------------------------------------------------------------------


def test_every_member_counts(told: Told, bundle: Bundle) -> None:
    for name in bundle:
        told.refusal({other: value for other, value in bundle.items() if other != name})
    told.refusal(bundle | {"more": 1})
    for name, junk in (("about", "lot"), ("about", 7), ("name", None), ("unit", None), ("unit", []), ("states", {})):
        told.refusal(bundle | {name: junk})
    told.refusal(bundle | {"states": {"unit": bundle["states"]["unit"]}})
    told.refusal(bundle | {"states": bundle["states"] | {"organisation": bundle["states"]["unit"]}})
    told.refusal(bundle | {"about": "batch"})


def test_a_batch_or_organisation_is_recognised_by_its_registration(told: Told) -> None:
    batch = told.bundle(f"/v1/states/batches/{told.parties.batch}")
    assert told.refusal(batch | {"name": "ZZZZZ"}).code == "another_batch"
    firm = told.bundle(f"/v1/states/organisations/{told.parties.firm.issuer}")
    shop = told.bundle(f"/v1/states/organisations/{told.parties.shop.issuer}")
    assert told.refusal(firm | {"states": shop["states"]}).code == "another_organisation"
    unit = told.bundle(told.unit_path())["states"]["unit"]
    assert told.refusal(batch | {"states": {"batch": unit}}).code == "another_batch"
    nothing = subject_map(told.services).prove(bytes(32)).to_members()
    assert told.refusal(batch | {"states": {"batch": nothing}}).code == "nothing_recorded"


def test_an_entry_whose_key_is_not_trusted_is_refused(told: Told, bundle: Bundle) -> None:
    trust = told.trust
    speakers = {json.loads(entry["body"])["key_id"] for entry in entries(bundle, "unit")}
    fewer = {name: key for name, key in trust.statement_keys.items() if name not in speakers}
    assert len(fewer) == len(trust.statement_keys) - 2
    without = replace(trust, statement_keys=fewer)
    with pytest.raises(ProofRefused) as refused:
        check_document(json.dumps(bundle).encode(), without, now=now_ms())
    assert refused.value.code == "statement_key_unknown"


# --- who may ask -----------------------------------------------------------------------------------------------------


def test_strangers_get_no_state_and_holders_of_the_code_do(told: Told) -> None:
    signature = told.codes[0].split("S=")[1]
    assert told.get(told.unit_path(), None).status_code == 401
    assert told.get(told.unit_path(), None, S=signature).status_code == 401
    assert told.get(told.unit_path(), "till", S=signature).status_code == 403
    assert told.get(told.unit_path(), "shop").status_code == 404
    assert told.get(told.unit_path(), "shop", S=signature).status_code == 200
    assert told.get(told.unit_path(1), "shop", S=signature).status_code == 404
    assert told.get(f"/v1/states/batches/{told.parties.batch}", "shop").status_code == 404
    assert told.get(f"/v1/states/organisations/{told.parties.firm.issuer}", "shop").status_code == 404
    assert told.get(f"/v1/states/organisations/{told.parties.shop.issuer}", "shop").status_code == 200


def test_what_does_not_exist_is_not_found(told: Told) -> None:
    assert told.get("/v1/states/units/ZZZZZ/1", "customs").status_code == 404
    assert told.get(f"/v1/states/units/{told.parties.batch}/NOSUCH", "customs").status_code == 404
    assert told.get("/v1/states/batches/ZZZZZ", "customs").status_code == 404
    assert told.get("/v1/states/organisations/nobody", "customs").status_code == 404


# --- at the terminal --------------------------------------------------------------------------------------------------


def test_verify_proof_prints_each_event_and_until_when_nothing_is_omitted(
    told: Told, bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "trust.json").write_bytes(told.client.get("/v1/trust").data)
    (tmp_path / "state.json").write_text(json.dumps(bundle))
    lie = copy.deepcopy(bundle)
    entries(lie, "batch").pop()
    (tmp_path / "lie.json").write_text(json.dumps(lie))

    def run(name: str) -> Result:
        return CliRunner().invoke(verify_proof, [str(tmp_path / name), "--trust", str(tmp_path / "trust.json")])

    held = run("state.json")
    assert held.exit_code == 0, held.output
    assert "holds (state)" in held.output
    assert "nothing is omitted among entries 0 to" in held.output
    newer = told.check(bundle).facts["not_covered"]
    assert f"  {newer} newer {'entry is' if newer == 1 else 'entries are'} not covered\n" in held.output
    assert "not_covered" not in held.output
    assert f"recalled (holding) by {told.parties.firm.issuer}" in held.output
    refused = run("lie.json")
    assert refused.exit_code == 1
    assert "does not hold" in refused.output


def test_the_state_proof_in_the_bundle_is_the_ledgers_own_format(bundle: Bundle) -> None:
    for members in bundle["states"].values():
        assert StateProof.from_members(members).to_members() == members
