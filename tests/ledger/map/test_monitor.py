"""Watching a log from outside: a map that its leaves do not give is found by anybody with the public files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from ledger.cli.maps import map_group, monitor_log
from ledger.errors import NoteError
from ledger.export import export
from ledger.keys.trust_root import keys_to_members
from ledger.leaf import Leaf
from ledger.log import Log
from ledger.map.files import MapFiles, read_line
from ledger.map.monitor import FaultKind, MonitorReport, PublicMap, monitor
from ledger.map.state_proof import ShownEntry
from ledger.map.subject_map import MapChange, build_map
from ledger.note import NoteSigner
from ledger.storage.map_sql import MapHead, write_map
from ledger.strict import encode_base64
from ledger.tiles import parse_entry_bundle
from tests.ledger.map.map_builders import MAP_KEY_ID, MappedLog
from tests.log_builders import Clock


@pytest.fixture
def database_kind() -> str:
    """One kind: what the database gives is tested with the map's keeper, here are the files."""
    return "sqlite"


@pytest.fixture
def mapped(log: Log, engine: Engine, clock: Clock) -> MappedLog:
    """A log with several maps among 600 entries about 90 subjects."""
    mapped = MappedLog(log, engine, clock)
    for step in range(6):
        mapped.record_many([f"subject {step * number % 90}" for number in range(100)])
        mapped.record("several", f"subject {step}", "things")
        if step != 3:
            mapped.publish()
    return mapped


def exported(mapped: MappedLog, folder: Path) -> Path:
    mapped.clock.now += 2
    export(mapped.log, folder, maps=MapFiles(mapped.log, mapped.engine))
    return folder


def watch(mapped: MappedLog, folder: Path) -> MonitorReport:
    return monitor(lambda path: (folder / path).read_bytes(), log_keys=mapped.verifier, map_keys=mapped.map_keys)


def kinds(report: MonitorReport) -> list[tuple[FaultKind, int]]:
    return [(fault.kind, fault.entry) for fault in report.faults]


def test_an_honest_log_has_no_faults(mapped: MappedLog, tmp_path: Path) -> None:
    report = watch(mapped, exported(mapped, tmp_path))
    assert report.faults == ()
    assert report.maps == 5
    assert report.checkpoint.size == 6 * 101 + 5
    assert report.tags == 6 * 103 + 5
    assert report.latest is not None
    assert report.latest.size == 6 * 101 + 4


def test_a_log_without_a_map_is_said_to_have_none(log: Log, engine: Engine, clock: Clock, tmp_path: Path) -> None:
    mapped = MappedLog(log, engine, clock)
    mapped.record("a")
    report = watch(mapped, exported(mapped, tmp_path))
    assert (report.maps, report.latest, report.faults) == (0, None, ())


def test_a_false_map_is_found(mapped: MappedLog, tmp_path: Path) -> None:
    """The registry hides the last entry: it states a map without its tags."""
    with mapped.engine.connect() as connection:
        rows = connection.exec_driver_sql('SELECT tag, "index" FROM ledger_tags ORDER BY tag').fetchall()
    size = mapped.log.head()[0]
    hidden = mapped.record("the unit")
    false_root = build_map([(bytes(tag), index) for tag, index in rows]).root
    index = mapped.log.append(mapped.map_entry(hidden + 1, false_root)).index
    write_false_head(mapped, hidden + 1, false_root, index)
    assert size == hidden
    assert kinds(watch(mapped, exported(mapped, tmp_path))) == [(FaultKind.MAP_ROOT, index)]


def write_false_head(mapped: MappedLog, size: int, root: bytes, entry: int) -> None:
    """Write a head of the map as a liar would, so that its statement is published."""
    with mapped.engine.begin() as connection:
        earlier = mapped.map.head()
        write_map(connection, earlier=earlier, head=MapHead(size, root, entry, 0), change=MapChange((), root))


def test_a_map_that_goes_back_or_ahead_is_found(mapped: MappedLog, tmp_path: Path) -> None:
    head = mapped.map.head()
    assert head is not None
    back = mapped.log.append(mapped.map_entry(5, head.root)).index
    ahead = mapped.log.append(mapped.map_entry(back + 100, head.root)).index
    for at, (size, entry) in enumerate(((head.size + 1, back), (head.size + 2, ahead))):
        write_false_head(mapped, size, bytes([at]) * 32, entry)
    assert kinds(watch(mapped, exported(mapped, tmp_path))) == [(FaultKind.MAP_SIZE, back), (FaultKind.MAP_SIZE, ahead)]


def test_a_map_that_is_in_the_leaves_but_not_published_is_found(mapped: MappedLog, tmp_path: Path) -> None:
    index = mapped.log.append(mapped.map_entry(3, bytes(32))).index
    assert kinds(watch(mapped, exported(mapped, tmp_path))) == [(FaultKind.MAP_STATEMENT, index)]


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line | {"index": 3},
        lambda line: line | {"index": -1},
        lambda line: line | {"salt": encode_base64(bytes(32))},
        lambda line: line | {"body": line["body"].replace("ledger.map", "ledger.mop")},
        lambda line: line | {"body": "é"},
        lambda line: line | {"more": 1},
        lambda line: {"index": line["index"]},
    ],
)
def test_a_published_statement_that_is_not_the_one_in_the_log_is_found(
    mapped: MappedLog, tmp_path: Path, change: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    path = exported(mapped, tmp_path) / "maps/0"
    lines = path.read_bytes().splitlines()
    index = json.loads(lines[1])["index"]
    lines[1] = json.dumps(change(json.loads(lines[1]))).encode()
    path.write_bytes(b"\n".join(lines))
    assert kinds(watch(mapped, tmp_path)) == [(FaultKind.MAP_STATEMENT, index)]


def test_a_map_of_another_key_is_found(mapped: MappedLog, tmp_path: Path) -> None:
    folder = exported(mapped, tmp_path)
    stranger = {MAP_KEY_ID: Ed25519PrivateKey.generate().public_key()}
    report = monitor(lambda path: (folder / path).read_bytes(), log_keys=mapped.verifier, map_keys=stranger)
    assert {fault.kind for fault in report.faults} == {FaultKind.MAP_STATEMENT}
    assert len(report.faults) == 5


def test_changed_leaves_are_found(mapped: MappedLog, tmp_path: Path) -> None:
    path = exported(mapped, tmp_path) / "tile/entries/001"
    honest = path.read_bytes()
    leaves = [Leaf.from_bytes(data) for data in parse_entry_bundle(honest, 256)]
    for at in (3, 40, 70, len(honest) - 1):
        path.write_bytes(honest[:at] + bytes([honest[at] ^ 1]) + honest[at + 1 :])
        found = {kind for kind, _ in kinds(watch(mapped, tmp_path))}
        assert found & {FaultKind.LEAF, FaultKind.ROOT}
    assert leaves[1].prev == leaves[0].hash()


def test_a_tag_that_two_entries_bear_is_found() -> None:
    public = PublicMap()
    assert public.add(b"\x01" * 16, 5) is None
    assert public.add(b"\x01" * 15 + b"\x02", 6) is None
    assert public.add(b"\x01" * 16, 9) == 5
    assert public.root() == build_map([(b"\x01" * 16, 5), (b"\x01" * 15 + b"\x02", 6)]).root


def test_a_checkpoint_of_another_log_is_refused(mapped: MappedLog, tmp_path: Path) -> None:
    folder = exported(mapped, tmp_path)
    other = NoteSigner.generate(mapped.log.origin).verifier
    with pytest.raises(NoteError):
        monitor(lambda path: (folder / path).read_bytes(), log_keys=other, map_keys=mapped.map_keys)


def test_the_latest_map_is_published_with_its_proof(mapped: MappedLog, tmp_path: Path) -> None:
    members = json.loads((exported(mapped, tmp_path) / "map").read_bytes())
    shown = ShownEntry.from_members(members["entry"])
    head = mapped.map.head()
    assert head is not None
    assert shown.index == head.entry
    assert members["checkpoint"].startswith(f"{mapped.log.origin}\n{mapped.log.head()[0]}\n")
    line = (tmp_path / "maps/0").read_bytes().splitlines()[-1]
    assert read_line(line) == (head.entry, shown.content)


@pytest.mark.parametrize(("seconds", "warned"), [(-1, True), (3_600, False)])
def test_an_expired_trust_list_is_used_with_a_warning(
    mapped: MappedLog, tmp_path: Path, seconds: int, *, warned: bool
) -> None:
    folder, trust = exported(mapped, tmp_path / "log"), tmp_path / "trust.json"
    keys = {MAP_KEY_ID: encode_base64(mapped.key.public_key().public_bytes_raw())}
    members = {"log_keys": keys_to_members(mapped.log.keys()), "statement_keys": keys}
    trust.write_text(json.dumps(members | {"expires_at": int((time.time() + seconds) * 1000)}))
    told = CliRunner().invoke(monitor_log, [str(folder), "--trust", str(trust)])
    assert told.exit_code == 0, told.output
    assert ("has expired" in told.stderr) is warned


def test_the_monitor_command_says_what_is_wrong(mapped: MappedLog, tmp_path: Path) -> None:
    folder = exported(mapped, tmp_path / "log")
    trust = tmp_path / "trust.json"
    keys = {MAP_KEY_ID: encode_base64(mapped.key.public_key().public_bytes_raw())}
    trust.write_text(json.dumps({"log_keys": keys_to_members(mapped.log.keys()), "statement_keys": keys}))
    told = CliRunner().invoke(monitor_log, [str(folder), "--trust", str(trust)])
    assert told.exit_code == 0, told.output
    assert "5 maps; the latest is of size 610; 0 faults" in told.output
    (folder / "maps/0").write_bytes(b"")
    told = CliRunner().invoke(monitor_log, [str(folder), "--trust", str(trust), "--json"])
    assert told.exit_code == 1
    assert {fault["kind"] for fault in json.loads(told.output)["faults"]} == {"map_statement"}
    (folder / "checkpoint").unlink()
    assert CliRunner().invoke(monitor_log, [str(folder), "--trust", str(trust)]).exit_code == 3
    trust.write_text("{}")
    assert CliRunner().invoke(monitor_log, [str(folder), "--trust", str(trust)]).exit_code == 3


class Context:
    """What the commands of the map need of the ledger's context."""

    def __init__(self, mapped: MappedLog) -> None:
        self.engine = mapped.engine
        self.statement_signer = mapped.signer
        self._log = mapped.log

    def open_log(self) -> Log:
        return self._log


def test_the_map_commands_state_show_and_rebuild(log: Log, engine: Engine, clock: Clock) -> None:
    mapped = MappedLog(log, engine, clock)

    def run(command: str) -> str:
        result = CliRunner().invoke(map_group, [command], obj=lambda: Context(mapped))
        assert result.exit_code == 0, result.output
        return result.output

    assert "no map" in run("head")
    assert "no map" in run("rebuild")
    mapped.record("a")
    assert "map of the first 1 entries" in run("publish")
    assert "nothing new" in run("publish")
    assert run("head") == run("rebuild")
