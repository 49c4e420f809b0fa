"""The one door for text that a scanner sent.

Every reader of this project (service, hand scanner, tests) goes through `read_code`: one parser, one canonical form,
one set of signed bytes. Errors are always CodeError; the text is never repaired without a diagnosis.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from scanners.codes.ai import MAXIMUM_LENGTH, Elements, check_repeats
from scanners.codes.check_digits import has_valid_check_digit
from scanners.codes.cleaning import SET_UP_FIX, Diagnosis, clean, read_written_controls
from scanners.codes.digital_link import digital_link_at, split_uri
from scanners.codes.element_string import SYMBOLOGY_IDENTIFIERS, format_element_string, parse_element_string
from scanners.codes.errors import CodeError
from scanners.codes.gs_loss import may_have_lost_gs
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.items import is_item_path, item_link_at
from scanners.codes.reel import looks_like_reel_label, parse_reel_label
from scanners.codes.serial import handle_of
from scanners.codes.signature import SIGNATURE_DIGITS, SIGNATURE_KEY, CodeSignature, decode_signature, signed_message

__all__ = ["CodeForm", "Diagnosis", "ReadCode", "identity_of", "read_code"]

_LINK = re.compile(r"https?:", re.IGNORECASE)
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
# "]E0" is none of them: it announces an EAN.
_SWAPPED_SYMBOLOGY_IDENTIFIERS = tuple({identifier.swapcase() for identifier in SYMBOLOGY_IDENTIFIERS} - {"]E0"})
_EAN = re.compile(r"(?:\]E[04])?(?P<digits>[0-9]{8}|[0-9]{12,14})")


class CodeForm(StrEnum):
    """The syntaxes that are read."""

    DIGITAL_LINK = "digital_link"
    ITEM_PATH = "item_path"
    ELEMENT_STRING = "element_string"
    REEL_LABEL = "reel_label"


@dataclass(frozen=True, slots=True)
class ReadCode:
    """A code that was read.

    `host` (lower case, with a port that is not the default) and `trusted` speak of links only: element strings and
    reel labels name no host and are never trusted. `elements` are (AI, value) in the order of the code, or (data
    identifier, value) for a reel label. `identity` is None where the code names no single unit, item or case;
    `signature` is None where the code carries none of ours. `canonical` is the same for every way of writing the code.
    """

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
    """Read what a scanner sent: at most 2,048 characters (or bytes, as UTF-8 or Latin-1).

    `trusted_hosts` are the registry's hosts, compared without regard to case, port included ("localhost:8000"); a link
    of another host is read with `trusted` False, and its `S` counts only if it is well-formed. Raises CodeError: the
    codes of the parsers, of `clean`, of `decode_signature`, and "unknown_form", "insecure_scheme", "case_swapped",
    "duplicate_signature", "plain_gtin".
    """
    body, diagnoses = clean(text)
    if _LINK.match(body):
        return _read_link(body, trusted_hosts, diagnoses)
    if body.startswith(_SWAPPED_SYMBOLOGY_IDENTIFIERS):
        raise _case_swapped()
    body, written = read_written_controls(body)
    if looks_like_reel_label(body):
        label = parse_reel_label(body)
        return ReadCode(
            CodeForm.REEL_LABEL, None, False, label.fields, None, None, label.canonical(), diagnoses + written
        )
    return _read_element_string(body, diagnoses + written)


def identity_of(elements: Elements) -> CodeIdentity | None:
    """Return the unit or case that GS1 elements name, None where they name no single one."""
    values = dict(elements)
    if "01" in values and "21" in values:
        return CodeIdentity(CodeKind.GTIN, values["01"], values["21"])
    if "00" in values and "01" not in values:
        return CodeIdentity(CodeKind.CASE, "", values["00"])
    return None


def _read_link(text: str, trusted_hosts: Collection[str], diagnoses: tuple[Diagnosis, ...]) -> ReadCode:
    address = split_uri(text)
    scheme, host, path = address.scheme, address.host, address.path
    trusted = host in trusted_hosts or any(_same_host(scheme, host, other) for other in trusted_hosts)
    if scheme == "http" and not trusted:
        raise CodeError("insecure_scheme", f"The link to {host} is not encrypted (http) and not the registry's.")
    if is_item_path(path):
        item = item_link_at(address)
        signature = _signature(text, item.extensions, trusted=trusted)
        return ReadCode(
            CodeForm.ITEM_PATH,
            host,
            trusted,
            item.elements,
            item.identity,
            signature,
            _bounded(item.canonical()),
            diagnoses,
        )
    if trusted and is_item_path(path.swapcase()):
        raise _case_swapped()
    link = digital_link_at(address)
    signature = _signature(text, link.extensions, trusted=trusted)
    identity = identity_of(link.elements)
    if signature is None and trusted and identity is not None and _seems_lower_cased(text, identity):
        diagnoses += (Diagnosis.CASE_SWAPPED,)
    return ReadCode(
        CodeForm.DIGITAL_LINK, host, trusted, link.elements, identity, signature, _bounded(link.canonical()), diagnoses
    )


def _bounded(canonical: str) -> str:
    """Refuse a link that full percent-encoding makes longer than any code, so that canonical forms can be read."""
    if len(canonical) > MAXIMUM_LENGTH:
        raise CodeError("too_long", f"Written in full, the code has more than {MAXIMUM_LENGTH} characters.")
    return canonical


def _read_element_string(text: str, diagnoses: tuple[Diagnosis, ...]) -> ReadCode:
    ean = _EAN.fullmatch(text)
    if ean is not None and has_valid_check_digit(ean["digits"]):
        raise CodeError(
            "plain_gtin",
            "This is an article number (EAN, UPC, ITF): it names a product, not a single unit.",
            fix="Scan the unit's two-dimensional code.",
        )
    if not text.startswith(("(", "]", "^", "\x1d")) and not text[:2].isdigit():
        raise CodeError("unknown_form", "This is neither a link nor a GS1 element string nor a reel label.")
    try:
        elements = parse_element_string(text)
    except CodeError as error:
        if may_have_lost_gs(text):
            raise CodeError(
                Diagnosis.GS_LOST.value, "The scanner dropped the separators (GS) of the code.", fix=SET_UP_FIX
            ) from error
        raise
    check_repeats(elements)
    if "^" in text and not text.startswith("("):
        diagnoses = (*diagnoses, Diagnosis.GS_AS_TEXT)
    if may_have_lost_gs(text):
        diagnoses = (*diagnoses, Diagnosis.GS_LOST)
    canonical = format_element_string(elements)
    return ReadCode(CodeForm.ELEMENT_STRING, None, False, elements, identity_of(elements), None, canonical, diagnoses)


def _signature(text: str, extensions: tuple[tuple[str, str], ...], *, trusted: bool) -> CodeSignature | None:
    values = [value for key, value in extensions if key == SIGNATURE_KEY]
    if not values:
        swapped = [value for key, value in extensions if key == SIGNATURE_KEY.lower()]
        if trusted and any(len(value) == SIGNATURE_DIGITS for value in swapped):
            raise _case_swapped()
        return None
    try:
        return _only_signature(text, values)
    except CodeError:
        if trusted:
            raise
        return None


def _only_signature(text: str, values: list[str]) -> CodeSignature:
    if len(values) > 1:
        raise CodeError("duplicate_signature", "The code carries more than one signature.")
    signature = decode_signature(values[0])
    written = f"{SIGNATURE_KEY}={values[0]}"
    if f"?{written}" not in text and f"&{written}" not in text:
        raise CodeError("signature_digits", "The signature's digits are written in percent-encoding.")
    return signature


def _same_host(scheme: str, host: str, other: str) -> bool:
    return host == other.lower().removesuffix(_DEFAULT_PORTS[scheme])


def _seems_lower_cased(text: str, identity: CodeIdentity) -> bool:
    """Our compact codes are printed in upper case throughout; all of it in lower case means a swap, most likely.

    A firm may own such serials, and no signature decides here: so it is a diagnosis and no refusal.
    """
    serial = identity.serial
    return text.startswith("https") and serial != serial.upper() and handle_of(serial.upper()) is not None


def _case_swapped() -> CodeError:
    return CodeError(
        Diagnosis.CASE_SWAPPED.value,
        "The scanner swaps upper and lower case, or Caps Lock is on.",
        fix=f"{SET_UP_FIX} Or switch off Caps Lock.",
    )
