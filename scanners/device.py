"""This machine as a device of a registry: the key that never leaves it, and what it signs with it.

The key lies in one file of the device's folder, readable by its owner alone. What a device is allowed to do is the
registry's to say, at each request; the file only remembers what it said last.
"""

import json
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import FormatError
from ledger.strict import decode_base64, decode_json_object, encode_base64
from scanners.client import ConnectionFailed, Registry
from scanners.log_memory import LogMemory
from scanners.signed_scans import key_id_of, sign_assertion, sign_enrolment, sign_lease
from scanners.whole_files import replace_file

FORMAT = "marchamo device v1"
MAX_BYTES = 100_000
ENROL_SCHEME = "marchamo-enrol:"
"""How the picture on the registry's page of devices begins: address, ``#``, code."""
_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{12}")
_TOLD = ("name", "organisation", "role", "lease_until", "token_endpoint")


class DeviceRefusal(Exception):
    """This machine is no device of that registry, or its file can not be used; `message` is for a person."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class ThisDevice:
    """What this machine knows of itself as a device of `server`; `path` is the file that holds it."""

    path: Path
    server: str
    id: str
    key: Ed25519PrivateKey
    name: str
    organisation: str
    role: str
    lease_until: str
    token_endpoint: str

    @property
    def machine(self) -> str:
        """The device's name in the registry's records."""
        return key_id_of(self.id)

    @property
    def queue_path(self) -> Path:
        """Where the device keeps its numbers and the scans that wait."""
        return self.path.with_suffix(".db")

    def registry(self, memory: LogMemory | None, *, clock: Callable[[], float] = time.time) -> Registry:
        """The registry, reached as this device. Raises ConnectionFailed."""
        assertion = sign_assertion(
            self.key,
            device_id=self.id,
            endpoint=self.token_endpoint,
            now=int(clock()),
            nonce=secrets.token_hex(16),
        )
        return Registry(self.server, Registry(self.server).access_token(assertion), memory)

    def renewed(self, *, clock: Callable[[], float] = time.time) -> "ThisDevice":
        """Let the lease go on, and remember what the registry says. Raises ConnectionFailed, DeviceRefusal."""
        statement = sign_lease(self.key, device_id=self.id, at=int(clock() * 1000))
        told = _told(Registry(self.server).renew_device(self.id, statement), self.server)
        renewed = ThisDevice(self.path, self.server, self.id, self.key, **told)
        _write(renewed)
        return renewed


def device_path(folder: Path, server: str) -> Path:
    """Where this machine keeps what it is to a registry."""
    name = re.sub(r"[^a-z0-9.-]+", "_", server.lower().rstrip("/").partition("://")[2])
    return folder / f"device-{name}.json"


def open_device(folder: Path, server: str) -> ThisDevice:
    """Give this machine as a device of that registry; raises DeviceRefusal."""
    path = device_path(folder, server)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DeviceRefusal(
            f"This machine is no device of the registry at {server}.",
            fix="Get a code on the registry's page of devices, then: marchamo device enrol CODE",
        ) from None
    except OSError as error:
        raise DeviceRefusal(f"{path} cannot be read: {error.strerror}.") from error
    if mode & 0o077:
        raise DeviceRefusal(f"Others can read {path}, which holds this device's key.", fix=f"chmod 600 {path}")
    try:
        return _read(path, server, data)
    except (FormatError, KeyError) as error:
        raise DeviceRefusal(
            f"{path} is damaged.", fix="Revoke the device on the registry's page, remove the file, enrol it anew."
        ) from error


def _read(path: Path, server: str, data: bytes) -> ThisDevice:
    members = decode_json_object(data)
    if len(data) > MAX_BYTES or members["format"] != FORMAT or members["server"] != server:
        raise FormatError("it is of another format, or another registry's")
    told = {name: _text(members[name]) for name in _TOLD}
    key = Ed25519PrivateKey.from_private_bytes(decode_base64(_text(members["private_key"]), size=32))
    return ThisDevice(path, server, _device_id(members["id"]), key, **told)


def enrol_device(folder: Path, server: str, *, code: str, name: str) -> ThisDevice:
    """Make a key, enrol this machine with it, and keep both. Raises ConnectionFailed, DeviceRefusal.

    The key is written before it is enrolled: a crash in between leaves a file without a device, never a device
    without its key.
    """
    path = device_path(folder, server)
    if path.exists():
        raise DeviceRefusal(
            f"This machine is a device of the registry at {server} already.",
            fix=f"If it was revoked, remove {path} first.",
        )
    key = Ed25519PrivateKey.generate()
    unfinished = ThisDevice(path.with_suffix(".new"), server, "", key, name, "", "", "", "")
    _write(unfinished)
    try:
        answer = Registry(server).enrol_device(
            {
                "code": code,
                "public_key": encode_base64(key.public_key().public_bytes_raw()),
                "name": name,
                "possession": sign_enrolment(key, code=code, name=name),
            }
        )
        told = _told(answer, server)
        device = ThisDevice(path, server, _device_id(answer.get("id")), key, **told)
    except FormatError as error:
        raise ConnectionFailed(f"What answers at {server} is no registry of this kind, or a newer one.") from error
    _write(device)
    unfinished.path.unlink(missing_ok=True)
    return device


def read_enrolment(text: str) -> tuple[str | None, str]:
    """Give (address of the registry or None, code) of what a person typed or scanned."""
    if not text.startswith(ENROL_SCHEME):
        return None, text
    server, _, code = text.removeprefix(ENROL_SCHEME).partition("#")
    return server, code


def _write(device: ThisDevice) -> None:
    members = {
        "format": FORMAT,
        "server": device.server,
        "id": device.id,
        "private_key": encode_base64(device.key.private_bytes_raw()),
        **{name: getattr(device, name) for name in _TOLD},
    }
    try:
        device.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(device.path, json.dumps(members, indent=1).encode())  # 0600, as tempfile makes it
    except OSError as error:
        raise DeviceRefusal(f"{device.path} cannot be written: {error.strerror}.") from error


def _told(answer: dict[str, Any], server: str) -> dict[str, str]:
    try:
        return {name: _text(answer.get(name)) for name in _TOLD}
    except FormatError as error:
        raise ConnectionFailed(f"What answers at {server} is no registry of this kind, or a newer one.") from error


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 1_000:
        raise FormatError("a text is missing")
    return value


def _device_id(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise FormatError("the device has no number")
    return value
