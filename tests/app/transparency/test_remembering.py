"""Devices show the checkpoint that they saw last: they get a proof of growth, and a fork raises an alarm."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.authorisation import Role
from app.core.errors import Malformed
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.facts.scans.open import open_scan_store
from app.transparency.service.remembering import KNOWN, Memory, take_memory
from app.verification import service as verification
from ledger.alarms import count_alarms, list_alarms
from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.keys.rotation import retire_key, rotate_key
from ledger.merkle import verify_consistency
from ledger.note import NoteSigner
from ledger.own import StatementSigner
from ledger.strict import decode_base64
from scanners.log_memory import LogMemory
from tests.app.transparency.transparency_builders import log_signer
from tests.app.verification.verdict_builders import World, make_world
from tests.builders import api_key, bearer, on_sqlite
from tests.log_builders import new_entry


@pytest.fixture
def world(services: Services) -> World:
    return make_world(services)


@pytest.fixture
def inspector(services: Services, client: FlaskClient) -> dict[str, str]:
    headers = bearer(api_key(services, Role.INSPECTOR))
    client.get("/v1/organisation", headers=headers)
    return headers


def grow(services: Services, start: int, stop: int) -> None:
    services.log.append_many([new_entry(number) for number in range(start, stop)])
    services.log.checkpoint(at_least=services.log.head()[0])


def ask(client: FlaskClient, world: World, note: object, headers: dict[str, str] | None = None) -> Any:
    return client.post("/v1/verify", json={"code": world.codes[0], "checkpoint": note}, headers=headers)


def forged(services: Services, size: int, *, signer: NoteSigner | None = None, root: bytes = b"\x05" * 32) -> str:
    return sign_checkpoint(Checkpoint(services.log.origin, size, root), signer or log_signer(services)).note_text


def check_growth(services: Services, old_note: str, told: dict[str, Any]) -> int:
    """Check as a device would that the told checkpoint extends the old one; gives its size."""
    old = open_checkpoint(old_note, services.log.verifier).checkpoint
    new = open_checkpoint(told["checkpoint"], services.log.verifier).checkpoint
    path = [decode_base64(step) for step in told["consistency"]]
    verify_consistency(old_size=old.size, new_size=new.size, old_root=old.root, new_root=new.root, path=path)
    assert told["from"] == old.size
    assert told["alarm"] is None
    return new.size


def test_a_device_gets_the_newest_checkpoint_and_the_proof_that_it_extends_its_own(
    services: Services, client: FlaskClient, world: World, inspector: dict[str, str]
) -> None:
    old = services.log.checkpoint(at_least=services.log.head()[0]).note_text
    grow(services, 0, 300)
    for headers in (None, inspector):
        told = ask(client, world, old, headers).json["log"]
        assert check_growth(services, old, told) == services.log.head()[0]
    batch: Any = client.post("/v1/verify/batch", json={"codes": world.codes, "checkpoint": old}, headers=inspector)
    assert check_growth(services, old, batch.json["log"]) == services.log.head()[0]
    assert all("log" not in item["verdict"] for item in batch.json["items"])
    assert count_alarms(services.engine) == 0


def test_a_device_that_has_none_yet_gets_its_first_and_one_that_sends_none_gets_none(
    services: Services, client: FlaskClient, world: World
) -> None:
    told = ask(client, world, "").json["log"]
    assert (told["from"], told["consistency"], told["alarm"]) == (0, [], None)
    assert open_checkpoint(told["checkpoint"], services.log.verifier)
    assert "log" not in client.post("/v1/verify", json={"code": world.codes[0]}).get_json()


def test_the_fast_door_takes_devices_that_remember(
    services: Services, client: FlaskClient, world: World, inspector: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    note = services.log.checkpoint().note_text
    monkeypatch.setattr(verification, "verify_and_act", None)  # what the ordinary route would call
    for sent in (note, ""):
        answer = ask(client, world, sent, inspector)
        assert answer.status_code == 200
        assert answer.json["log"]["alarm"] is None


def test_a_checkpoint_of_the_ledgers_key_that_is_beyond_the_ledger_raises_one_alarm(
    services: Services, client: FlaskClient, world: World, inspector: dict[str, str]
) -> None:
    note = forged(services, services.log.head()[0] + 1)
    for headers in (None, inspector, inspector):
        told = ask(client, world, note, headers).json
        assert told["authenticity"] == "REGISTERED"  # the person at the goods gets an answer all the same
        assert told["log"]["consistency"] is None
        assert told["log"]["alarm"] == 1
    [alarm] = list_alarms(services.engine)
    assert (alarm.kind, alarm.evidence) == ("fork", note)
    assert "entries were lost" in alarm.detail
    assert client.get("/health").get_json()["ledger_alarms"] == 1
    assert client.get("/v1/log").get_json()["alarms"][0]["kind"] == "fork"


@on_sqlite
@pytest.mark.parametrize("back", [0, 1])
def test_a_checkpoint_of_the_ledgers_key_with_another_root_raises_an_alarm(
    services: Services, client: FlaskClient, world: World, back: int
) -> None:
    note = forged(services, services.log.head()[0] - back)
    assert ask(client, world, note).json["log"]["alarm"] == 1
    assert "two histories" in list_alarms(services.engine)[0].detail


@on_sqlite
def test_what_the_ledger_did_not_sign_is_refused_and_leaves_nothing(
    services: Services, client: FlaskClient, world: World, inspector: dict[str, str]
) -> None:
    size = services.log.head()[0] + 5
    good = services.log.checkpoint().note_text
    receipts = NoteSigner(services.log.origin, services.keys[KeyPurpose.RECEIPT].private_key)
    elsewhere = NoteSigner("elsewhere.example/log", log_signer(services).private_key)
    bad = [
        "x", "\n", "—", good.replace("\n", "\r\n"), good[:-5], good + "x", good.replace("\n\n", "\n", 1),
        forged(services, size, signer=receipts),
        sign_checkpoint(Checkpoint(elsewhere.name, size, b"\x05" * 32), elsewhere).note_text,
        "\n".join([good.splitlines()[0], "7", *good.splitlines()[2:]]) + "\n",
        good + "— other AAAA\n" * 200,
        "a" * 16_000,
    ]  # fmt: skip
    scans = scans_in(services)
    for note in bad:
        for headers in (None, inspector):
            answer = ask(client, world, note, headers)
            assert (answer.status_code, answer.json["code"]) == (400, "checkpoint_not_ours"), note[:40]
    assert scans_in(services) == scans
    assert count_alarms(services.engine) == 0


@on_sqlite
@pytest.mark.parametrize("note", [None, 5, [], {}, "a" * 16_385])
def test_what_can_be_no_checkpoint_is_refused_by_the_schema(client: FlaskClient, world: World, note: object) -> None:
    assert ask(client, world, note).status_code == 422


@on_sqlite
def test_a_checkpoint_that_was_found_good_needs_no_second_look(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(services, 0, 10)
    note = services.log.checkpoint().note_text
    assert take_memory(services, note) == Memory(services.log.head()[0])
    monkeypatch.setattr("app.transparency.service.remembering.open_note", None)
    assert take_memory(services, note) == Memory(services.log.head()[0])


@on_sqlite
def test_what_is_kept_in_memory_of_devices_is_bounded(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.transparency.service.remembering.KNOWN", 4)
    notes = []
    for number in range(8):
        grow(services, number, number + 1)
        notes.append(services.log.checkpoint(at_least=services.log.head()[0]).note_text)
        take_memory(services, notes[-1])
    assert KNOWN > 4
    looked: list[str] = []

    def compare(_services: Services, note: str) -> Memory:
        looked.append(note)
        return Memory(0)

    monkeypatch.setattr("app.transparency.service.remembering._compare", compare)
    for note in notes:
        take_memory(services, note)
    assert looked[:4] == notes[:4]


@on_sqlite
def test_proofs_of_growth_are_public_and_kept_for_ever(services: Services, client: FlaskClient) -> None:
    grow(services, 0, 300)
    size = services.log.head()[0]
    answer: Any = client.get(f"/v1/log/consistency?from=17&to={size}")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (answer.json["from"], answer.json["to"]) == (17, size)
    verify_consistency(
        old_size=17,
        new_size=size,
        old_root=services.log.root_at(17),
        new_root=services.log.root_at(size),
        path=[decode_base64(step) for step in answer.json["path"]],
    )
    assert client.get(f"/v1/log/consistency?from=0&to={size}").get_json()["path"] == []


@on_sqlite
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("from=2&to=1", 404), ("from=1&to=99999", 404), ("from=1&to=9223372036854775807", 404), ("from=1", 422),
        ("from=-1&to=1", 422), ("from=a&to=1", 422), ("from=1&to=9223372036854775808", 422), ("", 422),
        ("from=0.5&to=1", 422),
    ],
)  # fmt: skip
def test_sizes_that_are_none_have_no_proof(services: Services, client: FlaskClient, query: str, status: int) -> None:
    grow(services, 0, 3)
    answer = client.get(f"/v1/log/consistency?{query}")
    assert answer.status_code == status
    assert "immutable" not in answer.headers.get("Cache-Control", "")


def test_a_device_follows_the_ledger_through_a_change_of_keys(
    services: Services, client: FlaskClient, world: World, tmp_path: Path
) -> None:
    key = services.keys[KeyPurpose.STATEMENT]
    registry = StatementSigner(key.key_id, key.private_key)
    memory = LogMemory(tmp_path, "http://localhost")
    memory.believe(client.get("/v1/log").get_json()["keys"][0])

    def call() -> list[object]:
        asked: list[object] = []
        answer = ask(client, world, memory.note).json

        def successions() -> list[object]:
            asked.extend(client.get("/v1/log").get_json()["successions"])
            return asked

        memory.follow(answer["log"], successions)
        return asked

    call()
    rotate_key(services.log, services.checkpoint_keys, registry)
    assert call() == []  # both keys sign: the kept one is enough
    retire_key(services.log, services.checkpoint_keys, registry, at_once=True)
    assert len(call()) == 1
    assert call() == []
    assert count_alarms(services.engine) == 0


def test_a_retired_key_that_signs_again_raises_an_alarm(services: Services, client: FlaskClient, world: World) -> None:
    key = services.keys[KeyPurpose.STATEMENT]
    registry = StatementSigner(key.key_id, key.private_key)
    stolen = log_signer(services)
    rotate_key(services.log, services.checkpoint_keys, registry)
    retire_key(services.log, services.checkpoint_keys, registry, at_once=True)
    size, root = services.log.head()
    note = forged(services, size, signer=stolen, root=root)  # the true root: only the key has no say any more
    assert ask(client, world, note).json["log"]["alarm"] == 1
    assert "a key that was retired" in list_alarms(services.engine)[0].detail


@on_sqlite
@given(text=st.text(max_size=300))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_a_device_sends_is_refused_in_words(services: Services, text: str) -> None:
    note = services.log.checkpoint().note_text
    for sent in (text, note[: len(text)] + text, text + note, note + text):
        if sent not in ("", note):
            with pytest.raises(Malformed):
                take_memory(services, sent)
    assert count_alarms(services.engine) == 0


@on_sqlite
def test_a_hundred_devices_cost_little_more_than_one(services: Services) -> None:
    """Not a benchmark: it fails when a common checkpoint is verified anew on each call."""
    grow(services, 0, 600)
    note = services.log.checkpoint().note_text
    take_memory(services, note)
    began = time.perf_counter()
    for _ in range(1_000):
        take_memory(services, note)
    assert time.perf_counter() - began < 0.05


def scans_in(services: Services) -> int:
    store = open_scan_store(services.settings, services.engine)
    try:
        return store.count()
    finally:
        store.close()
