"""Signing on a machine without a network: the order that is carried there, and the signatures that are carried back.

An order is one JSON document. A file of signatures is one line of JSON and then the bare signatures, 64 bytes each.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.errors import LedgerError
from ledger.strict import decode_base64, decode_json_object, encode_base64
from scanners.signing import MAX_UNITS, SIGNATURE_SIZE, Order, SigningRefused
from scanners.whole_files import replace_file

ORDER_FORMAT = "marchamo signing order v1"
SIGNATURES_FORMAT = "marchamo signatures v1"
MAX_ORDER = 512 * 1024 * 1024
_MAX_HEADER = 4_096


@dataclass(frozen=True, slots=True)
class Signatures:
    """Signatures of all units of a batch, in order of position, and the seal."""

    handle: str
    key_id: int
    quantity: int
    seal: bytes
    data: bytes


def write_order(path: Path, order: Order, serials: list[str]) -> None:
    """Write what is to be signed; raises OSError."""
    members = {"format": ORDER_FORMAT, **order.to_members(), "serials": serials}
    replace_file(path, json.dumps(members, separators=(",", ":")).encode("ascii") + b"\n")


def read_order(path: Path) -> tuple[Order, list[str]]:
    """Read what is to be signed; raises SigningRefused, OSError."""
    with path.open("rb") as file:
        text = file.read(MAX_ORDER + 1)
    members = _members(text if len(text) <= MAX_ORDER else b"", ORDER_FORMAT)
    serials = members.get("serials")
    if not isinstance(serials, list) or not all(isinstance(serial, str) for serial in serials):
        raise SigningRefused("The order has no serials.")
    return Order.from_members(members), serials


def write_signatures(path: Path, made: Signatures) -> None:
    """Write signatures; raises OSError."""
    header = {
        "format": SIGNATURES_FORMAT,
        "handle": made.handle,
        "key_id": made.key_id,
        "quantity": made.quantity,
        "seal": encode_base64(made.seal),
    }
    replace_file(path, json.dumps(header, separators=(",", ":")).encode("ascii") + b"\n" + made.data)


def read_signatures(path: Path) -> Signatures:
    """Read signatures; raises SigningRefused for a file that is not whole, OSError."""
    with path.open("rb") as file:
        members = _members(file.readline(_MAX_HEADER), SIGNATURES_FORMAT)
        data = file.read(MAX_UNITS * SIGNATURE_SIZE + 1)
    handle, key_id, quantity, seal = (members.get(name) for name in ("handle", "key_id", "quantity", "seal"))
    if not isinstance(handle, str) or type(key_id) is not int or type(quantity) is not int or not isinstance(seal, str):
        raise SigningRefused("The file of signatures is malformed.")
    if len(data) != quantity * SIGNATURE_SIZE or not data:
        raise SigningRefused("The file of signatures is not whole.", fix="Sign again.")
    try:
        return Signatures(handle, key_id, quantity, decode_base64(seal, size=SIGNATURE_SIZE), data)
    except LedgerError as error:
        raise SigningRefused(f"The file of signatures is malformed: {error.message}") from error


def _members(text: bytes, wanted: str) -> dict[str, Any]:
    try:
        members = decode_json_object(text)
    except LedgerError as error:
        raise SigningRefused(f"This is no '{wanted}': {error.message}.") from error
    if members.get("format") != wanted:
        raise SigningRefused(f"This is no '{wanted}'.")
    return members
