"""A registry that shows a device two histories: `marchamo scan` finds it, keeps the proof, and the registry says so."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from app.core.authorisation import Role
from app.core.config import Settings
from app.core.services import Services
from app.verification.parts import close_parts
from ledger.checkpoint import open_checkpoint
from ledger.note import NoteVerifier
from tests.log_builders import new_entry
from tests.scanners.conftest import SmallRegistry, make_small_registry
from tests.serving import run_command, serving


@dataclass(frozen=True)
class Twins:
    """Two data folders of one registry with the same keys, each of which went on by itself."""

    registry: SmallRegistry
    first: Path
    second: Path

    @property
    def port(self) -> int:
        return int(self.registry.settings.public_url.rsplit(":", 1)[1])


def go_on(settings: Settings, folder: Path, numbers: range) -> None:
    """Record entries in one of the folders."""
    application = create_app(replace(settings, data_dir=folder))
    services: Services = application.extensions["marchamo"]
    services.log.append_many([new_entry(number) for number in numbers])
    services.log.checkpoint(at_least=services.log.head()[0])
    close_parts(services)
    services.engine.dispose()


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    registry = make_small_registry(tmp_path_factory.mktemp("registry"))
    folders = [tmp_path_factory.mktemp("twins") / name for name in ("first", "second")]
    for folder, numbers in zip(folders, (range(10), range(100, 120)), strict=True):
        shutil.copytree(registry.settings.data_dir, folder)
        go_on(registry.settings, folder, numbers)
    return Twins(registry, *folders)


def scan(twins: Twins, folder: Path, state: Path, role: Role | None) -> tuple[int, str, int]:
    """Serve one folder and scan a code of it: exit code, what is told, and how many alarms the registry has."""
    more: dict[str, Any] = {} if role is None else {"api_key": twins.registry.api_keys[role]}
    with serving(folder, port=twins.port) as server:
        server.wait_until_healthy()
        code = twins.registry.codes[0].encode()
        done = run_command("scan", "-", "--json", given=code, server=server.url, state=state, **more)
        return done.returncode, done.stderr, server.health()["ledger_alarms"]


@pytest.mark.parametrize(
    "role", [None, pytest.param(Role.INSPECTOR, marks=pytest.mark.long)], ids=["public", "professional"]
)
def test_a_device_that_is_shown_two_histories_proves_it(twins: Twins, tmp_path: Path, role: Role | None) -> None:
    assert scan(twins, twins.first, tmp_path, role)[0] in (0, 1)
    [memory] = list(tmp_path.iterdir())
    kept = json.loads(memory.read_text())["checkpoint"]
    exit_code, said, alarms = scan(twins, twins.second, tmp_path, role)
    assert exit_code == 4, said
    assert "contradicts what it showed before" in said
    assert "Traceback" not in said
    assert alarms >= 1
    [evidence] = list(tmp_path.glob("contradiction-*.json"))
    assert str(evidence) in said
    found = json.loads(evidence.read_text())
    assert found["kept"] == kept
    # Anybody with the key can see that one key signed both, and that they are of two histories.
    key = NoteVerifier.from_text(found["keys"][0])
    first, second = (open_checkpoint(note, key).checkpoint for note in (found["kept"], found["shown"]["checkpoint"]))
    assert first.origin == second.origin
    assert first != second
    # It goes on saying so, and it stays one alarm.
    assert scan(twins, twins.second, tmp_path, role)[::2] == (4, alarms)


def test_a_device_that_comes_back_to_one_ledger_is_content(twins: Twins, tmp_path: Path) -> None:
    for _ in range(2):
        exit_code, said, _ = scan(twins, twins.first, tmp_path, Role.INSPECTOR)
        assert exit_code == 0
        assert said == ""
