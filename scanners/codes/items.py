"""Codes of items without GTIN, under the registry's host: `/i/<issuer>/<item>/<serial>`.

A structured path in the sense of ISO/IEC 18975, outside `/01/`: nobody's GTIN is invented.
"""

from __future__ import annotations

from dataclasses import dataclass

from scanners.codes.ai import MAXIMUM_ELEMENTS, Elements, check_exclusions, check_values, dictionary
from scanners.codes.digital_link import WebAddress, escape_path, escape_query, parse_query, split_uri, unescape_path
from scanners.codes.errors import CodeError
from scanners.codes.identity import GS1_PRIMARY_KEYS, CodeIdentity, CodeKind


@dataclass(frozen=True, slots=True)
class ItemLink:
    """A parsed item code. `elements` are the AIs of the query, `extensions` its other parameters, in order."""

    scheme: str
    host: str
    prefix_path: str
    identity: CodeIdentity
    elements: Elements
    extensions: tuple[tuple[str, str], ...]
    fragment: str | None

    def canonical(self) -> str:
        """Return the one form of this link: attributes ascending by AI, extensions after them, no fragment."""
        identity = self.identity
        parameters = [f"{ai}={escape_query(value)}" for ai, value in sorted(self.elements)]
        parameters += [f"{escape_path(key)}={escape_path(value)}" for key, value in self.extensions]
        query = "?" + "&".join(parameters) if parameters else ""
        path = f"/i/{identity.identifier}/{escape_path(identity.serial)}"
        return f"{self.scheme}://{self.host}{self.prefix_path}{path}{query}"


def is_item_path(path: str) -> bool:
    """Tell whether a raw path ends like an item's: `/i/` and three segments that are no GS1 key and value."""
    segments = path.rsplit("/", 4)
    return len(segments) == 5 and segments[1] == "i" and segments[3] not in GS1_PRIMARY_KEYS


def parse_item_link(text: str) -> ItemLink:
    """Parse the URI of an item code.

    Raises CodeError: the codes of `split_uri`, "item_path", "issuer", "item", "serial", "repeated_ai", "attribute".
    """
    return item_link_at(split_uri(text))


def item_link_at(address: WebAddress) -> ItemLink:
    """Read an address that was split already as an item's; see `parse_item_link`."""
    if not is_item_path(address.path):
        raise CodeError("item_path", "The link's path does not end in /i/<issuer>/<item>/<serial>.")
    segments = address.path.split("/")
    issuer, item, serial = segments[-3:]
    identity = CodeIdentity(CodeKind.ITEM, f"{issuer}/{item}", unescape_path(serial))
    attributes, extensions = parse_query(address.query)
    if len(attributes) > MAXIMUM_ELEMENTS:
        raise CodeError("too_many_ais", f"A code has at most {MAXIMUM_ELEMENTS} application identifiers.")
    seen: set[str] = set()
    for ai, _ in attributes:
        if ai in seen:
            raise CodeError("repeated_ai", f"AI ({ai}) is repeated.")
        seen.add(ai)
        if not dictionary()[ai].data_attribute or dictionary()[ai].qualifiers is not None:
            raise CodeError("attribute", f"AI ({ai}) can not describe an item that has no GTIN.")
    check_values(attributes, deep=True)
    check_exclusions(attributes)
    prefix_path = "/".join(segments[:-4])
    return ItemLink(
        address.scheme, address.host, prefix_path, identity, tuple(attributes), tuple(extensions), address.fragment
    )
