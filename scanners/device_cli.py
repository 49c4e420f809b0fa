"""`marchamo device`: this machine as a device of a registry, whose scans are signed with a key of its own.

Exit codes: 0 done; 1 refused by the registry; 2 misused; 3 something could not be read or reached, such as this
machine's own file.
"""

import json
import platform
import re
import sys
from pathlib import Path
from typing import NoReturn

import click

from scanners.client import ConnectionFailed, Unreachable
from scanners.device import DeviceRefusal, ThisDevice, enrol_device, open_device, read_enrolment
from scanners.log_memory import LogMemory, MemoryRefusal
from scanners.scan_queue import ScanQueue
from scanners.sending import SigningDevice

DEFAULT_SERVER = "http://127.0.0.1:8000"
SHOWN_REFUSALS = 20
_CODE = re.compile(r"[0-9A-Za-z]{5}[- ]?[0-9A-Za-z]{5}")
REFUSED = 1
NOT_REACHED = 3

_server = click.option(
    "--server", default=DEFAULT_SERVER, show_default=True, envvar="MARCHAMO_SERVER", help="The registry."
)
_state = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="MARCHAMO_STATE",
    default=Path(click.get_app_dir("marchamo")),
    help="Folder in which this device keeps its key and the scans that wait.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")


@click.group()
def device() -> None:
    """This machine as a device that signs its scans: enrol it, see it, keep its lease, send what waits."""


@device.command()
@click.argument("code")
@click.option("--name", default=platform.node, show_default="this machine's name", help="What people call the device.")
@_server
@_state
def enrol(code: str, name: str, server: str, state: Path) -> None:
    """Enrol this machine with the CODE that the registry's page of devices shows (or the text of its picture)."""
    named, plain = read_enrolment(code)
    name = " ".join(name.split())
    if not 1 <= len(name) <= 100:
        raise click.UsageError("A name has 1 to 100 characters: give one with --name.")
    if not _CODE.fullmatch(plain.strip()):
        raise click.UsageError(
            "A code has ten letters and digits, such as 7H2KM-4Q9XD: as the page of devices shows it."
        )
    try:
        _tell(enrol_device(state, named or server, code=plain, name=name), as_json=False)
    except (ConnectionFailed, DeviceRefusal) as error:
        _fail(error)


@device.command()
@_server
@_state
@_as_json
def show(server: str, state: Path, *, as_json: bool) -> None:
    """Show what this machine knows of itself, and which scans wait; asks nobody."""
    try:
        _tell(open_device(state, server), as_json=as_json)
    except DeviceRefusal as error:
        _fail(error)


@device.command()
@_server
@_state
@_as_json
def renew(server: str, state: Path, *, as_json: bool) -> None:
    """Let the lease go on; scanning with a connection does the same by itself."""
    try:
        _tell(open_device(state, server).renewed(), as_json=as_json)
    except (ConnectionFailed, DeviceRefusal) as error:
        _fail(error)


@device.command()
@_server
@_state
def send(server: str, state: Path) -> None:
    """Hand in the signed scans that wait."""
    try:
        this = open_device(state, server)
        queue = ScanQueue(this.queue_path)
        answers = SigningDevice(this, queue, LogMemory(state, server)).send()
        _, refused, _ = queue.count()
    except (ConnectionFailed, DeviceRefusal, MemoryRefusal) as error:
        _fail(error)
    click.echo(f"{len(answers)} handed in.")
    if refused:
        _end(f"{refused} were not taken by the registry.", "marchamo device show tells why.", REFUSED)


def _tell(this: ThisDevice, *, as_json: bool) -> None:
    queue = ScanQueue(this.queue_path)
    waiting, refused, last = queue.count()
    refusals = {str(scan.seq): scan.refusal for scan in queue.refused(SHOWN_REFUSALS)}
    told = {
        "device": this.id,
        "name": this.name,
        "registry": this.server,
        "organisation": this.organisation,
        "role": this.role,
        "lease_until": this.lease_until,
        "last_number": last,
        "waiting": waiting,
        "refused": refused,
    }
    if as_json:
        click.echo(json.dumps(told | {"refusals": refusals}, ensure_ascii=False, indent=1))
        return
    for name, value in told.items():
        click.echo(f"{name.replace('_', ' '):14}{_visible(str(value))}")
    for seq, reason in refusals.items():
        click.echo(f"scan {seq} was not taken: {_visible(reason or '')}")


def _visible(text: str) -> str:
    """The text without what a terminal would obey: names come from the registry."""
    return "".join(char if char.isprintable() else "·" for char in text)


def _fail(error: ConnectionFailed | DeviceRefusal | MemoryRefusal) -> NoReturn:
    answered = isinstance(error, ConnectionFailed) and not isinstance(error, Unreachable)
    _end(error.message, error.fix, REFUSED if answered else NOT_REACHED)


def _end(message: str, fix: str | None, code: int) -> NoReturn:
    click.echo(f"marchamo: {_visible(message)}{f' {_visible(fix)}' if fix else ''}", err=True)
    sys.exit(code)
