"""`marchamo device` and `marchamo scan --device` as their users run them: a real server, a key file, a queue."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import Principal, Role
from app.core.bootstrap import open_services
from app.core.services import Services
from app.devices import service as devices
from app.devices.models import DeviceStatementRow
from scanners.device import ENROL_SCHEME, device_path
from tests.app.devices.device_builders import person_of
from tests.builders import make_approved
from tests.scanners.conftest import SmallRegistry
from tests.serving import Server, free_port, run_command


@pytest.fixture(scope="module")
def services(small_registry: SmallRegistry) -> Iterator[Services]:
    opened = open_services(small_registry.settings)
    yield opened
    opened.engine.dispose()


@pytest.fixture(scope="module")
def inspector(services: Services) -> Principal:
    organisation = make_approved(services, kind=OrganisationKind.AUTHORITY)
    return person_of(services, organisation, Role.INSPECTOR)[1]


@pytest.fixture
def device(services: Services, inspector: Principal, server: Server, tmp_path: Path) -> dict[str, Any]:
    """The variables of a machine that was just enrolled."""
    code = devices.request_code(services, principal=inspector).code
    at: dict[str, Any] = {"server": server.url, "state": tmp_path}
    done = run_command("device", "enrol", code, "--name", "phone 7", **at)
    assert done.returncode == 0, done.stderr
    return at


def lines(texts: list[str]) -> bytes:
    return "\n".join(texts).encode()


def shown(device: dict[str, Any]) -> dict[str, Any]:
    done = run_command("device", "show", "--json", **device)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_machine_becomes_a_device_and_scans_as_its_person(
    device: dict[str, Any], small_registry: SmallRegistry, services: Services, inspector: Principal
) -> None:
    [path] = [path for path in device["state"].iterdir() if path.name.startswith("device-") and path.suffix == ".json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    done = run_command("scan", "--json", "--device", "-", given=lines(small_registry.codes[:3]), **device)
    assert done.returncode == 0, done.stderr
    assert {row["summary"] for row in json.loads(done.stdout)} == {"PASS"}
    told = shown(device)
    assert (told["role"], told["last_number"], told["waiting"], told["refused"]) == ("inspector", 3, 0, 0)
    with Session(services.engine) as session:
        found = devices.find_device_for(session, inspector, told["device"])
        standings = session.scalars(
            select(DeviceStatementRow.standing).where(DeviceStatementRow.device_id == told["device"])
        ).all()
    assert found.counts.received == 3
    assert standings == ["good"] * 3


def test_scans_made_offline_wait_and_are_sent_later(
    device: dict[str, Any], small_registry: SmallRegistry, services: Services, tmp_path: Path
) -> None:
    trust = tmp_path / "trust.json"
    trust.write_bytes(small_registry.trust)
    done = run_command(
        "scan", "--json", "--device", "--trust", trust, "-", given=lines(small_registry.codes[:2]), **device
    )
    assert done.returncode == 0, done.stderr
    assert shown(device)["waiting"] == 2
    sent = run_command("device", "send", **device)
    assert (sent.returncode, sent.stdout) == (0, "2 handed in.\n")
    assert shown(device)["waiting"] == 0
    with Session(services.engine) as session:
        rows = session.scalars(
            select(DeviceStatementRow).where(DeviceStatementRow.device_id == shown(device)["device"])
        ).all()
    assert [row.standing for row in rows] == ["good", "good"]


def test_what_could_not_be_sent_goes_with_the_next_scan(device: dict[str, Any], small_registry: SmallRegistry) -> None:
    path = device_path(device["state"], device["server"])
    kept = path.read_text()
    nowhere = f"http://127.0.0.1:{free_port()}/oauth/token"
    path.write_text(kept.replace(f"{device['server']}/oauth/token", nowhere))
    done = run_command("scan", "--json", "--device", "-", given=lines(small_registry.codes[:2]), **device)
    assert done.returncode == 3
    assert "does not accept this device" in done.stderr, "an assertion for another audience"
    assert shown(device)["waiting"] == 2
    path.write_text(kept)
    done = run_command("scan", "--json", "--device", "-", given=lines(small_registry.codes[2:3]), **device)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 1
    assert (shown(device)["waiting"], shown(device)["last_number"]) == (0, 3)


def test_a_lease_is_renewed_until_the_device_is_revoked(
    device: dict[str, Any], small_registry: SmallRegistry, services: Services, inspector: Principal
) -> None:
    assert run_command("device", "renew", **device).returncode == 0
    device_id = shown(device)["device"]
    devices.revoke_device(services, principal=inspector, device_id=device_id, reason="Test.")
    done = run_command("device", "renew", **device)
    assert (done.returncode, "was revoked" in done.stderr) == (1, True)
    done = run_command("scan", "--device", "-", given=lines(small_registry.codes[:1]), **device)
    assert (done.returncode, "does not accept this device" in done.stderr) == (3, True)
    assert shown(device)["waiting"] == 1


def test_an_old_copy_of_the_queue_is_found_out(device: dict[str, Any], small_registry: SmallRegistry) -> None:
    queue = device_path(device["state"], device["server"]).with_suffix(".db")
    shown(device)
    before = queue.read_bytes()
    assert run_command("scan", "--device", "-", given=lines(small_registry.codes[:1]), **device).returncode == 0
    queue.write_bytes(before)
    done = run_command("scan", "--json", "--device", "-", given=lines(small_registry.codes[:1]), **device)
    assert json.loads(done.stdout)[0]["reasons"] == ["device_sequence"]
    told = shown(device)
    assert (told["waiting"], told["refused"]) == (0, 1)
    assert "another scan under the number 1" in told["refusals"]["1"]


def test_a_machine_that_is_no_device_is_told_what_to_do(server: Server, tmp_path: Path) -> None:
    done = run_command("scan", "--device", "-", given=b"x", server=server.url, state=tmp_path)
    assert (done.returncode, "marchamo device enrol" in done.stderr) == (3, True)
    done = run_command("device", "enrol", "0000000000", server=server.url, state=tmp_path)
    assert (done.returncode, "not known" in done.stderr) == (1, True)
    for no_code in ("", "ABCDE", "A" * 500):
        done = run_command("device", "enrol", no_code, server=server.url, state=tmp_path)
        assert (done.returncode, "ten letters and digits" in done.stderr) == (2, True)
    assert list(tmp_path.glob("device-*.json")) == []


def test_the_text_of_the_picture_enrols_too(
    services: Services, inspector: Principal, server: Server, tmp_path: Path
) -> None:
    code = devices.request_code(services, principal=inspector).code
    done = run_command("device", "enrol", f"{ENROL_SCHEME}{server.url}#{code}", "--name", "tablet", state=tmp_path)
    assert done.returncode == 0, done.stderr
    assert device_path(tmp_path, server.url).exists()
    again = run_command("device", "enrol", "0000000000", server=server.url, state=tmp_path)
    assert (again.returncode, "already" in again.stderr) == (3, True)


def test_a_key_that_others_can_read_is_not_used(device: dict[str, Any]) -> None:
    path = device_path(device["state"], device["server"])
    path.chmod(0o644)
    done = run_command("device", "show", **device)
    assert (done.returncode, "Others can read" in done.stderr) == (3, True)
    path.chmod(0o600)
    path.write_text("{}")
    assert "damaged" in run_command("device", "show", **device).stderr


def test_the_key_is_in_no_output(device: dict[str, Any]) -> None:
    key = json.loads(device_path(device["state"], device["server"]).read_text())["private_key"]
    for arguments in (("device", "show"), ("device", "show", "--json"), ("device", "renew"), ("device", "send")):
        done = run_command(*arguments, **device)
        assert key not in done.stdout + done.stderr
