"""Signed bytes of units that differ in their serial only: for the registry's trees and for a firm's own signing."""

from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.signature import signed_message

_EXAMPLES = {CodeKind.GTIN: "0", CodeKind.ITEM: "0", CodeKind.CASE: "0" * 18}
_SERIAL_FIELDS = {CodeKind.GTIN: b"21", CodeKind.ITEM: b"serial", CodeKind.CASE: b"00"}


class UnitContents:
    """Signed bytes of the units of one batch: `signed_message`, of which only the serial changes, ten times as fast.

    The bytes before and after the serial are taken once from `signed_message` itself, with a placeholder serial; a
    property test holds both to the same bytes. Serials must be valid already.
    """

    __slots__ = ("_head", "_tail")

    def __init__(self, kind: CodeKind, identifier: str, elements: tuple[tuple[str, str], ...], key_id: int) -> None:
        example, name = _EXAMPLES[kind], _SERIAL_FIELDS[kind]
        message = signed_message(CodeIdentity(kind, identifier, example), elements, key_id)
        start = _field_start(message, name) + 1 + len(name)
        self._head = message[:start]
        self._tail = message[start + 2 + len(example) :]

    def of(self, serial: str) -> bytes:
        """The signed bytes of the unit with this serial."""
        return b"%b%b%b%b" % (self._head, len(serial).to_bytes(2, "big"), serial.encode("ascii"), self._tail)


def _field_start(message: bytes, name: bytes) -> int:
    """Where the field of that name begins: the fields are walked, since a value may contain the same bytes."""
    at = message.index(b"\n") + 5  # domain line, then four bytes of key id
    while True:
        length = message[at]
        if message[at + 1 : at + 1 + length] == name:
            return at
        value_at = at + 1 + length
        at = value_at + 2 + int.from_bytes(message[value_at : value_at + 2], "big")
