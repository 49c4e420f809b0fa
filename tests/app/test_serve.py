"""`marchamo serve` as a process: it starts, keeps its children alive, and ends without leaving anybody behind."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.core.bootstrap import open_services
from app.core.config import Settings
from app.demo.parties import FILE
from tests.log_builders import new_entry
from tests.serving import Server, free_port, run_command, serving

PATIENCE_SECONDS = 30.0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an empty, migrated database; tests serve copies of it."""
    folder = tmp_path_factory.mktemp("prepared")
    assert run_command("migrate", data_dir=folder).returncode == 0
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    """A healthy server."""
    with serving(folder) as started:
        started.wait_until_healthy()
        yield started


def eventually(happened: Callable[[], Any]) -> Any:
    """What `happened` gives once it gives something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            found = happened()
        except (OSError, psutil.NoSuchProcess):
            found = None
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it never happened")


def test_the_first_start_seeds_a_demo_firm_and_the_second_keeps_it(tmp_path: Path) -> None:
    firms, ledgers, port = [], [], free_port()
    for how in (signal.SIGINT, signal.SIGTERM):
        with serving(tmp_path, "--prepare", "--demo-firm", port=port) as started:
            ledgers.append(started.wait_until_healthy()["ledger_size"])
            printed = started.printed()
            firms.append(json.loads((tmp_path / FILE).read_text()))
            asked_at = time.monotonic()
            assert started.stop(how) == 0
            assert time.monotonic() - asked_at < 10
            assert started.left_behind() == []
        # Password, batch and one code of it are on the screen.
        for shown in (firms[-1]["firm"]["password"], firms[-1]["batch"], f"{started.url}/01/".upper()):
            assert shown in printed
        assert "Traceback" not in printed
    assert firms[0] == firms[1]
    assert ledgers[1] - ledgers[0] in (0, 1)  # nothing but the worker's statement of the subject map


def test_another_public_address_does_not_rename_the_log_unnoticed(folder: Path) -> None:
    services = open_services(Settings(data_dir=folder, public_url="https://old.example"))
    services.log.append(new_entry(1))
    services.log.checkpoint(at_least=1)
    services.engine.dispose()
    done = run_command("serve", data_dir=folder, public_url="https://new.example", port=free_port())
    assert done.returncode == 3
    assert "set MARCHAMO_LOG_ORIGIN=old.example/log" in done.stderr
    moved: dict[str, Any] = {"public_url": "https://new.example", "log_origin": "old.example/log"}
    with serving(folder, **moved) as started:
        # The same log: one entry, and the worker's statement of the subject map if it was quick.
        assert started.wait_until_healthy()["ledger_size"] in (1, 2)


def test_a_killed_worker_is_started_again(server: Server) -> None:
    first = eventually(lambda: server.child("worker"))
    first.kill()
    second = eventually(lambda: (found := server.child("worker")) and found.pid != first.pid and found)
    assert second.is_running()
    assert server.health()["status"] == "ok"
    assert "worker ended, starting it again" in server.printed()
    assert server.stop() == 0
    assert server.left_behind() == []


def test_a_killed_http_process_is_started_again(server: Server) -> None:
    http = server.child("http")
    assert http is not None
    (answering,) = [child for child in http.children() if child.cmdline()[-1:] == ["http"]]
    answering.kill()
    eventually(lambda: all(child.pid != answering.pid for child in http.children()) and http.children())
    assert eventually(server.health)["status"] == "ok"


def test_the_end_of_the_http_server_ends_all(server: Server) -> None:
    server.children()
    http = server.child("http")
    assert http is not None
    http.kill()
    assert server.process.wait(PATIENCE_SECONDS) != 0
    assert server.left_behind() == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL") or not Path("/proc").is_dir(), reason="needs Linux")
def test_a_killed_keeper_leaves_no_orphan_that_holds_the_port(server: Server) -> None:
    server.children()
    server.process.kill()
    server.process.wait(5)
    _, alive = psutil.wait_procs(list(server.family), timeout=PATIENCE_SECONDS)
    assert alive == []
    socket.create_server(("127.0.0.1", server.port)).close()


def test_no_answering_process_outlives_keeper_and_http_parent_killed_together(server: Server) -> None:
    parents = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children()]
    answering = server.children()
    for process in parents:
        process.kill()
    server.process.wait(5)
    _, alive = psutil.wait_procs(answering, timeout=PATIENCE_SECONDS)
    assert alive == []
    socket.create_server(("127.0.0.1", server.port)).close()


def test_a_port_that_is_taken_ends_with_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_command("serve", data_dir=folder, port=port)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr


def test_a_second_server_does_not_share_the_port_of_the_first(server: Server, prepared: Path) -> None:
    done = run_command("serve", data_dir=prepared, port=server.port)
    assert done.returncode == 3
    assert "cannot be listened on" in done.stderr
    assert server.health()["status"] == "ok"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"data_dir": "nowhere"}, "the database cannot be used"),
        ({"port": 99_999}, "cannot be listened on"),
        ({"host": "no-such-host.invalid"}, "cannot be listened on"),
        ({"database_url": "mysql://root:hidden@localhost/x"}, "MARCHAMO_DATABASE_URL must start with"),
        ({"database_url": "postgresql://root:hidden@127.0.0.1:1/x"}, "the database cannot be used"),
        ({"key_encryption_key": "hidden"}, "MARCHAMO_KEY_ENCRYPTION_KEY cannot be read"),
    ],
)
def test_what_cannot_be_served_ends_with_one_line_and_no_secret(
    folder: Path, tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    done = run_command("serve", folder=tmp_path, **{"data_dir": folder} | settings)
    assert done.returncode == 3
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hidden" not in done.stderr + done.stdout
