"""`marchamo key` and `marchamo sign` against a listening registry: with a network, broken off, and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from app.accounts import service as accounts
from app.accounts.vocabulary import KeyHolder
from app.core.authorisation import Role
from app.core.services import Services
from app.registry import service as registry
from app.registry.service import CommissionRequest
from scanners import sign_cli
from scanners.client import Registry
from scanners.key_cli import key as key_command
from scanners.sign_cli import sign as sign_command
from tests.app.registry.registry_builders import Firm, commissioned, make_firm
from tests.builders import api_key, gtin, on_sqlite

pytestmark = on_sqlite

PASSPHRASE = "correct horse battery"


@dataclass(frozen=True)
class Desk:
    """A firm's own machine: its key file, and the registry's address."""

    services: Services
    firm: Firm
    folder: Path
    server: str
    api_key: str

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    def run(self, *arguments: object, command: str = "sign", network: bool = True) -> Result:
        given = [*map(str, arguments)]
        if network:
            given += ["--server", self.server, "--api-key", self.api_key]
        chosen = sign_command if command == "sign" else key_command
        return CliRunner().invoke(chosen, given)

    def sign(self, *arguments: object, network: bool = True) -> Result:
        secret = self.folder / "passphrase"
        return self.run(*arguments, "--key", self.key, "--passphrase-file", secret, network=network)

    def batch(self, quantity: int = 1_300) -> registry.Batch:
        asked = CommissionRequest(product=gtin(), quantity=quantity, lot="L1", expiry="271231")
        return commissioned(self.services, self.firm.organisation, asked)

    def codes(self, batch: registry.Batch) -> int:
        stem = self.services.settings.code_stem
        with Session(self.services.engine) as session:
            return len(list(registry.codes_of_batch(session, self.services.sealer, batch, stem=stem)))


@pytest.fixture
def server(app: Flask) -> Iterator[str]:
    listening = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def desk(services: Services, server: str, tmp_path: Path) -> Desk:
    """A machine with a key that is registered."""
    firm = make_firm(services)
    folder = tmp_path / "firm"
    folder.mkdir()
    (folder / "passphrase").write_text(PASSPHRASE + "\n")
    made = Desk(services, firm, folder, server, api_key(services, Role.OWNER, organisation=firm.organisation))
    secret = ("--passphrase-file", folder / "passphrase")
    for arguments, network in ((("new", "--out", made.key), False), (("register", "--key", made.key), True)):
        done = made.run(*arguments, *secret, command="key", network=network)
        assert done.exit_code == 0, done.output
    return made


def test_a_key_made_and_registered_by_command_is_the_firms_key_in_use(desk: Desk) -> None:
    with Session(desk.services.engine) as session:
        in_use = accounts.code_key_in_use(session, organisation_id=desk.firm.id)
    assert in_use.holder is KeyHolder.FIRM
    secret = desk.folder / "passphrase"
    shown = desk.run("show", "--key", desk.key, "--passphrase-file", secret, command="key", network=False)
    assert "fingerprint" in shown.output
    again = desk.run("register", "--key", desk.key, "--passphrase-file", secret, command="key")
    assert (again.exit_code, "registered already" in again.output) == (1, True)
    assert desk.run("new", "--out", desk.key, "--passphrase-file", secret, command="key", network=False).exit_code == 3


def test_one_command_signs_a_batch_and_its_labels_can_be_printed(desk: Desk) -> None:
    batch = desk.batch()
    done = desk.sign(batch.handle, "--gtin", gtin(), "--lot", "L1", "--units", batch.quantity)
    assert done.exit_code == 0, done.output
    assert "1,300 units of GTIN" in done.output
    assert desk.codes(batch) == batch.quantity
    again = desk.sign(batch.handle)
    assert (again.exit_code, "closed before" in again.output) == (0, True)


def test_a_batch_that_is_not_the_one_that_was_named_is_not_signed(desk: Desk) -> None:
    batch = desk.batch()
    for wrong in (("--gtin", gtin(2)), ("--lot", "L2"), ("--units", 1_299)):
        done = desk.sign(batch.handle, *wrong)
        assert (done.exit_code, "than you named" in done.output) == (1, True)
    with Session(desk.services.engine) as session:
        assert registry.signing_of(session, batch).signed == 0


def test_signing_goes_on_where_it_was_broken_off(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = desk.batch()
    monkeypatch.setattr(sign_cli, "PART", 512)

    put = sign_cli._Uploads._put

    def broken(uploads: sign_cli._Uploads, position: int, part: bytes, after: str | None) -> dict[str, Any]:
        if position >= 1_024:
            raise OSError(5, "the plug was pulled")
        return put(uploads, position, part, after)

    monkeypatch.setattr(sign_cli._Uploads, "_put", broken)
    assert desk.sign(batch.handle).exit_code == 3
    with Session(desk.services.engine) as session:
        assert registry.signing_of(session, batch).first_unsigned == 1_024
    monkeypatch.setattr(sign_cli._Uploads, "_put", put)
    assert desk.sign(batch.handle).exit_code == 0
    assert desk.codes(batch) == batch.quantity


def test_a_machine_without_a_network_signs_what_is_carried_to_it(desk: Desk) -> None:
    batch = desk.batch()
    order, signatures = desk.folder / "order.json", desk.folder / "signatures"
    assert desk.run(batch.handle, "--export", order).exit_code == 0
    signed = desk.sign("--from", order, "--out", signatures, "--gtin", gtin(), network=False)
    assert signed.exit_code == 0, signed.output
    handed_in = desk.run("--upload", signatures)
    assert handed_in.exit_code == 0, handed_in.output
    assert desk.codes(batch) == batch.quantity


def test_an_order_that_was_changed_on_the_way_is_not_signed(desk: Desk) -> None:
    batch = desk.batch(quantity=20)
    order, signatures = desk.folder / "order.json", desk.folder / "signatures"
    desk.run(batch.handle, "--export", order)
    members = json.loads(order.read_text())
    for changed in ({"serials": members["serials"][:-1]}, {"elements": [["10", "L9"]]}, {"format": "x"}):
        order.write_text(json.dumps(members | changed))
        assert desk.sign("--from", order, "--out", signatures, network=False).exit_code == 1
    assert not signatures.exists()


def test_the_wrong_key_and_the_wrong_use_are_told(desk: Desk) -> None:
    batch = desk.batch(quantity=2)
    other = desk.folder / "other.pem"
    secret = desk.folder / "passphrase"
    desk.run("new", "--out", other, "--passphrase-file", secret, command="key", network=False)
    wrong = desk.run(batch.handle, "--key", other, "--passphrase-file", secret)
    assert (wrong.exit_code, "not the one in this file" in wrong.output) == (1, True)
    assert desk.run().exit_code == 2
    assert desk.run(batch.handle).exit_code == 2
    assert desk.sign("ZZZZZ").exit_code == 1
    assert desk.sign(batch.handle, network=False).exit_code == 2


def test_serials_that_are_not_the_batch_on_the_ledger_get_no_signature(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry in wrong hands describes a batch of ours and gives serials of its own on the way."""
    batch = desk.batch(quantity=9_000)  # more than one page
    real, handed_in = Registry.signing_page, list[int]()

    def signing_page(self: Registry, handle: str, start: int, after: str | None = None) -> dict[str, Any]:
        page = real(self, handle, start, after)
        if start == 0:
            page["serials"][10] += "0"
        return page

    def put_signatures(_self: Registry, _handle: str, start: int, *_given: object) -> dict[str, Any]:
        handed_in.append(start)
        return {}

    monkeypatch.setattr(Registry, "signing_page", signing_page)
    monkeypatch.setattr(Registry, "put_signatures", put_signatures)
    refused = desk.sign(batch.handle)
    assert (refused.exit_code, handed_in) == (1, []), refused.output
