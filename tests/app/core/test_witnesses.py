"""Witnesses of the service: the policy that the settings name, the loop that asks, and what everybody is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.core.bootstrap import open_services
from app.core.config import Settings
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.core.witness_results import read_results
from app.core.witnesses import has_witnesses, load_policy, witness_until
from app.registry import service as registry
from app.verification import service as verification
from app.verification.answer import VerdictAnswer
from ledger.alarms import AlarmKind, list_alarms
from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import PolicyError
from ledger.note import NoteSigner, NoteVerifier
from ledger.proof import parse_proof
from ledger.statement import RECEIPT_TYPE, verify_statement
from ledger.witness.cosigner import Cosigner
from ledger.witness.protocol import AddCheckpoint
from ledger.witnessing.client import Result
from ledger.witnessing.policy import KnownLog, Policy
from ledger.witnessing.transport import HttpTransport
from tests.app.conftest import close
from tests.app.verification.verdict_builders import World, make_world
from tests.builders import on_sqlite
from tests.serving import free_port, run_command, serving
from tests.small_log import signer
from tests.witness_builders import cosigner_key, make_cosigner, policy_of, served_witness

A, B = cosigner_key("a.example/w"), cosigner_key("b.example/w")
WAIT_SECONDS = 60.0


def write_policy(settings: Settings, policy: Policy | bytes) -> Settings:
    """Settings with a policy file of this content."""
    path = settings.data_dir / "witnesses.policy"
    path.write_bytes(policy if isinstance(policy, bytes) else policy.to_bytes())
    return replace(settings, witness_policy=str(path))


@contextmanager
def running(settings: Settings) -> Iterator[Flask]:
    application = create_app(settings)
    application.testing = True
    yield application
    close(application)


@contextmanager
def witnessing(services: Services) -> Iterator[None]:
    """The worker's loop, while the block lasts."""
    stopping = threading.Event()
    loop = threading.Thread(target=witness_until, args=(stopping, services))
    loop.start()
    try:
        yield
    finally:
        stopping.set()
        loop.join()


def wait_until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)


def witness_of(services: Services, folder: Path) -> Cosigner:
    return make_cosigner(folder, keys=[A], logs=[services.log.verifier], clock=time.time)


def proved_under(world: World, answer: VerdictAnswer) -> str:
    """The checkpoint in the proof of the unit that an answer is about."""
    assert answer.code is not None
    assert answer.code.identity is not None
    with Session(world.services.engine) as session:
        unit = registry.find_unit(session, answer.code.identity)
    assert unit is not None
    return parse_proof(registry.unit_proof(world.services, unit).leaf_proof).checkpoint_note


def services_of(application: Flask) -> Services:
    found: Services = application.extensions["marchamo"]
    return found


@on_sqlite
def test_without_a_policy_nobody_witnesses_and_it_is_said_everywhere(app: Flask, services: Services) -> None:
    assert services.checkpoints.policy == Policy()
    assert not has_witnesses(services)
    world = make_world(services)
    wire = world.ask(world.codes[0]).to_wire()
    assert wire["ledger"]["witnessed"] == {"k": 0, "n": 0, "quorum": False}
    page = app.test_client().get("/transparency").text
    assert "Signed by the register only" in page
    assert "no independent witnesses" in page


def test_a_witnessed_checkpoint_reaches_answers_receipts_proofs_and_pages(settings: Settings, tmp_path: Path) -> None:
    with running(settings) as application:
        cosigner = witness_of(services_of(application), tmp_path)
    with served_witness(cosigner) as url:
        policy = policy_of([A, B], 1, [url])
        with running(write_policy(settings, policy)) as application:
            services = services_of(application)
            assert has_witnesses(services)
            world = make_world(services)
            with witnessing(services):
                wait_until(lambda: services.checkpoints.read().witnessed.k == 1)
            client, size = application.test_client(), services.checkpoints.read().signed.checkpoint.size
            expected = {"k": 1, "n": 2, "quorum": True}

            note = client.get("/log/checkpoint").text
            assert policy.count(note).to_members() == expected
            assert open_checkpoint(note, services.log.keys()).checkpoint.size == size

            answer = world.ask(world.codes[0])
            assert answer.to_wire()["ledger"]["witnessed"] == expected
            key = services.keys[KeyPurpose.RECEIPT].public_key
            receipt = verify_statement(answer.receipt, public_key=key, typ=RECEIPT_TYPE).payload
            assert receipt["witnessed"] == expected
            assert receipt["checkpoint"]["size"] == answer.checkpoint.size == size

            assert policy.count(proved_under(world, answer)).to_members() == expected

            assert Policy.from_bytes(verification.trust_list(services)["witness_policy"].encode()) == policy

            assert "Witnessed by 1 of 2" in client.get("/transparency").text
            assert "Atestiguado por 1 de 2" in client.get("/transparency?lang=es").text


@on_sqlite
def test_a_new_entry_is_provable_before_its_witnesses_have_signed(settings: Settings, tmp_path: Path) -> None:
    with running(write_policy(settings, policy_of([A], 1))) as application:
        services = services_of(application)
        world = make_world(services)
        note = proved_under(world, world.ask(world.codes[0]))
        assert services.checkpoints.policy.count(note).k == 0
        assert application.test_client().get("/log/checkpoint").status_code == 200
        assert "Signed by the register only" in application.test_client().get("/transparency").text


@on_sqlite
def test_too_few_witnesses_are_not_called_enough(settings: Settings, tmp_path: Path) -> None:
    with running(settings) as application:
        cosigner = witness_of(services_of(application), tmp_path)
    with served_witness(cosigner) as url, running(write_policy(settings, policy_of([A, B], 2, [url]))) as application:
        services = services_of(application)
        with witnessing(services):
            wait_until(lambda: services.checkpoints.read().witnessed.k == 1)
        assert services.checkpoints.read().witnessed.to_members() == {"k": 1, "n": 2, "quorum": False}
        assert "Witnessed by only 1 of 2, too few" in application.test_client().get("/transparency").text


@on_sqlite
def test_a_witness_that_saw_another_history_raises_an_alarm_that_is_stored(settings: Settings, tmp_path: Path) -> None:
    with running(settings) as application:
        services = services_of(application)
        make_world(services)
        cosigner = witness_of(services, tmp_path)
        [key] = services.checkpoint_keys.current()
        forked = sign_checkpoint(Checkpoint(services.log.origin, 2, b"\x07" * 32), key).note_text
        assert cosigner.add_checkpoint(AddCheckpoint(0, (), forked).to_bytes()).status == 200
    with served_witness(cosigner) as url, running(write_policy(settings, policy_of([A], 1, [url]))) as application:
        services = services_of(application)
        with witnessing(services):
            wait_until(lambda: bool(list_alarms(services.engine)))
        [alarm] = list_alarms(services.engine)
        assert alarm.kind == AlarmKind.FORK
        assert "another history" in alarm.detail
        assert open_checkpoint(alarm.evidence, services.log.keys()).checkpoint.root == b"\x07" * 32
        assert services.checkpoints.read().witnessed.k == 0


@on_sqlite
def test_one_fork_that_two_witnesses_saw_is_one_alarm(settings: Settings, tmp_path: Path) -> None:
    with running(settings) as application:
        services = services_of(application)
        make_world(services)
        [key] = services.checkpoint_keys.current()
        forked = sign_checkpoint(Checkpoint(services.log.origin, 2, b"\x07" * 32), key).note_text
        cosigners = []
        for name, witness_key in (("a", A), ("b", B)):
            (tmp_path / name).mkdir()
            cosigner = make_cosigner(tmp_path / name, keys=[witness_key], logs=[services.log.verifier], clock=time.time)
            assert cosigner.add_checkpoint(AddCheckpoint(0, (), forked).to_bytes()).status == 200
            cosigners.append(cosigner)
    with ExitStack() as stack:
        urls = [stack.enter_context(served_witness(cosigner)) for cosigner in cosigners]
        services = services_of(stack.enter_context(running(write_policy(settings, policy_of([A, B], 1, urls)))))

        def both_contradict() -> bool:
            return [one.result for one in read_results(settings.data_dir).values()] == [Result.CONTRADICTED] * 2

        with witnessing(services):
            wait_until(both_contradict)
        assert [alarm.kind for alarm in list_alarms(services.engine)] == [AlarmKind.FORK]


@on_sqlite
@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (b"quorum absent\n", "line 1: the quorum absent is not defined"),
        (b"", "must end in a newline"),
        (policy_of([A], 1, ["ftp://a.example"]), "ftp://a.example is not the address of a witness"),
        (replace(policy_of([A], 1), logs=(KnownLog(signer("other.example/log").verifier),)), "names other logs than"),
        (b"witness \xff " + A.verifier.to_text().encode() + b"\nquorum \xff\n", "its names must be UTF-8"),
    ],
)
def test_a_policy_that_cannot_be_used_stops_the_start(settings: Settings, policy: Policy | bytes, reason: str) -> None:
    wrong = write_policy(settings, policy)
    with pytest.raises(PolicyError, match=reason):
        open_services(wrong)


@on_sqlite
def test_a_policy_that_names_this_log_is_used(settings: Settings) -> None:
    log = NoteSigner.generate(settings.effective_log_origin).verifier
    policy = replace(policy_of([A], 1), logs=(KnownLog(log),))
    assert load_policy(write_policy(settings, policy)) == policy


def test_the_command_says_in_a_sentence_why_it_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "witnesses.policy"
    done = run_command("serve", "--prepare", data_dir=tmp_path, witness_policy=path)
    assert done.returncode == 3
    assert done.stderr == f"marchamo: the witness policy {path} cannot be read: No such file or directory\n"


def test_the_worker_of_a_running_server_finds_witnesses_that_come_up_later(tmp_path: Path) -> None:
    port = free_port()
    policy = policy_of([A], 1, [f"http://127.0.0.1:{port}/w"])
    path = tmp_path / "witnesses.policy"
    path.write_bytes(policy.to_bytes())
    transport = HttpTransport()
    with serving(tmp_path, "--prepare", witness_policy=path) as server:
        server.wait_until_healthy()
        [key] = json.loads(transport.get(f"{server.url}/v1/log").body)["keys"]
        assert policy.count(transport.get(f"{server.url}/log/checkpoint").body).k == 0
        wait_until(lambda: '"result": "unreachable"' in server.printed())
        folder = tmp_path / "witness"
        folder.mkdir()
        cosigner = make_cosigner(folder, keys=[A], logs=[NoteVerifier.from_text(key)], clock=time.time)
        with served_witness(cosigner, port):
            wait_until(lambda: policy.count(transport.get(f"{server.url}/log/checkpoint").body).k == 1)
        assert server.stop() == 0
    transport.close()
    assert '"result": "cosigned"' in server.printed()


def test_the_policy_is_shown_among_the_settings(tmp_path: Path) -> None:
    assert "MARCHAMO_WITNESS_POLICY" in run_command("config", data_dir=tmp_path).stdout
