"""Commands about the subject map: those of its keeper, and the one of whoever watches from outside."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.cli.context import FAULT_FOUND, LedgerContext, OpenContext, cannot_read, failures
from ledger.errors import FormatError, LedgerError
from ledger.keys.log_keys import LogKeys
from ledger.keys.trust_root import keys_from_members
from ledger.map.keeper import SubjectMap
from ledger.map.monitor import Fetch, MonitorReport, monitor
from ledger.storage.map_sql import MapHead
from ledger.strict import decode_base64, decode_json_object, encode_base64

ORGANISATION_KEY = "org:"
"""Begins the ids of keys with which organisations sign: those may not state a map."""

MAX_FILE = 32 * 1024 * 1024
TIMEOUT_SECONDS = 30


@click.group("map")
def map_group() -> None:
    """State the subject map, or make its tiles again."""


@map_group.command("head")
@click.pass_obj
def head(open_context: OpenContext) -> None:
    """Print the latest map: how many entries it holds, its root, and the entry that states it."""
    with failures():
        found = _keeper(open_context()).head()
    click.echo("no map was stated yet" if found is None else _describe(found))


@map_group.command("publish")
@click.pass_obj
def publish(open_context: OpenContext) -> None:
    """State the map of all entries recorded so far; the service does so by itself."""
    with failures():
        stated = _keeper(open_context()).publish()
    click.echo("nothing new to state" if stated is None else _describe(stated))


@map_group.command("rebuild")
@click.pass_obj
def rebuild(open_context: OpenContext) -> None:
    """Make the tiles of the latest map again from the tags, which must give its root."""
    with failures():
        built = _keeper(open_context()).rebuild()
    click.echo("no map was stated yet" if built is None else _describe(built))


@click.command("monitor")
@click.argument("source")
@click.option(
    "--trust",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The registry's trust list: the keys of its log, and those with which it states maps.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of sentences.")
def monitor_log(source: str, trust: Path, *, as_json: bool) -> None:
    """Check a log from outside: SOURCE is an exported folder, or the address of a log (https://registry.example/log).

    Reads every leaf, checks the chain and the tree, and computes each subject map again.
    """
    try:
        members = decode_json_object(trust.read_bytes())
        log_keys, map_keys = _read_trust(members)
        _warn_of_its_end(members)
        report = monitor(_fetch(source), log_keys=log_keys, map_keys=map_keys)
    except LedgerError as error:
        cannot_read(error.diagnostics())
    except (OSError, URLError) as error:
        cannot_read(_no_log(source, error))
    click.echo(json.dumps(_members(report), indent=1) if as_json else _sentences(report))
    if report.faults:
        sys.exit(FAULT_FOUND)


def _keeper(context: LedgerContext) -> SubjectMap:
    return SubjectMap(context.open_log(), context.engine, context.statement_signer)


def _describe(found: MapHead) -> str:
    return f"map of the first {found.size} entries, root {encode_base64(found.root)}, stated in entry {found.entry}"


def _warn_of_its_end(members: Mapping[str, Any]) -> None:
    """Warn of a trust list that has ended. It is used all the same: the log of an ended registry can be read."""
    end = members.get("expires_at")
    if isinstance(end, int) and end <= time.time() * 1000:
        click.echo("The trust list has expired: its keys may have been revoked or changed since. Renew it.", err=True)


def _read_trust(members: Mapping[str, Any]) -> tuple[LogKeys, dict[str, Ed25519PublicKey]]:
    keys = members.get("statement_keys")
    if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys.values()):
        raise FormatError("this is not a trust list: it has no statement keys")
    own = {
        name: Ed25519PublicKey.from_public_bytes(decode_base64(key, size=32))
        for name, key in keys.items()
        if not name.startswith(ORGANISATION_KEY)
    }
    return keys_from_members(members.get("log_keys")), own


def _fetch(source: str) -> Fetch:
    address = urlsplit(source)
    if address.scheme in {"http", "https"} and address.netloc:
        return lambda path: _download(f"{source.rstrip('/')}/{path}")
    return lambda path: _bounded(Path(source).joinpath(path).read_bytes(), path)


def _download(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "marchamo-monitor"})  # noqa: S310 -- http(s) only, see above
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        return _bounded(answer.read(MAX_FILE + 1), url)


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > MAX_FILE:
        raise FormatError(f"{name} is larger than any file of a log")
    return data


def _no_log(source: str, error: OSError) -> str:
    """Say that there is no log at an address or in a folder, why, and what it may have been meant to be."""
    cause = getattr(error, "reason", None) or error.strerror or error
    reason = f"it answered {error.code}" if isinstance(error, HTTPError) else getattr(cause, "strerror", None) or cause
    is_address = urlsplit(source).scheme in {"http", "https"}
    meant = "" if source.rstrip("/").endswith("/log") else f"{source.rstrip('/')}/log"
    hint = f"did you mean {meant}?" if is_address and meant else "is it the folder of an export, or a log's address?"
    return f"no ledger at {source} ({reason}); {hint}"


def _sentences(report: MonitorReport) -> str:
    lines = [f"{fault.kind}: entry {fault.entry}: {fault.message}" for fault in report.faults]
    latest = "no map was stated" if report.latest is None else f"the latest is of size {report.latest.size}"
    counts = ((report.checkpoint.size, "entry", "entries"), (report.tags, "tag", "tags"), (report.maps, "map", "maps"))
    read = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts)
    faults = "1 fault" if len(report.faults) == 1 else f"{len(report.faults)} faults"
    lines.append(f"{read}; {latest}; {faults}")
    return "\n".join(lines)


def _members(report: MonitorReport) -> dict[str, Any]:
    latest = report.latest
    return {
        "origin": report.checkpoint.origin,
        "size": report.checkpoint.size,
        "tags": report.tags,
        "maps": report.maps,
        "latest_map_size": None if latest is None else latest.size,
        "latest_map_time": None if latest is None else latest.time,
        "faults": [{"kind": f.kind.value, "entry": f.entry, "message": f.message} for f in report.faults],
    }
