"""The one door for text that a scanner sent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from scanners.codes.ai import Elements
from scanners.codes.digital_link import parse_digital_link, split_uri
from scanners.codes.element_string import format_element_string, parse_element_string
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.items import is_item_path, parse_item_link
from scanners.codes.signature import SIGNATURE_KEY, CodeSignature, decode_signature, signed_message


class CodeForm(StrEnum):
    """The syntaxes that are read."""

    DIGITAL_LINK = "digital_link"
    ITEM_PATH = "item_path"
    ELEMENT_STRING = "element_string"
    REEL_LABEL = "reel_label"


class Diagnosis(StrEnum):
    """What the scanner did to the text on its way."""

    CASE_SWAPPED = "case_swapped"
    KEYBOARD_LAYOUT = "keyboard_layout"
    GS_LOST = "gs_lost"
    GS_AS_TEXT = "gs_as_text"
    DOUBLE_ENTER = "double_enter"
    WHITE_SPACE = "white_space"


@dataclass(frozen=True, slots=True)
class ReadCode:
    """A code that was read."""

    form: CodeForm
    host: str | None
    trusted: bool
    elements: Elements
    identity: CodeIdentity | None
    signature: CodeSignature | None
    canonical: str
    diagnoses: tuple[Diagnosis, ...] = ()

    def message(self, key_id: int) -> bytes:
        """Return the bytes that a signature under `key_id` covers. Raises CodeError ("no_identity")."""
        if self.identity is None:
            raise CodeError("no_identity", "The code names no single unit, item or case.")
        return signed_message(self.identity, self.elements, key_id)


def read_code(text: str | bytes, *, trusted_hosts: Collection[str]) -> ReadCode:
    """Read what a scanner sent."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    text = text.strip(" \t\r\n")
    if text[:4].lower() == "http":
        return _read_link(text, trusted_hosts)
    elements = parse_element_string(text)
    return ReadCode(
        CodeForm.ELEMENT_STRING, None, False, elements, identity_of(elements), None, format_element_string(elements)
    )


def _read_link(text: str, trusted_hosts: Collection[str]) -> ReadCode:
    _, host, path, _, _ = split_uri(text)
    trusted = host in {trusted.lower() for trusted in trusted_hosts}
    if is_item_path(path):
        item = parse_item_link(text)
        signature = _signature(item.extensions, trusted=trusted)
        return ReadCode(
            CodeForm.ITEM_PATH, host, trusted, item.elements, item.identity, signature, item.canonical()
        )
    link = parse_digital_link(text)
    signature = _signature(link.extensions, trusted=trusted)
    return ReadCode(
        CodeForm.DIGITAL_LINK, host, trusted, link.elements, identity_of(link.elements), signature, link.canonical()
    )


def _signature(extensions: tuple[tuple[str, str], ...], *, trusted: bool) -> CodeSignature | None:
    values = [value for key, value in extensions if key == SIGNATURE_KEY]
    if not values:
        return None
    try:
        if len(values) > 1:
            raise CodeError("duplicate_signature", "The code carries more than one signature.")
        return decode_signature(values[0])
    except CodeError:
        if trusted:
            raise
        return None


def identity_of(elements: Elements) -> CodeIdentity | None:
    """Return the unit or case that AIs name, None where they name no single one."""
    values = dict(elements)
    if "01" in values and "21" in values:
        return CodeIdentity(CodeKind.GTIN, values["01"], values["21"])
    if elements[0][0] == "00":
        return CodeIdentity(CodeKind.CASE, "", values["00"])
    return None
